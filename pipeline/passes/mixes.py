"""A mix as a file says it: which rows of which clean parts, how often; for those who read it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.execution.manifests import read_json
from pipeline.execution.storage import Location, readable
from pipeline.passes.rebalance import FORMAT


class Entry(NamedTuple):
    """Rows of one clean file that are read `repeats` times; characters are those of one copy."""

    file: str
    first_row: int
    rows: int
    repeats: int
    characters: int


class Mix(NamedTuple):
    """A mix and the folder of the selection that it was made from."""

    folder: Location
    manifest: dict[str, Any]

    def entries(self) -> Iterator[Entry]:
        """Rows to read, by label, file and row; no row is in two entries."""
        for one in self.manifest["entries"]:
            yield Entry(one["file"], one["first_row"], one["rows"], one["repeats"], one["characters"])


def load_mix(path: Location) -> Mix:
    """The mix at `<selection>/mixes/<name>.json`.

    Raises InputError where it is absent or of an older format, or where the selection was made again since.
    """
    if not path.exists():
        raise InputError(f"{path}: no such mix; `glotmill mix` makes one")
    manifest = read_json(path)
    if manifest.get("format") != FORMAT:
        raise InputError(f"{path}: written by another version; make it again with `glotmill mix`")
    folder = path.parent.parent
    if read_json(folder / "manifest.json")["fingerprint"] != manifest["selection"]:
        raise InputError(f"{path}: the selection was made again since; make the mix again with `glotmill mix`")
    return Mix(folder, manifest)


def read_entries(path: Location, entries: Sequence[Entry], columns: Sequence[str]) -> Iterator[tuple[Entry, pa.Table]]:
    """Rows of entries of one file, each with the entry it belongs to; each row group is read once, and then dropped.

    Raises InputError where the file has fewer rows than the mix says.
    """
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        end_of_last = max(one.first_row + one.rows for one in entries)
        if end_of_last > file.metadata.num_rows:
            raise InputError(f"{path}: {file.metadata.num_rows} rows, the mix names {end_of_last}; make the mix again")
        start = 0
        for number in range(file.num_row_groups):
            end = start + file.metadata.row_group(number).num_rows
            here = [one for one in entries if one.first_row < end and one.first_row + one.rows > start]
            if here:
                table = file.read_row_group(number, columns=list(columns))
                for one in here:
                    first = max(one.first_row, start)
                    yield one, table.slice(first - start, min(one.first_row + one.rows, end) - first)
            start = end
