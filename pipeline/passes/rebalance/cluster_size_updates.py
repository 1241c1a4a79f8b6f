"""updates: the cluster sizes that later outputs changed, applied to a selection of an earlier one.

An output that was made over others writes, for each of their documents whose cluster has grown, its place among the
earlier documents of its group and the size of now (`clusters/size_updates/`). Here these become two things that a
mixture needs: statistics by cluster size as of now, and rows of clean/ whose size is another than the one they are
sorted by.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import ConfigError
from pipeline.execution.commit import committed, read_manifest
from pipeline.execution.storage import Location, check_reachable, locate, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.kernels.hashing import hash64
from pipeline.output.baselines import fingerprint_of_documents
from pipeline.output.grouped_parquet import SortedFiles
from pipeline.output.output import Output
from pipeline.schema.manifests import ClusterIndex

FILTERED = ["group", "label", "id", "outcome", "failed", "is_eligible", "minhash_cluster_size"]
RUN = pa.schema(
    [
        ("label", pa.string()),
        ("minhash_cluster_size", pa.int64()),
        ("id_hash", pa.uint64()),
        ("id", pa.string()),
        ("size", pa.int64()),  # of now
    ]
)
UNSORTED = [name for name in RUN.names if name != "id_hash"]
OLD_SIZE, ID_HASH = 1, 2  # columns of a run
MOST = 2**64
ROW_GROUP_ROWS = 100_000
Statistics = dict[str, list[list[int]]]  # label -> [cluster size, documents, documents that fail], by size


@dataclass(frozen=True)
class LaterOutput:
    """An output made over ours: its cluster index, and how many documents of each group come before ours in it."""

    layout: Output
    fingerprint: str
    tasks: dict[str, int]  # group -> its file of updates
    before: dict[str, int]

    def sizes(self, group: str, first: int, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(place, size) of those of our documents `first` to `first + rows` of a group whose cluster has grown."""
        start = self.before.get(group, 0) + first
        path = self.layout.cluster_size_updates(self.tasks[group]) if group in self.tasks else None
        if path is None or not path.exists():
            return
        with pq.ParquetFile(readable(path)) as file:
            columns = [file.schema_arrow.get_field_index(name) for name in ("group", "baseline_row")]
            for number in range(file.num_row_groups):
                metadata = file.metadata.row_group(number)
                groups, places = (metadata.column(column).statistics for column in columns)
                if groups.min == group and places.min < start + rows and places.max >= start:
                    table = file.read_row_group(number, columns=["baseline_row", "size"])
                    place = table["baseline_row"].to_numpy() - start
                    here = (place >= 0) & (place < rows)
                    yield place[here], table["size"].to_numpy()[here]


class Resized(NamedTuple):
    """Rows of one clean file whose cluster has another size now than the one they stand under; all of one length."""

    path: str
    rows: np.ndarray  # ascending
    sizes: np.ndarray  # of now
    id_hashes: np.ndarray
    characters: np.ndarray


def open_later_outputs(layout: Output, paths: Iterable[str]) -> list[LaterOutput]:
    """The outputs at `paths`, oldest first. Raises ConfigError for one that was not made over ours and those before."""
    known = [fingerprint_of_documents(read_manifest(layout.cluster_index, ClusterIndex))]
    found = []
    for text in paths:
        later = Output(locate(text))
        check_reachable(later.root)
        if not later.cluster_index.exists():
            raise ConfigError(f"--updates {text}: no finished output; name folders that `run` has ended")
        index = read_manifest(later.cluster_index, ClusterIndex)
        if missing := [one for one in known if one not in index.baseline]:
            raise ConfigError(
                f"--updates {text}: was not made over {'this output' if missing[0] == known[0] else 'those before it'} "
                "as it is now: its sizes do not count all documents; name outputs that have this one and each other as "
                "`baseline`, oldest first"
            )
        before: dict[str, int] = {}
        for rows in index.baseline_rows[: index.baseline.index(known[0])]:
            for group, count in rows.items():
                before[group] = before.get(group, 0) + count
        tasks = {group: entry.task for group, entry in index.groups.items()}
        found.append(LaterOutput(later, index.fingerprint, tasks, before))
        known.append(fingerprint_of_documents(index))
    return found


def resize(
    executor: Executor, folder: Location, later: Sequence[LaterOutput], manifest: dict[str, Any]
) -> tuple[Statistics, dict[str, list[Resized]]]:
    """The statistics of a selection as of now, and by label the rows of its training files that have another size; of
    no later outputs, what the manifest says, and none.

    Tasks by shard group hold a row group of decisions and the changed documents of their shard group, tasks by file the
    ids of a file; the result has 32 bytes a row.
    """
    if not later:
        return manifest["cluster_statistics"], {}
    layout = Output(folder.parent.parent)
    index = read_manifest(layout.cluster_index, ClusterIndex)
    if manifest["shards"] != fingerprint(index.shard_groups):
        raise ConfigError(f"{folder}: of other shards than the clusters; make the selection again")
    scratch = folder / "mixtures" / "resized"
    remove_tree(scratch)
    groups = {group: entry.rows for group, entry in index.groups.items()}
    runs = [scratch / f"shard-group-{shard_group:05d}.parquet" for shard_group in range(len(index.shard_groups))]
    moves = run_all(
        executor, resize_shard_group, [(folder, n, groups, later, path) for n, path in enumerate(runs)]
    )  # fmt: skip
    jobs = []
    for label, files in manifest["files"].items():
        training = [file for file in files if file["split"] == "train"]
        for file, after in zip(training, [*training[1:], None], strict=True):
            jobs.append((folder, runs, label, file["path"], file["first"], after["first"] if after else None))
    found: dict[str, list[Resized]] = {}
    for job, resized in zip(jobs, run_all(executor, find_resized, jobs), strict=True):
        if len(resized.rows):
            found.setdefault(job[2], []).append(resized)
    remove_tree(scratch)
    return _moved(manifest["cluster_statistics"], moves), found


def _moved(statistics: Statistics, moves: Iterable[list[list[Any]]]) -> Statistics:
    sums = {
        label: {size: [documents, failed] for size, documents, failed in rows} for label, rows in statistics.items()
    }
    for of_shard_group in moves:
        for label, size, documents, failed in of_shard_group:
            entry = sums.setdefault(label, {}).setdefault(size, [0, 0])
            entry[0] += documents
            entry[1] += failed
    return {label: [[size, *one] for size, one in sorted(sizes.items()) if one[0]] for label, sizes in sums.items()}


def resize_shard_group(
    folder: Location, shard_group: int, groups: dict[str, list[int]], later: Sequence[LaterOutput], target: Location
) -> list[list[Any]]:
    """Write the kept documents of a shard group whose cluster has grown, by label; returns what moves in the
    statistics, rows of (label, size, documents, documents that fail), negative where they leave."""
    changed = []
    kept = []
    done: dict[str, int] = {}
    with pq.ParquetFile(readable(folder / "decisions" / f"shard-group-{shard_group:05d}.parquet")) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=FILTERED)
            group = table["group"][0].as_py()
            first = sum(groups[group][:shard_group]) + done.get(group, 0)
            done[group] = done.get(group, 0) + table.num_rows
            size = table["minhash_cluster_size"].to_numpy().copy()
            for one in later:
                for rows, sizes in one.sizes(group, first, table.num_rows):
                    size[rows] = sizes
            table = table.append_column("size", pa.array(size))
            table = table.filter(pc.not_equal(table["size"], table["minhash_cluster_size"]))
            counted = table.filter(table["is_eligible"])
            for column, sign in (("minhash_cluster_size", -1), ("size", 1)):
                changed.append(
                    pa.table(
                        {
                            "label": counted["label"],
                            "size": counted[column],
                            "documents": pa.array(np.full(counted.num_rows, sign)),
                            "failed": pc.multiply(counted["failed"].cast(pa.int64()), sign),
                        }
                    )
                )
            kept.append(table.filter(pc.equal(table["outcome"], "kept")).select(UNSORTED))
    with committed(target) as path:
        _write_by_label(path, kept)
    if not changed:
        return []
    sums = pa.concat_tables(changed).group_by(["label", "size"]).aggregate([("documents", "sum"), ("failed", "sum")])
    return [list(row.values()) for row in sums.select(["label", "size", "documents_sum", "failed_sum"]).to_pylist()]


def _write_by_label(path: Any, tables: list[pa.Table]) -> None:
    table = pa.concat_tables([RUN.empty_table().select(UNSORTED), *tables])
    hashes = pa.array([hash64(one) for one in table["id"].to_pylist()], pa.uint64())
    table = table.append_column("id_hash", hashes).select(RUN.names).cast(RUN)
    table = table.sort_by([(name, "ascending") for name in ("label", "minhash_cluster_size", "id_hash")])
    with pq.ParquetWriter(path, RUN, compression="lz4") as writer:
        for label in sorted(set(table["label"].to_pylist())):
            writer.write_table(table.filter(pc.equal(table["label"], label)), row_group_size=ROW_GROUP_ROWS)


def find_resized(
    folder: Location, runs: list[Location], label: str, path: str, first: list[Any], end: list[Any] | None
) -> Resized:
    """The rows of a clean file among the changed documents; `first` and `end` are the first keys of it and the next."""
    parts = []
    low, high = _key(first), _key(end) if end is not None else None
    with SortedFiles(runs, "label") as runs_:
        for file, found in zip(runs_.files, runs_.row_groups, strict=True):
            for number in found.get(label, []):
                metadata = file.metadata.row_group(number)
                sizes, hashes = (metadata.column(column).statistics for column in (OLD_SIZE, ID_HASH))
                one_size = sizes.min == sizes.max
                if (sizes.max, hashes.max if one_size else MOST) < low or (
                    high is not None and (sizes.min, hashes.min if one_size else 0) > high
                ):
                    continue
                table = file.read_row_group(number)
                here = ~_before(table, low)
                if high is not None:  # a row with the key of the next file's first can stand in either
                    here &= _before(table, high) | _has(table, high)
                parts.append(table.filter(pa.array(here)))
    empty = np.empty(0, np.int64)
    changed = pa.concat_tables(parts) if parts else None
    if changed is None or not changed.num_rows:
        return Resized(path, empty, empty, empty.astype(np.uint64), empty)
    clean = pq.read_table(readable(folder / path), columns=["id", "character_count"])
    place = pc.index_in(clean["id"], changed["id"].combine_chunks()).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(~np.isnan(place))
    place = place[rows].astype(np.int64)
    return Resized(
        path,
        rows,
        changed["size"].to_numpy()[place],
        changed["id_hash"].to_numpy()[place],
        clean["character_count"].to_numpy()[rows],
    )


def _key(first: list[Any]) -> tuple[int, int]:
    return first[0], int(first[1], 16)


def _before(table: pa.Table, key: tuple[int, int]) -> np.ndarray:
    size, hashed = table[OLD_SIZE].to_numpy(), table[ID_HASH].to_numpy()
    before: np.ndarray = (size < key[0]) | ((size == key[0]) & (hashed < np.uint64(key[1])))
    return before


def _has(table: pa.Table, key: tuple[int, int]) -> np.ndarray:
    has: np.ndarray = (table[OLD_SIZE].to_numpy() == key[0]) & (table[ID_HASH].to_numpy() == np.uint64(key[1]))
    return has
