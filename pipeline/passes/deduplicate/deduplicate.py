"""deduplicate: signature columns collated by group, linked band by band, clustered and verified.

Documents are compared within a group only: a label, or several labels that the config names together. Collate writes
one file for each shard group, sorted by group, so that a task reads the rows of its groups by projection: there is no
shuffle, and no file for each language. The row number of a document within its group follows from the order of shard
group, shard and row, after the documents of the baselines.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.config.fingerprint import fingerprint
from pipeline.config.language_files import LanguageConfig
from pipeline.config.run_settings import DedupConfig, RunConfig
from pipeline.errors import PipelineError
from pipeline.execution.commit import finished, write_manifest
from pipeline.execution.storage import Location, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.baselines import Baselines
from pipeline.output.grouped_parquet import pack
from pipeline.output.layout import Layout, shard_groups
from pipeline.output.output import Output
from pipeline.passes.deduplicate.cluster import (
    ClusteredGroups,
    ClusterTask,
    LargeGroup,
    LinkTask,
    cluster_groups,
    link_key,
    mark_already_read,
)
from pipeline.passes.deduplicate.collate import CollateTask, collate_shard_group, gather
from pipeline.passes.deduplicate.eligible import eligibility
from pipeline.schema.manifests import ClusterGroup, ClusterIndex

FORMAT = 4
MAX_GROUP_ROWS = 2**32 - 1  # a row number within a group is a uint32, the last of which means none


@dataclass(frozen=True)
class DeduplicateSettings:
    """The settings that the pass reads."""

    dedup: DedupConfig
    rules: bool  # whether documents are filtered by rules at all
    models: str  # folder of the perplexity models, "" for those that come with Glotmill

    @classmethod
    def of(cls, config: RunConfig) -> "DeduplicateSettings":
        """Those of a run."""
        return cls(config.dedup, bool(config.select.rules), config.models)


def deduplicate(
    settings: DeduplicateSettings,
    output: Output,
    executor: Executor,
    languages: Mapping[str, LanguageConfig],
    baselines: Baselines,
) -> ClusterIndex:
    """Find the clusters of every group; returns the cluster index. Clusters of the same settings and inputs are kept.

    `languages` are the rules of each label, every bound a number. Only those that `dedup.eligible` asks for are read.
    Raises PipelineError where a group has too many documents.
    """
    dedup = settings.dedup
    eligible = eligibility(dedup.eligible if settings.rules else "all", languages, settings.models)
    annotated = [manifest.sha256.annotated for manifest in output.manifests()]
    dedup_settings = {"dedup": dedup.model_dump(mode="json")}
    key = fingerprint([FORMAT, dedup_settings, eligible.fingerprint_parts(), baselines.clusters, annotated])
    if (index := finished(output.cluster_index, ClusterIndex, key)) is not None:
        return index
    output.cluster_index.unlink(missing_ok=True)  # it describes clusters that are about to be replaced
    remove_tree(output.cluster_size_updates_folder)
    grouped_shards = shard_groups(output.shards(), dedup.shard_group_size)
    collate_tasks = [
        CollateTask(output, number, shards, eligible, dedup.bands, dedup.rows)
        for number, shards in enumerate(grouped_shards)
    ]
    documents: list[dict[str, int]] = run_all(executor, collate_shard_group, collate_tasks)
    signatures = [output.signatures(shard_group) for shard_group in range(len(grouped_shards))]
    files = gather(output, executor, [*baselines.signatures, *signatures], dedup.collate_files)
    totals = _totals(documents, baselines.rows)
    clustered = cluster_signatures(dedup, output, executor, files, totals, baselines.rows)
    remove_tree(output.edges_folder)
    remove_tree(output.gathered_folder)
    index = ClusterIndex(
        fingerprint=key,
        shard_groups=grouped_shards,
        groups={
            group: ClusterGroup(task=task, rows=[rows.get(group, 0) for rows in documents], clusters=clusters)
            for task, of_task in enumerate(clustered)
            for group, clusters in of_task.clusters.items()
        },
        overflow=sum(of_task.overflow for of_task in clustered),
        baseline=baselines.documents,
        baseline_rows=baselines.rows_by_output,
    )
    write_manifest(output.cluster_index, index)
    return index


def _totals(documents: Sequence[Mapping[str, int]], baseline_rows: Mapping[str, int]) -> Counter[str]:
    """Documents of each group that this output has, those of the baselines included."""
    totals: Counter[str] = Counter()
    for of_shard_group in documents:
        totals.update(of_shard_group)
    totals.update({group: baseline_rows[group] for group in totals if group in baseline_rows})
    if too_large := [group for group, rows in totals.items() if rows > MAX_GROUP_ROWS]:
        raise PipelineError(
            f"{', '.join(too_large)}: more than {MAX_GROUP_ROWS} documents in a group of documents that are "
            "deduplicated together; give fewer inputs or fewer baselines to a run"
        )
    return totals


def cluster_signatures(
    dedup: DedupConfig,
    layout: Layout,
    executor: Executor,
    files: Sequence[Location],
    totals: Mapping[str, int],
    baseline_rows: Mapping[str, int],
) -> list[ClusteredGroups]:
    """Link and cluster groups of `totals` documents; returns the groups of each task, which has a cluster file.

    `files` are signatures. The first documents of a group, `baseline_rows` says how many, are those of baselines.
    """
    tasks = pack(totals, dedup.large_group_rows)
    large_groups = [
        LargeGroup(layout, files, task, groups[0])
        for task, groups in enumerate(tasks)
        if totals[groups[0]] >= dedup.large_group_rows
    ]
    run_all(executor, mark_already_read, large_groups)
    run_all(executor, link_key, [LinkTask(large_group, key) for large_group in large_groups for key in dedup.keys])
    cluster_tasks = [
        ClusterTask(
            dedup,
            layout,
            files,
            task,
            rows={group: totals[group] for group in groups},
            baseline_rows={group: baseline_rows[group] for group in groups if group in baseline_rows},
        )
        for task, groups in enumerate(tasks)
    ]
    return run_all(executor, cluster_groups, cluster_tasks)
