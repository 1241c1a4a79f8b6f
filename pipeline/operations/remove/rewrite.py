"""Files of clean/ rewritten without the rows that leave, and with the rows that come in."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.run_settings import SelectConfig
from pipeline.execution.commit import read_json, write_json
from pipeline.execution.storage import Location, readable
from pipeline.kernels.hashing import hash64
from pipeline.output.parts import PartWriter, order_key
from pipeline.passes.select.columns import ORDER
from pipeline.schema.manifests import SortKey

JOURNAL = "removing.json"
Gone = dict[str, dict[str, tuple[int, str]]]  # label -> id -> cluster size, split


def rewrite_files(
    folder: Location,
    manifest: dict[str, Any],
    settings: SelectConfig,
    gone: Gone,
    come: dict[str, pa.Table],
) -> list[str]:
    """Rewrite the files concerned and their entries in the manifest; returns their paths."""
    additions: dict[str, pa.Table] = {}
    concerned: dict[str, str] = {}  # path -> label
    for label in sorted(gone.keys() | come.keys()):
        files = manifest["files"].setdefault(label, [])
        parts = {split: [file for file in files if file["split"] == split] for split in ("train", "test")}
        firsts = {split: [_key(file["first"]) for file in of_split] for split, of_split in parts.items()}
        for record_id, (size, split) in gone.get(label, {}).items():
            for path in _files_with(parts[split], firsts[split], _key(order_key(size, record_id))):
                concerned[path] = label
        for path, rows in _files_for(files, label, come[label]).items() if label in come else ():
            concerned[path] = label
            additions[path] = rows
    journal = folder / JOURNAL
    concerned |= read_json(journal) if journal.exists() else {}
    write_json(journal, concerned)
    for path, label in sorted(concerned.items()):
        files = manifest["files"].setdefault(label, [])
        split = "test" if (folder / path).name.startswith("test") else "train"
        leave = set(gone.get(label, {}))
        entry = _rewrite(folder, path, split, settings.row_group_rows, leave, additions.get(path))
        others = [file for file in files if file["path"] != path]
        found = [*others, entry] if entry else others
        manifest["files"][label] = sorted(found, key=lambda file: (file["split"] == "test", file["path"]))
    return sorted(concerned)


def _key(key: SortKey | dict[str, Any]) -> tuple[int, str]:
    """A sort key as what compares."""
    key = msgspec.convert(key, SortKey)
    return key.cluster_size, key.id_hash


def _files_with(files: list[dict[str, Any]], firsts: list[tuple[int, str]], key: tuple[int, str]) -> list[str]:
    """The files of a split whose range has the key: one, or two where it is the first of one."""
    places = range(max(0, bisect_left(firsts, key) - 1), bisect_right(firsts, key))
    return [files[place]["path"] for place in places]


def _files_for(files: list[dict[str, Any]], label: str, rows: pa.Table) -> dict[str, pa.Table]:
    """The file that each row belongs into, by its split and place in the order; a first one where there is none."""
    paths = []
    for row in rows.select(["id", "minhash_cluster_size", "split"]).to_pylist():
        parts = [file for file in files if file["split"] == row["split"]]
        key = _key(order_key(row["minhash_cluster_size"], row["id"]))
        place = bisect_right([_key(file["first"]) for file in parts], key)
        first = f"clean/{label}/{'part' if row['split'] == 'train' else 'test'}-00000.parquet"
        paths.append(parts[max(0, place - 1)]["path"] if parts else first)
    where = pa.array(paths, pa.string())
    return {path: rows.filter(pc.equal(where, path)) for path in sorted(set(paths))}


def _rewrite(
    folder: Location, path: str, split: str, row_group_rows: int, leave: set[str], add: pa.Table | None
) -> dict[str, Any] | None:
    """Write a file again without some rows and with others; returns its entry. An empty one is deleted."""
    with ExitStack() as open_files:
        writer: PartWriter | None = None
        for table in _merged_with(folder / path, add):
            table = table.filter(pc.invert(pc.is_in(table["id"], pa.array(sorted(leave), pa.string()))))
            if table.num_rows:
                writer = writer or open_files.enter_context(PartWriter(folder, path, split, row_group_rows))
                writer.write(table)
        if writer is not None:
            return writer.close()
    (folder / path).unlink(missing_ok=True)
    return None


def _merged_with(path: Location, add: pa.Table | None) -> Iterator[pa.Table]:
    """The rows of a file, a row group at a time, with others at their place; of two with the same id the file's."""
    order = [(name, "ascending") for name in ORDER]
    waiting = add.sort_by(order) if add is not None else None
    if path.exists():
        with pq.ParquetFile(readable(path), pre_buffer=True) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                if waiting is None:
                    yield table
                    continue
                hashes = pa.array([hash64(one) for one in table["id"].to_pylist()], pa.uint64())
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
