"""deduplicate: signature columns gathered by group, linked band by band, clustered and verified.

Collate writes one file a shard group, sorted by group, so that a task reads the rows of its groups by projection: no
shuffle and no file per language. A group's dense index is the position of a document in (shard group, shard, row)
order.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.config.fingerprint import fingerprint
from pipeline.config.language_files import LanguageConfig
from pipeline.config.run_settings import RunConfig
from pipeline.errors import PipelineError
from pipeline.execution.commit import finished_json, write_json
from pipeline.execution.storage import Location, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.baselines import open_baselines
from pipeline.output.grouped_parquet import pack
from pipeline.output.layout import shard_groups
from pipeline.output.output import Output
from pipeline.passes.deduplicate.cluster import ALREADY_READ, cluster_groups, link_key, mark_already_read
from pipeline.passes.deduplicate.collate import collate_shard_group, gather
from pipeline.passes.deduplicate.eligible import eligibility_rules, eligibility_settings

FORMAT = 4
MAX_GROUP_ROWS = 2**32 - 1  # a dense index is a uint32, the last of which means none


def deduplicate(
    config: RunConfig, layout: Output, executor: Executor, languages: dict[str, LanguageConfig]
) -> dict[str, Any]:
    """Find the clusters of every group; returns the cluster index. Done work with the same fingerprint is kept.

    `languages` are the rules with every bound a number. Only those that bound `dedup.eligible` are read.
    """
    eligible = eligibility_rules(config, languages)
    annotated = [one.sha256.annotated for one in layout.manifests()]
    earlier = open_baselines(config)
    settings = [config.dedup_settings(), eligibility_settings(config, eligible), earlier.clusters]
    fingerprint_ = fingerprint([FORMAT, *settings, annotated])
    if (index := finished_json(layout.cluster_index, fingerprint_)) is not None:
        return index
    layout.cluster_index.unlink(missing_ok=True)  # of other settings: what it names is about to be replaced
    remove_tree(layout.cluster_size_updates(0).parent)
    groups_of_shards = shard_groups(layout.shards(), config.dedup.shard_group_size)
    arguments = [(config, layout, number, shards, eligible) for number, shards in enumerate(groups_of_shards)]
    collated: list[dict[str, int]] = run_all(executor, collate_shard_group, arguments)
    own = [layout.signatures(shard_group) for shard_group in range(len(groups_of_shards))]
    files = gather(config, layout, executor, [*earlier.signatures, *own])
    totals: Counter[str] = Counter()
    for rows_of_shard_group in collated:
        totals.update(rows_of_shard_group)
    before = {group: earlier.rows[group] for group in totals if group in earlier.rows}
    totals.update(before)
    if too_large := [group for group, rows in totals.items() if rows > MAX_GROUP_ROWS]:
        raise PipelineError(
            f"{', '.join(too_large)}: more than {MAX_GROUP_ROWS} documents in a group; run fewer crawls"
        )
    tasks, results = cluster_signatures(config, layout, executor, files, totals, before)
    for folder in (layout.edges(0, ALREADY_READ).parent.parent, layout.gathered(0).parent):
        remove_tree(folder)
    index = {"fingerprint": fingerprint_, "shard_groups": groups_of_shards, "groups": {}, "overflow": 0}
    index |= {"baseline": earlier.documents, "baseline_rows": earlier.rows_by_output}
    for task, (groups, result) in enumerate(zip(tasks, results, strict=True)):
        index["overflow"] += result["overflow"]
        for group in groups:
            rows = [of_shard_group.get(group, 0) for of_shard_group in collated]
            index["groups"][group] = {"task": task, "rows": rows, "clusters": result["clusters"][group]}
    write_json(layout.cluster_index, index)
    return index


def cluster_signatures(
    config: RunConfig,
    layout: Output,
    executor: Executor,
    files: list[Location],
    totals: Mapping[str, int],
    before: Mapping[str, int] | None = None,
) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """Link and cluster groups of `totals` documents: the groups of each task, and what `cluster_groups` returned.

    The first documents of a group, `before` says how many, are of earlier outputs.
    """
    tasks = pack(totals, config.dedup.large_group_rows)
    large = [(task, names[0]) for task, names in enumerate(tasks) if totals[names[0]] >= config.dedup.large_group_rows]
    keys = config.dedup.keys
    run_all(executor, mark_already_read, [(layout, files, task, group) for task, group in large])
    run_all(executor, link_key, [(layout, files, task, group, key) for task, group in large for key in keys])
    results = run_all(
        executor,
        cluster_groups,
        [
            (config, layout, files, task, {group: totals[group] for group in groups}, keys, before or {})
            for task, groups in enumerate(tasks)
        ],
    )
    return tasks, results
