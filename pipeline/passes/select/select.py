"""select: decide (by batch, metric columns only), elect (by group), write (by batch, text read once, in sorted
runs), merge (by label, of runs).

The result is written as `<name>.partial` and becomes visible by renaming the folder; the one before stays as
`<name>~1`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial as with_arguments
from itertools import pairwise
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import KeepPolicy, LanguageConfig, RunConfig, SelectConfig, fingerprint
from pipeline.dedup.keep import FATE_NAMES, NOBODY, Members, elect
from pipeline.execution.commit import committed, finished, read_json, sha256_of, write_json
from pipeline.execution.storage import Location, matching, move_tree, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.baselines import Held, Index, held, open_index
from pipeline.output.grouped_parquet import (
    Names,
    SortedFiles,
    cheap_compression,
    pack,
    read_file,
    rechunked,
    rows_of,
    stretches,
    write_by_group,
)
from pipeline.output.layout import Layout
from pipeline.output.take_downs import REPLACEABLE, STAYS, inherit, removal_names, removed_rows
from pipeline.passes.boilerplate.boilerplate import SPANS, with_host_lines
from pipeline.passes.deduplicate.deduplicate import ROW_GROUP_ROWS
from pipeline.passes.select.decontaminate import decontaminate, overlaps, with_overlap
from pipeline.passes.statistics import Histograms, Rules, measured, write_histograms
from pipeline.rules.fired import bucket_of, rules_fired_by
from pipeline.rules.histogram import HOST_BOILERPLATE, values_of
from pipeline.schema.columns import CLEAN_FIRST, CLEAN_NOT, DECISION
from pipeline.stages.measure_quality import hash64
from pipeline.text.refine import splice, with_removed

FORMAT = 4
ORDER = ("minhash_cluster_size", "id_hash", "id")  # of the rows of a label
RUN_ROWS = 1000  # of a row group of a run: merge holds one of each run
FEW_ROWS = 1000  # of a part: beginning zstd for each number's column takes longer than it saves room
SAMPLE = 100  # documents of each fate and language in sample.parquet
DECIDED_FROM = ["group", "label", "id", "url_hash", "character_count", "perplexity", "date", "language_score"]
FROM_ELECTION = ["fate", "representative", "minhash_cluster_id", "minhash_cluster_size"]
FROM_DECISION = ["perplexity_percentile", "perplexity_bucket", HOST_BOILERPLATE, "rules_fired", "evaluation_overlap"]
PLACE = ["shard", "row", "id_hash"]  # not in decisions/
FACTS_OF_CLUSTER = ["already_read", "held_by", "url_held"]
KEPT_WITH_DECISION = [
    "minhash_cluster_id",
    "minhash_cluster_size",
    "representative",
    "elected",
    "in_population",
    *FACTS_OF_CLUSTER,
]
TO_ELECT = ["id", "url_hash", "character_count", "perplexity", "date", "language_score", "failed", "removed"]
CLUSTERED = ["leader_id", "size", "already_read", "in_population"]
SAMPLED = ["id", "id_hash", "url", "file_path", "warc_offset"]


def select(
    config: RunConfig, layout: Layout, executor: Executor, rules: Rules, histograms: Histograms
) -> dict[str, Any]:
    """Make one selection; returns its manifest. A finished one with the same fingerprint is kept."""
    index = read_json(layout.cluster_index)
    language_configs = {label: one.model_dump(mode="json") for label, one in rules.languages.items()}
    selecting = config.model_dump(mode="json")["select"]
    earlier = open_index(config)
    overlap = decontaminate(config, layout, executor)
    lines = _host_lines(config, layout)
    made_from = [index["fingerprint"], layout.missing(), earlier.selections, overlap, lines]
    settings = fingerprint([FORMAT, selecting, language_configs, *made_from])
    inherit(layout, earlier.outputs)
    removals = removal_names(layout)
    key = fingerprint_of(settings, removals)
    final = layout.selection(config.selection)
    if (manifest := finished(final / "manifest.json", key)) is not None:
        return manifest
    partial = final.with_name(f"{final.name}.partial")
    remove_tree(partial)
    partial.mkdir(parents=True)
    numbers = range(len(index["batches"]))
    run_all(
        executor,
        decide_batch,
        [(config, layout, partial, n, index["batches"][n], rules.languages, removals) for n in numbers],
    )
    by_task: dict[int, dict[str, list[int]]] = {}
    for group, entry in index["groups"].items():
        by_task.setdefault(entry["task"], {})[group] = entry["rows"]
    run_all(
        executor,
        elect_groups,
        [(config, layout, partial, task, groups, earlier) for task, groups in sorted(by_task.items())],
    )
    written = run_all(
        executor,
        write_batch,
        [(config, layout, partial, n, index["batches"][n], index["groups"]) for n in numbers],
    )
    totals: Counter[str] = Counter()
    text_bytes: Counter[str] = Counter()
    for one in written:
        totals.update(one["rows"])
        text_bytes.update(one["text_bytes"])
    runs = _merged_runs(
        config, executor, partial, [partial / "parts" / name for one in written for name in one["runs"]]
    )
    files = _merge(config, executor, partial, runs, totals, text_bytes)
    write_histograms(partial / "histograms.parquet", histograms)
    samples = [partial / "samples" / f"batch-{n:05d}.parquet" for n in numbers]
    with committed(partial / "sample.parquet") as path:
        sampled = pa.concat_tables([read_file(one) for one in samples])
        pq.write_table(bottom_k(sampled), path, compression="zstd")
    fates: dict[str, Counter[str]] = {}
    fired: dict[str, Counter[str]] = {}
    for one in written:
        for target, source in ((fates, one["fates"]), (fired, one["fired"])):
            for label, counts in source.items():
                target.setdefault(label, Counter()).update(counts)
    manifest = {
        "fingerprint": key,
        "settings": settings,
        "removals": removals,
        "shards": fingerprint(index["batches"]),
        "selection": config.selection,
        "fates": {label: dict(sorted(counts.items())) for label, counts in sorted(fates.items())},
        "rules_fired": {label: dict(counts.most_common()) for label, counts in sorted(fired.items())},
        "cluster_statistics": _statistics(written),
        "files": files,
        "language_configs": language_configs,
        "percentiles": [asdict(one) for one in rules.percentiles],
        "missing": layout.missing(),
        "host_lines": lines,
        "select": config.model_dump(mode="json")["select"],
    }
    for folder in ("parts", "samples", "decided", "fates"):  # these two stand in decisions
        remove_tree(partial / folder)
    write_json(partial / "manifest.json", manifest)
    _publish(partial, final)
    return manifest


def _host_lines(config: RunConfig, layout: Layout) -> dict[str, Any] | None:
    """What the pass host_lines found, and with which settings; None where it is off."""
    if not config.host_lines.enabled:
        return None
    index = read_json(layout.host_lines_index)
    settings: dict[str, Any] = config.model_dump(mode="json")["host_lines"]
    return settings | {name: index[name] for name in ("fingerprint", "totals")}


def _merge(
    config: RunConfig,
    executor: Executor,
    partial: Location,
    runs: list[Location],
    totals: Mapping[str, int],
    text_bytes: Mapping[str, int],
) -> dict[str, list[dict[str, Any]]]:
    """Write clean/ from the runs: small labels many to a task, ranges of large ones one. Returns what lies there."""
    spans = spans_of(config, executor, runs, text_bytes)
    small = {label: rows for label, rows in totals.items() if label not in spans}
    first = {"train": 0, "test": 0}
    tasks = [[(label, WHOLE, first) for label in labels] for labels in pack(small, config.dedup.large_group_rows)]
    ranges = [(label, span) for label in sorted(spans) for span in spans[label]]
    counts = run_all(executor, count_parts, [(config, runs, label, span) for label, span in ranges])
    numbers: dict[str, Counter[str]] = {label: Counter() for label in spans}
    for (label, span), count in zip(ranges, counts, strict=True):
        tasks.append([(label, span, {split: numbers[label][split] for split in first})])
        numbers[label].update(count)
    files: dict[str, list[dict[str, Any]]] = {}
    for task, found in zip(
        tasks, run_all(executor, merge_labels, [(config, partial, runs, task) for task in tasks]), strict=True
    ):
        for (label, *_), of_span in zip(task, found, strict=True):
            files.setdefault(label, []).extend(of_span)
    return {label: sorted(ones, key=lambda one: (one["split"] == "test", one["path"])) for label, ones in files.items()}


def fingerprint_of(settings: str, removals: Sequence[str]) -> str:
    """The fingerprint of a selection, from that of its settings and the names of the records of removal in it."""
    return fingerprint([settings, list(removals)])


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


def batch_order(layout: Layout, shards: list[str], columns: list[str]) -> pa.Table:
    """Rows of a batch in signature order: by group, then shard and row."""
    tables = []
    for number, shard in enumerate(shards):
        table = read_file(layout.annotated(shard), [*columns, "group"] if "group" not in columns else columns)
        table = table.append_column("shard", pa.array(np.full(table.num_rows, number, np.int32)))
        tables.append(table.append_column("row", pa.array(np.arange(table.num_rows))))
    return pa.concat_tables(tables).sort_by([("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])


def decide_batch(
    config: RunConfig,
    layout: Layout,
    partial: Location,
    batch: int,
    shards: list[str],
    languages: dict[str, LanguageConfig],
    removals: list[str],
) -> None:
    """Every rule that fires for every document of a batch.

    In memory are the metric columns of a shard, and what is decided of the batch, some 400 bytes a document with its
    sorted copy.
    """
    taken_out = removed_rows(layout, removals, batch, shards)
    overlapping = overlaps(layout, batch) if config.select.decontaminate else {}
    tables = []
    for number, shard in enumerate(shards):
        columns = [*DECIDED_FROM, "id_hash"]
        metrics = measured(layout, shard, config.models, columns, host_lines=config.host_lines.enabled)
        table = _decide(config, metrics, languages)
        table = with_overlap(table, config.select.decontaminate, overlapping.get(number, {}))
        removed = np.full(table.num_rows, STAYS, dtype=np.int8)
        for row, level in taken_out.get(shard, {}).items():
            removed[row] = level
        place = {"shard": np.full(table.num_rows, number, np.int32), "row": np.arange(table.num_rows)}
        tables.append(_with_columns(table, {"removed": pa.array(removed)} | {n: pa.array(v) for n, v in place.items()}))
    decisions = pa.concat_tables(tables).sort_by([("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])
    with committed(partial / "decided" / f"batch-{batch:05d}.parquet") as path:
        write_by_group(path, decisions)


def _decide(config: RunConfig, table: pa.Table, languages: dict[str, LanguageConfig]) -> pa.Table:
    labels = table["label"].combine_chunks().dictionary_encode()
    here = [languages[label] for label in labels.dictionary.to_pylist()]
    language_of = labels.indices.to_numpy().astype(np.int64)
    head, middle = (
        np.array([getattr(one.perplexity, name) for one in here], np.float64)[language_of]
        for name in ("head", "middle")
    )
    bucket = bucket_of(values_of(table, "perplexity_percentile"), head, middle)
    rules = here if config.select.rules else [LanguageConfig(name="no rules")] * len(here)
    fired, failed = rules_fired_by(table, rules, language_of)
    added = {"perplexity_bucket": pa.array(bucket, pa.string()), "rules_fired": fired, "failed": pa.array(failed)}
    return _with_columns(table.select([*DECIDED_FROM, "id_hash", "perplexity_percentile", HOST_BOILERPLATE]), added)


def _with_columns(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


class Loaded:
    """Columns of one group in memory, read as `SortedFiles` are."""

    def __init__(self, files: SortedFiles, group: str, columns: Sequence[str]) -> None:
        self.table = files.read(group, columns)

    def array(
        self, _group: str, column: str, numbers: Callable[[pa.ChunkedArray], np.ndarray] | None = None
    ) -> np.ndarray:
        """See SortedFiles.array."""
        found = self.table[column]
        values: np.ndarray = (
            numbers(found) if numbers else (found.fill_null(0) if found.null_count else found).to_numpy()
        )
        return values

    def chunks(self, _group: str, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """See SortedFiles.chunks."""
        return rechunked([self.table.select(list(columns))], rows)


Rows = SortedFiles | Loaded


def elect_groups(
    config: RunConfig, layout: Layout, partial: Location, task: int, groups: dict[str, list[int]], earlier: Index
) -> None:
    """The fate and representative of every document of a task's groups, in dense order."""
    batches_ = sorted({batch for rows in groups.values() for batch, count in enumerate(rows) if count})
    decided = [partial / "decided" / f"batch-{batch:05d}.parquet" for batch in batches_]
    with (
        committed(partial / "fates" / f"part-{task:05d}.parquet") as path,
        SortedFiles(decided, "group") as decisions,
        SortedFiles([layout.clusters(task)], "group") as clusters,
        SortedFiles(earlier.decisions, "group") as decided_earlier,
        SortedFiles(
            [layout.cluster_updates(task)] if layout.cluster_updates(task).exists() else [], "group"
        ) as updates,
    ):
        writer: pq.ParquetWriter | None = None
        for group in groups:
            kept_earlier = held(group, decided_earlier, updates)
            sources: tuple[Rows, Rows] = decisions, clusters
            if sum(groups[group]) <= ROW_GROUP_ROWS:  # one read, not one for each column
                sources = Loaded(decisions, group, TO_ELECT), Loaded(clusters, group, ["leader", *CLUSTERED])
            for table in _elect_group(config, group, *sources, kept_earlier, decided_earlier.has(group)):
                writer = writer or pq.ParquetWriter(path, table.schema, compression=cheap_compression(table.schema))
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()


def _elect_group(
    config: RunConfig,
    group: str,
    decisions: Rows,
    clusters: Rows,
    kept_earlier: Held,
    has_earlier: bool,
) -> Iterator[pa.Table]:
    """The rows of a group, a row group at a time; of the whole group only numbers are in memory."""
    keep = config.select.keep
    leader = clusters.array(group, "leader")
    url_hash = decisions.array(group, "url_hash")
    removed = decisions.array(group, "removed")
    places = kept_earlier.places(leader)
    url_held = kept_earlier.has_url(url_hash)
    if has_earlier:
        leader = _first_of(leader)  # leaders are numbered over the documents of earlier outputs, too
    members = Members(
        leader=leader,
        failed=decisions.array(group, "failed"),
        already_read=clusters.array(group, "already_read"),
        url_hash=url_hash,
        worth={
            policy: decisions.array(group, *WORTH[policy]) for policy in dict.fromkeys(keep) if policy != "first_seen"
        },
        barred=(removed == REPLACEABLE) | (places != NOBODY),
    )
    fate, representative, elected_ = _elected(config.select, members, removed, url_held)
    del members, leader, url_hash, removed
    indices = np.arange(len(fate), dtype=np.uint32)
    others = representative[(representative != indices) & (representative != NOBODY)]
    chosen = np.zeros(len(fate), dtype=bool)
    chosen[others] = True
    del indices, others
    names = Names(chosen, with_arguments(decisions.chunks, group, ["id"], ROW_GROUP_ROWS))
    first = 0
    for ids, clustered in zip(
        decisions.chunks(group, ["id"], ROW_GROUP_ROWS), clusters.chunks(group, CLUSTERED, ROW_GROUP_ROWS), strict=True
    ):
        rows = np.arange(first, first + ids.num_rows, dtype=np.uint32)
        first += ids.num_rows
        own_ids = ids["id"].combine_chunks()
        stands = representative[rows]
        itself, nobody = stands == rows, stands == NOBODY
        elected = pa.compute.if_else(pa.array(itself), own_ids, names.of(stands, itself | nobody))
        held_by = kept_earlier.names(places[rows])
        yield pa.table(
            {
                "group": pa.repeat(group, len(rows)),
                "fate": pa.array(FATE_NAMES[fate[rows]]),
                "representative": pa.compute.coalesce(held_by, elected),
                "elected": pa.array(elected_[rows]),
                "minhash_cluster_id": pa.compute.coalesce(clustered["leader_id"].combine_chunks(), own_ids),
                "minhash_cluster_size": clustered["size"],
                "in_population": clustered["in_population"],
                "already_read": clustered["already_read"],
                "held_by": held_by,
                "url_held": pa.array(url_held[rows]),
            }
        )


def _first_of(cluster: np.ndarray) -> np.ndarray:
    """The first document of each document's cluster, (n,) uint32, whatever numbers name the clusters."""
    _, first, inverse = np.unique(cluster, return_index=True, return_inverse=True)
    members: np.ndarray = first[inverse].astype(np.uint32)
    return members


def _elected(
    settings: SelectConfig, members: Members, removed: np.ndarray, url_held: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `elect`, and who was elected, (n,) bool. One that was taken out represents its cluster and URL still, unless
    that may elect another. A cluster or URL that an earlier output holds elects nobody."""
    fate, representative = elect(members, settings.keep, settings.url_duplicates, settings.elect_before_rules)
    kept, url_duplicate, taken_out = (
        int(np.flatnonzero(name == FATE_NAMES)[0]) for name in ("kept", "url_duplicate", "removed")
    )
    if settings.url_duplicates:
        fate[(fate == kept) & url_held] = url_duplicate
    elected = fate == kept
    fate[removed != STAYS] = taken_out
    return fate, representative, elected


def fates_of_group(
    settings: SelectConfig, decisions: pa.Table, cluster: np.ndarray, facts: pa.Table
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Fate, representative and `elected` of some whole clusters of a group, from TO_ELECT, what names the cluster of
    each, and FACTS_OF_CLUSTER: the election that `elect_groups` holds, in memory."""
    removed = decisions["removed"].to_numpy()
    members = Members(
        leader=_first_of(cluster),
        failed=decisions["failed"].to_numpy(zero_copy_only=False),
        already_read=facts["already_read"].to_numpy(zero_copy_only=False),
        url_hash=decisions["url_hash"].fill_null(0).to_numpy(),
        worth={
            policy: WORTH[policy][1](decisions[WORTH[policy][0]])
            for policy in dict.fromkeys(settings.keep)
            if policy != "first_seen"
        },
        barred=(removed == REPLACEABLE) | facts["held_by"].is_valid().to_numpy(zero_copy_only=False),
    )
    fate, representative, chosen = _elected(
        settings, members, removed, facts["url_held"].to_numpy(zero_copy_only=False)
    )
    ids = decisions["id"].combine_chunks()
    nobody = representative == NOBODY
    elected = ids.take(pa.array(np.where(nobody, 0, representative), mask=nobody))
    return pa.array(FATE_NAMES[fate], pa.string()), pa.compute.coalesce(facts["held_by"], elected), pa.array(chosen)


def _dates(column: pa.ChunkedArray) -> np.ndarray:
    """Dates such as 2026-01-31T23:59:59Z as numbers of up to 14 digits, in their order; NaN where there is none.

    >>> _dates(pa.chunked_array([["2026-01-31T23:59:59Z", None, "2026"]])).tolist()
    [20260131235959.0, nan, 20260000000000.0]
    """
    digits = pa.compute.replace_substring_regex(column.cast(pa.string()), "[^0-9]", "")
    digits = pa.compute.utf8_rpad(pa.compute.utf8_slice_codeunits(digits, 0, 14), 14, "0")
    values: np.ndarray = digits.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _negative(column: pa.ChunkedArray) -> np.ndarray:
    return -_numbers(column)


WORTH: dict[KeepPolicy, tuple[str, Callable[[pa.ChunkedArray], np.ndarray]]] = {
    "longest": ("character_count", _numbers),
    "lowest_perplexity": ("perplexity", _negative),
    "newest": ("date", _dates),
    "best_language_score": ("language_score", _numbers),
}


def split_of(cluster_id: str, test_fraction: float) -> str:
    """train or test: a draw by hash of the cluster, so that no near-duplicate of a test document is in train."""
    import xxhash

    return "test" if xxhash.xxh64_intdigest(cluster_id.encode()) < test_fraction * 2**64 else "train"


def write_batch(
    config: RunConfig, layout: Layout, partial: Location, batch: int, shards: list[str], groups: dict[str, Any]
) -> dict[str, Any]:
    """Read the text of survivors once, splice the stored spans, sort; count every fate.

    In memory are a row group of a shard, a run of `run_bytes` with its sorted copy, and decisions and fates of the
    batch, some 500 bytes a document.
    """
    decided = read_file(partial / "decided" / f"batch-{batch:05d}.parquet")
    where, decisions = decided.select([*PLACE, "label"]), decided.drop_columns(PLACE)
    found = []
    here = sorted(group for group, entry in groups.items() if entry["rows"][batch])
    for task in sorted({groups[group]["task"] for group in here}):
        with SortedFiles([partial / "fates" / f"part-{task:05d}.parquet"], "group") as elected:
            for group in (one for one in here if groups[one]["task"] == task):
                rows = groups[group]["rows"]
                names = list(dict.fromkeys([*FROM_ELECTION, *KEPT_WITH_DECISION]))
                found.append((group, elected.read_range(group, names, sum(rows[:batch]), rows[batch])))
    fates = pa.concat_tables([table for _, table in sorted(found, key=lambda one: one[0])] or [_no_fates()])
    facts = {name: fates[name] for name in FROM_ELECTION}
    facts |= {name: decisions[name] for name in FROM_DECISION}
    runs = _Runs(partial / "parts", batch, config.select.run_bytes)
    shard_of, row_of = where["shard"].to_numpy(), where["row"].to_numpy()
    is_kept = pa.compute.equal(fates["fate"], "kept").to_numpy()
    lost = np.zeros(len(is_kept), dtype=bool)
    for number, shard in enumerate(shards):
        kept = np.flatnonzero((shard_of == number) & is_kept)
        kept = kept[np.argsort(row_of[kept])]
        for table in texts_of(layout, shard, row_of[kept], config.host_lines.strip):
            chosen, kept = kept[: table.num_rows], kept[table.num_rows :]
            columns = {name: column.take(pa.array(chosen)) for name, column in facts.items()}
            table, empty = clean_rows(config.select, table, columns)
            lost[chosen[empty]] = True
            runs.add(table)
    runs.flush()
    fate = pa.compute.if_else(pa.array(lost), "empty_after_refine", fates["fate"])
    decisions = _with_columns(decisions, {"fate": fate} | {name: fates[name] for name in KEPT_WITH_DECISION})
    _sample(config, layout, partial, batch, shards, where, decisions)
    with committed(partial / "decisions" / f"batch-{batch:05d}.parquet") as path:
        write_by_group(path, decisions)
    return {"rows": dict(runs.rows), "text_bytes": dict(runs.text_bytes), "runs": runs.names, **_count(decisions)}


def _no_fates() -> pa.Table:
    """What elect says of a batch without documents."""
    names = dict.fromkeys([*FROM_ELECTION, *KEPT_WITH_DECISION])
    return pa.schema([(name, DECISION[name][0]) for name in names]).empty_table()


def texts_of(layout: Layout, shard: str, rows: Sequence[int], strip: bool) -> Iterator[pa.Table]:
    """The rows of annotated/ that `clean_rows` takes; with `strip` they say which lines repeat across their host."""
    tables = rows_of(layout.annotated(shard), rows)
    return with_host_lines(tables, layout, shard, rows) if strip else tables


def clean_rows(settings: SelectConfig, table: pa.Table, facts: dict[str, pa.Array]) -> tuple[pa.Table, np.ndarray]:
    """Rows of annotated/ as clean/ has them, with what was decided on them; and which of them lost all text, (n,) bool,
    and are not among them."""
    for name, column in facts.items():
        table = table.append_column(name, column)
    table = _refine(table, settings.mask)
    empty = pa.compute.equal(table["text"], "").to_numpy(zero_copy_only=False)
    splits = pa.repeat("train", table.num_rows)
    if settings.test_fraction:
        ids = table["minhash_cluster_id"].to_pylist()
        splits = pa.array([split_of(one, settings.test_fraction) for one in ids], pa.string())
    table = table.append_column("split", splits)
    return table.filter(pa.array(~empty)) if empty.any() else table, empty


def _sample(
    config: RunConfig,
    layout: Layout,
    partial: Location,
    batch: int,
    shards: list[str],
    where: pa.Table,
    decisions: pa.Table,
) -> None:
    """Write the batch's bottom-k sample: where each document was read, every metric, and what became of it."""
    draw = _with_columns(where, {name: decisions[name] for name in ("fate", "rules_fired", "minhash_cluster_size")})
    draw = draw.filter(pa.compute.equal(decisions["removed"], STAYS))  # the sample names URLs
    draw = bottom_k(draw, ["shard", "row"])
    tables = []
    for number, shard in enumerate(shards):
        here = draw.filter(pa.compute.equal(draw["shard"], number))
        if here.num_rows or number == 0:  # a batch without documents has the columns, too
            table = measured(layout, shard, config.models, SAMPLED, host_lines=config.host_lines.enabled)
            table = table.take(here["row"])
            for name in ("fate", "rules_fired", "minhash_cluster_size"):
                table = table.append_column(name, here[name])
            tables.append(table)
    with committed(partial / "samples" / f"batch-{batch:05d}.parquet") as path:
        pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def bottom_k(table: pa.Table, ties: Sequence[str] = ("id", "file_path", "warc_offset"), k: int = SAMPLE) -> pa.Table:
    """The k rows of least id_hash of each label and fate; bottom_k of pieces' bottom_k is that of the whole."""
    table = table.sort_by([(name, "ascending") for name in ("label", "fate", "id_hash", *ties)])
    keys = [table[name].to_numpy(zero_copy_only=False) for name in ("label", "fate")]
    fresh = np.ones(table.num_rows, dtype=bool)
    fresh[1:] = (keys[0][1:] != keys[0][:-1]) | (keys[1][1:] != keys[1][:-1])
    starts = np.flatnonzero(fresh)
    rank = np.arange(table.num_rows) - np.repeat(starts, np.diff(np.append(starts, table.num_rows)))
    return table.filter(pa.array(rank < k))


def _count(decisions: pa.Table) -> dict[str, Any]:
    """By label: documents of each fate, rules fired, and [cluster size, documents, documents that fail] by size."""
    fates: dict[str, dict[str, int]] = {}
    for label, fate, count in _sums(decisions.select(["label", "fate"]), ([], "count_all")):
        fates.setdefault(label, {})[fate] = count
    fired: dict[str, dict[str, int]] = {label: {} for label in fates}
    rules = decisions["rules_fired"].combine_chunks()
    each = {"label": decisions["label"].take(pa.compute.list_parent_indices(rules)), "rule": rules.flatten()}
    for label, rule, count in _sums(pa.table(each), ([], "count_all")):
        fired[label][rule] = count
    members = decisions.filter(pa.compute.and_not(decisions["in_population"], decisions["already_read"]))
    members = members.select(["label", "minhash_cluster_size", "failed"])
    statistics: dict[str, list[list[int]]] = {}
    for label, size, documents, failed in _sums(members, ([], "count_all"), ("failed", "sum")):
        statistics.setdefault(label, []).append([size, documents, failed])
    return {"fates": fates, "fired": fired, "statistics": statistics}


def _sums(table: pa.Table, *sums: tuple[Any, str]) -> list[tuple[Any, ...]]:
    """The values of the first two columns and these sums, by the values."""
    keys = table.column_names[:2]
    found = table.group_by(keys).aggregate(list(sums))
    names = [*keys, *(f"{name}_{how}" if name else how for name, how in sums)]
    return list(zip(*(found[name].to_pylist() for name in names), strict=True))


def _refine(table: pa.Table, mask: bool) -> pa.Table:
    """The table with its texts as they are written: what is masked spliced in, lines of the host taken out."""
    stripped = SPANS[0] in table.column_names
    changed = np.zeros(table.num_rows, dtype=bool)
    for name in [*(["span_starts"] if mask else []), *(SPANS[:1] if stripped else [])]:
        changed |= pa.compute.list_value_length(table[name]).to_numpy() > 0
    fewer = np.zeros(table.num_rows, dtype=np.int64)
    if changed.any():
        rows = np.flatnonzero(changed)
        names = ["text", "span_starts", "span_ends", "span_texts", *(SPANS if stripped else ())]
        found = table.select(names).take(pa.array(rows)).columns
        refined = []
        for row, text, *spans in zip(rows, *(column.to_pylist() for column in found), strict=True):
            masks = list(zip(*spans[:3], strict=True)) if mask else []
            whole = splice(text, masks).strip() if masks else text
            lines = list(zip(*spans[3:], strict=True))
            refined.append(splice(text, with_removed(masks, lines)).strip() if lines else whole)
            fewer[row] = len(whole) - len(refined[-1])
        texts = table["text"].combine_chunks()
        texts = pa.compute.replace_with_mask(texts, pa.array(changed), pa.array(refined, texts.type))
        place = table.column_names.index("text")
        table = table.set_column(place, table.field(place), texts)
    lengths = pa.compute.utf8_length(table["text"]).cast(pa.int64())
    table = table.set_column(table.column_names.index("character_count"), "character_count", lengths)
    return table.append_column("stripped_character_count", pa.array(fewer))


class _Runs:
    """Rows in files that are sorted by label and ORDER, each of what fits in `run_bytes` of memory."""

    def __init__(self, folder: Location, batch: int, run_bytes: int) -> None:
        self.folder, self.batch, self.run_bytes = folder, batch, run_bytes
        self.names: list[str] = []
        self.rows: Counter[str] = Counter()
        self.text_bytes: Counter[str] = Counter()
        self.tables: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        table = table.append_column("text_bytes", pa.compute.binary_length(table["text"]))
        self.tables.append(table)
        sums = (
            table.select(["label", "text_bytes"])
            .group_by("label")
            .aggregate([("text_bytes", "sum"), ([], "count_all")])
        )
        for label, size, rows in zip(*(column.to_pylist() for column in sums.columns), strict=True):
            self.rows[label] += rows
            self.text_bytes[label] += size
        if sum(one.nbytes for one in self.tables) >= self.run_bytes:
            self.flush()

    def flush(self) -> None:
        table = pa.concat_tables(self.tables) if self.tables else None
        self.tables = []
        if table is None or not table.num_rows:
            return
        table = table.sort_by([("label", "ascending"), *((name, "ascending") for name in ORDER)])
        path = self.folder / f"batch-{self.batch:05d}-run-{len(self.names):05d}.parquet"
        with _run_writer(path, table.schema) as writer:
            for start, end in stretches(table["label"]):
                writer.write_table(table.slice(start, end - start), row_group_size=RUN_ROWS)
        self.names.append(path.name)


@contextmanager
def _run_writer(path: Location, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A run is short-lived: no dictionaries, and statistics only of what row groups are chosen by."""
    with (
        committed(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="lz4", use_dictionary=False, write_statistics=["label", *ORDER[:2]]
        ) as writer,
    ):
        yield writer


def _merged_runs(config: RunConfig, executor: Executor, partial: Location, runs: list[Location]) -> list[Location]:
    """Few enough runs for a task to open: while there are more than `merge_files`, neighbours become one."""
    level = 0
    while len(runs) > config.select.merge_files:
        step = config.select.merge_files
        pieces = [runs[start : start + step] for start in range(0, len(runs), step)]
        level += 1
        targets = [partial / "parts" / f"level-{level}-{number:05d}.parquet" for number in range(len(pieces))]
        run_all(executor, merge_runs, list(zip(pieces, targets, strict=True)))
        for path in runs:
            path.unlink()
        runs = targets
    return runs


def merge_runs(runs: list[Location], target: Location) -> None:
    """One run from many."""
    with SortedFiles(runs, "label") as files, _run_writer(target, files.files[0].schema_arrow) as writer:
        for label in files.values():
            for table in merged(files, label):
                writer.write_table(table, row_group_size=RUN_ROWS)


Key = tuple[int, int]  # cluster size and hash of id: ranges of a label are cut between two of them


class Span(NamedTuple):
    """A range of a label's rows, and what stands before it of each split: the bytes of their texts."""

    low: Key | None  # of the first row
    high: Key | None  # of the first row behind it
    before: dict[str, int]


WHOLE = Span(None, None, {"train": 0, "test": 0})


def merged(
    files: SortedFiles, label: str, low: Key | None = None, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """A label's rows of all runs, ascending in ORDER, from `low` on; a row group of each run is in memory at a time."""
    streams = [
        _from(files, number, label, low, columns) for number, found in enumerate(files.row_groups) if label in found
    ]
    heads = [(table, stream) for stream in streams if (table := next(stream, None)) is not None]
    while len(heads) > 1:
        bound = min(_key(table, table.num_rows - 1) for table, _ in heads)
        ready, later = [], []
        for table, stream in heads:
            count = bisect_right(range(table.num_rows), bound, key=with_arguments(_key, table))
            ready.append(table.slice(0, count))
            rest = table.slice(count) if count < table.num_rows else next(stream, None)
            if rest is not None:
                later.append((rest, stream))
        yield pa.concat_tables(ready).sort_by([(name, "ascending") for name in ORDER])
        heads = later
    for table, stream in heads:
        yield table
        yield from stream


def _from(
    files: SortedFiles, file: int, label: str, low: Key | None, columns: Sequence[str] | None
) -> Iterator[pa.Table]:
    for number in files.row_groups[file][label]:
        if low is not None:
            schema, row_group = files.files[file].schema_arrow, files.files[file].metadata.row_group(number)
            size, hashed = (row_group.column(schema.get_field_index(name)).statistics for name in ORDER[:2])
            if size.max < low[0] or (size.min == size.max == low[0] and hashed.max < low[1]):
                continue
        table = files.row_group(file, number, columns)
        first = 0 if low is None else bisect_left(range(table.num_rows), low, key=with_arguments(_key_of_span, table))
        if first < table.num_rows:
            yield table.slice(first)


def _key(table: pa.Table, row: int) -> tuple[Any, ...]:
    return tuple(table[name][row].as_py() for name in ORDER)


def _key_of_span(table: pa.Table, row: int) -> Key:
    size, hashed, _ = _key(table, row)
    return size, hashed


def spans_of(
    config: RunConfig, executor: Executor, runs: list[Location], text_bytes: Mapping[str, int]
) -> dict[str, list[Span]]:
    """The ranges of each label that has more than `merge_bytes` of text: of about so much each, cut between bins."""
    large = sorted(label for label, size in text_bytes.items() if size > config.select.merge_bytes)
    if not large:
        return {}
    bins: dict[str, dict[Key, Counter[str]]] = {label: {} for label in large}
    for of_run in run_all(executor, text_by_bin, [(run, large) for run in runs]):
        for label, size, hashed, split, count in of_run:
            bins[label].setdefault((size, hashed), Counter())[split] += count
    return {label: _spans(bins[label], config.select.merge_bytes) for label in large}


def _spans(bins: Mapping[Key, Counter[str]], wanted: int) -> list[Span]:
    starts: list[tuple[Key, dict[str, int]]] = []
    before: Counter[str] = Counter()
    filled = wanted
    for key in sorted(bins):
        if filled >= wanted:
            starts.append((key, {split: before[split] for split in ("train", "test")}))
            filled = 0
        before.update(bins[key])
        filled += bins[key].total()
    ends = [*(key for key, _ in starts[1:]), None]
    lows = [None, *(key for key, _ in starts[1:])]
    return [Span(low, end, told) for low, end, (_, told) in zip(lows, ends, starts, strict=True)]


def text_by_bin(run: Location, labels: list[str]) -> list[tuple[str, int, int, str, int]]:
    """(label, cluster size, least hash of the bin, split, bytes of text) of a run. Singletons have 4096 bins by hash,
    larger clusters, of which there are fewer, fewer: some 10,000 bins and one for each size from 100 on."""
    found: Counter[tuple[str, int, int, str]] = Counter()
    with SortedFiles([run], "label") as files:
        for label in labels:
            for stream in files.streams(label, ["minhash_cluster_size", "id_hash", "split", "text_bytes"]):
                for table in stream:
                    size = table["minhash_cluster_size"].to_numpy()
                    bits = np.select([size == 1, size < 10, size < 100], [12, 8, 4], 0).astype(np.uint64)
                    hashed = table["id_hash"].to_numpy()
                    low = np.where(bits == 0, np.uint64(0), hashed & ~(np.uint64(2**64 - 1) >> bits))
                    table = table.set_column(1, "id_hash", pa.array(low))
                    keys = ["minhash_cluster_size", "id_hash", "split"]
                    for row in table.group_by(keys).aggregate([("text_bytes", "sum")]).to_pylist():
                        found[label, *(row[name] for name in keys)] += row["text_bytes_sum"]
    return [(*key, count) for key, count in found.items()]


def count_parts(config: RunConfig, runs: list[Location], label: str, span: Span) -> dict[str, int]:
    """How many parts of each split begin in a range; reads no text."""
    counts = dict.fromkeys(span.before, 0)
    before = dict(span.before)
    with SortedFiles(runs, "label") as files:
        for table in _within(merged(files, label, span.low, [*ORDER, "split", "text_bytes"]), span.high):
            for split in counts:
                lengths = _of_split(table, split)["text_bytes"].to_numpy()
                counts[split] += int(np.count_nonzero(_begins(before[split], lengths, config.select.part_bytes)))
                before[split] += int(lengths.sum())
    return counts


def _of_split(table: pa.Table, split: str) -> pa.Table:
    wanted = pa.compute.equal(table["split"], split)
    count = pa.compute.sum(wanted).as_py()
    return table if count == table.num_rows else table.filter(wanted) if count else table.slice(0, 0)


def _within(tables: Iterable[pa.Table], high: Key | None) -> Iterator[pa.Table]:
    """Tables up to the first row of the next range."""
    for table in tables:
        count = _rows_before(table, high)
        yield table.slice(0, count)
        if count < table.num_rows:
            return


def _rows_before(table: pa.Table, high: Key | None) -> int:
    if high is None:
        return int(table.num_rows)
    return bisect_left(range(table.num_rows), high, key=with_arguments(_key_of_span, table))


def _begins(before: int, lengths: np.ndarray, part_bytes: int) -> np.ndarray:
    """Which rows begin a part, (n,) bool: the first of all, and those in which the text reaches a multiple of the size.

    >>> _begins(0, np.array([3, 3, 1, 3]), 2).tolist(), _begins(8, np.array([3, 1]), 2).tolist()
    ([True, True, False, True], [False, True])
    """
    full = part_bytes * 2  # about half remains after compression
    ends = before + np.cumsum(lengths, dtype=np.int64)
    begins: np.ndarray = ends // full != (ends - lengths) // full
    if not before and len(begins):
        begins[0] = True
    return begins


def merge_labels(
    config: RunConfig, partial: Location, runs: list[Location], spans: list[tuple[str, Span, dict[str, int]]]
) -> list[list[dict[str, Any]]]:
    """Write the parts that begin in each range of a label, the last to its end; returns what the manifest says of them.

    `spans` have the label, the range, and the number of its first part by split. Memory: RUN_ROWS rows of each of at
    most `merge_files` runs, a row group of the parts and its copies.
    """
    found = []
    with SortedFiles(runs, "label") as files:
        for label, span, numbers in spans:
            with ExitStack() as open_parts:
                splits = [
                    open_parts.enter_context(_Parts(config, partial, label, split, span.before[split], numbers[split]))
                    for split in ("train", "test")
                ]
                for table in merged(files, label, span.low):
                    inside = _rows_before(table, span.high)
                    for rows, may_begin in ((table.slice(0, inside), True), (table.slice(inside), False)):
                        for parts in splits if rows.num_rows else ():
                            parts.add(_of_split(rows, parts.split), may_begin)
                    if inside < table.num_rows and not any(parts.open_part for parts in splits):
                        break
                found.append([file for parts in splits for file in parts.close()])
    return found


class _Parts:
    """The files of a range of one label and split. A part begins where the text reaches a multiple of its size."""

    def __init__(
        self, config: RunConfig, partial: Location, label: str, split: str, text_bytes: int, number: int
    ) -> None:
        self.settings, self.partial, self.label, self.split = config.select, partial, label, split
        self.files: list[dict[str, Any]] = []
        self.text_bytes = text_bytes  # of the rows so far
        self.number = number  # of the next part
        self.open_part: PartWriter | None = None

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.open_part is not None:  # an error came first: the open part is given up
            self.open_part.__exit__(kind, error, trace)

    def add(self, table: pa.Table, may_begin: bool) -> None:
        """The next rows. Those before the first part that begins are another range's; where none may begin, the open
        part ends at the next."""
        lengths = table["text_bytes"].to_numpy()
        begins = np.flatnonzero(_begins(self.text_bytes, lengths, self.settings.part_bytes)).tolist()
        self.text_bytes += int(lengths.sum())
        if self.open_part is not None and begins[:1] != [0]:
            self.open_part.write(table.slice(0, begins[0] if begins else table.num_rows))
        for start, end in pairwise([*begins, table.num_rows]):
            self._finish_part()
            if not may_begin:
                return
            name = f"{'part' if self.split == 'train' else 'test'}-{self.number:05d}.parquet"
            path = f"clean/{self.label}/{name}"
            self.open_part = PartWriter(self.partial, path, self.split, self.settings.row_group_rows)
            self.open_part.write(table.slice(start, end - start))
            self.number += 1

    def close(self) -> list[dict[str, Any]]:
        self._finish_part()
        return self.files

    def _finish_part(self) -> None:
        if self.open_part is not None:
            self.files.append(self.open_part.close())
        self.open_part = None


class PartWriter:
    """One file of clean/, written in whole row groups, so that its bytes do not depend on how the rows came."""

    def __init__(self, folder: Location, path: str, split: str, row_group_rows: int) -> None:
        self.path, self.split, self.row_group_rows = path, split, row_group_rows
        self.writing = ExitStack()
        self.temporary = self.writing.enter_context(committed(folder / path))
        self.writer: pq.ParquetWriter | None = None
        self.buffer: pa.Table | None = None
        self.rows = self.characters = self.stripped_characters = self.stripped_documents = 0
        self.first: list[Any] = []
        self.run_lengths: list[list[int]] = []

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writing.__exit__(kind, error, trace)

    def write(self, table: pa.Table) -> None:
        """The next rows, in ORDER; columns that are not of clean/ are left out."""
        columns = [*CLEAN_FIRST, *(n for n in table.column_names if n not in CLEAN_FIRST and n not in CLEAN_NOT)]
        if not self.first and table.num_rows:
            self.first = order_key(table["minhash_cluster_size"][0].as_py(), table["id"][0].as_py())
        table = table.select(columns)
        table = pa.concat_tables([self.buffer, table]) if self.buffer is not None else table
        while table.num_rows >= self.row_group_rows:
            self._write_row_group(table.slice(0, self.row_group_rows))
            table = table.slice(self.row_group_rows)
        self.buffer = table if table.num_rows else None

    def _write_row_group(self, table: pa.Table) -> None:
        table = table.combine_chunks()
        self.writer = self.writer or self._open(table)
        self.writer.write_table(table, row_group_size=table.num_rows)
        self.run_lengths = _run_lengths(table, self.rows, self.run_lengths)
        self.rows += table.num_rows
        self.characters += int(pa.compute.sum(table["character_count"]).as_py())
        stripped = table["stripped_character_count"].to_numpy()
        self.stripped_characters += int(stripped.sum())
        self.stripped_documents += int(np.count_nonzero(stripped))

    def _open(self, table: pa.Table) -> pq.ParquetWriter:
        """The file's writer, for its first row group."""
        few = table.num_rows < FEW_ROWS
        return self.writing.enter_context(
            pq.ParquetWriter(
                self.temporary,
                table.schema,
                compression=cheap_compression(table.schema) if few else "zstd",
                compression_level=None if few else 3,
                write_page_index=True,
                write_page_checksum=True,
                use_dictionary=["dump", "language", "language_script", "file_path", "encoding", "script"],
            )
        )

    def close(self) -> dict[str, Any]:
        """Make the file visible; returns what the manifest says of it. There must be a row."""
        if self.buffer is not None:
            self._write_row_group(self.buffer)
        assert self.writer is not None
        self.writer.close()
        size, digest = self.temporary.stat().st_size, sha256_of(self.temporary)
        self.writing.close()
        return {
            "path": self.path,
            "split": self.split,
            "rows": self.rows,
            "bytes": size,
            "sha256": digest,
            "characters": self.characters,
            "stripped_characters": self.stripped_characters,
            "stripped_documents": self.stripped_documents,
            "first": self.first,
            "run_lengths": self.run_lengths,
        }


def order_key(size: int, record_id: str) -> list[Any]:
    """What the rows of a label are sorted by, as the manifest has it: cluster size, hash of the id in hexadecimal."""
    return [size, f"{hash64(record_id):016x}"]


def _run_lengths(table: pa.Table, first: int, runs: list[list[int]]) -> list[list[int]]:
    """`runs` with [cluster size, first row, rows, characters, words] for each run of equal cluster size added."""
    sizes = table["minhash_cluster_size"].to_numpy()
    starts = np.flatnonzero(np.append(True, sizes[1:] != sizes[:-1]))
    lengths = np.diff(np.append(starts, len(sizes)))
    sums = [np.add.reduceat(table[name].to_numpy(), starts) for name in ("character_count", "segment_count")]
    more = [list(map(int, run)) for run in zip(sizes[starts], first + starts, lengths, *sums, strict=True)]
    if runs and runs[-1][0] == more[0][0]:
        last, again = runs[-1], more[0]
        more[0] = [*last[:2], *(old + new for old, new in zip(last[2:], again[2:], strict=True))]
        runs = runs[:-1]
    return runs + more


def fates_of(layout: Layout, selection: str) -> pa.Table:
    """The decisions of a selection on every document, in the order of the signatures."""
    files = matching(layout.selection(selection) / "decisions", "batch-*.parquet")
    return pa.concat_tables([read_file(path) for path in files])
