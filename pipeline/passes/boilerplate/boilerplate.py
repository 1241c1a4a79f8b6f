"""host_lines: which lines of a document repeat across its host, such as menus, notices and addresses.

Takes the text of annotated/ and the clusters, and gives host_lines/: for each document the share of its characters that
is such lines, which rules and `tune` see as a metric, and where they stand, so that select can leave them out. Off by
default, as it reads all text.

A document counts for its host once a cluster: otherwise a page that exists under three URLs would make all its lines
boilerplate. Counting is by hash of host and line, in ranges of the hash, so that a host of any size is spread over all
tasks. Counts are kept: with other thresholds only what follows them is done again.

Weakness: lines are compared within one output; hosts of earlier outputs (`index`) are not looked at again.
"""

from collections import Counter
from typing import Any

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import finished, read_json, write_json
from pipeline.execution.storage import remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import pack
from pipeline.output.histograms import Histograms, read_histograms
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.count import count_batch, find_repeated, gathered
from pipeline.passes.boilerplate.files import counts_of, histograms_path, rows_of_ranges
from pipeline.passes.boilerplate.hosts import first_on_host, hash_hosts
from pipeline.passes.boilerplate.mark import mark_batch
from pipeline.rules.histogram import add

FORMAT = 1


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
        counts = gathered(config, layout, executor, [counts_of(layout, batch) for batch in numbers])
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
        add(total, read_histograms(histograms_path(layout, batch)))
    return total


def _count(
    config: RunConfig, layout: Layout, executor: Executor, clusters: dict[str, Any], counted: str
) -> dict[str, int]:
    """Write the counts of every batch; returns the rows of each range."""
    batches: list[list[str]] = clusters["batches"]
    rows: Counter[str] = Counter()
    done = [finished(rows_of_ranges(layout, batch), counted) for batch in range(len(batches))]
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
