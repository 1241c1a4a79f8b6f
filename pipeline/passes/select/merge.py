"""merge: the sorted runs of a label become its parts; a large label is cut into ranges, a task each."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial as with_arguments
from itertools import pairwise
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.config.run_settings import RunConfig
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import SortedFiles, pack
from pipeline.output.parts import PartWriter
from pipeline.passes.select.columns import ORDER
from pipeline.passes.select.sorted_runs import Key, merged, range_key


def merge_runs_to_parts(
    config: RunConfig,
    executor: Executor,
    partial: Location,
    runs: list[Location],
    totals: Mapping[str, int],
    text_bytes: Mapping[str, int],
) -> dict[str, list[dict[str, Any]]]:
    """Write clean/ from the runs: small labels many to a task, ranges of large ones one. Returns what lies there."""
    label_ranges = ranges_of(config, executor, runs, text_bytes)
    small = {label: rows for label, rows in totals.items() if label not in label_ranges}
    first = {"train": 0, "test": 0}
    tasks = [[(label, WHOLE, first) for label in labels] for labels in pack(small, config.dedup.large_group_rows)]
    ranges = [(label, key_range) for label in sorted(label_ranges) for key_range in label_ranges[label]]
    counts = run_all(executor, count_parts, [(config, runs, label, key_range) for label, key_range in ranges])
    numbers: dict[str, Counter[str]] = {label: Counter() for label in label_ranges}
    for (label, key_range), count in zip(ranges, counts, strict=True):
        tasks.append([(label, key_range, {split: numbers[label][split] for split in first})])
        numbers[label].update(count)
    files: dict[str, list[dict[str, Any]]] = {}
    for task, found in zip(
        tasks, run_all(executor, merge_labels, [(config, partial, runs, task) for task in tasks]), strict=True
    ):
        for (label, *_), of_range in zip(task, found, strict=True):
            files.setdefault(label, []).extend(of_range)
    return {label: sorted(ones, key=lambda one: (one["split"] == "test", one["path"])) for label, ones in files.items()}


class KeyRange(NamedTuple):
    """A range of a label's rows, and what stands before it of each split: the bytes of their texts."""

    low: Key | None  # of the first row
    high: Key | None  # of the first row behind it
    before: dict[str, int]


WHOLE = KeyRange(None, None, {"train": 0, "test": 0})


def ranges_of(
    config: RunConfig, executor: Executor, runs: list[Location], text_bytes: Mapping[str, int]
) -> dict[str, list[KeyRange]]:
    """The ranges of each label that has more than `merge_bytes` of text: of about so much each, cut between bins."""
    large = sorted(label for label, size in text_bytes.items() if size > config.select.merge_bytes)
    if not large:
        return {}
    bins: dict[str, dict[Key, Counter[str]]] = {label: {} for label in large}
    for of_run in run_all(executor, text_by_bin, [(run, large) for run in runs]):
        for label, size, hashed, split, count in of_run:
            bins[label].setdefault((size, hashed), Counter())[split] += count
    return {label: _ranges(bins[label], config.select.merge_bytes) for label in large}


def _ranges(bins: Mapping[Key, Counter[str]], wanted: int) -> list[KeyRange]:
    starts: list[tuple[Key, dict[str, int]]] = []
    before: Counter[str] = Counter()
    filled = wanted
    for key in sorted(bins):
        if filled >= wanted:
            starts.append((key, {split: before[split] for split in ("train", "test")}))
            filled = 0
        before.update(bins[key])
        filled += bins[key].total()
    ends = [*(key for key, _ in starts[1:]), None]
    lows = [None, *(key for key, _ in starts[1:])]
    return [KeyRange(low, end, told) for low, end, (_, told) in zip(lows, ends, starts, strict=True)]


def text_by_bin(run: Location, labels: list[str]) -> list[tuple[str, int, int, str, int]]:
    """(label, cluster size, least hash of the bin, split, bytes of text) of a run. Singletons have 4096 bins by hash,
    larger clusters, of which there are fewer, fewer: some 10,000 bins and one for each size from 100 on."""
    found: Counter[tuple[str, int, int, str]] = Counter()
    with SortedFiles([run], "label") as files:
        for label in labels:
            for stream in files.streams(label, ["minhash_cluster_size", "id_hash", "split", "text_bytes"]):
                for table in stream:
                    size = table["minhash_cluster_size"].to_numpy()
                    bits = np.select([size == 1, size < 10, size < 100], [12, 8, 4], 0).astype(np.uint64)
                    hashed = table["id_hash"].to_numpy()
                    low = np.where(bits == 0, np.uint64(0), hashed & ~(np.uint64(2**64 - 1) >> bits))
                    table = table.set_column(1, "id_hash", pa.array(low))
                    keys = ["minhash_cluster_size", "id_hash", "split"]
                    for row in table.group_by(keys).aggregate([("text_bytes", "sum")]).to_pylist():
                        found[label, *(row[name] for name in keys)] += row["text_bytes_sum"]
    return [(*key, count) for key, count in found.items()]


def count_parts(config: RunConfig, runs: list[Location], label: str, key_range: KeyRange) -> dict[str, int]:
    """How many parts of each split begin in a range; reads no text."""
    counts = dict.fromkeys(key_range.before, 0)
    before = dict(key_range.before)
    with SortedFiles(runs, "label") as files:
        for table in _within(merged(files, label, key_range.low, [*ORDER, "split", "text_bytes"]), key_range.high):
            for split in counts:
                lengths = _of_split(table, split)["text_bytes"].to_numpy()
                counts[split] += int(np.count_nonzero(_begins(before[split], lengths, config.select.part_bytes)))
                before[split] += int(lengths.sum())
    return counts


def _of_split(table: pa.Table, split: str) -> pa.Table:
    wanted = pa.compute.equal(table["split"], split)
    count = pa.compute.sum(wanted).as_py()
    return table if count == table.num_rows else table.filter(wanted) if count else table.slice(0, 0)


def _within(tables: Iterable[pa.Table], high: Key | None) -> Iterator[pa.Table]:
    """Tables up to the first row of the next range."""
    for table in tables:
        count = _rows_before(table, high)
        yield table.slice(0, count)
        if count < table.num_rows:
            return


def _rows_before(table: pa.Table, high: Key | None) -> int:
    if high is None:
        return int(table.num_rows)
    return bisect_left(range(table.num_rows), high, key=with_arguments(range_key, table))


def _begins(before: int, lengths: np.ndarray, part_bytes: int) -> np.ndarray:
    """Which rows begin a part, (n,) bool: the first of all, and those in which the text reaches a multiple of the size.

    >>> _begins(0, np.array([3, 3, 1, 3]), 2).tolist(), _begins(8, np.array([3, 1]), 2).tolist()
    ([True, True, False, True], [False, True])
    """
    full = part_bytes * 2  # about half remains after compression
    ends = before + np.cumsum(lengths, dtype=np.int64)
    begins: np.ndarray = ends // full != (ends - lengths) // full
    if not before and len(begins):
        begins[0] = True
    return begins


def merge_labels(
    config: RunConfig, partial: Location, runs: list[Location], label_ranges: list[tuple[str, KeyRange, dict[str, int]]]
) -> list[list[dict[str, Any]]]:
    """Write the parts that begin in each range of a label, the last to its end; returns what the manifest says of them.

    `label_ranges` have the label, the range, and the number of its first part by split. Memory: RUN_ROWS rows of each
    of at most `merge_files` runs, a row group of the parts and its copies.
    """
    found = []
    with SortedFiles(runs, "label") as files:
        for label, key_range, numbers in label_ranges:
            with ExitStack() as open_parts:
                splits = [
                    open_parts.enter_context(
                        _Parts(config, partial, label, split, key_range.before[split], numbers[split])
                    )
                    for split in ("train", "test")
                ]
                for table in merged(files, label, key_range.low):
                    inside = _rows_before(table, key_range.high)
                    for rows, may_begin in ((table.slice(0, inside), True), (table.slice(inside), False)):
                        for parts in splits if rows.num_rows else ():
                            parts.add(_of_split(rows, parts.split), may_begin)
                    if inside < table.num_rows and not any(parts.open_part for parts in splits):
                        break
                found.append([file for parts in splits for file in parts.close()])
    return found


class _Parts:
    """The files of a range of one label and split. A part begins where the text reaches a multiple of its size."""

    def __init__(
        self, config: RunConfig, partial: Location, label: str, split: str, text_bytes: int, number: int
    ) -> None:
        self.settings, self.partial, self.label, self.split = config.select, partial, label, split
        self.files: list[dict[str, Any]] = []
        self.text_bytes = text_bytes  # of the rows so far
        self.number = number  # of the next part
        self.open_part: PartWriter | None = None

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.open_part is not None:  # an error came first: the open part is given up
            self.open_part.__exit__(kind, error, trace)

    def add(self, table: pa.Table, may_begin: bool) -> None:
        """The next rows. Those before the first part that begins are another range's; where none may begin, the open
        part ends at the next."""
        lengths = table["text_bytes"].to_numpy()
        begins = np.flatnonzero(_begins(self.text_bytes, lengths, self.settings.part_bytes)).tolist()
        self.text_bytes += int(lengths.sum())
        if self.open_part is not None and begins[:1] != [0]:
            self.open_part.write(table.slice(0, begins[0] if begins else table.num_rows))
        for start, end in pairwise([*begins, table.num_rows]):
            self._finish_part()
            if not may_begin:
                return
            name = f"{'part' if self.split == 'train' else 'test'}-{self.number:05d}.parquet"
            path = f"clean/{self.label}/{name}"
            self.open_part = PartWriter(self.partial, path, self.split, self.settings.row_group_rows)
            self.open_part.write(table.slice(start, end - start))
            self.number += 1

    def close(self) -> list[dict[str, Any]]:
        self._finish_part()
        return self.files

    def _finish_part(self) -> None:
        if self.open_part is not None:
            self.files.append(self.open_part.close())
        self.open_part = None
