"""How many documents of a host have each line: counted by shard group, then added up by range of the hash.

A line is known by a 64-bit hash of it and its host. Hashes are cut into 256 ranges by their first byte, so that a task
adds up the counts of some ranges over all shard groups, and a host of any size is spread over all tasks.
"""

import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.lines import host_key, line_keys
from pipeline.execution.commit import committed, finished, write_manifest
from pipeline.execution.storage import Location, readable
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, SortedFiles
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.hosts import counted_rows, host_hash
from pipeline.schema.manifests import ClusterGroup, LineCounts

RANGES = 256  # of the hashes of lines, by their first byte
REPEATED_ROWS = 4_000_000  # lines that a task sorts by shard group at a time
BYTES_PER_LINE = 48  # of a shard group's lines while they are sorted
COUNTS = pa.schema(
    [("range", pa.string()), ("key", pa.uint64()), ("shard_group", pa.int32()), ("documents", pa.int64())]
)
REPEATED = pa.schema([("shard_group", pa.string()), ("key", pa.uint64()), ("documents", pa.int64())])
UInt64Array = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class KeyCounts:
    """How many documents of a shard group have a line; rows ascending by key and shard group."""

    key: UInt64Array  # (n,) hash of host and line
    shard_group: npt.NDArray[np.int32]  # (n,)
    documents: npt.NDArray[np.int64]  # (n,)

    def take(self, rows: slice | npt.NDArray[Any]) -> "KeyCounts":
        """Some of the rows."""
        return KeyCounts(self.key[rows], self.shard_group[rows], self.documents[rows])

    @classmethod
    def joined(cls, pieces: Sequence["KeyCounts"]) -> "KeyCounts":
        """The rows of one or more pieces, end to end."""
        return cls(
            np.concatenate([piece.key for piece in pieces]),
            np.concatenate([piece.shard_group for piece in pieces]),
            np.concatenate([piece.documents for piece in pieces]),
        )


@dataclass(frozen=True)
class CountTask:
    """Count the lines of the documents of one shard group."""

    layout: Layout
    shard_group: int
    shards: list[str]
    groups: Mapping[str, ClusterGroup]  # of the cluster index
    run_bytes: int  # of memory, for the lines that are sorted at a time
    fingerprint: str  # of the documents and their clusters


@dataclass(frozen=True)
class MergeCountsTask:
    """Merge some files of counts into one."""

    files: Sequence[Location]
    target: Location


@dataclass(frozen=True)
class FindRepeatedTask:
    """Find the lines of some ranges of hashes that enough documents have."""

    files: Sequence[Location]  # the counts of all shard groups
    ranges: Sequence[str]  # two hexadecimal digits each
    target: Location
    min_documents: int


def count_shard_group(task: CountTask) -> LineCounts:
    """Write how many documents of a shard group have each line of a host; returns the manifest of the counts.

    Lines are sorted in runs of `run_bytes` of memory. A document that does not count for its host adds its lines with a
    count of 0, so that the shard group learns whether they repeat elsewhere. Counts that are there already are kept.
    """
    manifest_path = task.layout.line_counts_manifest(task.shard_group)
    if (manifest := finished(manifest_path, LineCounts, task.fingerprint)) is not None:
        return manifest
    manifest_path.unlink(missing_ok=True)  # it describes counts that are about to be replaced
    with tempfile.TemporaryDirectory(prefix="glotmill-lines-") as scratch:
        rows = _count_lines(task, Path(scratch))
    manifest = LineCounts(fingerprint=task.fingerprint, rows=rows)
    write_manifest(manifest_path, manifest)
    return manifest


def _count_lines(task: CountTask, scratch: Path) -> dict[str, int]:
    """Write the counts of a shard group, by way of sorted runs in `scratch`; returns the rows of each range."""
    lines_per_run = max(1, task.run_bytes // BYTES_PER_LINE)
    target = task.layout.line_counts(task.shard_group)
    runs: list[Location] = []
    keys = {True: array("Q"), False: array("Q")}  # of documents that count for their host, and of the others
    counted = counted_rows(task.layout, task.shard_group, task.shards, task.groups)
    for shard, counts in zip(task.shards, counted, strict=True):
        for url, text, is_counted in texts_of_shard(task.layout.annotated(shard), counts):
            if host := host_hash(url):
                keys[is_counted].extend({host_key(host), *line_keys(text, host)} - {0})
            if len(keys[True]) + len(keys[False]) >= lines_per_run:
                path = Path(scratch, f"run-{len(runs):05d}.parquet")
                _write_run(keys, task.shard_group, path)
                runs.append(path)
                keys = {True: array("Q"), False: array("Q")}
    if not runs:
        with committed(target) as path:
            return _write_run(keys, task.shard_group, path)
    last = Path(scratch, "last.parquet")
    _write_run(keys, task.shard_group, last)
    return merge_counts(MergeCountsTask([*runs, last], target))


def texts_of_shard(path: Location, counts: npt.NDArray[np.bool_]) -> Iterator[tuple[str | None, str, bool]]:
    """URL and text of each document of a shard, and whether it counts; a row group is in memory at a time."""
    counted = iter(counts.tolist())
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=["url", "text"])
            yield from zip(table["url"].to_pylist(), table["text"].to_pylist(), counted, strict=False)


def _write_run(keys: Mapping[bool, Any], shard_group: int, path: Path) -> dict[str, int]:
    """Write how many documents have each key, ascending by key; returns the rows of each range.

    A key that only documents have that do not count for their host is written with a count of 0.
    """
    counted, others = (np.frombuffer(keys[is_counted], np.uint64) for is_counted in (True, False))
    distinct = np.unique(np.concatenate([counted, others]))
    counted = np.sort(counted)
    documents = np.searchsorted(counted, distinct, "right") - np.searchsorted(counted, distinct, "left")
    counts = KeyCounts(distinct, np.full(len(distinct), shard_group, np.int32), documents)
    starts = np.searchsorted(distinct, np.arange(RANGES, dtype=np.uint64) << np.uint64(56)).tolist()
    rows: dict[str, int] = {}
    with _counts_writer(path) as writer:
        for number, (start, end) in enumerate(pairwise([*starts, len(distinct)])):
            if start < end:
                rows[f"{number:02x}"] = end - start
                _write_counts(writer, f"{number:02x}", counts.take(slice(start, end)))
    return rows


def _counts_writer(path: Path) -> pq.ParquetWriter:
    """Writer of counts, of which only the hashes take room."""
    return pq.ParquetWriter(path, COUNTS, compression="lz4", use_dictionary=["range", "shard_group", "documents"])


def _write_counts(writer: pq.ParquetWriter, range_name: str, counts: KeyCounts) -> None:
    columns = {
        "range": pa.repeat(range_name, len(counts.key)),
        "key": counts.key,
        "shard_group": counts.shard_group,
        "documents": counts.documents,
    }
    writer.write_table(pa.table(columns, schema=COUNTS), row_group_size=ROW_GROUP_ROWS)


def merge_to_few_files(
    layout: Layout, executor: Executor, files: Sequence[Location], max_files: int
) -> Sequence[Location]:
    """Files of counts that are few enough for a task to open: neighbours are merged while there are more than
    `max_files`."""
    level = 0
    while len(files) > max_files:
        level += 1
        pieces = [files[start : start + max_files] for start in range(0, len(files), max_files)]
        files = [layout.merged_line_counts(level, number) for number in range(len(pieces))]
        tasks = [MergeCountsTask(piece, target) for piece, target in zip(pieces, files, strict=True)]
        run_all(executor, merge_counts, tasks)
    return files


def merge_counts(task: MergeCountsTask) -> dict[str, int]:
    """Write one file of counts from many, with counts of the same key and shard group added up.

    Returns the rows of each range.
    """
    rows: Counter[str] = Counter()
    with (
        SortedFiles(task.files, "range") as files,
        committed(task.target) as path,
        _counts_writer(path) as writer,
    ):
        for name in files.values():
            for counts in whole_keys(map(_counts_in, files.streams(name))):
                fresh = np.ones(len(counts.key), dtype=bool)
                fresh[1:] = counts.key[1:] != counts.key[:-1]
                fresh[1:] |= counts.shard_group[1:] != counts.shard_group[:-1]
                starts = np.flatnonzero(fresh)
                documents = np.add.reduceat(counts.documents, starts)
                _write_counts(writer, name, KeyCounts(counts.key[starts], counts.shard_group[starts], documents))
                rows[name] += len(starts)
    return dict(rows)


def _counts_in(tables: Iterator[pa.Table]) -> Iterator[KeyCounts]:
    for table in tables:
        yield KeyCounts(table["key"].to_numpy(), table["shard_group"].to_numpy(), table["documents"].to_numpy())


def whole_keys(streams: Iterable[Iterator[KeyCounts]]) -> Iterator[KeyCounts]:
    """Merge streams of counts, each ascending by key and shard group, into one that is so, too.

    No piece of the result is empty, and all rows of a key are in one piece. A piece of each stream is in memory at a
    time, or more where one key fills a piece.
    """
    heads: list[tuple[KeyCounts, Iterator[KeyCounts] | None]] = [(next(stream), stream) for stream in streams]
    while heads:
        # Beyond the last key of a piece, more of its stream may come first; of that key itself more may come.
        bound = min((head.key[-1] for head, stream in heads if stream is not None), default=None)
        ready: list[KeyCounts] = []
        later: list[tuple[KeyCounts, Iterator[KeyCounts] | None]] = []
        for head, stream in heads:
            end = len(head.key) if bound is None else int(np.searchsorted(head.key, bound))
            ready.append(head.take(slice(end)))
            rest = head.take(slice(end, None))
            if stream is not None and head.key[-1] == bound:
                more = next(stream, None)
                rest = rest if more is None else KeyCounts.joined([rest, more])
                stream = None if more is None else stream
            if len(rest.key):
                later.append((rest, stream))
        joined = KeyCounts.joined(ready)
        if len(joined.key):
            yield joined.take(np.lexsort((joined.shard_group, joined.key)))
        heads = later


def find_repeated(task: FindRepeatedTask) -> None:
    """Write for each shard group those of its lines that `min_documents` documents of all shard groups have, and how
    many documents that are."""
    with (
        SortedFiles(task.files, "range") as files,
        committed(task.target) as path,
        pq.ParquetWriter(path, REPEATED, compression="zstd", use_dictionary=["shard_group"]) as writer,
    ):
        waiting: list[KeyCounts] = []
        for name in task.ranges:
            for counts in whole_keys(map(_counts_in, files.streams(name))):
                starts = np.flatnonzero(np.append(True, counts.key[1:] != counts.key[:-1]))
                totals = np.add.reduceat(counts.documents, starts)
                total_of_row = np.repeat(totals, np.diff(np.append(starts, len(counts.key))))
                repeated = total_of_row >= task.min_documents
                waiting.append(KeyCounts(counts.key[repeated], counts.shard_group[repeated], total_of_row[repeated]))
                if sum(len(piece.key) for piece in waiting) >= REPEATED_ROWS:
                    _write_repeated(writer, KeyCounts.joined(waiting))
                    waiting = []
        if waiting:
            _write_repeated(writer, KeyCounts.joined(waiting))


def _write_repeated(writer: pq.ParquetWriter, counts: KeyCounts) -> None:
    """Write a row group for each shard group, its keys ascending."""
    counts = counts.take(np.lexsort((counts.key, counts.shard_group)))
    for shard_group in np.unique(counts.shard_group):
        of_shard_group = counts.take(slice(*np.searchsorted(counts.shard_group, [shard_group, shard_group + 1])))
        columns = {
            "shard_group": pa.repeat(f"{shard_group:05d}", len(of_shard_group.key)),
            "key": of_shard_group.key,
            "documents": of_shard_group.documents,
        }
        writer.write_table(pa.table(columns, schema=REPEATED), row_group_size=len(of_shard_group.key))
