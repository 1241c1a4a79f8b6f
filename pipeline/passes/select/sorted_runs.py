"""Rows in sorted runs, each of what fits in memory, and many runs read as one."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial as with_arguments
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import SortedFiles, stretches
from pipeline.passes.select.columns import ORDER

RUN_ROWS = 1000  # of a row group of a run: merge holds one of each run


class SortedRuns:
    """Rows in files that are sorted by label and ORDER, each of what fits in `run_bytes` of memory."""

    def __init__(self, folder: Location, shard_group: int, run_bytes: int) -> None:
        self.folder, self.shard_group, self.run_bytes = folder, shard_group, run_bytes
        self.names: list[str] = []
        self.rows: Counter[str] = Counter()
        self.text_bytes: Counter[str] = Counter()
        self.tables: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        table = table.append_column("text_bytes", pa.compute.binary_length(table["text"]))
        self.tables.append(table)
        sums = (
            table.select(["label", "text_bytes"])
            .group_by("label")
            .aggregate([("text_bytes", "sum"), ([], "count_all")])
        )
        for label, size, rows in zip(*(column.to_pylist() for column in sums.columns), strict=True):
            self.rows[label] += rows
            self.text_bytes[label] += size
        if sum(one.nbytes for one in self.tables) >= self.run_bytes:
            self.flush()

    def flush(self) -> None:
        table = pa.concat_tables(self.tables) if self.tables else None
        self.tables = []
        if table is None or not table.num_rows:
            return
        table = table.sort_by([("label", "ascending"), *((name, "ascending") for name in ORDER)])
        path = self.folder / f"shard-group-{self.shard_group:05d}-run-{len(self.names):05d}.parquet"
        with run_writer(path, table.schema) as writer:
            for start, end in stretches(table["label"]):
                writer.write_table(table.slice(start, end - start), row_group_size=RUN_ROWS)
        self.names.append(path.name)


@contextmanager
def run_writer(path: Location, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A run is short-lived: no dictionaries, and statistics only of what row groups are chosen by."""
    with (
        committed(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="lz4", use_dictionary=False, write_statistics=["label", *ORDER[:2]]
        ) as writer,
    ):
        yield writer


def few_runs(config: RunConfig, executor: Executor, partial: Location, runs: list[Location]) -> list[Location]:
    """Few enough runs for a task to open: while there are more than `merge_files`, neighbours become one."""
    level = 0
    while len(runs) > config.select.merge_files:
        step = config.select.merge_files
        pieces = [runs[start : start + step] for start in range(0, len(runs), step)]
        level += 1
        targets = [partial / "parts" / f"level-{level}-{number:05d}.parquet" for number in range(len(pieces))]
        run_all(executor, merge_runs, list(zip(pieces, targets, strict=True)))
        for path in runs:
            path.unlink()
        runs = targets
    return runs


def merge_runs(runs: list[Location], target: Location) -> None:
    """One run from many."""
    with SortedFiles(runs, "label") as files, run_writer(target, files.files[0].schema_arrow) as writer:
        for label in files.values():
            for table in merged(files, label):
                writer.write_table(table, row_group_size=RUN_ROWS)


Key = tuple[int, int]  # cluster size and hash of id: ranges of a label are cut between two of them


def merged(
    files: SortedFiles, label: str, low: Key | None = None, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """A label's rows of all runs, ascending in ORDER, from `low` on; a row group of each run is in memory at a time."""
    streams = [
        _from(files, number, label, low, columns) for number, found in enumerate(files.row_groups) if label in found
    ]
    heads = [(table, stream) for stream in streams if (table := next(stream, None)) is not None]
    while len(heads) > 1:
        bound = min(sort_key(table, table.num_rows - 1) for table, _ in heads)
        ready, later = [], []
        for table, stream in heads:
            count = bisect_right(range(table.num_rows), bound, key=with_arguments(sort_key, table))
            ready.append(table.slice(0, count))
            rest = table.slice(count) if count < table.num_rows else next(stream, None)
            if rest is not None:
                later.append((rest, stream))
        yield pa.concat_tables(ready).sort_by([(name, "ascending") for name in ORDER])
        heads = later
    for table, stream in heads:
        yield table
        yield from stream


def _from(
    files: SortedFiles, file: int, label: str, low: Key | None, columns: Sequence[str] | None
) -> Iterator[pa.Table]:
    for number in files.row_groups[file][label]:
        if low is not None:
            schema, row_group = files.files[file].schema_arrow, files.files[file].metadata.row_group(number)
            size, hashed = (row_group.column(schema.get_field_index(name)).statistics for name in ORDER[:2])
            if size.max < low[0] or (size.min == size.max == low[0] and hashed.max < low[1]):
                continue
        table = files.row_group(file, number, columns)
        first = 0 if low is None else bisect_left(range(table.num_rows), low, key=with_arguments(range_key, table))
        if first < table.num_rows:
            yield table.slice(first)


def sort_key(table: pa.Table, row: int) -> tuple[Any, ...]:
    return tuple(table[name][row].as_py() for name in ORDER)


def range_key(table: pa.Table, row: int) -> Key:
    size, hashed, _ = sort_key(table, row)
    return size, hashed
