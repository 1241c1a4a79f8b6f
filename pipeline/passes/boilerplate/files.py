"""Where what the tasks of this pass hand to each other lies."""

from pipeline.execution.storage import Location
from pipeline.output.layout import Layout


def histograms_path(layout: Layout, batch: int) -> Location:
    return layout.host_lines_batch(batch).with_name(f"histograms-{batch:05d}.parquet")


def counts_of(layout: Layout, batch: int) -> Location:
    return layout.host_line_counts / f"batch-{batch:05d}.parquet"


def rows_of_ranges(layout: Layout, batch: int) -> Location:
    """What the counts of a batch were made from, and how many there are."""
    return layout.host_line_counts / f"batch-{batch:05d}.json"


def hosts_of(layout: Layout, batch: int) -> Location:
    return layout.host_line_scratch / f"hosts-{batch:05d}.parquet"


def first_documents_of(layout: Layout, task: int) -> Location:
    return layout.host_line_scratch / f"first-{task:05d}.parquet"
