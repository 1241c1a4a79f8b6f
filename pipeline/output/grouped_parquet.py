"""Parquet files that are sorted by one column, each value in row groups of its own, and are read value by value.

In this way a task reads the rows of one group of documents from every shard group, and only the columns that it needs:
a projection takes the place of a shuffle. The files stay open for as long as a task runs, because a footer costs more
to read than the rows of a small group.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.storage import Location, readable

ROW_GROUP_ROWS = 100_000
T = TypeVar("T")
SMALL_BYTES = 16 * 2**20  # of all columns of all files, not compressed, up to which files are read whole


class SortedFiles:
    """Files sorted by `column`, read as if their rows were one table: of a value those of the first file come first.

    Several threads may read; they take turns. Files that are small, all together, are read whole, because a call takes
    longer than reading the rows of a small language.
    """

    def __init__(self, paths: Sequence[Location], column: str) -> None:
        self.files = [pq.ParquetFile(readable(path), pre_buffer=True) for path in paths]
        self._reading = Lock()
        self.row_groups: list[dict[str, list[int]]] = []
        self._first_rows: list[list[int]] = []  # of each row group, and the number of rows
        total = 0
        for file in self.files:
            column_index = file.schema_arrow.get_field_index(column)
            row_groups: dict[str, list[int]] = {}
            first_rows = [0]
            for number in range(file.num_row_groups):
                row_group = file.metadata.row_group(number)
                row_groups.setdefault(row_group.column(column_index).statistics.min, []).append(number)
                first_rows.append(first_rows[-1] + row_group.num_rows)
                total += row_group.total_byte_size
            self.row_groups.append(row_groups)
            self._first_rows.append(first_rows)
        self._are_small = total <= SMALL_BYTES
        self._whole: dict[tuple[int, tuple[str, ...]], pa.Table] = {}

    def __enter__(self) -> "SortedFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self.files:
            file.close()

    def values(self) -> list[str]:
        """Every value that a file has, ascending."""
        return sorted({value for row_groups in self.row_groups for value in row_groups})

    def has(self, value: str) -> bool:
        """Whether any file has rows of a value."""
        return any(value in row_groups for row_groups in self.row_groups)

    def read(self, value: str, columns: Sequence[str]) -> pa.Table:
        """The rows of a value of all files."""
        return pa.concat_tables(
            [
                self._read(file, row_groups[value], columns)
                for file, row_groups in enumerate(self.row_groups)
                if value in row_groups
            ]
        )

    def chunks(self, value: str, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """The rows of a value of all files, `rows` at a time."""
        return rechunked(chain.from_iterable(self.streams(value, columns)), rows)

    def array(
        self, value: str, column: str, numbers: Callable[[pa.ChunkedArray], np.ndarray] | None = None
    ) -> np.ndarray:
        """A column of a value of all files as an array of numbers, (n,), null as 0; a row group is in memory beside it.

        `numbers` makes float64 of a column that is no number, or of which other numbers are wanted.
        """
        total = sum(self.row_range(file, value)[1] for file in range(len(self.files)))
        kind = self.files[0].schema_arrow.field(column).type
        values = np.empty(total, np.float64 if numbers else kind.to_pandas_dtype())
        filled = 0
        for table in chain.from_iterable(self.streams(value, [column])):
            chunk = table[column]
            rows = slice(filled, filled + table.num_rows)
            if numbers:
                values[rows] = numbers(chunk)
            else:
                values[rows] = (chunk.fill_null(0) if chunk.null_count else chunk).to_numpy()
            filled += table.num_rows
        return values

    def read_range(self, value: str, columns: Sequence[str], start: int, count: int) -> pa.Table:
        """`count` rows of a value from row `start` on, in the one file that has it; reads no row group beyond them."""
        file = next(number for number, row_groups in enumerate(self.row_groups) if value in row_groups)
        first_rows, begin = self._first_rows[file], self.row_range(file, value)[0] + start
        wanted = [
            number
            for number in self.row_groups[file][value]
            if first_rows[number + 1] > begin and first_rows[number] < begin + count
        ]
        return self._read(file, wanted, columns).slice(begin - first_rows[wanted[0]], count)

    def row_range(self, number: int, value: str) -> tuple[int, int]:
        """The first row of a value in a file, and how many rows it has there; (0, 0) where it has none."""
        numbers, first_rows = self.row_groups[number].get(value), self._first_rows[number]
        if not numbers:
            return 0, 0
        first = first_rows[numbers[0]]
        return first, first_rows[numbers[-1] + 1] - first

    def streams(self, value: str, columns: Sequence[str] | None = None) -> list[Iterator[pa.Table]]:
        """For each file that has rows of a value, an iterator over its row groups."""
        return [
            self._stream(file, row_groups[value], columns)
            for file, row_groups in enumerate(self.row_groups)
            if value in row_groups
        ]

    def _stream(self, file: int, numbers: Sequence[int], columns: Sequence[str] | None) -> Iterator[pa.Table]:
        for number in numbers:
            yield self.row_group(file, number, columns)

    def row_group(self, file: int, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """One row group of a file."""
        return self._read(file, [number], columns)

    def _read(self, file: int, numbers: Sequence[int], columns: Sequence[str] | None) -> pa.Table:
        """Row groups of a file that follow each other, as one table."""
        wanted = list(columns) if columns else None
        with self._reading:
            if not self._are_small:
                return self.files[file].read_row_groups(numbers, columns=wanted)
            key = (file, tuple(wanted or ()))
            if key not in self._whole:
                self._whole[key] = self.files[file].read(columns=wanted)
        first_rows = self._first_rows[file]
        first, end = first_rows[numbers[0]], first_rows[numbers[-1] + 1]
        return self._whole[key].slice(first, end - first)


def prefetch(items: Iterable[T], count: int = 2) -> Iterator[T]:
    """The same items; a thread makes the next `count` while an item is used.

    >>> list(prefetch("abc"))
    ['a', 'b', 'c']
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, iterator, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # it is not `end`


def rechunked(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows` rows; the last may have fewer."""
    waiting: list[pa.Table] = []
    waiting_rows = 0
    for table in tables:
        waiting.append(table)
        waiting_rows += table.num_rows
        if waiting_rows < rows:
            continue
        joined = pa.concat_tables(waiting)
        for start in range(0, waiting_rows - rows + 1, rows):
            yield joined.slice(start, rows)
        waiting, waiting_rows = [joined.slice(waiting_rows - waiting_rows % rows)], waiting_rows % rows
    if waiting_rows:
        yield pa.concat_tables(waiting)


class Names:
    """Strings, such as ids, of the chosen rows of a group, which other rows of the group refer to by row number.

    `chosen` (n,) bool are the rows whose string some row asks for; `read` is called once and gives the tables of the
    column, from the first row on. Takes 4 bytes a row, and the chosen strings.
    """

    def __init__(self, chosen: np.ndarray, read: Callable[[], Iterable[pa.Table]]) -> None:
        self._index = np.cumsum(chosen, dtype=np.uint32)  # of a chosen row's string, by row
        self._index -= np.uint32(1)
        chunks, first = [pa.array([], pa.large_string())], 0
        for table in read():
            rows = pa.array(chosen[first : first + table.num_rows])
            chunks += table.column(0).filter(rows).cast(pa.large_string()).chunks
            first += table.num_rows
        self._strings = pa.concat_arrays(chunks)

    def of(self, rows: np.ndarray, without: np.ndarray) -> pa.Array:
        """The string of each of `rows`, which must be chosen, or null where `without` is True."""
        indices = pa.array(self._index[np.where(without, 0, rows)], mask=without)
        return self._strings.take(indices).cast(pa.string())


def read_file(path: Location, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a file, or columns of it. `pq.read_table` makes a data set first, which takes longer than a small file."""
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        return file.read(columns=None if columns is None else list(columns))


def rows_of(path: Location, rows: Sequence[int], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Some rows of a file, given by ascending row numbers; a row group is in memory at a time."""
    wanted = np.asarray(rows, dtype=np.int64)
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        first = 0
        for number in range(file.num_row_groups):
            count = file.metadata.row_group(number).num_rows
            in_row_group = wanted[(wanted >= first) & (wanted < first + count)]
            if len(in_row_group):
                table = file.read_row_group(number, columns=list(columns) if columns else None)
                yield table.take(pa.array(in_row_group - first))
            first += count


def cheap_compression(schema: pa.Schema) -> dict[str, str]:
    """The compression of each column: zstd for strings, snappy for the others, which zstd makes hardly smaller.

    Each row group of each column is given to zstd by itself, which takes 10 us to begin: as long as all else that is
    done with the few rows of a small language.
    """
    strings = (pa.string(), pa.large_string())
    return {field.name: "zstd" if field.type in strings else "snappy" for field in schema}


def write_by_group(path: Path, table: pa.Table) -> None:
    """Write a table that is sorted by `group` so that each group has row groups of its own."""
    with pq.ParquetWriter(path, table.schema, compression=cheap_compression(table.schema)) as writer:
        for start, end in stretches(table["group"]):
            writer.write_table(table.slice(start, end - start))


def stretches(column: pa.ChunkedArray) -> Iterator[tuple[int, int]]:
    """The bounds [start, end) of each stretch of equal values.

    >>> list(stretches(pa.chunked_array([["a", "a", "b"]])))
    [(0, 2), (2, 3)]
    """
    values = column.to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])).tolist() if len(values) else []
    return pairwise([*starts, len(values)])


def pack(totals: Mapping[str, int], capacity: int) -> list[list[str]]:
    """The names of each task: in ascending order, at most `capacity` rows a task; a larger name has a task of its own.

    `totals` are the rows of each name. A name with exactly `capacity` rows has a task of its own, too.

    >>> pack({"a": 2, "b": 9, "c": 1, "d": 1}, 3)
    [['a'], ['b'], ['c', 'd']]
    """
    tasks: list[list[str]] = []
    filled = capacity
    for name in sorted(totals):
        if filled + totals[name] > capacity or filled >= capacity:
            tasks.append([])
            filled = 0
        tasks[-1].append(name)
        filled += totals[name]
    return tasks
