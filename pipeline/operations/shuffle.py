"""The tasks that write a mixture in a shuffled order: scatter, regroup and gather.

Copy c of r of a document stands at (c + u) / r of the whole, u in [0, 1) being a hash of its id and the seed. So the
order is a full shuffle, the copies of a document lie 1 / r of the whole apart, and a row's position depends on nothing
else: not on workers, tasks or shard groups. Scatter tasks read rows of clean files and write a sorted run each; gather
writes one file a shard from its rows in all runs. Where there are more shards or runs than a file or a task should
have, regroup stands between, in ranges of shards. No task holds much more text than its driver gives it, or a shard.
"""

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from pipeline.execution.commit import committed, sha256_of
from pipeline.execution.storage import Location
from pipeline.output.grouped_parquet import SortedFiles
from pipeline.output.mixtures import RepeatedRows, read_rows
from pipeline.schema.columns import CLEAN_FIRST
from pipeline.schema.manifests import MaterializedFile

ORDER = [("position", "ascending"), ("id", "ascending"), ("copy", "ascending")]
ROW_GROUP_ROWS = 10_000
DICTIONARY = ["dump", "language", "language_script", "file_path"]


@dataclass(frozen=True)
class Shuffle:
    """The order of the rows and how it is cut: into `shards` files, consecutive ones of which are a range."""

    seed: int
    shards: int
    shards_of_range: int

    @property
    def ranges(self) -> int:
        """How many there are."""
        return -(-self.shards // self.shards_of_range)


@dataclass(frozen=True)
class ScatterTask:
    """Rows of clean files in `folder` that are written, with their copies, as one run."""

    folder: Location
    rows: list[RepeatedRows]  # those of a file stand together
    target: Location
    shuffle: Shuffle


@dataclass(frozen=True)
class RegroupTask:
    """Runs with row groups by range, of which the rows of one range are written as one run, by shard."""

    runs: list[Location]
    target: Location
    range_number: int
    shuffle: Shuffle


@dataclass(frozen=True)
class GatherTask:
    """Runs with row groups by shard, and the file of one shard."""

    runs: list[Location]
    target: Location
    shard: int
    empty: pa.Table  # with the columns of a run


@dataclass(frozen=True)
class GatheredShard:
    """What gather wrote: the file, its rows by label, and the sum over their positions modulo 2**64."""

    file: MaterializedFile
    rows_by_label: dict[str, int]
    checksum: int


def scatter(task: ScatterTask) -> int:
    """Write a run: rows and their copies, sorted by range and position. Returns a sum over positions, for the audit."""
    tables = []
    for path, of_file in groupby(task.rows, key=attrgetter("file")):
        for rows, repeats in read_rows(task.folder / path, list(of_file), CLEAN_FIRST):
            for count in np.unique(repeats):
                tables.append(_copies(rows.filter(pa.array(repeats == count)), int(count), task.shuffle.seed))
    table = pa.concat_tables(tables)
    _write_run(table, task.target, task.shuffle.shards, task.shuffle.shards_of_range)
    return int(table["position"].to_numpy().sum())  # wraps modulo 2**64


def _copies(table: pa.Table, repeats: int, seed: int) -> pa.Table:
    """Each row `repeats` times, with `copy` and `position` (uint64, of 2**64)."""
    hashes = np.array(
        [xxhash.xxh64_intdigest(record_id.encode(), seed) for record_id in table["id"].to_pylist()], dtype=np.uint64
    )
    # (c * 2**64 + hash) / repeats, without leaving 64 bits
    starts = np.array([(copy << 64) // repeats for copy in range(repeats)], dtype=np.uint64)
    positions = (starts[None, :] + (hashes // np.uint64(repeats))[:, None]).reshape(-1)  # (rows * repeats,)
    copies = np.tile(np.arange(repeats, dtype=np.int32), table.num_rows)
    table = table.take(pa.array(np.repeat(np.arange(table.num_rows), repeats)))
    return table.append_column("copy", pa.array(copies)).append_column("position", pa.array(positions))


def shard_of(positions: npt.NDArray[np.uint64], shards: int) -> npt.NDArray[np.uint64]:
    """floor(position / 2**64 * shards), by the upper 32 bits.

    >>> shard_of(np.array([0, 2**63 - 1, 2**63, 2**64 - 1], np.uint64), 4).tolist()
    [0, 1, 2, 3]
    """
    return ((positions >> np.uint64(32)) * np.uint64(shards)) >> np.uint64(32)


def _write_run(table: pa.Table, target: Location, shards: int, shards_of_range: int) -> None:
    """Write rows sorted, with row groups of their own for each range of so many shards, whose name is a column."""
    order = pc.sort_indices(table.select([name for name, _ in ORDER]), ORDER)
    ranges = shard_of(table["position"].to_numpy()[order], shards) // np.uint64(shards_of_range)
    starts = np.flatnonzero(np.append(True, ranges[1:] != ranges[:-1]))
    ends = np.append(starts[1:], table.num_rows)
    table = table.append_column("range", pa.nulls(table.num_rows, pa.string()))
    with (
        committed(target) as path,
        pq.ParquetWriter(path, table.schema, compression="lz4", use_dictionary=[*DICTIONARY, "range"]) as writer,
    ):
        for start, end in zip(starts, ends, strict=True):
            name = pa.repeat(_range_name(ranges[start]), end - start)
            rows = table.take(order[start:end]).set_column(table.num_columns - 1, "range", name)
            writer.write_table(rows, row_group_size=end - start)


def _range_name(number: int) -> str:
    """Of a fixed width, so that names sort as numbers."""
    return f"{number:06d}"


def regroup(task: RegroupTask) -> int:
    """Write the rows of one range of many runs as one run, by shard. Returns the rows; without any there is no file."""
    table = _read_range(task.runs, task.range_number)
    if table is None:
        return 0
    _write_run(table.drop_columns(["range"]), task.target, task.shuffle.shards, 1)
    return int(table.num_rows)


def _read_range(runs: list[Location], number: int) -> pa.Table | None:
    """The rows of a range in many runs, None where there are none; after regroup a range is a shard."""
    name = _range_name(number)
    with SortedFiles(runs, "range") as files:
        if name not in files.values():
            return None
        return files.read(name, files.files[0].schema_arrow.names)


def gather(task: GatherTask) -> GatheredShard:
    """Write one shard from its rows in all runs.

    With few documents and many shards one can be without rows: it is written, too, so that `-of-` in its name holds.
    """
    table = _read_range(task.runs, task.shard)
    if table is None:
        table = task.empty
    order = pc.sort_indices(table.select([name for name, _ in ORDER]), ORDER)
    checksum = int(table["position"].to_numpy().sum())  # wraps modulo 2**64
    table = table.drop_columns(["position", "range"])
    with committed(task.target) as path:
        with pq.ParquetWriter(
            path,
            table.schema,
            compression="zstd",
            compression_level=3,
            write_page_index=True,
            use_dictionary=DICTIONARY,
        ) as writer:
            for start in range(0, table.num_rows, ROW_GROUP_ROWS):  # a second copy of a row group, not of the shard
                rows = table.take(order[start : start + ROW_GROUP_ROWS]).combine_chunks()
                writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        size, digest = path.stat().st_size, sha256_of(path)
    labels = pc.value_counts(pc.binary_join_element_wise(table["language"], table["language_script"], "_"))
    return GatheredShard(
        file=MaterializedFile(path=f"data/{task.target.name}", rows=table.num_rows, bytes=size, sha256=digest),
        rows_by_label={count["values"]: count["counts"] for count in labels.to_pylist()},
        checksum=checksum,
    )
