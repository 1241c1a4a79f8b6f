"""What a row-local stage is, and the check that it keeps its word.

A stage returns the rows it was given, in the same order, with its columns appended. It never deletes a row: it fills
`drop_reason`. Splitting a table does not change the result: stage(a + b) = stage(a) + stage(b). So every loss has a
name, and tables of any size give the same rows.

`pipeline/plan.py` lists the stages of Glotmill in order. A stage of the user's own runs behind them: `[[stages]]` in
the config names a class and its settings (`pipeline/config/user_stages.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pipeline.config.run_settings import RunConfig
from pipeline.errors import SchemaError
from pipeline.schema.columns import missing_column
from pipeline.text.main_text import Utf8
from pipeline.text.main_text.extractors import Extraction

ExtractPages = Callable[[Iterable[Utf8]], Iterator[Extraction]]


class Stage(Protocol):
    """A verb phrase, the columns it needs, the columns it appends."""

    name: str
    reads: pa.Schema
    adds: pa.Schema

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows with `adds` appended and, where a row leaves, `drop_reason` filled."""
        ...


@dataclass(frozen=True)
class StageContext:
    """What the stages of a shard are built from: the settings of the run, and what runs the extractor."""

    config: RunConfig
    extract_pages: ExtractPages


class StageClass(Protocol):
    """A class of Glotmill's own stages. Each takes from the settings of a run what it needs."""

    name: str
    reads: pa.Schema
    adds: pa.Schema

    @classmethod
    def build(cls, context: StageContext) -> Stage:
        """The stage for these settings. Models are loaded here or with the first table, and kept between shards."""
        ...


def apply(stage: Stage, table: pa.Table) -> pa.Table:
    """Call a stage and check both sides of its contract. Raises SchemaError with the offending column."""
    if missing := missing_column(stage.reads, table.schema):
        raise SchemaError(f"{stage.name} reads {missing}")
    result = stage(table)
    if result.num_rows != table.num_rows:
        raise SchemaError(f"{stage.name} returned {result.num_rows} rows for {table.num_rows}")
    if missing := missing_column(stage.adds, result.schema):
        raise SchemaError(f"{stage.name} adds {missing} when it has run")
    return result


def add_columns(
    table: pa.Table,
    adds: pa.Schema,
    columns: Mapping[str, Sequence[Any]],
    drop_reasons: Sequence[str | None] | None = None,
) -> pa.Table:
    """Append columns, and write drop reasons over the null ones where a stage drops rows."""
    for field in adds:
        table = table.append_column(field, pa.array(columns[field.name], type=field.type))
    if drop_reasons is None:
        return table
    reasons = pa.array(drop_reasons, type=pa.string())
    return table.set_column(table.column_names.index("drop_reason"), "drop_reason", reasons)
