"""What a row-local stage is, and the check that it keeps its word.

A stage returns the rows it was given, in the same order, with its columns appended. It never deletes a row: it fills
`drop_reason`. Splitting a table does not change the result: stage(a + b) = stage(a) + stage(b).
"""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from pipeline.errors import SchemaError


class Stage(Protocol):
    """A verb phrase, the columns it needs, the columns it appends."""

    name: str
    reads: pa.Schema
    adds: pa.Schema

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows with `adds` appended and, where a row leaves, `drop_reason` filled."""
        ...


def apply(stage: Stage, table: pa.Table) -> pa.Table:
    """Call a stage and check both sides of its contract. Raises SchemaError with the offending column."""
    if field := _first_absent(stage.reads, table.schema):
        raise SchemaError(f"{stage.name} reads {field.name} ({field.type}), which its input does not have")
    result = stage(table)
    if result.num_rows != table.num_rows:
        raise SchemaError(f"{stage.name} returned {result.num_rows} rows for {table.num_rows}")
    if field := _first_absent(stage.adds, result.schema):
        raise SchemaError(f"{stage.name} did not add {field.name} ({field.type})")
    return result


def _first_absent(wanted: pa.Schema, schema: pa.Schema) -> pa.Field | None:
    """The first field of which a schema has none with the same name and type."""
    types = dict(zip(schema.names, schema.types, strict=True))
    return next((field for field in wanted if types.get(field.name) != field.type), None)


def add_columns(
    table: pa.Table, adds: pa.Schema, columns: dict[str, list[object]], drops: Sequence[str | None]
) -> pa.Table:
    """Append columns, and write `drops` over the null `drop_reason`s."""
    for field in adds:
        table = table.append_column(field, pa.array(columns[field.name], type=field.type))
    return table.set_column(table.column_names.index("drop_reason"), "drop_reason", pa.array(drops, type=pa.string()))
