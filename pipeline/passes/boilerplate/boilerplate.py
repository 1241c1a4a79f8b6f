"""boilerplate: which lines of a document repeat across its host, such as menus, notices and addresses.

Takes the text of annotated/ and the clusters, and gives boilerplate/: for each document the share of its characters
that is such lines, which rules and `tune` see as a metric, and where they stand, so that select can leave them out. Off
by default, as it reads all text.

A document counts for its host once a cluster: otherwise a page that exists under three URLs would make all its lines
boilerplate. Counting is by hash of host and line, in ranges of the hash, so that a host of any size is spread over all
tasks. Counts are kept: with other thresholds only what follows them is done again.

Weakness: lines are compared within one output; hosts of earlier outputs (`index`) are not looked at again.
"""

from collections import Counter
from typing import Any

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import finished_json, read_json, write_json
from pipeline.execution.storage import remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import pack
from pipeline.output.histograms import Histograms, read_histograms
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.count import count_shard_group, find_repeated, gathered
from pipeline.passes.boilerplate.files import counts_of, histograms_path, rows_of_ranges
from pipeline.passes.boilerplate.hosts import first_on_host, hash_hosts
from pipeline.passes.boilerplate.mark import mark_shard_group
from pipeline.rules.histogram import add

FORMAT = 1


def find_boilerplate(config: RunConfig, layout: Layout, executor: Executor) -> Histograms:
    """Write boilerplate/; returns the histograms of its metric. Done work is kept, shard group by shard group.

    The clusters must be those of the run.
    """
    clusters = read_json(layout.cluster_index)
    settings = config.boilerplate
    counted = fingerprint([FORMAT, clusters["fingerprint"], clusters["shard_groups"]])
    key = fingerprint([counted, settings.min_documents, settings.min_document_fraction])
    if finished_json(layout.boilerplate_index, key) is None:
        layout.boilerplate_index.unlink(missing_ok=True)  # what it names is about to be replaced
        numbers = range(len(clusters["shard_groups"]))
        rows = _count(config, layout, executor, clusters, counted)
        tasks = pack(rows, config.dedup.large_group_rows)
        counts = gathered(config, layout, executor, [counts_of(layout, shard_group) for shard_group in numbers])
        repeated = [layout.boilerplate_scratch / f"repeated-{task:05d}.parquet" for task in range(len(tasks))]
        run_all(
            executor,
            find_repeated,
            [(counts, ranges, target, settings.min_documents) for ranges, target in zip(tasks, repeated, strict=True)],
        )
        totals: dict[str, Counter[str]] = {}
        for of_shard_group in run_all(
            executor,
            mark_shard_group,
            [
                (settings, layout, shard_group, clusters["shard_groups"][shard_group], repeated, key)
                for shard_group in numbers
            ],
        ):
            for label, of_label in of_shard_group["totals"].items():
                totals.setdefault(label, Counter()).update(of_label)
        remove_tree(layout.boilerplate_scratch)
        index = {"fingerprint": key, "clusters": clusters["fingerprint"], "shard_groups": len(numbers)}
        write_json(layout.boilerplate_index, index | {"totals": {label: dict(totals[label]) for label in totals}})
    return _histograms(layout)


def measured_boilerplate(layout: Layout) -> Histograms:
    """The histograms of the metric, empty where it was not measured for the documents and clusters of the run."""
    return _histograms(layout) if has_boilerplate(layout) else {}


def has_boilerplate(layout: Layout) -> bool:
    """Whether boilerplate/ is of the clusters of the run."""
    if not layout.boilerplate_index.exists() or not layout.cluster_index.exists():
        return False
    same: bool = read_json(layout.boilerplate_index)["clusters"] == read_json(layout.cluster_index)["fingerprint"]
    return same


def _histograms(layout: Layout) -> Histograms:
    total: Histograms = {}
    for shard_group in range(read_json(layout.boilerplate_index)["shard_groups"]):
        add(total, read_histograms(histograms_path(layout, shard_group)))
    return total


def _count(
    config: RunConfig, layout: Layout, executor: Executor, clusters: dict[str, Any], counted: str
) -> dict[str, int]:
    """Write the counts of every shard group; returns the rows of each range."""
    shard_groups: list[list[str]] = clusters["shard_groups"]
    rows: Counter[str] = Counter()
    done = [finished_json(rows_of_ranges(layout, shard_group), counted) for shard_group in range(len(shard_groups))]
    if not all(done):
        run_all(
            executor, hash_hosts, [(layout, shard_group, shards) for shard_group, shards in enumerate(shard_groups)]
        )
        of_task: dict[int, dict[str, list[int]]] = {}
        for group, entry in clusters["groups"].items():
            of_task.setdefault(entry["task"], {})[group] = entry["rows"]
        run_all(executor, first_on_host, [(layout, task, groups) for task, groups in sorted(of_task.items())])
        arguments = [
            (layout, shard_group, shards, clusters["groups"], config.select.run_bytes, counted)
            for shard_group, shards in enumerate(shard_groups)
        ]
        done = run_all(executor, count_shard_group, arguments)
    for of_shard_group in done:
        rows.update(of_shard_group["rows"])  # type: ignore[index]
    return rows
