"""The decisions of a selection: a row for each document, with its outcome and why."""

import pyarrow as pa

from pipeline.execution.storage import matching
from pipeline.output.grouped_parquet import read_file
from pipeline.output.layout import Layout


def read_decisions(layout: Layout, selection: str) -> pa.Table:
    """The decisions of a selection on every document, in the order of the signatures."""
    files = matching(layout.selection(selection) / "decisions", "shard-group-*.parquet")
    return pa.concat_tables([read_file(path) for path in files])
