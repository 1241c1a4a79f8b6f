"""keep: the outcome of every document of a group, and which document of each cluster is kept.

Takes what filter wrote and clusters/, and gives the scratch folder `outcomes/` of the selection, a row a document in
the order of the signatures. The choice itself is `dedup.keep.choose_kept`; here are the reading and writing, take-downs
and baselines.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import SelectConfig
from pipeline.dedup import keep as codes
from pipeline.dedup.keep import NOBODY, KeepPolicy, Members, choose_kept
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.baselines import KeptByBaselines, read_kept_by_baselines
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, Names, SortedFiles, cheap_compression, rechunked
from pipeline.output.layout import Layout
from pipeline.output.selection import SelectionFolder
from pipeline.output.take_downs import REPLACEABLE, STAYS
from pipeline.passes.select.columns import CLUSTERED, KEEP_READS
from pipeline.schema.outcomes import Outcome

REMOVED = 5  # a code beside those of `choose_kept`
OUTCOME_OF_CODE = {
    codes.KEPT: Outcome.KEPT,
    codes.FAILED_RULES: Outcome.FAILED_RULES,
    codes.DUPLICATE: Outcome.DUPLICATE,
    codes.URL_DUPLICATE: Outcome.URL_DUPLICATE,
    codes.ALREADY_READ: Outcome.ALREADY_READ,
    REMOVED: Outcome.REMOVED,
}
OUTCOMES = np.array([OUTCOME_OF_CODE[code].value for code in range(len(OUTCOME_OF_CODE))])  # by code


@dataclass(frozen=True)
class KeepTask:
    """Groups of documents whose outcomes are found, with their clusters in one file."""

    output: Layout
    folder: SelectionFolder  # in which the selection is made
    number: int  # of the task, by which the files of clusters and outcomes are named
    groups: dict[str, list[int]]  # documents of each group, by shard group
    baseline_decisions: list[Location]  # of the earlier outputs, oldest first
    select: SelectConfig


@dataclass(frozen=True)
class Choice:
    """What becomes of the documents of a group, before edits: arrays of the same length, in the order of the group."""

    outcome: np.ndarray  # uint8, a code of OUTCOME_OF_CODE
    kept_document: np.ndarray  # uint32, number within the group of the kept document of the cluster; NOBODY: none
    is_kept: np.ndarray  # bool: stands for its cluster and its URL, even where it was taken out


class LoadedGroup:
    """Columns of one group in memory, read as `SortedFiles` are: one read, not one for each column."""

    def __init__(self, files: SortedFiles, group: str, columns: Sequence[str]) -> None:
        self.table = files.read(group, columns)

    def array(
        self, _group: str, column: str, numbers: Callable[[pa.ChunkedArray], np.ndarray] | None = None
    ) -> np.ndarray:
        """See SortedFiles.array."""
        stored = self.table[column]
        values: np.ndarray = (
            numbers(stored) if numbers else (stored.fill_null(0) if stored.null_count else stored).to_numpy()
        )
        return values

    def chunks(self, _group: str, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """See SortedFiles.chunks."""
        return rechunked([self.table.select(list(columns))], rows)


GroupReader = SortedFiles | LoadedGroup


@dataclass(frozen=True)
class GroupSources:
    """Where what is known of the documents of a group is read."""

    group: str
    filtered: GroupReader
    clusters: GroupReader
    kept_by_baselines: KeptByBaselines
    has_baseline: bool  # whether earlier outputs have documents of the group


def keep_in_groups(task: KeepTask) -> None:
    """Write the outcome and kept document of every document of a task's groups, in the order of the signatures."""
    shard_groups = sorted({number for rows in task.groups.values() for number, count in enumerate(rows) if count})
    updates_path = task.output.cluster_size_updates(task.number)
    with (
        committed(task.folder.outcomes(task.number)) as path,
        SortedFiles([task.folder.filtered(shard_group) for shard_group in shard_groups], "group") as filtered,
        SortedFiles([task.output.clusters(task.number)], "group") as clusters,
        SortedFiles(task.baseline_decisions, "group") as baseline_decisions,
        SortedFiles([updates_path] if updates_path.exists() else [], "group") as updates,
    ):
        writer: pq.ParquetWriter | None = None
        for group, rows in task.groups.items():
            readers: tuple[GroupReader, GroupReader] = filtered, clusters
            if sum(rows) <= ROW_GROUP_ROWS:
                readers = LoadedGroup(filtered, group, KEEP_READS), LoadedGroup(clusters, group, ["centre", *CLUSTERED])
            kept_by_baselines = read_kept_by_baselines(group, baseline_decisions, updates)
            sources = GroupSources(group, *readers, kept_by_baselines, baseline_decisions.has(group))
            for table in _outcomes_of_group(task.select, sources):
                writer = writer or pq.ParquetWriter(path, table.schema, compression=cheap_compression(table.schema))
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()


def _outcomes_of_group(select: SelectConfig, sources: GroupSources) -> Iterator[pa.Table]:
    """The rows of a group, a row group at a time; of the whole group only numbers are in memory."""
    group, filtered, clusters, baselines = sources.group, sources.filtered, sources.clusters, sources.kept_by_baselines
    centre = clusters.array(group, "centre")
    url_hash = filtered.array(group, "url_hash")
    removed = filtered.array(group, "removed")
    baseline_places = baselines.places(centre)
    url_kept_by_baseline = baselines.has_url(url_hash)
    if sources.has_baseline:
        centre = _first_of(centre)  # centres are numbered over the documents of earlier outputs, too
    members = Members(
        centre=centre,
        failed=filtered.array(group, "failed"),
        already_read=clusters.array(group, "already_read"),
        url_hash=url_hash,
        keep_priority={
            policy: filtered.array(group, *KEEP_PRIORITY[policy])
            for policy in dict.fromkeys(select.keep)
            if policy != "first_seen"
        },
        not_eligible=(removed == REPLACEABLE) | (baseline_places != NOBODY),
    )
    choice = _choose(select, members, removed, url_kept_by_baseline)
    del members, centre, url_hash, removed
    names = _names_of_kept(choice, partial(filtered.chunks, group, ["id"], ROW_GROUP_ROWS))
    first = 0
    for ids, clustered in zip(
        filtered.chunks(group, ["id"], ROW_GROUP_ROWS), clusters.chunks(group, CLUSTERED, ROW_GROUP_ROWS), strict=True
    ):
        rows = np.arange(first, first + ids.num_rows, dtype=np.uint32)
        first += ids.num_rows
        own_ids = ids["id"].combine_chunks()
        kept = choice.kept_document[rows]
        is_itself, is_nobody = kept == rows, kept == NOBODY
        kept_id = pa.compute.if_else(pa.array(is_itself), own_ids, names.of(kept, is_itself | is_nobody))
        kept_by_baseline = baselines.names(baseline_places[rows])
        yield pa.table(
            {
                "group": pa.repeat(group, len(rows)),
                "outcome": pa.array(OUTCOMES[choice.outcome[rows]]),
                "kept_document": pa.compute.coalesce(kept_by_baseline, kept_id),
                "is_kept_document": pa.array(choice.is_kept[rows]),
                "minhash_cluster_id": pa.compute.coalesce(clustered["centre_id"].combine_chunks(), own_ids),
                "minhash_cluster_size": clustered["size"],
                "is_eligible": clustered["is_eligible"],
                "already_read": clustered["already_read"],
                "kept_by_baseline": kept_by_baseline,
                "url_kept_by_baseline": pa.array(url_kept_by_baseline[rows]),
            }
        )


def _names_of_kept(choice: Choice, read_ids: Callable[[], Iterator[pa.Table]]) -> Names:
    """The ids of the kept documents that stand for another document than themselves."""
    rows = np.arange(len(choice.kept_document), dtype=np.uint32)
    of_others = choice.kept_document[(choice.kept_document != rows) & (choice.kept_document != NOBODY)]
    is_named = np.zeros(len(rows), dtype=bool)
    is_named[of_others] = True
    return Names(is_named, read_ids)


def _first_of(cluster: np.ndarray) -> np.ndarray:
    """The first document of each document's cluster, (n,) uint32, whatever numbers name the clusters."""
    _, first, inverse = np.unique(cluster, return_index=True, return_inverse=True)
    members: np.ndarray = first[inverse].astype(np.uint32)
    return members


def _choose(select: SelectConfig, members: Members, removed: np.ndarray, url_kept_by_baseline: np.ndarray) -> Choice:
    """As `choose_kept`, with what was taken out, `removed` (n,) int8, and with what earlier outputs keep.

    A document that was taken out stands for its cluster and its URL still, unless the cluster may keep another. Where
    an earlier output keeps a document of a cluster or a URL, no document of it is kept.
    """
    outcome, kept_document = choose_kept(members, select.keep, select.url_duplicates, select.keep_before_rules)
    if select.url_duplicates:
        outcome[(outcome == codes.KEPT) & url_kept_by_baseline] = codes.URL_DUPLICATE
    is_kept = outcome == codes.KEPT
    outcome[removed != STAYS] = REMOVED
    return Choice(outcome, kept_document, is_kept)


def choose_again(select: SelectConfig, decisions: pa.Table) -> pa.Table:
    """What `keep_in_groups` finds, in memory, for whole clusters of one group, from their decisions.

    `decisions` have KEEP_READS, CLUSTER_FACTS and minhash_cluster_id. Gives outcome, kept_document and
    is_kept_document, a row for each row.
    """
    removed = decisions["removed"].to_numpy()
    is_kept_by_baseline = decisions["kept_by_baseline"].is_valid().to_numpy(zero_copy_only=False)
    members = Members(
        centre=_first_of(decisions["minhash_cluster_id"].to_numpy(zero_copy_only=False)),
        failed=decisions["failed"].to_numpy(zero_copy_only=False),
        already_read=decisions["already_read"].to_numpy(zero_copy_only=False),
        url_hash=decisions["url_hash"].fill_null(0).to_numpy(),
        keep_priority={
            policy: KEEP_PRIORITY[policy][1](decisions[KEEP_PRIORITY[policy][0]])
            for policy in dict.fromkeys(select.keep)
            if policy != "first_seen"
        },
        not_eligible=(removed == REPLACEABLE) | is_kept_by_baseline,
    )
    url_kept_by_baseline = decisions["url_kept_by_baseline"].to_numpy(zero_copy_only=False)
    choice = _choose(select, members, removed, url_kept_by_baseline)
    ids = decisions["id"].combine_chunks()
    is_nobody = choice.kept_document == NOBODY
    kept_id = ids.take(pa.array(np.where(is_nobody, 0, choice.kept_document), mask=is_nobody))
    return pa.table(
        {
            "outcome": pa.array(OUTCOMES[choice.outcome], pa.string()),
            "kept_document": pa.compute.coalesce(decisions["kept_by_baseline"], kept_id),
            "is_kept_document": pa.array(choice.is_kept),
        }
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


# Column of each keep policy, and how it becomes numbers of which the greatest is kept.
KEEP_PRIORITY: dict[KeepPolicy, tuple[str, Callable[[pa.ChunkedArray], np.ndarray]]] = {
    "longest": ("character_count", _numbers),
    "lowest_perplexity": ("perplexity", _negative),
    "newest": ("date", _dates),
    "best_language_score": ("language_score", _numbers),
}
