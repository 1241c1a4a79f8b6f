"""Rows in sorted runs, each of what fits in memory, and many runs read as one.

This is an external merge sort: `write` puts the kept documents of a shard group into runs, `merge` reads them side by
side. While there are more runs than a task may open, neighbours are merged first.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import SortedFiles, stretches
from pipeline.output.selection import SelectionFolder
from pipeline.passes.select.columns import ORDER

RUN_ROWS = 1000  # of a row group of a run: merge holds one of each run
Key = tuple[int, int]  # cluster size and hash of id: ranges of a label are cut between two of them


class SortedRunWriter:
    """Writes rows into files that are sorted by label and ORDER, each of what fits in `run_bytes` of memory.

    `rows` and `text_bytes` count the rows of each label and the bytes of their texts.
    """

    def __init__(self, folder: SelectionFolder, shard_group: int, run_bytes: int) -> None:
        self.runs: list[Location] = []
        self.rows: Counter[str] = Counter()
        self.text_bytes: Counter[str] = Counter()
        self._folder, self._shard_group, self._run_bytes = folder, shard_group, run_bytes
        self._tables: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """Add rows in any order; writes a run when enough are in memory."""
        table = table.append_column("text_bytes", pa.compute.binary_length(table["text"]))
        self._tables.append(table)
        by_label = table.select(["label", "text_bytes"]).group_by("label")
        for row in by_label.aggregate([("text_bytes", "sum"), ([], "count_all")]).to_pylist():
            self.rows[row["label"]] += row["count_all"]
            self.text_bytes[row["label"]] += row["text_bytes_sum"]
        if sum(waiting.nbytes for waiting in self._tables) >= self._run_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory as a run."""
        table = pa.concat_tables(self._tables) if self._tables else None
        self._tables = []
        if table is None or not table.num_rows:
            return
        table = table.sort_by([("label", "ascending"), *((name, "ascending") for name in ORDER)])
        path = self._folder.sorted_run(self._shard_group, len(self.runs))
        with _run_writer(path, table.schema) as writer:
            for start, end in stretches(table["label"]):
                writer.write_table(table.slice(start, end - start), row_group_size=RUN_ROWS)
        self.runs.append(path)


@contextmanager
def _run_writer(path: Location, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A run is short-lived: no dictionaries, and statistics only of what row groups are chosen by."""
    with (
        committed(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="lz4", use_dictionary=False, write_statistics=["label", *ORDER[:2]]
        ) as writer,
    ):
        yield writer


@dataclass(frozen=True)
class MergeRunsTask:
    """Runs that become one, which is written at `target`."""

    runs: list[Location]
    target: Location


def few_runs(executor: Executor, folder: SelectionFolder, runs: list[Location], merge_files: int) -> list[Location]:
    """At most `merge_files` runs, which a task can open: while there are more, neighbours are merged into one."""
    level = 0
    while len(runs) > merge_files:
        level += 1
        pieces = [runs[start : start + merge_files] for start in range(0, len(runs), merge_files)]
        tasks = [MergeRunsTask(piece, folder.merged_run(level, number)) for number, piece in enumerate(pieces)]
        run_all(executor, merge_runs, tasks)
        for path in runs:
            path.unlink()
        runs = [task.target for task in tasks]
    return runs


def merge_runs(task: MergeRunsTask) -> None:
    """Write one run from many."""
    with SortedFiles(task.runs, "label") as files, _run_writer(task.target, files.files[0].schema_arrow) as writer:
        for label in files.values():
            for table in merged(files, label):
                writer.write_table(table, row_group_size=RUN_ROWS)


def merged(
    files: SortedFiles, label: str, low: Key | None = None, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """A label's rows of all runs, ascending in ORDER, from `low` on; a row group of each run is in memory at a time."""
    streams = [
        _from(files, number, label, low, columns)
        for number, row_groups in enumerate(files.row_groups)
        if label in row_groups
    ]
    heads = [(table, stream) for stream in streams if (table := next(stream, None)) is not None]
    while len(heads) > 1:
        bound = min(_order_key(table, table.num_rows - 1) for table, _ in heads)
        ready, later = [], []
        for table, stream in heads:
            count = bisect_right(range(table.num_rows), bound, key=partial(_order_key, table))
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
    """The rows of a label in one file, from `low` on; row groups that end before it are not read."""
    for number in files.row_groups[file][label]:
        if low is not None:
            schema, row_group = files.files[file].schema_arrow, files.files[file].metadata.row_group(number)
            size, hashed = (row_group.column(schema.get_field_index(name)).statistics for name in ORDER[:2])
            if size.max < low[0] or (size.min == size.max == low[0] and hashed.max < low[1]):
                continue
        table = files.row_group(file, number, columns)
        first = 0 if low is None else rows_before(table, low)
        if first < table.num_rows:
            yield table.slice(first)


def rows_before(table: pa.Table, key: Key | None) -> int:
    """How many rows of a sorted table come before a key; all of them where there is none."""
    if key is None:
        return int(table.num_rows)
    return bisect_left(range(table.num_rows), key, key=partial(_range_key, table))


def _order_key(table: pa.Table, row: int) -> tuple[int, int, str]:
    size, hashed, record_id = (table[name][row].as_py() for name in ORDER)
    return size, hashed, record_id


def _range_key(table: pa.Table, row: int) -> Key:
    size, hashed = (table[name][row].as_py() for name in ORDER[:2])
    return size, hashed
