"""Signature columns collated by group: one file for each shard group, or for many shard groups together.

A file is sorted by group, and each group has row groups of its own, so that a task can read the rows of its groups from
every file without reading the others.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, SortedFiles, cheap_compression, read_file
from pipeline.output.layout import Layout
from pipeline.passes.deduplicate.eligible import Eligibility

READ = ["group", "id", "id_hash", "exact_hash", "bands", "minima"]
COLLATE_ROWS = 2_000_000  # documents of a shard group that are sorted at a time


@dataclass(frozen=True)
class CollateTask:
    """Collate the signatures of one shard group."""

    layout: Layout
    shard_group: int
    shards: Sequence[str]
    eligibility: Eligibility
    bands: int  # of the signature scheme
    rows: int  # minima of a band


@dataclass(frozen=True)
class GatherTask:
    """Gather the signature files of some shard groups into one."""

    layout: Layout
    number: int  # of the file that is written
    files: Sequence[Location]


def collate_shard_group(task: CollateTask) -> dict[str, int]:
    """Write the signature columns of a shard group, sorted by group, shard and row; returns documents by group.

    A document that is not eligible for deduplication gets null keys, so that it is a cluster of its own. As many shards
    as have COLLATE_ROWS documents are sorted at a time, in about 1 kB a document with its copies, and their files
    merged.
    """
    documents: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="glotmill-collate-") as scratch,
        committed(task.layout.signatures(task.shard_group)) as path,
    ):
        pieces: list[Location] = []
        waiting: list[pa.Table] = []
        for number, shard in enumerate(task.shards):
            waiting.append(_signatures_of(task, number, shard))
            is_last = number + 1 == len(task.shards)
            if is_last or sum(table.num_rows for table in waiting) >= COLLATE_ROWS:
                piece = path if is_last and not pieces else Path(scratch, f"piece-{len(pieces):05d}.parquet")
                pieces.append(piece)
                documents.update(_write_groups(pa.concat_tables(waiting), piece))
                waiting = []
        if len(pieces) > 1:
            _write_merged(pieces, path)
    return dict(documents)


def _signatures_of(task: CollateTask, number: int, shard: str) -> pa.Table:
    """The signature columns of a shard, which has this number in its shard group, in the order of its rows."""
    table = read_file(task.layout.annotated(shard), READ)
    if task.eligibility.rules:
        eligible = task.eligibility.of_shard(task.layout, shard)
    else:
        eligible = np.ones(table.num_rows, dtype=bool)
    bands = fixed_rows(table["bands"], task.bands * 8).view("<u8")  # (n, bands) uint64, 0 is null
    exact = table["exact_hash"].fill_null(0).to_numpy().astype(np.uint64)
    bands[~eligible] = 0
    exact[~eligible] = 0
    minima = fixed_rows(table["minima"], task.bands * task.rows)  # (n, bands * rows) uint8
    return pa.table(
        {
            "group": table["group"],
            "shard": np.full(table.num_rows, number, np.int32),
            "row": np.arange(table.num_rows),
            "id": table["id"],
            "id_hash": table["id_hash"],
            "is_eligible": eligible,
            "exact_hash": exact,
        }
        | {f"band_{band:02d}": np.ascontiguousarray(bands[:, band]) for band in range(task.bands)}
        | {
            "minima": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(minima.shape[1]), len(minima), [None, pa.py_buffer(minima)]
            ),
            "signed": pa.compute.binary_length(table["bands"]).to_numpy() > 0,
        }
    )


def _write_groups(table: pa.Table, path: Path) -> dict[str, int]:
    """Write rows by group, in each of which they keep their order; returns how many rows each has."""
    groups = table["group"].combine_chunks().dictionary_encode()
    rows: dict[str, int] = {}
    with signature_writer(path, table.schema) as writer:
        for group in sorted(groups.dictionary.to_pylist()):
            code = groups.dictionary.index(group)
            of_group = table.filter(pa.compute.equal(groups.indices, code.cast(groups.indices.type)))
            rows[group] = of_group.num_rows
            writer.write_table(of_group.combine_chunks(), row_group_size=ROW_GROUP_ROWS)
    return rows


def _write_merged(files: Sequence[Location], path: Path) -> None:
    """Write one file from many, its rows sorted by group and within a group in the order of the files."""
    with SortedFiles(files, "group") as sorted_files:
        schema = sorted_files.files[0].schema_arrow
        with signature_writer(path, schema) as writer:
            for group in sorted_files.values():
                for table in sorted_files.chunks(group, schema.names, ROW_GROUP_ROWS):
                    writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def signature_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Writer of signatures or clusters; without dictionaries, as hashes and ids hardly repeat."""
    return pq.ParquetWriter(path, schema, compression=cheap_compression(schema), use_dictionary=["group"])


def fixed_rows(values: pa.ChunkedArray, width: int) -> npt.NDArray[np.uint8]:
    """(n, width) uint8 of large binary values that have `width` bytes or none; zeros where they have none."""
    array = values.combine_chunks()
    rows = np.zeros((len(array), width), dtype=np.uint8)
    if not len(array):
        return rows
    filled = pa.compute.binary_length(array).to_numpy(zero_copy_only=False) > 0
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64, count=len(array) + 1, offset=array.offset * 8)
    data = np.frombuffer(array.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    rows[filled] = data.reshape(-1, width)
    return rows


def gather(layout: Layout, executor: Executor, files: Sequence[Location], max_files: int) -> Sequence[Location]:
    """Signature files that are few enough for a task to open, in the same order.

    Those of the shard groups; where these are more than `max_files`, files of so many shard groups each.
    """
    if len(files) <= max_files:
        return files
    pieces = [files[start : start + max_files] for start in range(0, len(files), max_files)]
    run_all(executor, gather_shard_groups, [GatherTask(layout, number, piece) for number, piece in enumerate(pieces)])
    return [layout.gathered(number) for number in range(len(pieces))]


def gather_shard_groups(task: GatherTask) -> None:
    """Write the rows of some shard groups as one file, sorted by group and within it as the shard groups are."""
    with committed(task.layout.gathered(task.number)) as path:
        _write_merged(task.files, path)
