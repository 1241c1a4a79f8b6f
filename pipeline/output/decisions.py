"""The decisions of a selection, as they are stored: a row for each document, in the order of the signatures.

The documents of a shard group are sorted by deduplication group, then by shard and by row of the shard's file.
"""

import numpy as np
import pyarrow as pa

from pipeline.execution.storage import matching
from pipeline.output.grouped_parquet import read_file
from pipeline.output.layout import Layout

SIGNATURE_ORDER = [("group", "ascending"), ("shard", "ascending"), ("row", "ascending")]


def read_decisions(layout: Layout, selection: str) -> pa.Table:
    """The decisions of a selection on every document, one shard group after the other."""
    files = matching(layout.selection(selection) / "decisions", "shard-group-*.parquet")
    return pa.concat_tables([read_file(path) for path in files])


def in_signature_order(layout: Layout, shards: list[str]) -> pa.Table:
    """Where each decision of a shard group was read: group, shard (int32, number within the shard group) and row.

    `shards` are those of the shard group, in its order.
    """
    tables = []
    for number, shard in enumerate(shards):
        table = read_file(layout.annotated(shard), ["group"])
        table = table.append_column("shard", pa.array(np.full(table.num_rows, number, np.int32)))
        tables.append(table.append_column("row", pa.array(np.arange(table.num_rows))))
    return pa.concat_tables(tables).sort_by(SIGNATURE_ORDER)
