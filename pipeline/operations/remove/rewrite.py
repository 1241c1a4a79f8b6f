"""Files of clean/ rewritten without the rows that leave, and with the rows that come in.

A journal names the files, so that a command that was interrupted is finished by the next one, whatever had been done.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.execution.commit import read_manifest, write_manifest
from pipeline.execution.storage import Location, readable
from pipeline.kernels.hashing import hash64
from pipeline.output.parts import PartWriter, in_file_order, key_order, part_path, sort_key_of
from pipeline.output.selection import SelectionFolder
from pipeline.passes.select.columns import ORDER
from pipeline.schema.manifests import CleanFile, SortKey, TakeDownJournal

Files = dict[str, list[CleanFile]]  # of clean/, by label


@dataclass(frozen=True)
class LeavingRow:
    """A row that leaves clean/, by what says in which file it is."""

    key: SortKey
    split: str


@dataclass
class CleanChanges:
    """What changes in clean/, by label: rows that leave, by id, and rows that come in, as tables of clean/."""

    leaving: dict[str, dict[str, LeavingRow]] = field(default_factory=dict)
    coming: dict[str, pa.Table] = field(default_factory=dict)


@dataclass(frozen=True)
class RewrittenFiles:
    """All files of clean/ by label, and the paths of those that were rewritten, ascending."""

    files: Files
    rewritten: list[str]


def rewrite_files(folder: SelectionFolder, files: Files, changes: CleanChanges, row_group_rows: int) -> RewrittenFiles:
    """Rewrite the files that rows leave or come into, one by one, and those that the journal names."""
    coming: dict[str, pa.Table] = {}  # by path
    labels: dict[str, str] = {}  # of the files to rewrite, by path
    for label in sorted(changes.leaving.keys() | changes.coming.keys()):
        of_label = files.get(label, [])
        for row in changes.leaving.get(label, {}).values():
            labels |= dict.fromkeys(_paths_with(of_label, row), label)
        if label in changes.coming:
            by_path = _by_file(of_label, label, changes.coming[label])
            labels |= dict.fromkeys(by_path, label)
            coming |= by_path
    if folder.take_down_journal.exists():
        labels |= read_manifest(folder.take_down_journal, TakeDownJournal).files
    write_manifest(folder.take_down_journal, TakeDownJournal(files=labels))
    rewritten = dict(files)
    for path, label in sorted(labels.items()):
        leaving = set(changes.leaving.get(label, {}))
        entry = _rewrite(folder.root, path, row_group_rows, leaving, coming.get(path))
        others = [file for file in rewritten.get(label, []) if file.path != path]
        rewritten[label] = in_file_order([*others, entry] if entry else others)
    return RewrittenFiles(rewritten, sorted(labels))


def _paths_with(files: list[CleanFile], row: LeavingRow) -> list[str]:
    """The files of a label whose range has the row: one, or two where it has the key of the first row of one."""
    of_split = [file for file in files if file.split == row.split]
    firsts = [key_order(file.first) for file in of_split]
    key = key_order(row.key)
    return [file.path for file in of_split[max(0, bisect_left(firsts, key) - 1) : bisect_right(firsts, key)]]


def _by_file(files: list[CleanFile], label: str, rows: pa.Table) -> dict[str, pa.Table]:
    """Rows by the path of the file that they belong into, by split and order; a first file where there is none."""
    paths = []
    for row in rows.select(["id", "minhash_cluster_size", "split"]).to_pylist():
        of_split = [file for file in files if file.split == row["split"]]
        key = key_order(sort_key_of(row["minhash_cluster_size"], row["id"]))
        behind = bisect_right([key_order(file.first) for file in of_split], key)
        paths.append(of_split[max(0, behind - 1)].path if of_split else part_path(label, row["split"], 0))
    path_of_row = pa.array(paths, pa.string())
    return {path: rows.filter(pc.equal(path_of_row, path)) for path in sorted(set(paths))}


def _rewrite(
    folder: Location, path: str, row_group_rows: int, leaving: set[str], coming: pa.Table | None
) -> CleanFile | None:
    """Write a file again without some rows and with others; returns its entry. A file without rows is deleted."""
    split = "test" if PurePosixPath(path).name.startswith("test") else "train"
    with ExitStack() as open_files:
        writer: PartWriter | None = None
        for table in _merged_with(folder / path, coming):
            table = table.filter(pc.invert(pc.is_in(table["id"], pa.array(sorted(leaving), pa.string()))))
            if table.num_rows:
                writer = writer or open_files.enter_context(PartWriter(folder, path, split, row_group_rows))
                writer.write(table)
        if writer is not None:
            return writer.close()
    (folder / path).unlink(missing_ok=True)
    return None


def _merged_with(path: Location, coming: pa.Table | None) -> Iterator[pa.Table]:
    """The rows of a file, a row group at a time, with others where they belong; of two with one id the file's."""
    order = [(name, "ascending") for name in ORDER]
    waiting = coming.sort_by(order) if coming is not None else None
    if path.exists():
        with pq.ParquetFile(readable(path), pre_buffer=True) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                if waiting is None:
                    yield table
                    continue
                hashes = pa.array([hash64(record_id) for record_id in table["id"].to_pylist()], pa.uint64())
                table = table.append_column("id_hash", hashes)
                waiting = waiting.filter(pc.invert(pc.is_in(waiting["id"], table["id"].combine_chunks())))
                last = tuple(table[name][-1].as_py() for name in ORDER)
                keys = list(zip(*(waiting[name].to_pylist() for name in ORDER), strict=True))
                count = bisect_right(keys, last)
                ready = waiting.slice(0, count).select(table.column_names).cast(table.schema)
                yield pa.concat_tables([table, ready]).sort_by(order)
                waiting = waiting.slice(count)
    if waiting is not None and waiting.num_rows:
        yield waiting
