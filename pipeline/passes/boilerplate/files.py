"""Where what the tasks of this pass hand to each other lies."""

from pipeline.execution.storage import Location
from pipeline.output.layout import Layout


def histograms_path(layout: Layout, shard_group: int) -> Location:
    return layout.boilerplate_totals(shard_group).with_name(f"histograms-{shard_group:05d}.parquet")


def counts_of(layout: Layout, shard_group: int) -> Location:
    return layout.boilerplate_counts / f"shard-group-{shard_group:05d}.parquet"


def rows_of_ranges(layout: Layout, shard_group: int) -> Location:
    """What the counts of a shard group were made from, and how many there are."""
    return layout.boilerplate_counts / f"shard-group-{shard_group:05d}.json"


def hosts_of(layout: Layout, shard_group: int) -> Location:
    return layout.boilerplate_scratch / f"hosts-{shard_group:05d}.parquet"


def first_documents_of(layout: Layout, task: int) -> Location:
    return layout.boilerplate_scratch / f"first-{task:05d}.parquet"
