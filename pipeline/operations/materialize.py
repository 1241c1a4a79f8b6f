"""materialize: a mixture as shuffled Parquet files, written by scatter and gather (`operations/shuffle.py`).

The folder gets `data/train-*.parquet`, a card that `datasets` reads, and at the end manifest.json, once all rows were
counted again. While that is under way it has a file `unfinished`, so that only what is ours is ever deleted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import AuditError, ConfigError
from pipeline.execution.commit import committed, finished, write_json, write_manifest
from pipeline.execution.storage import Location, names, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.operations.shuffle import (
    GatheredShard,
    GatherTask,
    RegroupTask,
    ScatterTask,
    Shuffle,
    gather,
    regroup,
    scatter,
)
from pipeline.output.layout import filled
from pipeline.output.mixtures import Mixture, RepeatedRows
from pipeline.report.templates import render
from pipeline.schema.columns import CLEAN_FIRST
from pipeline.schema.manifests import MaterializedMixture, MixtureTotals

FORMAT = 1
UNFINISHED = "unfinished"


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
) -> MaterializedMixture:
    """Write the mixture to `target` in `shards` files, by default of about `shard_characters` each.

    Returns the manifest; a finished one of the same mixture, seed and shards is kept. Raises ConfigError where `target`
    holds something else or shards would be too large, AuditError when a row was lost or doubled.
    """
    sizes = sizes or Sizes()
    total = mixture.manifest.total
    shards = shards or max(1, -(-total.characters // sizes.shard_characters))
    _check_shards(total, shards, sizes)
    wanted = list(mixture.rows())
    key = _fingerprint(mixture, wanted, seed, shards)
    if (manifest := finished(target / "manifest.json", MaterializedMixture, key)) is not None:
        return manifest
    _begin(target)
    shuffle = Shuffle(seed, shards, shards_of_range=-(-shards // sizes.fanout))
    scattered = [
        ScatterTask(mixture.folder, rows, target / "runs" / f"{number:06d}.parquet", shuffle)
        for number, rows in enumerate(_cut_into_tasks(wanted, sizes.task_characters))
    ]
    checksum = sum(run_all(executor, scatter, scattered)) % 2**64
    runs = [[task.target for task in scattered]] * shuffle.ranges
    if shuffle.shards_of_range > 1 or len(scattered) > sizes.open_files:
        runs = _regroup(executor, target, runs, shuffle, _runs_of_range(runs, total, sizes))
    empty = _empty_run(mixture.folder / wanted[0].file)
    gathered = run_all(
        executor,
        gather,
        [
            GatherTask(
                runs=runs[shard // shuffle.shards_of_range],
                target=target / "data" / f"train-{shard:05d}-of-{shards:05d}.parquet",
                shard=shard,
                empty=empty,
            )
            for shard in range(shards)
        ],
    )
    _audit(mixture, gathered, checksum)
    remove_tree(target / "runs")
    manifest = _manifest(mixture, key, seed, gathered)
    with committed(target / "README.md") as path:
        card = render("mixture_card.md.j2", msgspec.to_builtins(manifest), trim_blocks=True)
        path.write_text(card, encoding="utf-8")
    write_manifest(target / "manifest.json", manifest)
    (target / UNFINISHED).unlink()
    return manifest


def _fingerprint(mixture: Mixture, wanted: Sequence[RepeatedRows], seed: int, shards: int) -> str:
    """Of everything that the files depend on."""
    rows = [[part.file, part.first_row, part.rows, part.repeats, part.characters] for part in wanted]
    return fingerprint([FORMAT, mixture.manifest.selection, rows, seed, shards])


def _manifest(mixture: Mixture, key: str, seed: int, gathered: Sequence[GatheredShard]) -> MaterializedMixture:
    return MaterializedMixture(
        fingerprint=key,
        mixture=mixture.manifest.name,
        selection=mixture.manifest.selection,
        settings=mixture.manifest.settings,
        token_counts=mixture.manifest.token_counts,
        seed=seed,
        totals=mixture.manifest.totals,
        total=mixture.manifest.total,
        files=[shard.file for shard in gathered],
    )


def _begin(target: Location) -> None:
    """Take an empty folder, or clear what a killed materialization left there."""
    if (others := names(target)) and (UNFINISHED not in others or "manifest.json" in others):
        raise ConfigError(f"{target}: holds something else ({others[0]}); name an empty folder")
    write_json(target / UNFINISHED, {})
    for folder in ("data", "runs"):
        remove_tree(target / folder)


def _empty_run(path: Location) -> pa.Table:
    """A run without rows, with the columns of a clean file and those that scatter adds."""
    with pq.ParquetFile(readable(path)) as file:
        fields = [file.schema_arrow.field(name) for name in CLEAN_FIRST]
    added = [("copy", pa.int32()), ("position", pa.uint64()), ("range", pa.string())]
    return pa.schema([*fields, *(pa.field(name, kind) for name, kind in added)]).empty_table()


def _check_shards(total: MixtureTotals, shards: int, sizes: Sizes) -> None:
    fewest = max(1, -(-total.characters // sizes.largest_shard_characters))
    most = total.repeated_documents
    if not most:
        raise ConfigError("the mixture has no document, so there is nothing to write; look at its epochs and budget")
    if not fewest <= shards <= most:
        raise ConfigError(f"--shards {shards}: must be from {fewest} (memory) to {most} (documents)")


def _cut_into_tasks(wanted: Sequence[RepeatedRows], capacity: int) -> list[list[RepeatedRows]]:
    """The rows of each scatter task, in order; those with more text than a task may hold are cut."""
    parts = (part for rows in wanted for part in _cut(rows, capacity))
    return filled(parts, lambda part: part.characters * part.repeats, capacity)


def _cut(rows: RepeatedRows, capacity: int) -> Iterator[RepeatedRows]:
    count = min(rows.rows, max(1, -(-rows.characters * rows.repeats // capacity)))
    cuts = [rows.rows * number // count for number in range(count + 1)]
    for first, end in zip(cuts, cuts[1:], strict=False):
        yield rows.part(rows.first_row + first, rows.first_row + end, rows.characters * (end - first) // rows.rows)


def _runs_of_range(runs: Sequence[Sequence[Location]], total: MixtureTotals, sizes: Sizes) -> int:
    """How many of the runs a regroup task reads: few enough to be open at a time, with no more text than a task may
    hold."""
    count = len(runs[0])
    tasks = max(-(-count // sizes.open_files), -(-total.characters // len(runs) // sizes.task_characters))
    return -(-count // tasks)


def _regroup(
    executor: Executor, target: Location, runs: list[list[Location]], shuffle: Shuffle, runs_of_task: int
) -> list[list[Location]]:
    """For each range a few runs with row groups by shard, of many runs with row groups by range."""
    tasks = [
        RegroupTask(
            runs=of_range[start : start + runs_of_task],
            target=target / "runs" / f"range-{number:06d}" / f"{start:06d}.parquet",
            range_number=number,
            shuffle=shuffle,
        )
        for number, of_range in enumerate(runs)
        for start in range(0, len(of_range), runs_of_task)
    ]
    regrouped: list[list[Location]] = [[] for _ in runs]
    for task, rows in zip(tasks, run_all(executor, regroup, tasks), strict=True):
        if rows:
            regrouped[task.range_number].append(task.target)
    for path in runs[0]:
        path.unlink()
    return regrouped


def _audit(mixture: Mixture, gathered: Sequence[GatheredShard], checksum: int) -> None:
    """Raises AuditError unless the shards have as many rows of each language as the mixture, at the positions that
    scatter gave."""
    rows: Counter[str] = Counter()
    for shard in gathered:
        rows.update(shard.rows_by_label)
    for label, totals in sorted(mixture.manifest.totals.items()):
        if rows[label] != totals.repeated_documents:
            raise AuditError(
                f"{label}: {rows[label]} documents were written, but the mixture has {totals.repeated_documents}; "
                "delete the folder, materialise it again, and report it if that happens twice"
            )
    if sum(shard.checksum for shard in gathered) % 2**64 != checksum:
        raise AuditError(
            "the documents that were written are not those of the mixture: their checksums differ; delete the folder, "
            "materialise it again, and report it if that happens twice"
        )
