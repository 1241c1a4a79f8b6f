"""Which lines of each document repeat across its host, and how selections read that."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import BoilerplateConfig
from pipeline.dedup.lines import host_key, line_keys, line_ranges
from pipeline.execution.commit import committed, finished_json, read_manifest, write_json
from pipeline.execution.storage import Location, readable
from pipeline.output.grouped_parquet import SortedFiles, rows_of
from pipeline.output.histograms import Histograms, write_histograms
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.count import UInt64Array
from pipeline.passes.boilerplate.files import histograms_path
from pipeline.passes.boilerplate.hosts import host_hash
from pipeline.rules.histogram import HOST_BOILERPLATE, add, histograms_of
from pipeline.schema.columns import BOILERPLATE_LINES, DECISION, schema
from pipeline.schema.manifests import BoilerplateFacts, BoilerplateIndex
from pipeline.text.metrics.contract import DECIMALS

RANGE_COLUMNS = list(BOILERPLATE_LINES)
MARKS = schema({HOST_BOILERPLATE: DECISION[HOST_BOILERPLATE]}, BOILERPLATE_LINES)


class Repeated(NamedTuple):
    """The keys of a shard group that repeat, ascending, and how many documents have each."""

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


def mark_shard_group(
    settings: BoilerplateConfig, layout: Layout, shard_group: int, shards: list[str], files: list[Location], key: str
) -> dict[str, Any]:
    """Write for each document of a shard group what of it repeats; returns totals by label.

    Takes 16 bytes for each repeated line of a host in the shard group, beside a row group of text.
    """
    done = layout.boilerplate_totals(shard_group)
    if (before := finished_json(done, key)) is not None:
        return before
    done.unlink(missing_ok=True)  # what it speaks of is about to be replaced
    with SortedFiles(files, "shard_group") as repeated:
        name = f"{shard_group:05d}"
        found = [repeated.array(name, column) for column in Repeated._fields] if repeated.has(name) else None
        known = Repeated(*found) if found else Repeated(np.empty(0, np.uint64), np.empty(0, np.int64))
    totals: dict[str, Counter[str]] = {}
    histograms: Histograms = {}
    for shard in shards:
        with (
            pq.ParquetFile(readable(layout.annotated(shard)), pre_buffer=True) as file,
            committed(layout.boilerplate(shard)) as path,
            pq.ParquetWriter(path, MARKS, compression="zstd") as writer,
        ):
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=["url", "label", "text"])
                marks = mark(table, known, settings)
                writer.write_table(marks, row_group_size=max(1, marks.num_rows))  # as in annotated/
                marks = marks.append_column("label", table["label"])
                add(histograms, histograms_of(marks, [HOST_BOILERPLATE]))
                _add_up(totals, marks)
    write_histograms(histograms_path(layout, shard_group), histograms)
    manifest = {"fingerprint": key, "totals": {label: dict(one) for label, one in totals.items()}}
    write_json(done, manifest)
    return manifest


def mark(table: pa.Table, known: Repeated, settings: BoilerplateConfig) -> pa.Table:
    """Which lines of some documents repeat: MARKS, from url and text.

    The metric is null for a document without lines or host, and where the host has fewer than `min_documents`.
    """
    hosts = [host_hash(url) for url in table["url"].to_pylist()]
    of_host = known.documents_of([host_key(host) for host in hosts])
    share = Fraction(str(settings.min_document_fraction))  # of 70 documents 0.1 is 7, not a little more
    fractions: list[float | None] = []
    ranges: list[list[tuple[int, int]]] = []
    for text, host, documents in zip(table["text"].to_pylist(), hosts, of_host.tolist(), strict=True):
        enough = max(settings.min_documents, math.ceil(share * documents))
        fraction, found = _boilerplate(text, host, enough, known) if host and documents else (None, [])
        fractions.append(fraction)
        ranges.append(found)
    columns = [fractions, [[start for start, _ in one] for one in ranges], [[end for _, end in one] for one in ranges]]
    return pa.table([pa.array(c, t) for c, t in zip(columns, MARKS.types, strict=True)], schema=MARKS)


def _boilerplate(text: str, host: int, enough: int, known: Repeated) -> tuple[float | None, list[tuple[int, int]]]:
    """Share of a text's characters that is in lines which `enough` documents of the host have, and their ranges.

    White space at the ends of lines is no character here.
    """
    repeats = known.documents_of(line_keys(text, host)) >= enough
    lengths = np.array([len(line.strip()) for line in text.split("\n")])
    total = int(lengths.sum())
    if not total:
        return None, []
    ranges = [range_ for range_, repeated in zip(line_ranges(text), repeats.tolist(), strict=True) if repeated]
    return round(int(lengths[repeats].sum()) / total, DECIMALS), ranges


def _add_up(totals: dict[str, Counter[str]], marks: pa.Table) -> None:
    """Add documents, those measured, and those with repeated lines, and lines and code points of these."""
    for row in marks.to_pylist():
        one = totals.setdefault(row["label"], Counter())
        lines = len(row["boilerplate_starts"])
        one["documents"] += 1
        one["measured"] += row[HOST_BOILERPLATE] is not None
        one["with_boilerplate"] += lines > 0
        one["lines"] += lines
        one["characters"] += sum(row["boilerplate_ends"]) - sum(row["boilerplate_starts"])


def are_marked(layout: Layout, facts: BoilerplateFacts) -> bool:
    """Whether boilerplate/ is what a selection was made from, by what its manifest says of it."""
    index = layout.boilerplate_index
    return index.exists() and read_manifest(index, BoilerplateIndex).fingerprint == facts.fingerprint


def with_boilerplate(tables: Iterable[pa.Table], layout: Layout, shard: str, rows: Sequence[int]) -> Iterator[pa.Table]:
    """Tables of `rows` of annotated/, with the ranges of the lines that repeat."""
    for table, marks in zip(tables, rows_of(layout.boilerplate(shard), rows, RANGE_COLUMNS), strict=True):
        for name in RANGE_COLUMNS:
            table = table.append_column(name, marks[name])
        yield table
