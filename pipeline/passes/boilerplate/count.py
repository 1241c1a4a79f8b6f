"""How many documents of a host have each line: counted by shard group, then added up by range of the hash."""

import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.lines import host_key, line_keys
from pipeline.execution.commit import committed, finished_json, write_json
from pipeline.execution.storage import Location, readable
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, SortedFiles
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.files import counts_of, rows_of_ranges
from pipeline.passes.boilerplate.hosts import host_hash, who_counts

RANGES = 256  # of the hashes of lines, by their first byte
REPEATED_ROWS = 4_000_000  # lines that a task sorts by shard group at a time
BYTES_A_LINE = 48  # of a shard_group's lines while they are sorted
COUNTS = pa.schema(
    [("range", pa.string()), ("key", pa.uint64()), ("shard_group", pa.int32()), ("documents", pa.int64())]
)
REPEATED = pa.schema([("shard_group", pa.string()), ("key", pa.uint64()), ("documents", pa.int64())])
UInt64Array = npt.NDArray[np.uint64]


class Counts(NamedTuple):
    """How many documents of a shard group have a line; rows ascending by key and shard group."""

    key: UInt64Array
    shard_group: npt.NDArray[np.int32]
    documents: npt.NDArray[np.int64]

    def take(self, rows: slice | npt.NDArray[Any]) -> "Counts":
        """Some of the rows."""
        return Counts(self.key[rows], self.shard_group[rows], self.documents[rows])


def count_shard_group(
    layout: Layout, shard_group: int, shards: list[str], groups: dict[str, Any], run_bytes: int, counted: str
) -> dict[str, Any]:
    """Write how many documents of a shard group have each line of a host; returns the rows of each range.

    What fits in `run_bytes` of memory is sorted at a time.
    """
    done = rows_of_ranges(layout, shard_group)
    if (before := finished_json(done, counted)) is not None:
        return before
    done.unlink(missing_ok=True)  # what it speaks of is about to be replaced
    most = max(1, run_bytes // BYTES_A_LINE)
    with tempfile.TemporaryDirectory(prefix="glotmill-lines-") as scratch:
        runs: list[Path] = []
        keys = {True: array("Q"), False: array("Q")}  # of documents that count, and of the others
        for shard, counts in zip(shards, who_counts(layout, shard_group, shards, groups), strict=True):
            for url, text, counting in texts_of_shard(layout.annotated(shard), counts):
                if host := host_hash(url):
                    keys[counting].extend({host_key(host), *line_keys(text, host)} - {0})
                if len(keys[True]) + len(keys[False]) >= most:
                    runs.append(Path(scratch, f"run-{len(runs):05d}.parquet"))
                    _write_run(keys, shard_group, runs[-1])
                    keys = {True: array("Q"), False: array("Q")}
        if runs:
            runs.append(Path(scratch, "last.parquet"))
            _write_run(keys, shard_group, runs[-1])
            rows = merge_counts(runs, counts_of(layout, shard_group))
        else:
            with committed(counts_of(layout, shard_group)) as path:
                rows = _write_run(keys, shard_group, path)
    manifest = {"fingerprint": counted, "rows": rows}
    write_json(done, manifest)
    return manifest


def texts_of_shard(path: Location, counts: npt.NDArray[np.bool_]) -> Iterator[tuple[str | None, str, bool]]:
    """URL and text of the documents of a shard, and whether each counts; a row group is in memory at a time."""
    which = iter(counts.tolist())
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=["url", "text"])
            yield from zip(table["url"].to_pylist(), table["text"].to_pylist(), which, strict=False)


def _write_run(keys: Mapping[bool, Any], shard_group: int, path: Path) -> dict[str, int]:
    """Write how many documents have each key; 0 where only such have it as do not count, which are marked, too.

    Returns the rows of each range.
    """
    counting, others = (np.frombuffer(keys[which], np.uint64) for which in (True, False))
    different = np.unique(np.concatenate([counting, others]))
    counting = np.sort(counting)
    documents = np.searchsorted(counting, different, "right") - np.searchsorted(counting, different, "left")
    rows = Counts(different, np.full(len(different), shard_group, np.int32), documents)
    starts = np.searchsorted(different, np.arange(RANGES, dtype=np.uint64) << np.uint64(56)).tolist()
    found = {}
    with _counts_writer(path) as writer:
        for number, (start, end) in enumerate(pairwise([*starts, len(different)])):
            if start < end:
                found[f"{number:02x}"] = end - start
                _write_counts(writer, f"{number:02x}", rows.take(slice(start, end)))
    return found


def _counts_writer(path: Path) -> pq.ParquetWriter:
    """Writer of counts, of which only the hashes take room."""
    return pq.ParquetWriter(path, COUNTS, compression="lz4", use_dictionary=["range", "shard_group", "documents"])


def _write_counts(writer: pq.ParquetWriter, name: str, rows: Counts) -> None:
    columns = {"range": pa.repeat(name, len(rows.key))} | rows._asdict()
    writer.write_table(pa.table(columns, schema=COUNTS), row_group_size=ROW_GROUP_ROWS)


def gathered(config: RunConfig, layout: Layout, executor: Executor, files: list[Location]) -> list[Location]:
    """Few enough files of counts for a task to open: while there are more than `merge_files`, neighbours become one."""
    level = 0
    while len(files) > config.select.merge_files:
        level += 1
        step = config.select.merge_files
        pieces = [files[start : start + step] for start in range(0, len(files), step)]
        files = [layout.boilerplate_scratch / f"level-{level}-{number:05d}.parquet" for number in range(len(pieces))]
        run_all(executor, merge_counts, list(zip(pieces, files, strict=True)))
    return files


def merge_counts(files: Sequence[Location], target: Location) -> dict[str, int]:
    """One file of counts from many; returns the rows of each range."""
    rows: Counter[str] = Counter()
    with (
        SortedFiles(files, "range") as sorted_,
        committed(target) as path,
        _counts_writer(path) as writer,
    ):
        for name in sorted_.values():
            for found in whole_keys(map(_counts_in, sorted_.streams(name))):
                fresh = np.ones(len(found.key), dtype=bool)
                fresh[1:] = (found.key[1:] != found.key[:-1]) | (found.shard_group[1:] != found.shard_group[:-1])
                starts = np.flatnonzero(fresh)
                summed = Counts(found.key[starts], found.shard_group[starts], np.add.reduceat(found.documents, starts))
                _write_counts(writer, name, summed)
                rows[name] += len(starts)
    return dict(rows)


def _counts_in(tables: Iterator[pa.Table]) -> Iterator[Counts]:
    for table in tables:
        yield Counts(table["key"].to_numpy(), table["shard_group"].to_numpy(), table["documents"].to_numpy())


def whole_keys(streams: Iterable[Iterator[Counts]]) -> Iterator[Counts]:
    """The rows of streams that ascend by key and shard group, as one that does; never empty, and a key's rows come
    together.

    A piece of each stream is in memory at a time, or more where one key fills a piece.
    """
    heads: list[tuple[Counts, Iterator[Counts] | None]] = [(next(stream), stream) for stream in streams]
    while heads:
        # Beyond the last key of a piece, more of its stream may come first; of that key itself more may come.
        bound = min((head.key[-1] for head, stream in heads if stream is not None), default=None)
        ready: list[Counts] = []
        later: list[tuple[Counts, Iterator[Counts] | None]] = []
        for head, stream in heads:
            end = len(head.key) if bound is None else int(np.searchsorted(head.key, bound))
            ready.append(head.take(slice(end)))
            rest = head.take(slice(end, None))
            if stream is not None and head.key[-1] == bound:
                more = next(stream, None)
                rest = rest if more is None else _joined([rest, more])
                stream = None if more is None else stream
            if len(rest.key):
                later.append((rest, stream))
        together = _joined(ready)
        if len(together.key):
            yield together.take(np.lexsort((together.shard_group, together.key)))
        heads = later


def _joined(pieces: Sequence[Counts]) -> Counts:
    keys, shard_groups, documents = zip(*pieces, strict=True)
    return Counts(np.concatenate(keys), np.concatenate(shard_groups), np.concatenate(documents))


def find_repeated(files: list[Location], ranges: list[str], target: Location, min_documents: int) -> None:
    """Write, for each shard group, which of its keys `min_documents` documents of all shard groups have, and how many
    have it."""
    with (
        SortedFiles(files, "range") as counts,
        committed(target) as path,
        pq.ParquetWriter(path, REPEATED, compression="zstd", use_dictionary=["shard_group"]) as writer,
    ):
        waiting: list[Counts] = []
        for name in ranges:
            for found in whole_keys(map(_counts_in, counts.streams(name))):
                starts = np.flatnonzero(np.append(True, found.key[1:] != found.key[:-1]))
                totals = np.add.reduceat(found.documents, starts)
                of_all = np.repeat(totals, np.diff(np.append(starts, len(found.key))))
                often = of_all >= min_documents
                waiting.append(Counts(found.key[often], found.shard_group[often], of_all[often]))
                if sum(len(one.key) for one in waiting) >= REPEATED_ROWS:
                    _write_repeated(writer, _joined(waiting))
                    waiting = []
        if waiting:
            _write_repeated(writer, _joined(waiting))


def _write_repeated(writer: pq.ParquetWriter, rows: Counts) -> None:
    """A row group for each shard group, keys ascending in it."""
    rows = rows.take(np.lexsort((rows.key, rows.shard_group)))
    for shard_group in np.unique(rows.shard_group):
        here = rows.take(slice(*np.searchsorted(rows.shard_group, [shard_group, shard_group + 1])))
        columns = {
            "shard_group": pa.repeat(f"{shard_group:05d}", len(here.key)),
            "key": here.key,
            "documents": here.documents,
        }
        writer.write_table(pa.table(columns, schema=REPEATED), row_group_size=len(here.key))
