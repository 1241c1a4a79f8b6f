"""The cluster sizes that later outputs changed, applied to a selection of an earlier one.

A mixture needs two things of them: the statistics by cluster size as of now, and the rows of clean/ whose cluster has
another size than the one by which they are sorted. Tasks by shard group find the documents whose cluster has grown;
tasks by file of clean/ find the rows in which these stand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import ConfigError
from pipeline.execution.commit import committed, read_manifest
from pipeline.execution.storage import Location, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.kernels.hashing import hash64
from pipeline.output.grouped_parquet import SortedFiles
from pipeline.output.output import Output
from pipeline.passes.rebalance.later_outputs import Integers, LaterOutput
from pipeline.schema.manifests import ClusterIndex, ClusterSizeStatistics, SelectionManifest, SortKey
from pipeline.schema.outcomes import Outcome

DECISION_COLUMNS = ["group", "label", "id", "outcome", "failed", "is_eligible", "minhash_cluster_size"]
RESIZED = pa.schema(  # documents whose cluster has grown, sorted by the first three columns
    [
        ("label", pa.string()),
        ("minhash_cluster_size", pa.int64()),
        ("id_hash", pa.uint64()),
        ("id", pa.string()),
        ("size", pa.int64()),  # of now
    ]
)
FROM_DECISIONS = [name for name in RESIZED.names if name != "id_hash"]
BEYOND_HASHES = 2**64
ROW_GROUP_ROWS = 100_000
Statistics = dict[str, list[ClusterSizeStatistics]]
"""By label, in ascending cluster size."""


@dataclass(frozen=True)
class ResizedRows:
    """Rows of one clean file whose cluster has another size now than the one by which they are sorted.

    All arrays are of one length, in the order of the file.
    """

    path: str  # relative to the selection
    rows: Integers  # ascending
    sizes: Integers  # of now
    id_hashes: npt.NDArray[np.uint64]
    characters: Integers

    def where(self, mask: npt.NDArray[np.bool_]) -> "ResizedRows":
        """Those rows of which `mask` is true."""
        return ResizedRows(self.path, self.rows[mask], self.sizes[mask], self.id_hashes[mask], self.characters[mask])


@dataclass(frozen=True)
class CurrentSizes:
    """A selection as of now: its statistics, and by label the rows of its training files that have another size."""

    statistics: Statistics
    rows: dict[str, list[ResizedRows]]


@dataclass(frozen=True)
class ResizeTask:
    """A shard group of a selection, and the later outputs that say which of its documents have another size."""

    decisions: Location
    rows_before: dict[str, int]  # documents of each group in the shard groups before
    later_outputs: Sequence[LaterOutput]
    target: Location  # of its kept documents with another size, as RESIZED


@dataclass(frozen=True)
class FindRowsTask:
    """A clean file, and the files with the documents of another size, of which some stand in it."""

    folder: Location  # of the selection
    path: str
    label: str
    resized: list[Location]
    first: SortKey  # of the file
    end: SortKey | None  # the first of the next file of the label


def read_current_sizes(
    executor: Executor, folder: Location, later_outputs: Sequence[LaterOutput], manifest: SelectionManifest
) -> CurrentSizes:
    """The selection in `folder` with the cluster sizes of the last later output; without any, what its manifest says.

    Tasks by shard group hold a row group of decisions and the changed documents of their shard group, tasks by file the
    ids of a file; the result has 32 bytes a row. Raises ConfigError for a selection of other shards than the clusters.
    """
    if not later_outputs:
        return CurrentSizes(manifest.cluster_statistics, {})
    index = read_manifest(Output(folder.parent.parent).cluster_index, ClusterIndex)
    if manifest.shards != fingerprint(index.shard_groups):
        raise ConfigError(f"{folder}: of other shards than the clusters; make the selection again")
    scratch = folder / "mixtures" / "resized"
    remove_tree(scratch)
    resize_tasks = [
        ResizeTask(
            decisions=folder / "decisions" / f"shard-group-{number:05d}.parquet",
            rows_before={group: sum(entry.rows[:number]) for group, entry in index.groups.items()},
            later_outputs=later_outputs,
            target=scratch / f"shard-group-{number:05d}.parquet",
        )
        for number in range(len(index.shard_groups))
    ]
    changes = run_all(executor, resize_shard_group, resize_tasks)
    find_tasks = _find_tasks(folder, manifest, [task.target for task in resize_tasks])
    rows: dict[str, list[ResizedRows]] = {}
    for task, resized in zip(find_tasks, run_all(executor, find_rows, find_tasks), strict=True):
        if len(resized.rows):
            rows.setdefault(task.label, []).append(resized)
    remove_tree(scratch)
    return CurrentSizes(_changed_statistics(manifest.cluster_statistics, changes), rows)


def _find_tasks(folder: Location, manifest: SelectionManifest, resized: list[Location]) -> list[FindRowsTask]:
    tasks = []
    for label, files in manifest.files.items():
        training = [file for file in files if file.split == "train"]
        for file, following in zip(training, [*training[1:], None], strict=True):
            end = following.first if following else None
            tasks.append(FindRowsTask(folder, file.path, label, resized, file.first, end))
    return tasks


def _changed_statistics(statistics: Statistics, changes: Iterable[Statistics]) -> Statistics:
    """Statistics with changes added, without the sizes of which no document is left."""
    counts = {
        label: {size.cluster_size: (size.documents, size.failed) for size in statistics[label]} for label in statistics
    }
    for of_shard_group in changes:
        for label, sizes in of_shard_group.items():
            of_label = counts.setdefault(label, {})
            for size in sizes:
                documents, failed = of_label.get(size.cluster_size, (0, 0))
                of_label[size.cluster_size] = documents + size.documents, failed + size.failed
    return {
        label: [
            ClusterSizeStatistics(cluster_size=size, documents=documents, failed=failed)
            for size, (documents, failed) in sorted(of_label.items())
            if documents
        ]
        for label, of_label in counts.items()
    }


def resize_shard_group(task: ResizeTask) -> Statistics:
    """Write the kept documents of a shard group whose cluster has grown, by label.

    Returns what this changes in the statistics; the numbers of a size that documents leave are negative.
    """
    changes = []
    kept = []
    rows_read: dict[str, int] = {}
    with pq.ParquetFile(readable(task.decisions)) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=DECISION_COLUMNS)
            group = table["group"][0].as_py()
            first_row = task.rows_before[group] + rows_read.get(group, 0)
            rows_read[group] = rows_read.get(group, 0) + table.num_rows
            size = table["minhash_cluster_size"].to_numpy().copy()
            for later in task.later_outputs:
                for rows, sizes in later.sizes(group, first_row, table.num_rows):
                    size[rows] = sizes
            table = table.append_column("size", pa.array(size))
            table = table.filter(pc.not_equal(table["size"], table["minhash_cluster_size"]))
            changes += _changes_by_document(table.filter(table["is_eligible"]))
            kept.append(table.filter(pc.equal(table["outcome"], Outcome.KEPT)).select(FROM_DECISIONS))
    with committed(task.target) as path:
        _write_by_label(path, kept)
    return _sum_changes(changes)


def _changes_by_document(table: pa.Table) -> list[pa.Table]:
    """For each document that it leaves its old size, and that it comes to its new one."""
    return [
        pa.table(
            {
                "label": table["label"],
                "size": table[column],
                "documents": pa.array(np.full(table.num_rows, sign)),
                "failed": pc.multiply(table["failed"].cast(pa.int64()), sign),
            }
        )
        for column, sign in (("minhash_cluster_size", -1), ("size", 1))
    ]


def _sum_changes(changes: list[pa.Table]) -> Statistics:
    if not changes:
        return {}
    sums = pa.concat_tables(changes).group_by(["label", "size"]).aggregate([("documents", "sum"), ("failed", "sum")])
    by_label: Statistics = {}
    for row in sums.to_pylist():
        change = ClusterSizeStatistics(
            cluster_size=row["size"], documents=row["documents_sum"], failed=row["failed_sum"]
        )
        by_label.setdefault(row["label"], []).append(change)
    return by_label


def _write_by_label(path: Path, tables: list[pa.Table]) -> None:
    """Write rows as RESIZED, in row groups of one label each."""
    table = pa.concat_tables([RESIZED.empty_table().select(FROM_DECISIONS), *tables])
    hashes = pa.array([hash64(record_id) for record_id in table["id"].to_pylist()], pa.uint64())
    table = table.append_column("id_hash", hashes).select(RESIZED.names).cast(RESIZED)
    table = table.sort_by([(name, "ascending") for name in ("label", "minhash_cluster_size", "id_hash")])
    with pq.ParquetWriter(path, RESIZED, compression="lz4") as writer:
        for label in sorted(set(table["label"].to_pylist())):
            writer.write_table(table.filter(pc.equal(table["label"], label)), row_group_size=ROW_GROUP_ROWS)


def find_rows(task: FindRowsTask) -> ResizedRows:
    """The rows of a clean file among the documents whose cluster has grown."""
    candidates = _read_candidates(task)
    if candidates is None or not candidates.num_rows:
        empty = np.empty(0, np.int64)
        return ResizedRows(task.path, empty, empty, empty.astype(np.uint64), empty)
    clean = pq.read_table(readable(task.folder / task.path), columns=["id", "character_count"])
    position = pc.index_in(clean["id"], candidates["id"].combine_chunks()).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(~np.isnan(position))
    position = position[rows].astype(np.int64)
    return ResizedRows(
        task.path,
        rows,
        candidates["size"].to_numpy()[position],
        candidates["id_hash"].to_numpy()[position],
        clean["character_count"].to_numpy()[rows],
    )


def _read_candidates(task: FindRowsTask) -> pa.Table | None:
    """The documents of another size that, by their sort key, can stand in the file of a task."""
    tables = []
    low, high = _comparable(task.first), _comparable(task.end) if task.end is not None else None
    size_column, hash_column = RESIZED.get_field_index("minhash_cluster_size"), RESIZED.get_field_index("id_hash")
    with SortedFiles(task.resized, "label") as resized:
        for file, row_groups in zip(resized.files, resized.row_groups, strict=True):
            for number in row_groups.get(task.label, []):
                metadata = file.metadata.row_group(number)
                sizes, hashes = (metadata.column(column).statistics for column in (size_column, hash_column))
                is_of_one_size = sizes.min == sizes.max
                if (sizes.max, hashes.max if is_of_one_size else BEYOND_HASHES) < low or (
                    high is not None and (sizes.min, hashes.min if is_of_one_size else 0) > high
                ):
                    continue
                table = file.read_row_group(number)
                inside = ~_is_before(table, low)
                if high is not None:  # a row with the key of the next file's first can stand in either
                    inside &= _is_before(table, high) | _has_key(table, high)
                tables.append(table.filter(pa.array(inside)))
    return pa.concat_tables(tables) if tables else None


Key = tuple[int, int]


def _comparable(key: SortKey) -> Key:
    """A sort key as cluster size and hash, which compare as the rows are sorted."""
    return key.cluster_size, int(key.id_hash, 16)


def _is_before(table: pa.Table, key: Key) -> npt.NDArray[np.bool_]:
    """Which rows of a table as RESIZED are sorted before a key, (n,)."""
    size, id_hash = table["minhash_cluster_size"].to_numpy(), table["id_hash"].to_numpy()
    before: npt.NDArray[np.bool_] = (size < key[0]) | ((size == key[0]) & (id_hash < np.uint64(key[1])))
    return before


def _has_key(table: pa.Table, key: Key) -> npt.NDArray[np.bool_]:
    """Which rows of a table as RESIZED have a key, (n,)."""
    size, id_hash = table["minhash_cluster_size"].to_numpy(), table["id_hash"].to_numpy()
    same: npt.NDArray[np.bool_] = (size == key[0]) & (id_hash == np.uint64(key[1]))
    return same
