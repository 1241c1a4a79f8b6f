"""merge: the sorted runs of a label become its files of clean/; a large label is cut into ranges, a task each.

A file begins where the text of a split, counted from its first row in order, reaches a multiple of the file's size. So
the files are the same however many runs there are and wherever a label is cut. A task writes the files that begin in
its range, the last one to its end, which lies in the next range.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType

import numpy as np
import pyarrow as pa

from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import SortedFiles, pack
from pipeline.output.parts import PartWriter, in_file_order, part_path
from pipeline.output.selection import SelectionFolder
from pipeline.passes.select.columns import ORDER
from pipeline.passes.select.settings import SelectionSettings
from pipeline.passes.select.sorted_runs import Key, merged, rows_before
from pipeline.schema.manifests import CleanFile

SPLITS = ("train", "test")
TextByBin = dict[str, dict[Key, Counter[str]]]  # label -> least key of a bin -> split -> bytes of text


@dataclass(frozen=True)
class KeyRange:
    """A range of a label's rows, and what stands before it of each split: the bytes of their texts."""

    low: Key | None  # of the first row; None: from the label's first
    high: Key | None  # of the first row behind it; None: to the label's last
    before: dict[str, int]


WHOLE = KeyRange(None, None, dict.fromkeys(SPLITS, 0))


@dataclass(frozen=True)
class LabelRange:
    """A range of a label and the number of the first file of each split that begins in it."""

    label: str
    keys: KeyRange
    first_file: dict[str, int]


@dataclass(frozen=True)
class TextByBinTask:
    """A run and the labels whose text is counted."""

    run: Location
    labels: list[str]


@dataclass(frozen=True)
class CountFilesTask:
    """A range of a label whose files are counted."""

    runs: list[Location]
    label: str
    keys: KeyRange
    part_bytes: int  # of a file, about


@dataclass(frozen=True)
class MergeTask:
    """Ranges of labels whose files are written."""

    folder: SelectionFolder
    runs: list[Location]
    ranges: list[LabelRange]
    part_bytes: int  # of a file, about
    row_group_rows: int


def merge_runs_to_files(
    settings: SelectionSettings,
    executor: Executor,
    folder: SelectionFolder,
    runs: list[Location],
    rows: Mapping[str, int],
    text_bytes: Mapping[str, int],
) -> dict[str, list[CleanFile]]:
    """Write clean/ from the runs: small labels many to a task, ranges of large ones one. Returns the files by label.

    `rows` and `text_bytes` are those of each label in all runs.
    """
    select = settings.select
    ranges_of_label = _ranges_of_large_labels(executor, runs, text_bytes, select.merge_bytes)
    small = {label: count for label, count in rows.items() if label not in ranges_of_label}
    first_file = dict.fromkeys(SPLITS, 0)
    work = [
        [LabelRange(label, WHOLE, first_file) for label in labels] for labels in pack(small, settings.large_group_rows)
    ]
    large = [(label, keys) for label in sorted(ranges_of_label) for keys in ranges_of_label[label]]
    counts = run_all(
        executor, count_files, [CountFilesTask(runs, label, keys, select.part_bytes) for label, keys in large]
    )
    begun: dict[str, Counter[str]] = {label: Counter() for label in ranges_of_label}
    for (label, keys), count in zip(large, counts, strict=True):
        work.append([LabelRange(label, keys, {split: begun[label][split] for split in SPLITS})])
        begun[label].update(count)
    tasks = [MergeTask(folder, runs, ranges, select.part_bytes, select.row_group_rows) for ranges in work]
    files: dict[str, list[CleanFile]] = {}
    for task, written in zip(tasks, run_all(executor, merge_labels, tasks), strict=True):
        for label_range, of_range in zip(task.ranges, written, strict=True):
            files.setdefault(label_range.label, []).extend(of_range)
    return {label: in_file_order(of_label) for label, of_label in files.items()}


def _ranges_of_large_labels(
    executor: Executor, runs: list[Location], text_bytes: Mapping[str, int], merge_bytes: int
) -> dict[str, list[KeyRange]]:
    """The ranges of each label that has more than `merge_bytes` of text: of about so much each, cut between bins."""
    large = sorted(label for label, size in text_bytes.items() if size > merge_bytes)
    if not large:
        return {}
    bins: TextByBin = {label: {} for label in large}
    for of_run in run_all(executor, text_by_bin, [TextByBinTask(run, large) for run in runs]):
        for label, of_label in of_run.items():
            for key, count in of_label.items():
                bins[label].setdefault(key, Counter()).update(count)
    return {label: _ranges(bins[label], merge_bytes) for label in large}


def _ranges(bins: Mapping[Key, Counter[str]], wanted_bytes: int) -> list[KeyRange]:
    """Consecutive ranges of bins; each takes no more once it has `wanted_bytes` of text."""
    starts: list[tuple[Key, dict[str, int]]] = []
    before: Counter[str] = Counter()
    filled = wanted_bytes
    for key in sorted(bins):
        if filled >= wanted_bytes:
            starts.append((key, {split: before[split] for split in SPLITS}))
            filled = 0
        before.update(bins[key])
        filled += bins[key].total()
    lows = [None, *(key for key, _ in starts[1:])]
    highs = [*(key for key, _ in starts[1:]), None]
    return [KeyRange(low, high, text) for low, high, (_, text) in zip(lows, highs, starts, strict=True)]


def text_by_bin(task: TextByBinTask) -> TextByBin:
    """The bytes of text of a run by label and bin. Singletons have 4096 bins by hash, larger clusters, of which there
    are fewer, fewer: some 10,000 bins, and one for each size from 100 on."""
    bins: TextByBin = {}
    with SortedFiles([task.run], "label") as files:
        for label in task.labels:
            for stream in files.streams(label, ["minhash_cluster_size", "id_hash", "split", "text_bytes"]):
                for table in stream:
                    size = table["minhash_cluster_size"].to_numpy()
                    bits = np.select([size == 1, size < 10, size < 100], [12, 8, 4], 0).astype(np.uint64)
                    hashed = table["id_hash"].to_numpy()
                    least = np.where(bits == 0, np.uint64(0), hashed & ~(np.uint64(2**64 - 1) >> bits))
                    table = table.set_column(1, "id_hash", pa.array(least))
                    by_bin = table.group_by(["minhash_cluster_size", "id_hash", "split"])
                    for row in by_bin.aggregate([("text_bytes", "sum")]).to_pylist():
                        key = row["minhash_cluster_size"], row["id_hash"]
                        count = bins.setdefault(label, {}).setdefault(key, Counter())
                        count[row["split"]] += row["text_bytes_sum"]
    return bins


def count_files(task: CountFilesTask) -> dict[str, int]:
    """How many files of each split begin in a range; reads no text."""
    counts = dict.fromkeys(SPLITS, 0)
    before = dict(task.keys.before)
    with SortedFiles(task.runs, "label") as files:
        tables = merged(files, task.label, task.keys.low, [*ORDER, "split", "text_bytes"])
        for table in _up_to(tables, task.keys.high):
            for split in SPLITS:
                lengths = _of_split(table, split)["text_bytes"].to_numpy()
                counts[split] += int(np.count_nonzero(_begins(before[split], lengths, task.part_bytes)))
                before[split] += int(lengths.sum())
    return counts


def _of_split(table: pa.Table, split: str) -> pa.Table:
    of_split = pa.compute.equal(table["split"], split)
    count = pa.compute.sum(of_split).as_py()
    return table if count == table.num_rows else table.filter(of_split) if count else table.slice(0, 0)


def _up_to(tables: Iterable[pa.Table], high: Key | None) -> Iterator[pa.Table]:
    """Tables up to the first row of the next range."""
    for table in tables:
        count = rows_before(table, high)
        yield table.slice(0, count)
        if count < table.num_rows:
            return


def _begins(before: int, lengths: np.ndarray, part_bytes: int) -> np.ndarray:
    """Which rows begin a file, (n,) bool: the first of all, and those in which the text reaches a multiple of the size.

    >>> _begins(0, np.array([3, 3, 1, 3]), 2).tolist(), _begins(8, np.array([3, 1]), 2).tolist()
    ([True, True, False, True], [False, True])
    """
    full = part_bytes * 2  # about half remains after compression
    ends = before + np.cumsum(lengths, dtype=np.int64)
    begins: np.ndarray = ends // full != (ends - lengths) // full
    if not before and len(begins):
        begins[0] = True
    return begins


def merge_labels(task: MergeTask) -> list[list[CleanFile]]:
    """Write the files that begin in each range of a label, the last to its end; returns the files of each range.

    Memory: RUN_ROWS rows of each of at most `merge_files` runs, a row group of the files and its copies.
    """
    written = []
    with SortedFiles(task.runs, "label") as files:
        for label_range in task.ranges:
            with ExitStack() as open_files:
                splits = [open_files.enter_context(_FilesOfSplit(task, label_range, split)) for split in SPLITS]
                for table in merged(files, label_range.label, label_range.keys.low):
                    inside = rows_before(table, label_range.keys.high)
                    for rows, may_begin in ((table.slice(0, inside), True), (table.slice(inside), False)):
                        for of_split in splits if rows.num_rows else ():
                            of_split.add(_of_split(rows, of_split.split), may_begin)
                    if inside < table.num_rows and not any(of_split.open_file for of_split in splits):
                        break
                written.append([file for of_split in splits for file in of_split.close()])
    return written


class _FilesOfSplit:
    """The files of a range of one label and split, written one after the other."""

    def __init__(self, task: MergeTask, label_range: LabelRange, split: str) -> None:
        self.split = split
        self.open_file: PartWriter | None = None
        self._task, self._label = task, label_range.label
        self._text_bytes = label_range.keys.before[split]  # of the rows so far
        self._next_number = label_range.first_file[split]
        self._files: list[CleanFile] = []

    def __enter__(self) -> "_FilesOfSplit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.open_file is not None:  # an error came first: the open file is given up
            self.open_file.__exit__(kind, error, trace)

    def add(self, table: pa.Table, may_begin: bool) -> None:
        """Add the next rows. Those before the first file that begins are another range's; where none may begin, the
        open file ends at the row where the next one would."""
        lengths = table["text_bytes"].to_numpy()
        begins = np.flatnonzero(_begins(self._text_bytes, lengths, self._task.part_bytes)).tolist()
        self._text_bytes += int(lengths.sum())
        if self.open_file is not None and begins[:1] != [0]:
            self.open_file.write(table.slice(0, begins[0] if begins else table.num_rows))
        for start, end in pairwise([*begins, table.num_rows]):
            self._finish_file()
            if not may_begin:
                return
            path = part_path(self._label, self.split, self._next_number)
            self.open_file = PartWriter(self._task.folder.root, path, self.split, self._task.row_group_rows)
            self.open_file.write(table.slice(start, end - start))
            self._next_number += 1

    def close(self) -> list[CleanFile]:
        """Finish the open file; returns all files of the range."""
        self._finish_file()
        return self._files

    def _finish_file(self) -> None:
        if self.open_file is not None:
            self._files.append(self.open_file.close())
        self.open_file = None
