"""Which lines of each document repeat across its host, and how selections read that."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import BoilerplateConfig
from pipeline.dedup.lines import host_key, line_keys, line_ranges
from pipeline.execution.commit import committed, finished, read_manifest, write_manifest
from pipeline.execution.storage import Location, readable
from pipeline.output.grouped_parquet import SortedFiles, rows_of
from pipeline.output.histograms import Histograms, write_histograms
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.count import UInt64Array
from pipeline.passes.boilerplate.hosts import host_hash
from pipeline.rules.histogram import add, histograms_of
from pipeline.schema.columns import BOILERPLATE_LINES, DECISION, schema
from pipeline.schema.manifests import BoilerplateGroup, BoilerplateIndex, BoilerplateTotals
from pipeline.schema.metrics import BUILT_IN, HOST_BOILERPLATE
from pipeline.text.metrics.contract import DECIMALS

RANGE_COLUMNS = list(BOILERPLATE_LINES)
MARKS = schema({HOST_BOILERPLATE: DECISION[HOST_BOILERPLATE]}, BOILERPLATE_LINES)
Totals = dict[str, BoilerplateTotals]  # by label


@dataclass(frozen=True, eq=False)
class RepeatedLines:
    """The lines of a shard group that repeat across their host, by hash of host and line."""

    key: UInt64Array  # (n,) ascending
    documents: npt.NDArray[np.int64]  # (n,) that have the line

    @classmethod
    def read(cls, files: Sequence[Location], shard_group: int) -> "RepeatedLines":
        """Those of a shard group, from what `find_repeated` wrote."""
        name = f"{shard_group:05d}"
        with SortedFiles(files, "shard_group") as sorted_files:
            if not sorted_files.has(name):
                return cls(np.empty(0, np.uint64), np.empty(0, np.int64))
            return cls(sorted_files.array(name, "key"), sorted_files.array(name, "documents"))

    def documents_of(self, keys: Sequence[int]) -> npt.NDArray[np.int64]:
        """How many documents have each of some keys; 0 for a key that does not repeat."""
        wanted = np.array(keys, dtype=np.uint64)
        if not len(self.key):
            return np.zeros(len(wanted), np.int64)
        rows = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        documents: npt.NDArray[np.int64] = np.where(self.key[rows] == wanted, self.documents[rows], 0)
        return documents


@dataclass(frozen=True)
class MarkTask:
    """Mark the lines of the documents of one shard group."""

    settings: BoilerplateConfig
    layout: Layout
    shard_group: int
    shards: list[str]
    repeated: Sequence[Location]  # what `find_repeated` wrote
    fingerprint: str  # of the pass


def mark_shard_group(task: MarkTask) -> BoilerplateGroup:
    """Write for each document of a shard group which of its lines repeat; returns totals by label.

    Marks that are there already are kept. Takes 16 bytes for each repeated line of a host in the shard group, beside a
    row group of text.
    """
    layout = task.layout
    manifest_path = layout.boilerplate_totals(task.shard_group)
    if (manifest := finished(manifest_path, BoilerplateGroup, task.fingerprint)) is not None:
        return manifest
    manifest_path.unlink(missing_ok=True)  # it describes marks that are about to be replaced
    repeated = RepeatedLines.read(task.repeated, task.shard_group)
    totals: Totals = {}
    histograms: Histograms = {}
    for shard in task.shards:
        with (
            pq.ParquetFile(readable(layout.annotated(shard)), pre_buffer=True) as file,
            committed(layout.boilerplate(shard)) as path,
            pq.ParquetWriter(path, MARKS, compression="zstd") as writer,
        ):
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=["url", "label", "text"])
                marks = mark(table, repeated, task.settings)
                writer.write_table(marks, row_group_size=max(1, marks.num_rows))  # as in annotated/
                marks = marks.append_column("label", table["label"])
                add(histograms, histograms_of(marks, [BUILT_IN[HOST_BOILERPLATE]]))
                add_totals(totals, _totals_of(marks))
    write_histograms(layout.boilerplate_histograms(task.shard_group), histograms)
    manifest = BoilerplateGroup(fingerprint=task.fingerprint, totals=totals)
    write_manifest(manifest_path, manifest)
    return manifest


def mark(table: pa.Table, repeated: RepeatedLines, settings: BoilerplateConfig) -> pa.Table:
    """Which lines of some documents repeat: MARKS, from url and text.

    The metric is null for a document without lines or host, and where the host has fewer than `min_documents`.
    """
    hosts = [host_hash(url) for url in table["url"].to_pylist()]
    host_documents = repeated.documents_of([host_key(host) for host in hosts])
    min_fraction = Fraction(str(settings.min_document_fraction))  # of 70 documents 0.1 is 7, not a little more
    fractions: list[float | None] = []
    starts: list[list[int]] = []
    ends: list[list[int]] = []
    for text, host, documents in zip(table["text"].to_pylist(), hosts, host_documents.tolist(), strict=True):
        threshold = max(settings.min_documents, math.ceil(min_fraction * documents))
        fraction, ranges = _boilerplate(text, host, threshold, repeated) if host and documents else (None, [])
        fractions.append(fraction)
        starts.append([start for start, _ in ranges])
        ends.append([end for _, end in ranges])
    columns = zip([fractions, starts, ends], MARKS.types, strict=True)
    return pa.table([pa.array(values, kind) for values, kind in columns], schema=MARKS)


def _boilerplate(
    text: str, host: int, threshold: int, repeated: RepeatedLines
) -> tuple[float | None, list[tuple[int, int]]]:
    """Fraction of a text's characters that is in lines which `threshold` documents of the host have, and their ranges.

    White space at the ends of lines does not count as characters.
    """
    repeats = repeated.documents_of(line_keys(text, host)) >= threshold
    lengths = np.array([len(line.strip()) for line in text.split("\n")])
    total = int(lengths.sum())
    if not total:
        return None, []
    ranges = [bounds for bounds, is_repeated in zip(line_ranges(text), repeats.tolist(), strict=True) if is_repeated]
    return round(int(lengths[repeats].sum()) / total, DECIMALS), ranges


def _totals_of(marks: pa.Table) -> Totals:
    """Totals by label of MARKS with their labels."""
    counts: dict[str, Counter[str]] = {}
    for row in marks.to_pylist():
        starts, ends = (row[name] for name in RANGE_COLUMNS)
        of_label = counts.setdefault(row["label"], Counter())
        of_label["documents"] += 1
        of_label["measured"] += row[HOST_BOILERPLATE] is not None
        of_label["with_boilerplate"] += bool(starts)
        of_label["lines"] += len(starts)
        of_label["characters"] += sum(ends) - sum(starts)
    return {label: BoilerplateTotals(**of_label) for label, of_label in counts.items()}


def add_totals(totals: Totals, more: Mapping[str, BoilerplateTotals]) -> None:
    """Add totals by label to `totals`, in place."""
    for label, addend in more.items():
        before = totals.get(label, BoilerplateTotals())
        fields = BoilerplateTotals.__struct_fields__
        sums = {name: getattr(before, name) + getattr(addend, name) for name in fields}
        totals[label] = msgspec.structs.replace(before, **sums)


def are_marked(layout: Layout, fingerprint: str) -> bool:
    """Whether boilerplate/ still holds the marks with this fingerprint, which a selection was made from."""
    index = layout.boilerplate_index
    return index.exists() and read_manifest(index, BoilerplateIndex).fingerprint == fingerprint


def with_boilerplate(tables: Iterable[pa.Table], layout: Layout, shard: str, rows: Sequence[int]) -> Iterator[pa.Table]:
    """Tables of `rows` of annotated/, with the ranges of the lines that repeat."""
    for table, marks in zip(tables, rows_of(layout.boilerplate(shard), rows, RANGE_COLUMNS), strict=True):
        for name in RANGE_COLUMNS:
            table = table.append_column(name, marks[name])
        yield table
