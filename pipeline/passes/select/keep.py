"""elect: the fate of every document of a group, and which of each cluster represents it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial as with_arguments

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig, SelectConfig
from pipeline.dedup.keep import FATE_NAMES, NOBODY, KeepPolicy, Members, elect
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.baselines import Held, Index, held
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, Names, SortedFiles, cheap_compression, rechunked
from pipeline.output.layout import Layout
from pipeline.output.take_downs import REPLACEABLE, STAYS
from pipeline.passes.select.columns import CLUSTERED, TO_ELECT


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
