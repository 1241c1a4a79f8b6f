"""Files of clean/: whole row groups, so that their bytes do not depend on how the rows came."""

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed, sha256_of
from pipeline.execution.storage import Location
from pipeline.kernels.hashing import hash64
from pipeline.output.grouped_parquet import cheap_compression
from pipeline.schema.columns import CLEAN_FIRST, CLEAN_NOT
from pipeline.schema.manifests import ClusterSizeRun, SortKey

FEW_ROWS = 1000  # of a part: beginning zstd for each number's column takes longer than it saves room


class PartWriter:
    """One file of clean/, written in whole row groups, so that its bytes do not depend on how the rows came."""

    def __init__(self, folder: Location, path: str, split: str, row_group_rows: int) -> None:
        self.path, self.split, self.row_group_rows = path, split, row_group_rows
        self.writing = ExitStack()
        self.temporary = self.writing.enter_context(committed(folder / path))
        self.writer: pq.ParquetWriter | None = None
        self.buffer: pa.Table | None = None
        self.rows = self.characters = self.removed_characters = self.removed_documents = 0
        self.first: SortKey | None = None
        self.runs: list[ClusterSizeRun] = []

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writing.__exit__(kind, error, trace)

    def write(self, table: pa.Table) -> None:
        """The next rows, in ORDER; columns that are not of clean/ are left out."""
        columns = [*CLEAN_FIRST, *(n for n in table.column_names if n not in CLEAN_FIRST and n not in CLEAN_NOT)]
        if self.first is None and table.num_rows:
            self.first = order_key(table["minhash_cluster_size"][0].as_py(), table["id"][0].as_py())
        table = table.select(columns)
        table = pa.concat_tables([self.buffer, table]) if self.buffer is not None else table
        while table.num_rows >= self.row_group_rows:
            self._write_row_group(table.slice(0, self.row_group_rows))
            table = table.slice(self.row_group_rows)
        self.buffer = table if table.num_rows else None

    def _write_row_group(self, table: pa.Table) -> None:
        table = table.combine_chunks()
        self.writer = self.writer or self._open(table)
        self.writer.write_table(table, row_group_size=table.num_rows)
        self.runs = _with_runs_of(table, self.rows, self.runs)
        self.rows += table.num_rows
        self.characters += int(pa.compute.sum(table["character_count"]).as_py())
        removed = table["removed_character_count"].to_numpy()
        self.removed_characters += int(removed.sum())
        self.removed_documents += int(np.count_nonzero(removed))

    def _open(self, table: pa.Table) -> pq.ParquetWriter:
        """The file's writer, for its first row group."""
        few = table.num_rows < FEW_ROWS
        return self.writing.enter_context(
            pq.ParquetWriter(
                self.temporary,
                table.schema,
                compression=cheap_compression(table.schema) if few else "zstd",
                compression_level=None if few else 3,
                write_page_index=True,
                write_page_checksum=True,
                use_dictionary=["dump", "language", "language_script", "file_path", "encoding", "script"],
            )
        )

    def close(self) -> dict[str, Any]:
        """Make the file visible; returns what the manifest says of it. There must be a row."""
        if self.buffer is not None:
            self._write_row_group(self.buffer)
        assert self.writer is not None
        self.writer.close()
        size, digest = self.temporary.stat().st_size, sha256_of(self.temporary)
        self.writing.close()
        return {
            "path": self.path,
            "split": self.split,
            "rows": self.rows,
            "bytes": size,
            "sha256": digest,
            "characters": self.characters,
            "removed_characters": self.removed_characters,
            "removed_documents": self.removed_documents,
            "first": msgspec.to_builtins(self.first),
            "runs": msgspec.to_builtins(self.runs),
        }


def order_key(size: int, record_id: str) -> SortKey:
    """What the rows of a label are sorted by, as the manifest has it: cluster size, hash of the id in hexadecimal."""
    return SortKey(cluster_size=size, id_hash=f"{hash64(record_id):016x}")


def _with_runs_of(table: pa.Table, first_row: int, runs: list[ClusterSizeRun]) -> list[ClusterSizeRun]:
    """`runs` with those of the rows of `table`, which stand at `first_row` of the file, added."""
    sizes = table["minhash_cluster_size"].to_numpy()
    starts = np.flatnonzero(np.append(True, sizes[1:] != sizes[:-1]))
    lengths = np.diff(np.append(starts, len(sizes)))
    sums = [np.add.reduceat(table[name].to_numpy(), starts) for name in ("character_count", "segment_count")]
    columns = (sizes[starts], first_row + starts, lengths, *sums)
    more = [
        ClusterSizeRun(cluster_size=size, first_row=first, rows=rows, characters=characters, tokens=tokens)
        for size, first, rows, characters, tokens in zip(*(column.tolist() for column in columns), strict=True)
    ]
    if runs and runs[-1].cluster_size == more[0].cluster_size:
        last = runs[-1]
        sums_of_both = {name: getattr(last, name) + getattr(more[0], name) for name in ("rows", "characters", "tokens")}
        return [*runs[:-1], msgspec.structs.replace(last, **sums_of_both), *more[1:]]
    return runs + more
