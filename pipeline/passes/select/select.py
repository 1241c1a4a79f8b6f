"""select: which documents are kept, and their text as clean Parquet; from measurements and clusters that are stored.

Four steps, each of which hands files to the next: filter (by shard group, metric columns only), keep (by deduplication
group), write (by shard group, text read once, in sorted runs), merge (by label, of runs). The result is made in
`<name>.partial` and becomes visible by renaming the folder; the selection before it stays as `<name>~1`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import BoilerplateConfig
from pipeline.execution.commit import committed, finished, read_manifest, write_manifest
from pipeline.execution.storage import Location, move_tree, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.baselines import Baselines
from pipeline.output.grouped_parquet import read_file
from pipeline.output.histograms import Histograms, write_histograms
from pipeline.output.output import Output
from pipeline.output.selection import SCRATCH_FOLDERS, SelectionFolder
from pipeline.output.take_downs import inherit, take_down_names
from pipeline.passes.select.decontaminate import decontaminate
from pipeline.passes.select.filter import FilterTask, filter_shard_group
from pipeline.passes.select.keep import KeepTask, keep_in_groups
from pipeline.passes.select.merge import merge_runs_to_files
from pipeline.passes.select.sample import bottom_k
from pipeline.passes.select.settings import SelectionSettings
from pipeline.passes.select.sorted_runs import few_runs
from pipeline.passes.select.write import WriteTask, WrittenShardGroup, write_shard_group
from pipeline.passes.statistics import Rules
from pipeline.schema.manifests import (
    BoilerplateFacts,
    BoilerplateIndex,
    CleanFile,
    ClusterIndex,
    ClusterSizeStatistics,
    SelectionManifest,
)

FORMAT = 4


@dataclass(frozen=True)
class _Work:
    """What the four steps have in common."""

    settings: SelectionSettings
    output: Output
    executor: Executor
    folder: SelectionFolder  # in which the selection is made
    index: ClusterIndex


def select(
    settings: SelectionSettings,
    output: Output,
    executor: Executor,
    rules: Rules,
    histograms: Histograms,
    baselines: Baselines,
) -> SelectionManifest:
    """Make one selection; returns its manifest. A finished one with the same fingerprint is kept.

    `histograms` of all documents are stored beside the selection. The take-downs of the baselines become those of this
    output.
    """
    index = read_manifest(output.cluster_index, ClusterIndex)
    decontaminated = decontaminate(settings.select.decontaminate, settings.shard_group_size, output, executor)
    boilerplate = _boilerplate_facts(settings.boilerplate, output)
    language_configs = {label: language.model_dump(mode="json") for label, language in rules.languages.items()}
    selecting = settings.select.model_dump(mode="json")
    made_from = [index.fingerprint, output.missing(), baselines.selections, decontaminated, boilerplate]
    settings_fingerprint = fingerprint([FORMAT, selecting, language_configs, *made_from])
    inherit(output, baselines.outputs)
    take_downs = take_down_names(output)
    key = fingerprint_of(settings_fingerprint, take_downs)
    final = SelectionFolder(output.selection(settings.name))
    if (manifest := finished(final.manifest, SelectionManifest, key)) is not None:
        return manifest
    partial = SelectionFolder(final.root.with_name(f"{final.root.name}.partial"))
    remove_tree(partial.root)
    partial.root.mkdir(parents=True)
    work = _Work(settings, output, executor, partial, index)
    _filter(work, rules, take_downs)
    _keep(work, baselines)
    written = _write(work)
    files = _merge(work, written)
    write_histograms(partial.histograms, histograms)
    _merge_samples(partial, len(index.shard_groups))
    manifest = SelectionManifest(
        fingerprint=key,
        settings=settings_fingerprint,
        take_downs=take_downs,
        shards=fingerprint(index.shard_groups),
        selection=settings.name,
        outcomes=_in_order(_added_up(shard_group.counts.outcomes for shard_group in written)),
        rules_fired=_most_first(_added_up(shard_group.counts.rules_fired for shard_group in written)),
        cluster_statistics=_cluster_statistics(written),
        files=files,
        language_configs=language_configs,
        percentiles=rules.percentiles,
        missing=output.missing(),
        boilerplate=boilerplate,
        select=selecting,
    )
    for folder in SCRATCH_FOLDERS:  # decisions/ and clean/ have what is in them
        remove_tree(partial.root / folder)
    write_manifest(partial.manifest, manifest)
    _publish(partial, final)
    return manifest


def fingerprint_of(settings: str, take_downs: Sequence[str]) -> str:
    """The fingerprint of a selection, from that of its settings and the names of the take-downs in it."""
    return fingerprint([settings, list(take_downs)])


def _boilerplate_facts(settings: BoilerplateConfig, output: Output) -> BoilerplateFacts | None:
    """What the pass boilerplate counted, and with which settings; None where it is off."""
    if not settings.enabled:
        return None
    index = read_manifest(output.boilerplate_index, BoilerplateIndex)
    return BoilerplateFacts(
        enabled=settings.enabled,
        remove=settings.remove,
        min_documents=settings.min_documents,
        min_document_fraction=settings.min_document_fraction,
        fingerprint=index.fingerprint,
        totals=index.totals,
    )


def _filter(work: _Work, rules: Rules, take_downs: list[str]) -> None:
    """Write which rules fire for every document."""
    tasks = [
        FilterTask(
            output=work.output,
            folder=work.folder,
            shard_group=number,
            shards=shards,
            languages=rules.languages,
            take_downs=take_downs,
            select=work.settings.select,
            boilerplate=work.settings.boilerplate,
            models=work.settings.models,
        )
        for number, shards in enumerate(work.index.shard_groups)
    ]
    run_all(work.executor, filter_shard_group, tasks)


def _keep(work: _Work, baselines: Baselines) -> None:
    """Write the outcome of every document; a task has the groups whose clusters are in one file."""
    groups_of_task: dict[int, dict[str, list[int]]] = {}
    for name, group in work.index.groups.items():
        groups_of_task.setdefault(group.task, {})[name] = group.rows
    tasks = [
        KeepTask(work.output, work.folder, number, groups, baselines.decisions, work.settings.select)
        for number, groups in sorted(groups_of_task.items())
    ]
    run_all(work.executor, keep_in_groups, tasks)


def _write(work: _Work) -> list[WrittenShardGroup]:
    """Write decisions and sorted runs of every shard group."""
    tasks = [
        WriteTask(
            output=work.output,
            folder=work.folder,
            shard_group=number,
            shards=shards,
            groups=work.index.groups,
            select=work.settings.select,
            boilerplate=work.settings.boilerplate,
            models=work.settings.models,
            metrics=work.settings.metrics,
        )
        for number, shards in enumerate(work.index.shard_groups)
    ]
    return run_all(work.executor, write_shard_group, tasks)


def _merge(work: _Work, written: list[WrittenShardGroup]) -> dict[str, list[CleanFile]]:
    """Write clean/ from the sorted runs; returns its files by label."""
    rows: Counter[str] = Counter()
    text_bytes: Counter[str] = Counter()
    for shard_group in written:
        rows.update(shard_group.rows)
        text_bytes.update(shard_group.text_bytes)
    runs = [run for shard_group in written for run in shard_group.runs]
    runs = few_runs(work.executor, work.folder, runs, work.settings.select.merge_files)
    return merge_runs_to_files(work.settings, work.executor, work.folder, runs, rows, text_bytes)


def _merge_samples(folder: SelectionFolder, shard_group_count: int) -> None:
    samples = [read_file(folder.sample_of(number)) for number in range(shard_group_count)]
    with committed(folder.sample) as path:
        pq.write_table(bottom_k(pa.concat_tables(samples)), path, compression="zstd")


def _added_up(counts: Iterable[dict[str, dict[str, int]]]) -> dict[str, Counter[str]]:
    """Counts of shard groups by label, ascending."""
    total: dict[str, Counter[str]] = {}
    for of_shard_group in counts:
        for label, of_label in of_shard_group.items():
            total.setdefault(label, Counter()).update(of_label)
    return dict(sorted(total.items()))


def _in_order(counts: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {label: dict(sorted(of_label.items())) for label, of_label in counts.items()}


def _most_first(counts: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {label: dict(of_label.most_common()) for label, of_label in counts.items()}


def _cluster_statistics(written: Sequence[WrittenShardGroup]) -> dict[str, list[ClusterSizeStatistics]]:
    """Those of all shard groups, by label and cluster size, ascending: what rebalancing needs."""
    total: dict[str, dict[int, ClusterSizeStatistics]] = {}
    for of_shard_group in written:
        for label, statistics in of_shard_group.counts.cluster_statistics.items():
            by_size = total.setdefault(label, {})
            for more in statistics:
                size = more.cluster_size
                before = by_size.get(size, ClusterSizeStatistics(cluster_size=size, documents=0, failed=0))
                by_size[size] = msgspec.structs.replace(
                    before, documents=before.documents + more.documents, failed=before.failed + more.failed
                )
    return {label: [total[label][size] for size in sorted(total[label])] for label in sorted(total)}


def _publish(partial: SelectionFolder, final: SelectionFolder) -> None:
    """Make the selection visible and keep the one before it; whatever happens, a manifest stands where all files do."""
    if final.manifest.exists():
        before: Location = final.root.with_name(f"{final.root.name}~1")
        remove_tree(before)
        move_tree(final.root, before, last="manifest.json")
    remove_tree(final.root)
    move_tree(partial.root, final.root, last="manifest.json")
