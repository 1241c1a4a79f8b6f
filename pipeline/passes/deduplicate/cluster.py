"""The clusters of a group: documents that share a key are linked, components found and verified, sizes counted."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.components import count_roots, flatten, new_parent, sizes_at_roots, union_edges
from pipeline.dedup.lsh import link
from pipeline.dedup.verify import Verifier
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location, readable
from pipeline.output.baselines import updated
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

ALREADY_READ = "already_read"
FOR_CLUSTERS = ["id", "id_hash", "is_eligible"]  # of a group, beside its keys
Rows = Callable[[list[str]], Iterator[pa.Table]]  # columns of a group in dense order, from the start, table by table


def _seen_before(ids: np.ndarray) -> np.ndarray:
    """Which rows repeat an id of an earlier row; (n,) bool."""
    seen = np.zeros(len(ids), dtype=bool)
    seen[link(ids)[1]] = True
    return seen


def mark_already_read(layout: Layout, files: list[Location], task: int, group: str) -> None:
    """Write which rows of a large group repeat a record; its link tasks leave them out."""
    with SortedFiles(files, "group") as signatures:
        ids = signatures.array(group, "id_hash")
    _save(layout.edges(task, ALREADY_READ), {ALREADY_READ: _seen_before(ids)})


def link_key(layout: Layout, files: list[Location], task: int, group: str, key: str) -> None:
    """Write the edges (a, b), uint32, between documents of a large group that share one key.

    Takes 9 bytes a document, 12 for each of the rows that `link` scatters at a time, and 8 an edge.
    """
    with SortedFiles(files, "group") as signatures:
        values = signatures.array(group, key)
    a, b = link(values, _read_mark(layout.edges(task, ALREADY_READ)))
    _save(layout.edges(task, key), {"a": a, "b": b})


def _save(path: Location, columns: dict[str, np.ndarray]) -> None:
    with committed(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="lz4", use_dictionary=False)


def _read_mark(path: Location) -> np.ndarray:
    """What `mark_already_read` wrote."""
    mark: np.ndarray = read_file(path, [ALREADY_READ])[ALREADY_READ].to_numpy()
    return mark


def cluster_groups(
    config: RunConfig,
    layout: Layout,
    files: list[Location],
    task: int,
    groups: dict[str, int],
    keys: list[str],
    before: Mapping[str, int],
) -> dict[str, Any]:
    """Cluster each group of a task and write centre and size of every document, in dense order.

    The first documents of a group, `before` says how many, are of earlier outputs: of those only changes are written.

    Of a large group only arrays of numbers are in memory, about 25 bytes a document, and the ids of the centres that
    lead others.
    """
    clusters: dict[str, int] = {}
    updates: list[pa.Table] = []
    overflow = 0
    with committed(layout.clusters(task)) as path, SortedFiles(files, "group") as signatures:
        writer: pq.ParquetWriter | None = None
        for group, total in groups.items():
            large = total >= config.dedup.large_group_rows
            if large:
                rows = partial(_prefetched_rows, signatures, group)
                already_read = _read_mark(layout.edges(task, ALREADY_READ))
                edges = prefetch(_edges_on_disk(layout, task, keys))
            else:
                table = signatures.read(
                    group, FOR_CLUSTERS + keys + (["minima", "signed"] if config.dedup.verified else [])
                )
                rows = partial(_slices, table)
                already_read = _seen_before(table["id_hash"].to_numpy())
                edges = (link(table[key].to_numpy(), already_read) for key in keys)
            centre, over = _cluster_centres(config, total, rows, edges)
            overflow += over
            earlier = before.get(group, 0)
            clusters[group] = len(np.unique(centre[earlier:])) if earlier else count_roots(centre)
            tables = _clusters(group, centre, already_read, rows)
            if earlier:
                changed, tables = updated(tables, rows(["id"]), centre, already_read, earlier)
                updates.append(changed)
            for found in prefetch(tables) if large else tables:
                writer = writer or signature_writer(path, found.schema)
                writer.write_table(found, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()
    if updates:
        with committed(layout.cluster_size_updates(task)) as path:
            write_by_group(path, pa.concat_tables(updates))
    return {"clusters": clusters, "overflow": overflow}


def _prefetched_rows(signatures: SortedFiles, group: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    return prefetch(signatures.chunks(group, columns, ROW_GROUP_ROWS))


def _slices(table: pa.Table, columns: Sequence[str]) -> Iterator[pa.Table]:
    return rechunked([table.select(columns)], ROW_GROUP_ROWS)


def _edges_on_disk(layout: Layout, task: int, keys: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What the link tasks of a large group found, a piece of one key at a time."""
    for key in keys:
        with pq.ParquetFile(readable(layout.edges(task, key))) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                yield table["a"].to_numpy(), table["b"].to_numpy()


def _cluster_centres(
    config: RunConfig, total: int, rows: Rows, edges: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[npt.NDArray[np.uint32], int]:
    """The centre of each document of a group, (total,) uint32, and how many were left alone as overflow."""
    parent = new_parent(total)
    for a, b in edges:
        union_edges(parent, a, b)
    roots: npt.NDArray[np.uint32] = flatten(parent).astype(np.uint32, copy=False)
    if not config.dedup.verified:
        return roots, 0
    width = config.dedup.bands * config.dedup.rows
    verifier = Verifier(roots, width, config.dedup.verify_threshold, config.dedup.max_cluster_centres)
    for table in rows(["minima", "signed", "exact_hash"]):
        array = table["minima"].combine_chunks()
        minima = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
        verifier.feed(
            minima.reshape(-1, width),
            table["signed"].to_numpy(zero_copy_only=False),
            table["exact_hash"].to_numpy(),
        )
    return verifier.centres.astype(np.uint32, copy=False), verifier.overflow_count


def _clusters(group: str, centre: np.ndarray, already_read: np.ndarray, rows: Rows) -> Iterator[pa.Table]:
    """The rows of the clusters file, a row group at a time. A document that leads itself has no `centre_id`."""
    sizes = sizes_at_roots(centre, already_read)
    names = Names(sizes >= 2, partial(rows, ["id"]))
    first = 0
    for table in rows(["is_eligible"]):
        here = slice(first, first + table.num_rows)
        centres = centre[here]
        itself = centres == np.arange(first, first + table.num_rows)
        first += table.num_rows
        yield pa.table(
            {
                "group": pa.repeat(group, table.num_rows),
                "centre": pa.array(centres),
                "centre_id": names.of(centres, itself),
                "size": pa.array(np.where(already_read[here], 1, sizes[centres]).astype(np.int64)),
                "already_read": pa.array(already_read[here]),
                "is_eligible": table["is_eligible"],
            }
        )
