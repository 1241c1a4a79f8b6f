"""The clusters of a group: documents that share a key are linked, components found and verified, sizes counted.

A document's row number within its group counts from 0 over all signature files, those of the baselines first. All
arrays here are indexed by it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import DedupConfig
from pipeline.dedup.components import count_roots, flatten, new_parent, sizes_at_roots, union_edges
from pipeline.dedup.lsh import link
from pipeline.dedup.verify import Verifier
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location, readable
from pipeline.output.baselines import baseline_updates
from pipeline.output.grouped_parquet import (
    ROW_GROUP_ROWS,
    Names,
    SortedFiles,
    prefetch,
    read_file,
    rechunked,
    write_by_group,
)
from pipeline.output.layout import Layout
from pipeline.passes.deduplicate.collate import signature_writer

ALREADY_READ = "already_read"  # column and file of the mark that a row repeats a record that was read before
FOR_CLUSTERS = ["id", "id_hash", "is_eligible"]  # columns of a group that are read beside its keys
ReadColumns = Callable[[Sequence[str]], Iterator[pa.Table]]  # columns of a group from its first row on, in tables
Edges = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]  # two (m,) arrays: the ends of each edge


@dataclass(frozen=True)
class LargeGroup:
    """A group of documents with a task of its own, whose keys are linked by one task each before it is clustered."""

    layout: Layout
    files: Sequence[Location]  # signatures
    task: int  # number of its cluster file
    group: str


@dataclass(frozen=True)
class LinkTask:
    """Link the documents of a large group that share one key."""

    large_group: LargeGroup
    key: str  # column of the signatures


@dataclass(frozen=True)
class ClusterTask:
    """Cluster some groups of documents, whose clusters go to one file."""

    dedup: DedupConfig
    layout: Layout
    files: Sequence[Location]  # signatures
    task: int  # number of the cluster file
    rows: Mapping[str, int]  # group -> documents, those of baselines included
    baseline_rows: Mapping[str, int]  # group -> documents of baselines, which are its first


@dataclass(frozen=True)
class ClusteredGroups:
    """What a `ClusterTask` found."""

    clusters: dict[str, int] = field(default_factory=dict)  # group -> clusters that have a document of this output
    overflow: int = 0  # documents that no cluster centre was compared with


def mark_already_read(large_group: LargeGroup) -> None:
    """Write which rows of a large group repeat a record that was read before; its link tasks leave them out."""
    with SortedFiles(large_group.files, "group") as signatures:
        ids = signatures.array(large_group.group, "id_hash")
    _save(large_group.layout.edges(large_group.task, ALREADY_READ), {ALREADY_READ: _repeats_of(ids)})


def link_key(task: LinkTask) -> None:
    """Write the edges (a, b), uint32, between documents of a large group that share one key.

    Takes 9 bytes a document, 12 for each of the rows that `link` scatters at a time, and 8 an edge.
    """
    large_group = task.large_group
    with SortedFiles(large_group.files, "group") as signatures:
        keys = signatures.array(large_group.group, task.key)
    a, b = link(keys, _read_already_read(large_group.layout, large_group.task))
    _save(large_group.layout.edges(large_group.task, task.key), {"a": a, "b": b})


def _repeats_of(ids: np.ndarray) -> npt.NDArray[np.bool_]:
    """Which rows repeat the id of an earlier row; (n,) bool."""
    repeats = np.zeros(len(ids), dtype=bool)
    repeats[link(ids)[1]] = True
    return repeats


def _save(path: Location, columns: dict[str, np.ndarray]) -> None:
    with committed(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="lz4", use_dictionary=False)


def _read_already_read(layout: Layout, task: int) -> npt.NDArray[np.bool_]:
    """What `mark_already_read` wrote for the large group of a task, (n,) bool."""
    already_read: npt.NDArray[np.bool_] = read_file(layout.edges(task, ALREADY_READ), [ALREADY_READ])[
        ALREADY_READ
    ].to_numpy()
    return already_read


def cluster_groups(task: ClusterTask) -> ClusteredGroups:
    """Cluster each group of a task; write centre and size of every document of this output.

    Of the documents of baselines, only those whose cluster has new members are written, to a file of their own.

    Of a large group, only arrays of numbers are in memory, about 25 bytes a document, and the ids of the centres that
    have other members.
    """
    clusters: dict[str, int] = {}
    updates: list[pa.Table] = []
    overflow = 0
    with committed(task.layout.clusters(task.task)) as path, SortedFiles(task.files, "group") as signatures:
        writer: pq.ParquetWriter | None = None
        for group in task.rows:
            clustered = _cluster_group(task, group, signatures)
            clusters[group] = clustered.clusters
            overflow += clustered.overflow
            updates += clustered.updates
            for table in clustered.tables:
                writer = writer or signature_writer(path, table.schema)
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()
    if updates:
        with committed(task.layout.cluster_size_updates(task.task)) as path:
            write_by_group(path, pa.concat_tables(updates))
    return ClusteredGroups(clusters, overflow)


@dataclass(frozen=True)
class _ClusteredGroup:
    """The clusters of one group."""

    tables: Iterator[pa.Table]  # rows of the cluster file
    updates: list[pa.Table]  # documents of baselines whose cluster has new members; none without a baseline
    clusters: int
    overflow: int


def _cluster_group(task: ClusterTask, group: str, signatures: SortedFiles) -> _ClusteredGroup:
    """Cluster one group; its keys were linked before where it is large, else they are linked here, in memory."""
    is_large = task.rows[group] >= task.dedup.large_group_rows
    read: ReadColumns
    edges: Iterable[Edges]
    if is_large:
        read = partial(_read_ahead, signatures, group)
        already_read = _read_already_read(task.layout, task.task)
        edges = prefetch(_edges_on_disk(task.layout, task.task, task.dedup.keys))
    else:
        keys = task.dedup.keys
        columns = [*FOR_CLUSTERS, *keys, *(["minima", "signed"] if task.dedup.verified else [])]
        table = signatures.read(group, columns)
        read = partial(_slices, table)
        already_read = _repeats_of(table["id_hash"].to_numpy())
        edges = (link(table[key].to_numpy(), already_read) for key in keys)
    centre, overflow = _cluster_centres(task.dedup, task.rows[group], read, edges)
    tables = _cluster_tables(group, centre, already_read, read)
    first_row = task.baseline_rows.get(group, 0)  # of this output's own documents
    if not first_row:
        return _ClusteredGroup(prefetch(tables) if is_large else tables, [], count_roots(centre), overflow)
    updates, tables = baseline_updates(tables, read(["id"]), centre, already_read, first_row)
    clusters = len(np.unique(centre[first_row:]))
    return _ClusteredGroup(prefetch(tables) if is_large else tables, [updates], clusters, overflow)


def _read_ahead(signatures: SortedFiles, group: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    return prefetch(signatures.chunks(group, columns, ROW_GROUP_ROWS))


def _slices(table: pa.Table, columns: Sequence[str]) -> Iterator[pa.Table]:
    return rechunked([table.select(columns)], ROW_GROUP_ROWS)


def _edges_on_disk(layout: Layout, task: int, keys: Sequence[str]) -> Iterator[Edges]:
    """The edges that the link tasks of a large group wrote, a row group of one key at a time."""
    for key in keys:
        with pq.ParquetFile(readable(layout.edges(task, key))) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                yield table["a"].to_numpy(), table["b"].to_numpy()


def _cluster_centres(
    dedup: DedupConfig, total: int, read: ReadColumns, edges: Iterable[Edges]
) -> tuple[npt.NDArray[np.uint32], int]:
    """The centre of each of `total` documents of a group, (total,) uint32, and how many are overflow.

    A document is overflow where its component has as many cluster centres as may be and it resembles none of them.
    """
    parent = new_parent(total)
    for a, b in edges:
        union_edges(parent, a, b)
    roots: npt.NDArray[np.uint32] = flatten(parent).astype(np.uint32, copy=False)
    if not dedup.verified:
        return roots, 0
    width = dedup.bands * dedup.rows
    verifier = Verifier(roots, width, dedup.verify_threshold, dedup.max_cluster_centres)
    for table in read(["minima", "signed", "exact_hash"]):
        array = table["minima"].combine_chunks()
        minima = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
        verifier.feed(
            minima.reshape(-1, width),
            table["signed"].to_numpy(zero_copy_only=False),
            table["exact_hash"].to_numpy(),
        )
    return verifier.centres.astype(np.uint32, copy=False), verifier.overflow_count


def _cluster_tables(
    group: str, centre: npt.NDArray[np.uint32], already_read: npt.NDArray[np.bool_], read: ReadColumns
) -> Iterator[pa.Table]:
    """The rows of the cluster file, a row group at a time. `centre_id` is null for a document that is its own centre.

    A record that was read before counts in no cluster and has the size 1.
    """
    sizes = sizes_at_roots(centre, already_read)
    ids = Names(sizes >= 2, partial(read, ["id"]))
    first = 0
    for table in read(["is_eligible"]):
        rows = slice(first, first + table.num_rows)
        centres = centre[rows]
        is_own_centre = centres == np.arange(first, first + table.num_rows)
        first += table.num_rows
        yield pa.table(
            {
                "group": pa.repeat(group, table.num_rows),
                "centre": pa.array(centres),
                "centre_id": ids.of(centres, is_own_centre),
                "size": pa.array(np.where(already_read[rows], 1, sizes[centres]).astype(np.int64)),
                "already_read": pa.array(already_read[rows]),
                "is_eligible": table["is_eligible"],
            }
        )
