"""Signature columns gathered by group: a file for each shard group of shards, or for many shard groups together."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.language_files import LanguageConfig
from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, SortedFiles, cheap_compression, read_file
from pipeline.output.layout import Layout
from pipeline.passes.deduplicate.eligible import eligible_rows

READ = ["group", "id", "id_hash", "exact_hash", "bands", "minima"]
COLLATE_ROWS = 2_000_000  # documents of a shard group that are sorted at a time


def collate_shard_group(
    config: RunConfig, layout: Layout, shard_group: int, shards: list[str], eligible: dict[str, LanguageConfig]
) -> dict[str, int]:
    """Write the signature columns of a shard group, sorted by group and then (shard, row); returns rows by group.

    A document outside the population gets null keys, so that it is a cluster of its own. Shards of COLLATE_ROWS
    documents or more are sorted at a time, about 1 kB a document with its copies, and their files merged.
    """
    rows: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="glotmill-collate-") as scratch,
        committed(layout.signatures(shard_group)) as path,
    ):
        pieces: list[Location] = []
        waiting: list[pa.Table] = []
        for number, shard in enumerate(shards):
            waiting.append(_signatures_of(config, layout, number, shard, eligible))
            last = number + 1 == len(shards)
            if last or sum(table.num_rows for table in waiting) >= COLLATE_ROWS:
                piece = path if last and not pieces else Path(scratch, f"piece-{len(pieces):05d}.parquet")
                pieces.append(piece)
                rows.update(_write_groups(pa.concat_tables(waiting), piece))
                waiting = []
        if len(pieces) > 1:
            _write_merged(pieces, path)
    return dict(rows)


def _signatures_of(
    config: RunConfig, layout: Layout, number: int, shard: str, eligible: dict[str, LanguageConfig]
) -> pa.Table:
    """The signature columns of a shard, in its order."""
    table = read_file(layout.annotated(shard), READ)
    part = eligible_rows(config, layout, shard, eligible) if eligible else np.ones(table.num_rows, dtype=bool)
    bands = fixed_rows(table["bands"], config.dedup.bands * 8).view("<u8")  # (n, bands) uint64, 0 is null
    exact = table["exact_hash"].fill_null(0).to_numpy().astype(np.uint64)
    bands[~part] = 0
    exact[~part] = 0
    minima = fixed_rows(table["minima"], config.dedup.bands * config.dedup.rows)
    return pa.table(
        {
            "group": table["group"],
            "shard": np.full(table.num_rows, number, np.int32),
            "row": np.arange(table.num_rows),
            "id": table["id"],
            "id_hash": table["id_hash"],
            "is_eligible": part,
            "exact_hash": exact,
        }
        | {f"band_{band:02d}": np.ascontiguousarray(bands[:, band]) for band in range(config.dedup.bands)}
        | {
            "minima": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(minima.shape[1]), len(minima), [None, pa.py_buffer(minima)]
            ),
            "signed": pa.compute.binary_length(table["bands"]).to_numpy() > 0,
        }
    )


def _write_groups(table: pa.Table, path: Path) -> dict[str, int]:
    """Write rows by group, which keep their order within it; returns how many each has."""
    groups = table["group"].combine_chunks().dictionary_encode()
    rows: dict[str, int] = {}
    with signature_writer(path, table.schema) as writer:
        for group in sorted(groups.dictionary.to_pylist()):
            code = groups.dictionary.index(group)
            here = table.filter(pa.compute.equal(groups.indices, code.cast(groups.indices.type)))
            rows[group] = here.num_rows
            writer.write_table(here.combine_chunks(), row_group_size=ROW_GROUP_ROWS)
    return rows


def _write_merged(files: list[Location], path: Path) -> None:
    """One file of many: rows sorted by group and then as the files are."""
    with SortedFiles(files, "group") as sorted_:
        schema = sorted_.files[0].schema_arrow
        with signature_writer(path, schema) as writer:
            for group in sorted_.values():
                for table in sorted_.chunks(group, schema.names, ROW_GROUP_ROWS):
                    writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def signature_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Writer of signatures or clusters; no dictionaries, as hashes and ids hardly repeat."""
    return pq.ParquetWriter(path, schema, compression=cheap_compression(schema), use_dictionary=["group"])


def fixed_rows(values: pa.ChunkedArray, width: int) -> np.ndarray:
    """(n, width) uint8 of binary values that have `width` bytes, zeros where they are empty."""
    array = values.combine_chunks()
    rows = np.zeros((len(array), width), dtype=np.uint8)
    if not len(array):
        return rows
    filled = pa.compute.binary_length(array).to_numpy(zero_copy_only=False) > 0
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64, count=len(array) + 1, offset=array.offset * 8)
    data = np.frombuffer(array.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    rows[filled] = data.reshape(-1, width)
    return rows


def gather(config: RunConfig, layout: Layout, executor: Executor, files: list[Location]) -> list[Location]:
    """The signature files in dense order: those of the shard groups, or, where they are too many, of many shard groups
    each."""
    if len(files) <= config.dedup.collate_files:
        return files
    pieces = [
        files[start : start + config.dedup.collate_files] for start in range(0, len(files), config.dedup.collate_files)
    ]
    run_all(executor, gather_shard_groups, [(layout, number, piece) for number, piece in enumerate(pieces)])
    return [layout.gathered(number) for number in range(len(pieces))]


def gather_shard_groups(layout: Layout, number: int, files: list[Location]) -> None:
    """Write the rows of many shard groups as one file, sorted by group and then as the shard groups are."""
    with committed(layout.gathered(number)) as path:
        _write_merged(files, path)
