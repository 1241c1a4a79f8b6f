"""materialize: a mixture as shuffled Parquet files, by scatter and gather.

Copy c of r of a document stands at (c + u) / r of the whole, u in [0, 1) being a hash of its id and the seed. So the
order is a full shuffle, the copies of a document lie 1 / r of the whole apart, and a row's place depends on nothing
else: not on workers, tasks or shard groups. Scatter tasks read rows of clean parts and write a sorted run each; gather
writes one file a shard from its rows in all runs. Where there are more shards or runs than a file or a task should
have, regroup stands between, in ranges of shards. No task holds much more than `task_characters` of text or a shard.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import AuditError, ConfigError
from pipeline.execution.commit import committed, finished_json, sha256_of, write_json
from pipeline.execution.storage import Location, names, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import SortedFiles
from pipeline.output.layout import filled
from pipeline.output.mixtures import Entry, Mixture, read_entries
from pipeline.report.templates import render
from pipeline.schema.columns import CLEAN_FIRST

FORMAT = 1
ORDER = [("position", "ascending"), ("id", "ascending"), ("copy", "ascending")]
MARK = "unfinished"  # lies in the folder until it is done, so that only what is ours is ever deleted
ROW_GROUP_ROWS = 10_000
DICTIONARY = ["dump", "language", "language_script", "file_path"]


@dataclass(frozen=True)
class Sizes:
    """Bounds of memory and of open files; the result does not depend on them, but for `shard_characters`."""

    shard_characters: int = 256_000_000  # of text in a file, if the number of shards is not given
    largest_shard_characters: int = 1_000_000_000  # gather holds a shard
    task_characters: int = 64_000_000  # of text with its copies that scatter and regroup hold
    fanout: int = 256  # ranges in a run
    open_files: int = 1000  # runs that a task reads


def materialize(
    mixture: Mixture,
    target: Location,
    executor: Executor,
    seed: int = 0,
    shards: int | None = None,
    sizes: Sizes | None = None,
) -> dict[str, Any]:
    """Write the mixture to `target`: `data/train-*.parquet`, a card that `datasets` reads, and manifest.json at the
    end.

    Returns the manifest; a finished one of the same mixture, seed and shards is kept. Raises ConfigError where `target`
    holds something else or shards would be too large, AuditError when a row was lost or doubled.
    """
    sizes = sizes or Sizes()
    total = mixture.manifest["total"]
    shards = shards or max(1, -(-total["characters"] // sizes.shard_characters))
    _check(total, shards, sizes)
    entries = list(mixture.entries())
    key = fingerprint([FORMAT, mixture.manifest["selection"], [[*one] for one in entries], seed, shards])
    if (manifest := finished_json(target / "manifest.json", key)) is not None:
        return manifest
    _begin(target)
    span = -(-shards // sizes.fanout)  # shards of a range
    tasks = _tasks(entries, sizes.task_characters)
    jobs = [
        (mixture.folder, target / "runs" / f"{n:06d}.parquet", one, seed, shards, span) for n, one in enumerate(tasks)
    ]
    checksum = sum(run_all(executor, scatter, jobs)) % 2**64
    runs = [[job[1] for job in jobs]] * -(-shards // span)
    if span > 1 or len(jobs) > sizes.open_files:
        runs = _regroup(executor, target, runs, shards, span, total["characters"], sizes)
    empty = _schema(mixture.folder / entries[0].file).empty_table()
    parts = [target / "data" / f"train-{n:05d}-of-{shards:05d}.parquet" for n in range(shards)]
    written = run_all(executor, gather, [(runs[n // span], part, n, empty) for n, part in enumerate(parts)])
    _audit(mixture, written, checksum)
    remove_tree(target / "runs")
    manifest = {
        "fingerprint": key,
        "mixture": mixture.manifest["name"],
        "selection": mixture.manifest["selection"],
        "settings": mixture.manifest["settings"],
        "token_counts": mixture.manifest["token_counts"],
        "seed": seed,
        "totals": mixture.manifest["totals"],
        "total": total,
        "files": [one["file"] for one in written],
    }
    with committed(target / "README.md") as path:
        path.write_text(render("mixture_card.md.j2", manifest, trim_blocks=True), encoding="utf-8")
    write_json(target / "manifest.json", manifest)
    (target / MARK).unlink()
    return manifest


def _begin(target: Location) -> None:
    """Take an empty folder, or clear what a killed materialization left there."""
    if (others := names(target)) and (MARK not in others or "manifest.json" in others):
        raise ConfigError(f"{target}: holds something else ({others[0]}); name an empty folder")
    write_json(target / MARK, {})
    for folder in ("data", "runs"):
        remove_tree(target / folder)


def _schema(path: Location) -> pa.Schema:
    """Of a run, from a clean part."""
    with pq.ParquetFile(readable(path)) as file:
        fields = [file.schema_arrow.field(name) for name in CLEAN_FIRST]
    added = [("copy", pa.int32()), ("position", pa.uint64()), ("range", pa.string())]
    return pa.schema([*fields, *(pa.field(name, kind) for name, kind in added)])


def _check(total: dict[str, int], shards: int, sizes: Sizes) -> None:
    least = -(-total["characters"] // sizes.largest_shard_characters)
    if not total["repeated_documents"]:
        raise ConfigError("the mixture has no document")
    if not least <= shards <= total["repeated_documents"]:
        most = total["repeated_documents"]
        raise ConfigError(f"--shards {shards}: must be from {max(1, least)} (memory) to {most} (documents)")


def _tasks(entries: Sequence[Entry], capacity: int) -> list[list[Entry]]:
    """Entries for each scatter task, in order; one with more text than a task may hold is cut by rows."""
    pieces = (one for entry in entries for one in _cut(entry, capacity))
    return filled(pieces, lambda one: one.characters * one.repeats, capacity)


def _cut(entry: Entry, capacity: int) -> Iterator[Entry]:
    count = min(entry.rows, max(1, -(-entry.characters * entry.repeats // capacity)))
    places = [entry.rows * number // count for number in range(count + 1)]
    for first, end in zip(places, places[1:], strict=False):
        share = entry.characters * (end - first) // entry.rows
        yield Entry(entry.file, entry.first_row + first, end - first, entry.repeats, share)


def scatter(folder: Location, target: Location, entries: list[Entry], seed: int, shards: int, span: int) -> int:
    """Write a run: rows and their copies, sorted by range and position. Returns a sum over positions, for the audit."""
    tables = []
    for path, here in groupby(entries, key=attrgetter("file")):
        for rows, repeats in read_entries(folder / path, list(here), CLEAN_FIRST):
            tables += [_copies(rows.filter(pa.array(repeats == one)), int(one), seed) for one in np.unique(repeats)]
    table = pa.concat_tables(tables)
    _write_run(table, target, shards, span)
    return int(table["position"].to_numpy().sum())  # wraps modulo 2**64


def _copies(table: pa.Table, repeats: int, seed: int) -> pa.Table:
    """Each row `repeats` times, with `copy` and `position` (uint64, of 2**64)."""
    hashes = np.array([xxhash.xxh64_intdigest(one.encode(), seed) for one in table["id"].to_pylist()], dtype=np.uint64)
    # (c * 2**64 + hash) / repeats, without leaving 64 bits
    starts = np.array([(copy << 64) // repeats for copy in range(repeats)], dtype=np.uint64)
    positions = (starts[None, :] + (hashes // np.uint64(repeats))[:, None]).reshape(-1)  # (rows * repeats,)
    copies = np.tile(np.arange(repeats, dtype=np.int32), table.num_rows)
    table = table.take(pa.array(np.repeat(np.arange(table.num_rows), repeats)))
    return table.append_column("copy", pa.array(copies)).append_column("position", pa.array(positions))


def shard_of(positions: npt.NDArray[np.uint64], shards: int) -> npt.NDArray[np.uint64]:
    """floor(position / 2**64 * shards), by the upper 32 bits.

    >>> shard_of(np.array([0, 2**63 - 1, 2**63, 2**64 - 1], np.uint64), 4).tolist()
    [0, 1, 2, 3]
    """
    return ((positions >> np.uint64(32)) * np.uint64(shards)) >> np.uint64(32)


def _write_run(table: pa.Table, target: Location, shards: int, span: int) -> None:
    """Rows sorted, with row groups of their own for each range of `span` shards."""
    order = pc.sort_indices(table.select([name for name, _ in ORDER]), ORDER)
    ranges = shard_of(table["position"].to_numpy()[order], shards) // np.uint64(span)
    starts = np.flatnonzero(np.append(True, ranges[1:] != ranges[:-1]))
    ends = np.append(starts[1:], table.num_rows)
    table = table.append_column("range", pa.nulls(table.num_rows, pa.string()))
    with (
        committed(target) as path,
        pq.ParquetWriter(path, table.schema, compression="lz4", use_dictionary=[*DICTIONARY, "range"]) as writer,
    ):
        for start, end in zip(starts, ends, strict=True):
            name = pa.repeat(_name(ranges[start]), end - start)
            rows = table.take(order[start:end]).set_column(table.num_columns - 1, "range", name)
            writer.write_table(rows, row_group_size=end - start)


def _name(number: int) -> str:
    return f"{number:06d}"


def _regroup(
    executor: Executor,
    target: Location,
    runs: list[list[Location]],
    shards: int,
    span: int,
    characters: int,
    sizes: Sizes,
) -> list[list[Location]]:
    """For each range a few runs with row groups by shard, of many runs with row groups by range."""
    ranges = len(runs)
    count = max(-(-len(runs[0]) // sizes.open_files), -(-characters // ranges // sizes.task_characters))
    size = -(-len(runs[0]) // count)
    jobs = []
    regrouped: list[list[Location]] = [[] for _ in runs]
    for number, one in enumerate(runs):
        for start in range(0, len(one), size):
            path = target / "runs" / f"range-{number:06d}" / f"{start:06d}.parquet"
            jobs.append((one[start : start + size], path, number, shards))
            regrouped[number].append(path)
    there = run_all(executor, regroup, jobs)
    empty = {job[1] for job, rows in zip(jobs, there, strict=True) if not rows}
    for path in runs[0]:
        path.unlink()
    return [[path for path in one if path not in empty] for one in regrouped]


def regroup(runs: list[Location], target: Location, number: int, shards: int) -> int:
    """The rows of one range of many runs as one run, by shard. Returns the rows; without any there is no file."""
    table = _range(runs, number)
    if table is None:
        return 0
    _write_run(table.drop_columns(["range"]), target, shards, 1)
    return int(table.num_rows)


def _range(runs: list[Location], number: int) -> pa.Table | None:
    name = _name(number)
    with SortedFiles(runs, "range") as files:
        if name not in files.values():
            return None
        return files.read(name, files.files[0].schema_arrow.names)


def gather(runs: list[Location], target: Location, shard: int, empty: pa.Table) -> dict[str, Any]:
    """Write one shard; returns its entry of the manifest, rows by label and the sum over positions.

    With few documents and many shards one can be without rows: it is written, too, so that `-of-` in its name holds.
    """
    table = _range(runs, shard) or empty
    order = pc.sort_indices(table.select([name for name, _ in ORDER]), ORDER)
    checksum = int(table["position"].to_numpy().sum())  # wraps modulo 2**64
    table = table.drop_columns(["position", "range"])
    with committed(target) as path:
        with pq.ParquetWriter(
            path,
            table.schema,
            compression="zstd",
            compression_level=3,
            write_page_index=True,
            use_dictionary=DICTIONARY,
        ) as writer:
            for start in range(0, table.num_rows, ROW_GROUP_ROWS):  # a second copy of a row group, not of the shard
                rows = table.take(order[start : start + ROW_GROUP_ROWS]).combine_chunks()
                writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        size, digest = path.stat().st_size, sha256_of(path)
    labels = pc.value_counts(pc.binary_join_element_wise(table["language"], table["language_script"], "_"))
    return {
        "file": {"path": f"data/{target.name}", "rows": table.num_rows, "bytes": size, "sha256": digest},
        "rows": {one["values"]: one["counts"] for one in labels.to_pylist()},
        "checksum": checksum,
    }


def _audit(mixture: Mixture, written: list[dict[str, Any]], checksum: int) -> None:
    rows: Counter[str] = Counter()
    for one in written:
        rows.update(one["rows"])
    wanted = {label: one["repeated_documents"] for label, one in mixture.manifest["totals"].items()}
    for label in sorted(wanted):
        if rows[label] != wanted[label]:
            raise AuditError(f"{label}: {rows[label]} documents were written, the mixture has {wanted[label]}")
    if sum(one["checksum"] for one in written) % 2**64 != checksum:
        raise AuditError("documents were exchanged between scatter and gather")
