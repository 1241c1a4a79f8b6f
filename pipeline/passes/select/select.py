"""select: decide (by shard group, metric columns only), keep (by group), write (by shard group, text read once, in
sorted runs), merge (by label, of runs).

The result is written as `<name>.partial` and becomes visible by renaming the folder; the one before stays as
`<name>~1`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import committed, finished_json, read_manifest, write_json
from pipeline.execution.storage import Location, move_tree, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.baselines import configured_baselines
from pipeline.output.grouped_parquet import read_file
from pipeline.output.histograms import Histograms, write_histograms
from pipeline.output.output import Output
from pipeline.output.take_downs import inherit, take_down_names
from pipeline.passes.select.decontaminate import decontaminate
from pipeline.passes.select.filter import filter_shard_group
from pipeline.passes.select.keep import keep_in_groups
from pipeline.passes.select.merge import merge_runs_to_parts
from pipeline.passes.select.sample import bottom_k
from pipeline.passes.select.sorted_runs import few_runs
from pipeline.passes.select.write import write_shard_group
from pipeline.passes.statistics import Rules
from pipeline.schema.manifests import BoilerplateIndex, ClusterIndex

FORMAT = 4


def select(
    config: RunConfig, layout: Output, executor: Executor, rules: Rules, histograms: Histograms
) -> dict[str, Any]:
    """Make one selection; returns its manifest. A finished one with the same fingerprint is kept."""
    index = read_manifest(layout.cluster_index, ClusterIndex)
    language_configs = {label: one.model_dump(mode="json") for label, one in rules.languages.items()}
    selecting = config.model_dump(mode="json")["select"]
    earlier = configured_baselines(config)
    overlap = decontaminate(config, layout, executor)
    lines = _boilerplate_facts(config, layout)
    made_from = [index.fingerprint, layout.missing(), earlier.selections, overlap, lines]
    settings = fingerprint([FORMAT, selecting, language_configs, *made_from])
    inherit(layout, earlier.outputs)
    take_downs = take_down_names(layout)
    key = fingerprint_of(settings, take_downs)
    final = layout.selection(config.selection)
    if (manifest := finished_json(final / "manifest.json", key)) is not None:
        return manifest
    partial = final.with_name(f"{final.name}.partial")
    remove_tree(partial)
    partial.mkdir(parents=True)
    numbers = range(len(index.shard_groups))
    run_all(
        executor,
        filter_shard_group,
        [(config, layout, partial, n, index.shard_groups[n], rules.languages, take_downs) for n in numbers],
    )
    by_task: dict[int, dict[str, list[int]]] = {}
    for group, entry in index.groups.items():
        by_task.setdefault(entry.task, {})[group] = entry.rows
    run_all(
        executor,
        keep_in_groups,
        [(config, layout, partial, task, groups, earlier) for task, groups in sorted(by_task.items())],
    )
    written = run_all(
        executor,
        write_shard_group,
        [(config, layout, partial, n, index.shard_groups[n], index.groups) for n in numbers],
    )
    totals: Counter[str] = Counter()
    text_bytes: Counter[str] = Counter()
    for one in written:
        totals.update(one["rows"])
        text_bytes.update(one["text_bytes"])
    runs = few_runs(config, executor, partial, [partial / "parts" / name for one in written for name in one["runs"]])
    files = merge_runs_to_parts(config, executor, partial, runs, totals, text_bytes)
    write_histograms(partial / "histograms.parquet", histograms)
    samples = [partial / "samples" / f"shard-group-{n:05d}.parquet" for n in numbers]
    with committed(partial / "sample.parquet") as path:
        sampled = pa.concat_tables([read_file(one) for one in samples])
        pq.write_table(bottom_k(sampled), path, compression="zstd")
    outcomes: dict[str, Counter[str]] = {}
    fired: dict[str, Counter[str]] = {}
    for one in written:
        for target, source in ((outcomes, one["outcomes"]), (fired, one["fired"])):
            for label, counts in source.items():
                target.setdefault(label, Counter()).update(counts)
    manifest = {
        "fingerprint": key,
        "settings": settings,
        "take_downs": take_downs,
        "shards": fingerprint(index.shard_groups),
        "selection": config.selection,
        "outcomes": {label: dict(sorted(counts.items())) for label, counts in sorted(outcomes.items())},
        "rules_fired": {label: dict(counts.most_common()) for label, counts in sorted(fired.items())},
        "cluster_statistics": _statistics(written),
        "files": files,
        "language_configs": language_configs,
        "percentiles": msgspec.to_builtins(rules.percentiles),
        "missing": layout.missing(),
        "boilerplate": lines,
        "select": config.model_dump(mode="json")["select"],
    }
    for folder in ("parts", "samples", "filtered", "outcomes"):  # these two stand in decisions
        remove_tree(partial / folder)
    write_json(partial / "manifest.json", manifest)
    _publish(partial, final)
    return manifest


def _boilerplate_facts(config: RunConfig, layout: Output) -> dict[str, Any] | None:
    """What the pass boilerplate found, and with which settings; None where it is off."""
    if not config.boilerplate.enabled:
        return None
    index = read_manifest(layout.boilerplate_index, BoilerplateIndex)
    settings: dict[str, Any] = config.model_dump(mode="json")["boilerplate"]
    return settings | {"fingerprint": index.fingerprint, "totals": msgspec.to_builtins(index.totals)}


def fingerprint_of(settings: str, take_downs: Sequence[str]) -> str:
    """The fingerprint of a selection, from that of its settings and the names of the take-downs in it."""
    return fingerprint([settings, list(take_downs)])


def _publish(partial: Location, final: Location) -> None:
    if (final / "manifest.json").exists():
        before = final.with_name(f"{final.name}~1")
        remove_tree(before)
        move_tree(final, before, last="manifest.json")
    remove_tree(final)
    move_tree(partial, final, last="manifest.json")


def _statistics(written: list[dict[str, Any]]) -> dict[str, list[list[int]]]:
    """Per label [cluster size, documents, documents that fail], by size: what rebalancing needs."""
    sums: dict[str, dict[int, list[int]]] = {}
    for one in written:
        for label, rows in one["statistics"].items():
            for size, documents, failed in rows:
                entry = sums.setdefault(label, {}).setdefault(size, [0, 0])
                entry[0] += documents
                entry[1] += failed
    return {label: [[size, *sums[label][size]] for size in sorted(sums[label])] for label in sorted(sums)}
