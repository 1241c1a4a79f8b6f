"""What a reader yields as tables of so many rows: those that are kept, and those that are dropped.

Payloads are not copied. Each is a chunk of its own in the column of payloads, which lies where the reader left it:
copies of all pages of a table would be 32 MB.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it

from pipeline.passes.annotate.accounts import RecordAccounts
from pipeline.readers.contract import Item, SourceRow
from pipeline.schema.columns import PAYLOAD, RECORD, schema

TABLE_ROWS = 256
TABLE_BYTES = 32 * 2**20  # of payloads
SOURCE = schema(RECORD, PAYLOAD).append(pa.field("drop_reason", pa.string()))


def source_tables(items: Iterable[Item], accounts: RecordAccounts) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Tables of the kept and of the dropped rows of a file, some rows at a time; every item goes into the accounts."""
    rows: list[SourceRow] = []
    size = 0
    for item in items:
        accounts.add(item)
        if not isinstance(item, SourceRow):
            continue
        rows.append(item)
        size += len(item.payload or b"")
        if len(rows) >= TABLE_ROWS or size >= TABLE_BYTES:
            tables, rows, size = _tables(rows), [], 0
            yield tables
    if rows:
        yield _tables(rows)


def split_dropped(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows without and those with a drop reason; the latter without their payloads."""
    reasons = table["drop_reason"]
    if reasons.null_count == table.num_rows:
        return table, table.slice(0, 0)
    is_kept = reasons.is_null()
    payloads = table["payload"].chunks if "payload" in table.column_names else None
    rest = table if payloads is None else table.drop_columns(["payload"])
    kept, dropped = rest.filter(is_kept), rest.filter(pa.compute.invert(is_kept))
    if payloads is None:
        return kept, dropped
    kept_payloads = [payload for payload, keep in zip(payloads, is_kept.to_pylist(), strict=True) if keep]
    position = table.column_names.index("payload")
    return kept.add_column(position, SOURCE.field("payload"), _column(kept_payloads)), dropped


def _tables(rows: list[SourceRow]) -> tuple[pa.Table, pa.Table]:
    kept = [row for row in rows if row.drop_reason is None]
    dropped = [row for row in rows if row.drop_reason is not None]
    return _table(kept), _table(dropped)


def _table(rows: list[SourceRow]) -> pa.Table:
    columns = [
        _column([_as_it_lies(row.payload) for row in rows])
        if field.name == "payload"
        else pa.array(map(attrgetter(field.name), rows), field.type, size=len(rows))
        for field in SOURCE
    ]
    return pa.table(columns, schema=SOURCE)


def _column(payloads: list[pa.Array]) -> pa.ChunkedArray:
    return pa.chunked_array(payloads, SOURCE.field("payload").type)


def _as_it_lies(payload: bytes | memoryview | None) -> pa.Array:
    """A column of one row that holds the bytes themselves."""
    if payload is None:
        return pa.nulls(1, pa.large_binary())
    bounds = np.array([0, len(payload)], np.int64)
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(bounds), pa.py_buffer(payload)])
