"""Files of clean/: written in whole row groups, so that their bytes do not depend on how the rows came."""

from contextlib import ExitStack
from types import TracebackType

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed, sha256_of
from pipeline.execution.storage import Location
from pipeline.kernels.hashing import hash64
from pipeline.output.grouped_parquet import cheap_compression
from pipeline.schema.columns import CLEAN_FIRST, CLEAN_NOT
from pipeline.schema.manifests import CleanFile, ClusterSizeRun, SortKey

FEW_ROWS = 1000  # of a part: beginning zstd for each number's column takes longer than it saves room


class PartWriter:
    """One file of clean/. It becomes visible with `close`; leaving the context without it gives the file up.

    `path` is relative to `folder`, the selection's; `split` is train or test. Holds up to `row_group_rows` rows.
    """

    def __init__(self, folder: Location, path: str, split: str, row_group_rows: int) -> None:
        self.path, self.split, self.row_group_rows = path, split, row_group_rows
        self._writing = ExitStack()
        self._temporary = self._writing.enter_context(committed(folder / path))
        self._writer: pq.ParquetWriter | None = None
        self._buffer: pa.Table | None = None
        self._rows = self._characters = self._removed_characters = self._removed_documents = 0
        self._first: SortKey | None = None
        self._runs: list[ClusterSizeRun] = []

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.__exit__(kind, error, trace)

    def write(self, table: pa.Table) -> None:
        """Add the next rows, in the order of clean/; columns that are not of clean/ are left out."""
        if self._first is None and table.num_rows:
            self._first = sort_key_of(table["minhash_cluster_size"][0].as_py(), table["id"][0].as_py())
        others = [name for name in table.column_names if name not in CLEAN_FIRST and name not in CLEAN_NOT]
        table = table.select([*CLEAN_FIRST, *others])
        table = pa.concat_tables([self._buffer, table]) if self._buffer is not None else table
        while table.num_rows >= self.row_group_rows:
            self._write_row_group(table.slice(0, self.row_group_rows))
            table = table.slice(self.row_group_rows)
        self._buffer = table if table.num_rows else None

    def _write_row_group(self, table: pa.Table) -> None:
        table = table.combine_chunks()
        self._writer = self._writer or self._open(table)
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._runs = _extended(self._runs, _runs_of(table, self._rows))
        self._rows += table.num_rows
        self._characters += int(pa.compute.sum(table["character_count"]).as_py())
        removed = table["removed_character_count"].to_numpy()
        self._removed_characters += int(removed.sum())
        self._removed_documents += int(np.count_nonzero(removed))

    def _open(self, table: pa.Table) -> pq.ParquetWriter:
        """The file's writer, for its first row group."""
        has_few_rows = table.num_rows < FEW_ROWS
        return self._writing.enter_context(
            pq.ParquetWriter(
                self._temporary,
                table.schema,
                compression=cheap_compression(table.schema) if has_few_rows else "zstd",
                compression_level=None if has_few_rows else 3,
                write_page_index=True,
                write_page_checksum=True,
                use_dictionary=["dump", "language", "language_script", "file_path", "encoding", "script"],
            )
        )

    def close(self) -> CleanFile:
        """Make the file visible; returns its entry of the manifest. At least one row must have been written."""
        if self._buffer is not None:
            self._write_row_group(self._buffer)
        assert self._writer is not None
        assert self._first is not None
        self._writer.close()
        size, digest = self._temporary.stat().st_size, sha256_of(self._temporary)
        self._writing.close()
        return CleanFile(
            path=self.path,
            split=self.split,
            rows=self._rows,
            bytes=size,
            sha256=digest,
            characters=self._characters,
            removed_characters=self._removed_characters,
            removed_documents=self._removed_documents,
            first=self._first,
            runs=self._runs,
        )


def part_path(label: str, split: str, number: int) -> str:
    """The path of a file of clean/, relative to the selection.

    >>> part_path("tur_Latn", "train", 0), part_path("tur_Latn", "test", 12)
    ('clean/tur_Latn/part-00000.parquet', 'clean/tur_Latn/test-00012.parquet')
    """
    return f"clean/{label}/{'part' if split == 'train' else 'test'}-{number:05d}.parquet"


def in_file_order(files: list[CleanFile]) -> list[CleanFile]:
    """The files of a label as the manifest lists them: training files first, by path."""
    return sorted(files, key=lambda file: (file.split == "test", file.path))


def sort_key_of(cluster_size: int, record_id: str) -> SortKey:
    """What the rows of a label are sorted by."""
    return SortKey(cluster_size=cluster_size, id_hash=f"{hash64(record_id):016x}")


def key_order(key: SortKey) -> tuple[int, str]:
    """A sort key as a value that compares as the rows do: 16 hexadecimal digits compare as their numbers."""
    return key.cluster_size, key.id_hash


def _runs_of(table: pa.Table, first_row: int) -> list[ClusterSizeRun]:
    """The runs of equal cluster size of a table that is not empty; its first row is row `first_row` of the file."""
    sizes = table["minhash_cluster_size"].to_numpy()
    starts = np.flatnonzero(np.append(True, sizes[1:] != sizes[:-1]))
    rows = np.diff(np.append(starts, len(sizes)))
    characters, tokens = (
        np.add.reduceat(table[name].to_numpy(), starts) for name in ("character_count", "segment_count")
    )
    return [
        ClusterSizeRun(
            cluster_size=int(sizes[start]),
            first_row=first_row + int(start),
            rows=int(rows[number]),
            characters=int(characters[number]),
            tokens=int(tokens[number]),
        )
        for number, start in enumerate(starts)
    ]


def _extended(runs: list[ClusterSizeRun], more: list[ClusterSizeRun]) -> list[ClusterSizeRun]:
    """`runs` and those that follow them; a run that goes on across the two becomes one."""
    if not runs or runs[-1].cluster_size != more[0].cluster_size:
        return runs + more
    last, rest = runs[-1], more[0]
    joined = msgspec.structs.replace(
        last,
        rows=last.rows + rest.rows,
        characters=last.characters + rest.characters,
        tokens=last.tokens + rest.tokens,
    )
    return [*runs[:-1], joined, *more[1:]]
