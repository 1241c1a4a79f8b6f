"""choose_kept: the outcome of every document of a group, and which of each cluster represents it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial as with_arguments

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig, SelectConfig
from pipeline.dedup.keep import NOBODY, OUTCOME_NAMES, KeepPolicy, Members, choose_kept
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.baselines import Baselines, KeptByBaselines, read_kept_by_baselines
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, Names, SortedFiles, cheap_compression, rechunked
from pipeline.output.layout import Layout
from pipeline.output.take_downs import REPLACEABLE, STAYS
from pipeline.passes.select.columns import CLUSTERED, KEEP_READS


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


def keep_in_groups(
    config: RunConfig, layout: Layout, partial: Location, task: int, groups: dict[str, list[int]], earlier: Baselines
) -> None:
    """The outcome and kept document of every document of a task's groups, in dense order."""
    shard_groups_ = sorted({shard_group for rows in groups.values() for shard_group, count in enumerate(rows) if count})
    filtered = [partial / "filtered" / f"shard-group-{shard_group:05d}.parquet" for shard_group in shard_groups_]
    with (
        committed(partial / "outcomes" / f"part-{task:05d}.parquet") as path,
        SortedFiles(filtered, "group") as decisions,
        SortedFiles([layout.clusters(task)], "group") as clusters,
        SortedFiles(earlier.decisions, "group") as baseline_decisions,
        SortedFiles(
            [layout.cluster_size_updates(task)] if layout.cluster_size_updates(task).exists() else [], "group"
        ) as updates,
    ):
        writer: pq.ParquetWriter | None = None
        for group in groups:
            baseline_keeps = read_kept_by_baselines(group, baseline_decisions, updates)
            sources: tuple[Rows, Rows] = decisions, clusters
            if sum(groups[group]) <= ROW_GROUP_ROWS:  # one read, not one for each column
                sources = Loaded(decisions, group, KEEP_READS), Loaded(clusters, group, ["centre", *CLUSTERED])
            for table in _keep_in_group(config, group, *sources, baseline_keeps, baseline_decisions.has(group)):
                writer = writer or pq.ParquetWriter(path, table.schema, compression=cheap_compression(table.schema))
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()


def _keep_in_group(
    config: RunConfig,
    group: str,
    decisions: Rows,
    clusters: Rows,
    baseline_keeps: KeptByBaselines,
    has_baseline: bool,
) -> Iterator[pa.Table]:
    """The rows of a group, a row group at a time; of the whole group only numbers are in memory."""
    keep = config.select.keep
    centre = clusters.array(group, "centre")
    url_hash = decisions.array(group, "url_hash")
    removed = decisions.array(group, "removed")
    places = baseline_keeps.places(centre)
    url_kept_by_baseline = baseline_keeps.has_url(url_hash)
    if has_baseline:
        centre = _first_of(centre)  # centres are numbered over the documents of earlier outputs, too
    members = Members(
        centre=centre,
        failed=decisions.array(group, "failed"),
        already_read=clusters.array(group, "already_read"),
        url_hash=url_hash,
        keep_priority={
            policy: decisions.array(group, *KEEP_PRIORITY[policy])
            for policy in dict.fromkeys(keep)
            if policy != "first_seen"
        },
        not_eligible=(removed == REPLACEABLE) | (places != NOBODY),
    )
    outcome, kept_document, is_kept = _kept(config.select, members, removed, url_kept_by_baseline)
    del members, centre, url_hash, removed
    indices = np.arange(len(outcome), dtype=np.uint32)
    others = kept_document[(kept_document != indices) & (kept_document != NOBODY)]
    chosen = np.zeros(len(outcome), dtype=bool)
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
        stands = kept_document[rows]
        itself, nobody = stands == rows, stands == NOBODY
        own_kept = pa.compute.if_else(pa.array(itself), own_ids, names.of(stands, itself | nobody))
        kept_by_baseline = baseline_keeps.names(places[rows])
        yield pa.table(
            {
                "group": pa.repeat(group, len(rows)),
                "outcome": pa.array(OUTCOME_NAMES[outcome[rows]]),
                "kept_document": pa.compute.coalesce(kept_by_baseline, own_kept),
                "is_kept_document": pa.array(is_kept[rows]),
                "minhash_cluster_id": pa.compute.coalesce(clustered["centre_id"].combine_chunks(), own_ids),
                "minhash_cluster_size": clustered["size"],
                "is_eligible": clustered["is_eligible"],
                "already_read": clustered["already_read"],
                "kept_by_baseline": kept_by_baseline,
                "url_kept_by_baseline": pa.array(url_kept_by_baseline[rows]),
            }
        )


def _first_of(cluster: np.ndarray) -> np.ndarray:
    """The first document of each document's cluster, (n,) uint32, whatever numbers name the clusters."""
    _, first, inverse = np.unique(cluster, return_index=True, return_inverse=True)
    members: np.ndarray = first[inverse].astype(np.uint32)
    return members


def _kept(
    settings: SelectConfig, members: Members, removed: np.ndarray, url_kept_by_baseline: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `choose_kept`, and who was kept, (n,) bool. One that was taken out represents its cluster and URL still,
    unless that may keep another. A cluster or URL that an earlier output holds keeps no document."""
    outcome, kept_document = choose_kept(members, settings.keep, settings.url_duplicates, settings.keep_before_rules)
    kept, url_duplicate, taken_out = (
        int(np.flatnonzero(name == OUTCOME_NAMES)[0]) for name in ("kept", "url_duplicate", "removed")
    )
    if settings.url_duplicates:
        outcome[(outcome == kept) & url_kept_by_baseline] = url_duplicate
    own_kept = outcome == kept
    outcome[removed != STAYS] = taken_out
    return outcome, kept_document, own_kept


def outcomes_of_clusters(
    settings: SelectConfig, decisions: pa.Table, cluster: np.ndarray, facts: pa.Table
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Fate, kept document and `is_kept_document` of some whole clusters of a group, from KEEP_READS, what names the
    cluster of each, and FACTS_OF_CLUSTER: the election that `keep_in_groups` holds, in memory."""
    removed = decisions["removed"].to_numpy()
    members = Members(
        centre=_first_of(cluster),
        failed=decisions["failed"].to_numpy(zero_copy_only=False),
        already_read=facts["already_read"].to_numpy(zero_copy_only=False),
        url_hash=decisions["url_hash"].fill_null(0).to_numpy(),
        keep_priority={
            policy: KEEP_PRIORITY[policy][1](decisions[KEEP_PRIORITY[policy][0]])
            for policy in dict.fromkeys(settings.keep)
            if policy != "first_seen"
        },
        not_eligible=(removed == REPLACEABLE) | facts["kept_by_baseline"].is_valid().to_numpy(zero_copy_only=False),
    )
    outcome, kept_document, chosen = _kept(
        settings, members, removed, facts["url_kept_by_baseline"].to_numpy(zero_copy_only=False)
    )
    ids = decisions["id"].combine_chunks()
    nobody = kept_document == NOBODY
    own_kept = ids.take(pa.array(np.where(nobody, 0, kept_document), mask=nobody))
    return (
        pa.array(OUTCOME_NAMES[outcome], pa.string()),
        pa.compute.coalesce(facts["kept_by_baseline"], own_kept),
        pa.array(chosen),
    )


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


KEEP_PRIORITY: dict[KeepPolicy, tuple[str, Callable[[pa.ChunkedArray], np.ndarray]]] = {
    "longest": ("character_count", _numbers),
    "lowest_perplexity": ("perplexity", _negative),
    "newest": ("date", _dates),
    "best_language_score": ("language_score", _numbers),
}
