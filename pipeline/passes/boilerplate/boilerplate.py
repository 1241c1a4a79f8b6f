"""host_lines: which lines of a document repeat across its host, such as menus, notices and addresses.

Takes the text of annotated/ and the clusters, and gives host_lines/: for each document the share of its characters that
is such lines, which rules and `tune` see as a metric, and where they stand, so that select can leave them out. Off by
default, as it reads all text.

A document counts for its host once a cluster: otherwise a page that exists under three URLs would make all its lines
boilerplate. Counting is by hash of host and line, in ranges of the hash, so that a host of any size is spread over all
tasks. Counts are kept: with other thresholds only what follows them is done again.

Weakness: lines are compared within one output; hosts of earlier outputs (`index`) are not looked at again.
"""

import math
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import HostLinesConfig, RunConfig, fingerprint
from pipeline.dedup.lines import host_key, line_keys, line_spans
from pipeline.dedup.lsh import link
from pipeline.execution.commit import committed, finished, read_json, write_json
from pipeline.execution.storage import Location, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import SortedFiles, pack, rows_of, write_by_group
from pipeline.output.layout import Layout
from pipeline.passes.statistics import Histograms, read_histograms, write_histograms
from pipeline.rules.histogram import HOST_BOILERPLATE, add, histograms_of
from pipeline.schema.columns import DECISION, HOST_LINES, schema
from pipeline.stages.measure_quality import hash64
from pipeline.text.metrics.definitions import DECIMALS
from pipeline.text.urls import host_of

FORMAT = 1
RANGES = 256  # of the hashes of lines, by their first byte
ROW_GROUP_ROWS = 100_000
REPEATED_ROWS = 4_000_000  # lines that a task sorts by batch at a time
BYTES_A_LINE = 48  # of a batch's lines while they are sorted
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads numbers over 64 bits
SPANS = list(HOST_LINES)
MARKS = schema({HOST_BOILERPLATE: DECISION[HOST_BOILERPLATE]}, HOST_LINES)
COUNTS = pa.schema([("range", pa.string()), ("key", pa.uint64()), ("batch", pa.int32()), ("documents", pa.int64())])
REPEATED = pa.schema([("batch", pa.string()), ("key", pa.uint64()), ("documents", pa.int64())])
UInt64Array = npt.NDArray[np.uint64]


class Counts(NamedTuple):
    """How many documents of a batch have a line; rows ascending by key and batch."""

    key: UInt64Array
    batch: npt.NDArray[np.int32]
    documents: npt.NDArray[np.int64]

    def take(self, rows: slice | npt.NDArray[Any]) -> "Counts":
        """Some of the rows."""
        return Counts(self.key[rows], self.batch[rows], self.documents[rows])


def host_lines(config: RunConfig, layout: Layout, executor: Executor) -> Histograms:
    """Write host_lines/; returns the histograms of its metric. Done work is kept, batch by batch.

    The clusters must be those of the run.
    """
    clusters = read_json(layout.cluster_index)
    settings = config.host_lines
    counted = fingerprint([FORMAT, clusters["fingerprint"], clusters["batches"]])
    key = fingerprint([counted, settings.min_documents, settings.min_document_fraction])
    if finished(layout.host_lines_index, key) is None:
        layout.host_lines_index.unlink(missing_ok=True)  # what it names is about to be replaced
        numbers = range(len(clusters["batches"]))
        rows = _count(config, layout, executor, clusters, counted)
        tasks = pack(rows, config.dedup.large_group_rows)
        counts = _gathered(config, layout, executor, [_counts_of(layout, batch) for batch in numbers])
        repeated = [layout.host_line_scratch / f"repeated-{task:05d}.parquet" for task in range(len(tasks))]
        run_all(
            executor,
            find_repeated,
            [(counts, ranges, target, settings.min_documents) for ranges, target in zip(tasks, repeated, strict=True)],
        )
        totals: dict[str, Counter[str]] = {}
        for of_batch in run_all(
            executor,
            mark_batch,
            [(settings, layout, batch, clusters["batches"][batch], repeated, key) for batch in numbers],
        ):
            for label, of_label in of_batch["totals"].items():
                totals.setdefault(label, Counter()).update(of_label)
        remove_tree(layout.host_line_scratch)
        index = {"fingerprint": key, "clusters": clusters["fingerprint"], "batches": len(numbers)}
        write_json(layout.host_lines_index, index | {"totals": {label: dict(totals[label]) for label in totals}})
    return _histograms(layout)


def measured_host_lines(layout: Layout) -> Histograms:
    """The histograms of the metric, empty where it was not measured for the documents and clusters of the run."""
    return _histograms(layout) if has_host_lines(layout) else {}


def has_host_lines(layout: Layout) -> bool:
    """Whether host_lines/ is of the clusters of the run."""
    if not layout.host_lines_index.exists() or not layout.cluster_index.exists():
        return False
    same: bool = read_json(layout.host_lines_index)["clusters"] == read_json(layout.cluster_index)["fingerprint"]
    return same


def _histograms(layout: Layout) -> Histograms:
    total: Histograms = {}
    for batch in range(read_json(layout.host_lines_index)["batches"]):
        add(total, read_histograms(_histograms_of(layout, batch)))
    return total


def _histograms_of(layout: Layout, batch: int) -> Location:
    return layout.host_lines_batch(batch).with_name(f"histograms-{batch:05d}.parquet")


def _counts_of(layout: Layout, batch: int) -> Location:
    return layout.host_line_counts / f"batch-{batch:05d}.parquet"


def _rows_of_ranges(layout: Layout, batch: int) -> Location:
    """What the counts of a batch were made from, and how many there are."""
    return layout.host_line_counts / f"batch-{batch:05d}.json"


# ---- Who counts ------------------------------------------------------------------------------------------


def host_hash(url: str | None) -> int:
    """The hash of a URL's host, without a leading `www.`; 0 where it has none.

    >>> host_hash("https://www.Example.org/a") == host_hash("http://example.org:8080/") != host_hash("mailto:a@b")
    True
    """
    host = host_of(url or "").removeprefix("www.")
    return hash64(host) if host else 0


def _count(
    config: RunConfig, layout: Layout, executor: Executor, clusters: dict[str, Any], counted: str
) -> dict[str, int]:
    """Write the counts of every batch; returns the rows of each range."""
    batches: list[list[str]] = clusters["batches"]
    rows: Counter[str] = Counter()
    done = [finished(_rows_of_ranges(layout, batch), counted) for batch in range(len(batches))]
    if not all(done):
        run_all(executor, hash_hosts, [(layout, batch, shards) for batch, shards in enumerate(batches)])
        of_task: dict[int, dict[str, list[int]]] = {}
        for group, entry in clusters["groups"].items():
            of_task.setdefault(entry["task"], {})[group] = entry["rows"]
        run_all(executor, first_on_host, [(layout, task, groups) for task, groups in sorted(of_task.items())])
        arguments = [
            (layout, batch, shards, clusters["groups"], config.select.run_bytes, counted)
            for batch, shards in enumerate(batches)
        ]
        done = run_all(executor, count_batch, arguments)
    for of_batch in done:
        rows.update(of_batch["rows"])  # type: ignore[index]
    return rows


def hash_hosts(layout: Layout, batch: int, shards: list[str]) -> None:
    """Write host and words of each document of a batch, as hashes, in signature order."""
    tables = []
    for number, shard in enumerate(shards):
        table = pq.read_table(readable(layout.annotated(shard)), columns=["group", "url", "exact_hash"])
        hosts = np.array([host_hash(url) for url in table["url"].to_pylist()], dtype=np.uint64)
        tables.append(
            pa.table(
                {
                    "group": table["group"],
                    "host": hosts,
                    "words": table["exact_hash"].fill_null(0),
                    "shard": np.full(len(hosts), number, np.int32),
                    "row": np.arange(len(hosts)),
                }
            )
        )
    order = [("group", "ascending"), ("shard", "ascending"), ("row", "ascending")]
    with committed(_hosts_of(layout, batch)) as path:
        write_by_group(path, pa.concat_tables(tables).sort_by(order))


def _hosts_of(layout: Layout, batch: int) -> Location:
    return layout.host_line_scratch / f"hosts-{batch:05d}.parquet"


def _first_of(layout: Layout, task: int) -> Location:
    return layout.host_line_scratch / f"first-{task:05d}.parquet"


def first_on_host(layout: Layout, task: int, groups: dict[str, list[int]]) -> None:
    """Write who counts, of a task's groups in dense order: of each cluster the first document on each host.

    Documents outside the population are clusters of one, also where their words are the same: of those the first. Takes
    about 30 bytes a document of a group.
    """
    batches = sorted({batch for rows in groups.values() for batch, count in enumerate(rows) if count})
    with (
        committed(_first_of(layout, task)) as path,
        pq.ParquetWriter(path, pa.schema([("group", pa.string()), ("counts", pa.bool_())]), compression="zstd") as out,
        SortedFiles([_hosts_of(layout, batch) for batch in batches], "group") as hashes,
        SortedFiles([layout.clusters(task)], "group") as clusters,
    ):
        for group in groups:
            keys = hashes.array(group, "words")
            inside = clusters.array(group, "in_population")
            keys[inside] = clusters.array(group, "leader")[inside] + np.uint64(1)
            keys *= GOLDEN  # wraps modulo 2**64, as does the sum
            host = hashes.array(group, "host")
            keys += host
            counts = (host != 0) & ~clusters.array(group, "already_read")
            del inside, host
            counts[link(keys, ~counts)[1]] = False
            table = pa.table({"group": pa.repeat(group, len(counts)), "counts": counts})
            out.write_table(table, row_group_size=ROW_GROUP_ROWS)


def _who_counts(layout: Layout, batch: int, shards: list[str], groups: dict[str, Any]) -> list[npt.NDArray[np.bool_]]:
    """For each shard of a batch which of its rows count."""
    here = {group: entry["rows"] for group, entry in sorted(groups.items()) if entry["rows"][batch]}
    found = {}
    for task in sorted({groups[group]["task"] for group in here}):
        with SortedFiles([_first_of(layout, task)], "group") as files:
            for group in (one for one in here if groups[one]["task"] == task):
                before = sum(here[group][:batch])
                found[group] = files.read_range(group, ["counts"], before, here[group][batch])["counts"].to_numpy()
    sizes = [pq.read_metadata(readable(layout.annotated(shard))).num_rows for shard in shards]
    firsts = np.cumsum([0, *sizes])
    counts = np.zeros(firsts[-1], dtype=bool)
    where = pq.read_table(readable(_hosts_of(layout, batch)), columns=["shard", "row"])
    places = firsts[where["shard"].to_numpy()] + where["row"].to_numpy()
    counts[places] = np.concatenate([found[group] for group in here]) if here else False
    return np.split(counts, firsts[1:-1])


# ---- Counting --------------------------------------------------------------------------------------------


def count_batch(
    layout: Layout, batch: int, shards: list[str], groups: dict[str, Any], run_bytes: int, counted: str
) -> dict[str, Any]:
    """Write how many documents of a batch have each line of a host; returns the rows of each range.

    What fits in `run_bytes` of memory is sorted at a time.
    """
    done = _rows_of_ranges(layout, batch)
    if (before := finished(done, counted)) is not None:
        return before
    done.unlink(missing_ok=True)  # what it speaks of is about to be replaced
    most = max(1, run_bytes // BYTES_A_LINE)
    with tempfile.TemporaryDirectory(prefix="glotmill-lines-") as scratch:
        runs: list[Path] = []
        keys = {True: array("Q"), False: array("Q")}  # of documents that count, and of the others
        for shard, counts in zip(shards, _who_counts(layout, batch, shards, groups), strict=True):
            for url, text, counting in _texts(layout.annotated(shard), counts):
                if host := host_hash(url):
                    keys[counting].extend({host_key(host), *line_keys(text, host)} - {0})
                if len(keys[True]) + len(keys[False]) >= most:
                    runs.append(Path(scratch, f"run-{len(runs):05d}.parquet"))
                    _write_run(keys, batch, runs[-1])
                    keys = {True: array("Q"), False: array("Q")}
        if runs:
            runs.append(Path(scratch, "last.parquet"))
            _write_run(keys, batch, runs[-1])
            rows = merge_counts(runs, _counts_of(layout, batch))
        else:
            with committed(_counts_of(layout, batch)) as path:
                rows = _write_run(keys, batch, path)
    manifest = {"fingerprint": counted, "rows": rows}
    write_json(done, manifest)
    return manifest


def _texts(path: Location, counts: npt.NDArray[np.bool_]) -> Iterator[tuple[str | None, str, bool]]:
    """URL and text of the documents of a shard, and whether each counts; a row group is in memory at a time."""
    which = iter(counts.tolist())
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=["url", "text"])
            yield from zip(table["url"].to_pylist(), table["text"].to_pylist(), which, strict=False)


def _write_run(keys: Mapping[bool, Any], batch: int, path: Path) -> dict[str, int]:
    """Write how many documents have each key; 0 where only such have it as do not count, which are marked, too.

    Returns the rows of each range.
    """
    counting, others = (np.frombuffer(keys[which], np.uint64) for which in (True, False))
    different = np.unique(np.concatenate([counting, others]))
    counting = np.sort(counting)
    documents = np.searchsorted(counting, different, "right") - np.searchsorted(counting, different, "left")
    rows = Counts(different, np.full(len(different), batch, np.int32), documents)
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
    return pq.ParquetWriter(path, COUNTS, compression="lz4", use_dictionary=["range", "batch", "documents"])


def _write_counts(writer: pq.ParquetWriter, name: str, rows: Counts) -> None:
    columns = {"range": pa.repeat(name, len(rows.key))} | rows._asdict()
    writer.write_table(pa.table(columns, schema=COUNTS), row_group_size=ROW_GROUP_ROWS)


def _gathered(config: RunConfig, layout: Layout, executor: Executor, files: list[Location]) -> list[Location]:
    """Few enough files of counts for a task to open: while there are more than `merge_files`, neighbours become one."""
    level = 0
    while len(files) > config.select.merge_files:
        level += 1
        step = config.select.merge_files
        pieces = [files[start : start + step] for start in range(0, len(files), step)]
        files = [layout.host_line_scratch / f"level-{level}-{number:05d}.parquet" for number in range(len(pieces))]
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
                fresh[1:] = (found.key[1:] != found.key[:-1]) | (found.batch[1:] != found.batch[:-1])
                starts = np.flatnonzero(fresh)
                summed = Counts(found.key[starts], found.batch[starts], np.add.reduceat(found.documents, starts))
                _write_counts(writer, name, summed)
                rows[name] += len(starts)
    return dict(rows)


def _counts_in(tables: Iterator[pa.Table]) -> Iterator[Counts]:
    for table in tables:
        yield Counts(table["key"].to_numpy(), table["batch"].to_numpy(), table["documents"].to_numpy())


def whole_keys(streams: Iterable[Iterator[Counts]]) -> Iterator[Counts]:
    """The rows of streams that ascend by key and batch, as one that does; never empty, and a key's rows come together.

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
            yield together.take(np.lexsort((together.batch, together.key)))
        heads = later


def _joined(pieces: Sequence[Counts]) -> Counts:
    keys, batches, documents = zip(*pieces, strict=True)
    return Counts(np.concatenate(keys), np.concatenate(batches), np.concatenate(documents))


def find_repeated(files: list[Location], ranges: list[str], target: Location, min_documents: int) -> None:
    """Write, for each batch, which of its keys `min_documents` documents of all batches have, and how many have it."""
    with (
        SortedFiles(files, "range") as counts,
        committed(target) as path,
        pq.ParquetWriter(path, REPEATED, compression="zstd", use_dictionary=["batch"]) as writer,
    ):
        waiting: list[Counts] = []
        for name in ranges:
            for found in whole_keys(map(_counts_in, counts.streams(name))):
                starts = np.flatnonzero(np.append(True, found.key[1:] != found.key[:-1]))
                totals = np.add.reduceat(found.documents, starts)
                of_all = np.repeat(totals, np.diff(np.append(starts, len(found.key))))
                often = of_all >= min_documents
                waiting.append(Counts(found.key[often], found.batch[often], of_all[often]))
                if sum(len(one.key) for one in waiting) >= REPEATED_ROWS:
                    _write_repeated(writer, _joined(waiting))
                    waiting = []
        if waiting:
            _write_repeated(writer, _joined(waiting))


def _write_repeated(writer: pq.ParquetWriter, rows: Counts) -> None:
    """A row group for each batch, keys ascending in it."""
    rows = rows.take(np.lexsort((rows.key, rows.batch)))
    for batch in np.unique(rows.batch):
        here = rows.take(slice(*np.searchsorted(rows.batch, [batch, batch + 1])))
        columns = {"batch": pa.repeat(f"{batch:05d}", len(here.key)), "key": here.key, "documents": here.documents}
        writer.write_table(pa.table(columns, schema=REPEATED), row_group_size=len(here.key))


# ---- Marking ---------------------------------------------------------------------------------------------


class Repeated(NamedTuple):
    """The keys of a batch that repeat, ascending, and how many documents have each."""

    key: UInt64Array
    documents: npt.NDArray[np.int64]

    def documents_of(self, keys: Sequence[int]) -> npt.NDArray[np.int64]:
        """How many documents have each of some keys; 0 where they are fewer than repeat."""
        wanted = np.array(keys, dtype=np.uint64)
        if not len(self.key):
            return np.zeros(len(wanted), np.int64)
        places = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        found: npt.NDArray[np.int64] = np.where(self.key[places] == wanted, self.documents[places], 0)
        return found


def mark_batch(
    settings: HostLinesConfig, layout: Layout, batch: int, shards: list[str], files: list[Location], key: str
) -> dict[str, Any]:
    """Write for each document of a batch what of it repeats; returns totals by label.

    Takes 16 bytes for each repeated line of a host in the batch, beside a row group of text.
    """
    done = layout.host_lines_batch(batch)
    if (before := finished(done, key)) is not None:
        return before
    done.unlink(missing_ok=True)  # what it speaks of is about to be replaced
    with SortedFiles(files, "batch") as repeated:
        name = f"{batch:05d}"
        found = [repeated.array(name, column) for column in Repeated._fields] if repeated.has(name) else None
        known = Repeated(*found) if found else Repeated(np.empty(0, np.uint64), np.empty(0, np.int64))
    totals: dict[str, Counter[str]] = {}
    histograms: Histograms = {}
    for shard in shards:
        with (
            pq.ParquetFile(readable(layout.annotated(shard)), pre_buffer=True) as file,
            committed(layout.host_lines(shard)) as path,
            pq.ParquetWriter(path, MARKS, compression="zstd") as writer,
        ):
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=["url", "label", "text"])
                marks = mark(table, known, settings)
                writer.write_table(marks, row_group_size=max(1, marks.num_rows))  # as in annotated/
                marks = marks.append_column("label", table["label"])
                add(histograms, histograms_of(marks, [HOST_BOILERPLATE]))
                _add_up(totals, marks)
    write_histograms(_histograms_of(layout, batch), histograms)
    manifest = {"fingerprint": key, "totals": {label: dict(one) for label, one in totals.items()}}
    write_json(done, manifest)
    return manifest


def mark(table: pa.Table, known: Repeated, settings: HostLinesConfig) -> pa.Table:
    """Which lines of some documents repeat: MARKS, from url and text.

    The metric is null for a document without lines or host, and where the host has fewer than `min_documents`.
    """
    hosts = [host_hash(url) for url in table["url"].to_pylist()]
    of_host = known.documents_of([host_key(host) for host in hosts])
    share = Fraction(str(settings.min_document_fraction))  # of 70 documents 0.1 is 7, not a little more
    fractions: list[float | None] = []
    spans: list[list[tuple[int, int]]] = []
    for text, host, documents in zip(table["text"].to_pylist(), hosts, of_host.tolist(), strict=True):
        enough = max(settings.min_documents, math.ceil(share * documents))
        fraction, found = _boilerplate(text, host, enough, known) if host and documents else (None, [])
        fractions.append(fraction)
        spans.append(found)
    columns = [fractions, [[start for start, _ in one] for one in spans], [[end for _, end in one] for one in spans]]
    return pa.table([pa.array(c, t) for c, t in zip(columns, MARKS.types, strict=True)], schema=MARKS)


def _boilerplate(text: str, host: int, enough: int, known: Repeated) -> tuple[float | None, list[tuple[int, int]]]:
    """Share of a text's characters that is in lines which `enough` documents of the host have, and their spans.

    White space at the ends of lines is no character here.
    """
    repeats = known.documents_of(line_keys(text, host)) >= enough
    lengths = np.array([len(line.strip()) for line in text.split("\n")])
    total = int(lengths.sum())
    if not total:
        return None, []
    spans = [span for span, repeated in zip(line_spans(text), repeats.tolist(), strict=True) if repeated]
    return round(int(lengths[repeats].sum()) / total, DECIMALS), spans


def _add_up(totals: dict[str, Counter[str]], marks: pa.Table) -> None:
    """Add documents, those measured, and those with repeated lines, and lines and code points of these."""
    for row in marks.to_pylist():
        one = totals.setdefault(row["label"], Counter())
        lines = len(row["host_line_starts"])
        one["documents"] += 1
        one["measured"] += row[HOST_BOILERPLATE] is not None
        one["with_boilerplate"] += lines > 0
        one["lines"] += lines
        one["characters"] += sum(row["host_line_ends"]) - sum(row["host_line_starts"])


# ---- For select ------------------------------------------------------------------------------------------


def are_marked(layout: Layout, lines: dict[str, Any]) -> bool:
    """Whether host_lines/ is what a selection was made from, by what its manifest says of it."""
    index = layout.host_lines_index
    same: bool = index.exists() and read_json(index)["fingerprint"] == lines["fingerprint"]
    return same


def with_host_lines(tables: Iterable[pa.Table], layout: Layout, shard: str, rows: Sequence[int]) -> Iterator[pa.Table]:
    """Tables of `rows` of annotated/, with the spans of the lines that repeat."""
    for table, marks in zip(tables, rows_of(layout.host_lines(shard), rows, SPANS), strict=True):
        for name in SPANS:
            table = table.append_column(name, marks[name])
        yield table
