"""boilerplate: which lines of a document repeat across its host, such as menus, notices and addresses.

The pass takes the text of annotated/ and the clusters, and gives boilerplate/: for each document the fraction of its
characters that is in such lines, which rules and `tune` see as a metric, and where the lines are, so that select can
leave them out. It is off by default, because it reads all text.

Of each cluster one document counts for its host: otherwise a page that exists under three URLs would make all its lines
boilerplate. Counting is by hash of host and line, in ranges of the hash, so that a host of any size is spread over all
tasks. Counts are kept: with other thresholds only what follows them is done again.

Limit: lines are compared within one output; the hosts of baselines are not looked at again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import BoilerplateConfig, RunConfig
from pipeline.execution.commit import finished, read_manifest, write_manifest
from pipeline.execution.storage import remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import pack
from pipeline.output.histograms import Histograms, read_histograms
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.count import (
    CountTask,
    FindRepeatedTask,
    count_shard_group,
    find_repeated,
    merge_to_few_files,
)
from pipeline.passes.boilerplate.hosts import FirstOnHostTask, HashHostsTask, first_on_host, hash_hosts
from pipeline.passes.boilerplate.mark import MarkTask, Totals, add_totals, mark_shard_group
from pipeline.rules.histogram import add
from pipeline.schema.manifests import BoilerplateIndex, ClusterGroup, ClusterIndex, LineCounts

FORMAT = 1


@dataclass(frozen=True)
class BoilerplateSettings:
    """The settings that the pass reads."""

    boilerplate: BoilerplateConfig
    task_rows: int  # lines whose counts one task adds up
    merge_files: int  # that a task reads side by side
    run_bytes: int  # of memory, for the lines that are sorted at a time

    @classmethod
    def of(cls, config: RunConfig) -> "BoilerplateSettings":
        """Those of a run."""
        return cls(
            config.boilerplate, config.dedup.large_group_rows, config.select.merge_files, config.select.run_bytes
        )


def find_boilerplate(settings: BoilerplateSettings, layout: Layout, executor: Executor) -> Histograms:
    """Write boilerplate/; returns the histograms of its metric. Done work is kept, shard group by shard group.

    The clusters in `layout` must be those of the run.
    """
    clusters = read_manifest(layout.cluster_index, ClusterIndex)
    thresholds = settings.boilerplate
    counts_fingerprint = fingerprint([FORMAT, clusters.fingerprint, clusters.shard_groups])
    key = fingerprint([counts_fingerprint, thresholds.min_documents, thresholds.min_document_fraction])
    if finished(layout.boilerplate_index, BoilerplateIndex, key) is None:
        layout.boilerplate_index.unlink(missing_ok=True)  # it describes marks that are about to be replaced
        totals = _count_and_mark(settings, layout, executor, clusters, counts_fingerprint, key)
        remove_tree(layout.boilerplate_scratch)
        index = BoilerplateIndex(
            fingerprint=key, clusters=clusters.fingerprint, shard_groups=len(clusters.shard_groups), totals=totals
        )
        write_manifest(layout.boilerplate_index, index)
    return _read_metric_histograms(layout)


def measured_boilerplate(layout: Layout) -> Histograms:
    """The histograms of the metric, empty where it was not measured for the documents and clusters of the run."""
    return _read_metric_histograms(layout) if has_boilerplate(layout) else {}


def has_boilerplate(layout: Layout) -> bool:
    """Whether boilerplate/ was made from the clusters that the run has now."""
    if not layout.boilerplate_index.exists() or not layout.cluster_index.exists():
        return False
    marked = read_manifest(layout.boilerplate_index, BoilerplateIndex)
    return marked.clusters == read_manifest(layout.cluster_index, ClusterIndex).fingerprint


def _read_metric_histograms(layout: Layout) -> Histograms:
    total: Histograms = {}
    for shard_group in range(read_manifest(layout.boilerplate_index, BoilerplateIndex).shard_groups):
        add(total, read_histograms(layout.boilerplate_histograms(shard_group)))
    return total


def _count_and_mark(
    settings: BoilerplateSettings,
    layout: Layout,
    executor: Executor,
    clusters: ClusterIndex,
    counts_fingerprint: str,
    key: str,
) -> Totals:
    """Count lines, find those that repeat, and mark them in every document; returns totals by label."""
    rows = _count_lines(settings, layout, executor, clusters, counts_fingerprint)
    ranges_of_tasks = pack(rows, settings.task_rows)
    files = [layout.line_counts(shard_group) for shard_group in range(len(clusters.shard_groups))]
    counts = merge_to_few_files(layout, executor, files, settings.merge_files)
    repeated = [layout.repeated_lines(task) for task in range(len(ranges_of_tasks))]
    find_tasks = [
        FindRepeatedTask(counts, ranges, target, settings.boilerplate.min_documents)
        for ranges, target in zip(ranges_of_tasks, repeated, strict=True)
    ]
    run_all(executor, find_repeated, find_tasks)
    mark_tasks = [
        MarkTask(settings.boilerplate, layout, shard_group, shards, repeated, key)
        for shard_group, shards in enumerate(clusters.shard_groups)
    ]
    totals: Totals = {}
    for group in run_all(executor, mark_shard_group, mark_tasks):
        add_totals(totals, group.totals)
    return totals


def _count_lines(
    settings: BoilerplateSettings, layout: Layout, executor: Executor, clusters: ClusterIndex, key: str
) -> Mapping[str, int]:
    """Write the line counts of every shard group, unless all are there; returns the rows of each range of hashes."""
    shard_groups = list(enumerate(clusters.shard_groups))
    written = [finished(layout.line_counts_manifest(number), LineCounts, key) for number, _ in shard_groups]
    manifests = [manifest for manifest in written if manifest is not None]
    if len(manifests) < len(shard_groups):
        run_all(executor, hash_hosts, [HashHostsTask(layout, number, shards) for number, shards in shard_groups])
        first_tasks = [
            FirstOnHostTask(layout, task, rows) for task, rows in sorted(rows_by_task(clusters.groups).items())
        ]
        run_all(executor, first_on_host, first_tasks)
        count_tasks = [
            CountTask(layout, number, shards, clusters.groups, settings.run_bytes, key)
            for number, shards in shard_groups
        ]
        manifests = run_all(executor, count_shard_group, count_tasks)
    rows: Counter[str] = Counter()
    for manifest in manifests:
        rows.update(manifest.rows)
    return rows


def rows_by_task(groups: Mapping[str, ClusterGroup]) -> dict[int, dict[str, list[int]]]:
    """For each cluster file its groups, and how many documents each has in each shard group."""
    rows: dict[int, dict[str, list[int]]] = {}
    for group, entry in groups.items():
        rows.setdefault(entry.task, {})[group] = entry.rows
    return rows
