"""A mixture as a file says it: which rows of which clean parts, how often; for those who read it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.execution.commit import read_json, sha256_of
from pipeline.execution.storage import Location, readable

FORMAT = 2
FORMAT_WITH_UPDATES = 3


def mixture_path(folder: Location, name: str) -> Location:
    """Where a selection's mixture of this name lies."""
    return folder / "mixtures" / f"{name}.json"


class Entry(NamedTuple):
    """Rows of one clean file that are read `repeats` times; characters are those of one copy, exactly unless the entry
    is a piece of one in the file."""

    file: str
    first_row: int
    rows: int
    repeats: int
    characters: int


class Mixture(NamedTuple):
    """A mixture and the folder of the selection that it was made from."""

    folder: Location
    manifest: dict[str, Any]

    def entries(self) -> Iterator[Entry]:
        """Rows to read, by label, file and row; no row is in two entries."""
        entries = (
            Entry(one["file"], one["first_row"], one["rows"], one["repeats"], one["characters"])
            for one in self.manifest["entries"]
        )
        if "changed" not in self.manifest:
            return entries
        return _with_changed(entries, self._changed())

    def _changed(self) -> pa.Table:
        """The rows that do not follow their entry. Raises InputError where they are not those of this mixture."""
        told = self.manifest["changed"]
        path = self.folder / "mixtures" / told["file"]
        if not path.exists() or sha256_of(path) != told["sha256"]:
            raise InputError(
                f"{path}: not what the mixture was written with; make the mixture again with `glotmill mix`"
            )
        return pq.read_table(readable(path))


def _with_changed(entries: Iterable[Entry], changed: pa.Table) -> Iterator[Entry]:
    """Entries without the rows that have repeats of their own, and these in entries of their own; by file and row."""
    of_file: dict[str, list[Entry]] = {}
    for one in entries:
        of_file.setdefault(one.file, []).append(one)
    names, rows, repeats, characters = (changed[name].to_numpy(zero_copy_only=False) for name in changed.column_names)
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(names) else np.empty(0, np.int64)
    ends = np.append(starts[1:], len(names)).astype(np.int64)
    spans = {names[start]: slice(start, end) for start, end in zip(starts, ends, strict=True)}
    for file in sorted(of_file.keys() | spans.keys()):
        here = spans.get(file, slice(0, 0))
        found = [one for entry in of_file.get(file, []) for one in _without(entry, rows[here])]
        own = zip(rows[here].tolist(), repeats[here].tolist(), characters[here].tolist(), strict=True)
        found += [Entry(file, row, 1, times, length) for row, times, length in own if times]
        yield from sorted(found, key=lambda one: one.first_row)


def _without(entry: Entry, rows: np.ndarray) -> Iterator[Entry]:
    """The pieces of an entry between `rows`, ascending; characters in proportion."""
    gaps = rows[np.searchsorted(rows, entry.first_row) : np.searchsorted(rows, entry.first_row + entry.rows)]
    firsts = [entry.first_row, *(gaps + 1).tolist()]
    ends = [*gaps.tolist(), entry.first_row + entry.rows]
    for first, end in zip(firsts, ends, strict=True):
        if end > first:
            share = entry.characters * (end - first) // (entry.rows - len(gaps))
            yield Entry(entry.file, first, end - first, entry.repeats, share)


def load_mixture(path: Location) -> Mixture:
    """The mixture at `<selection>/mixtures/<name>.json`.

    Raises InputError where it is absent or of an older format, or where the selection was made again since.
    """
    if not path.exists():
        raise InputError(f"{path}: no such mixture; `glotmill mix` makes one")
    manifest = read_json(path)
    if manifest.get("format") not in (FORMAT, FORMAT_WITH_UPDATES):
        raise InputError(f"{path}: written by another version; make it again with `glotmill mix`")
    folder = path.parent.parent
    if read_json(folder / "manifest.json")["fingerprint"] != manifest["selection"]:
        raise InputError(f"{path}: the selection was made again since; make the mixture again with `glotmill mix`")
    return Mixture(folder, manifest)


def read_entries(
    path: Location, entries: Sequence[Entry], columns: Sequence[str]
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Rows of entries of one file in their order, with the repeats of each; each row group is read once, and then
    dropped.

    Raises InputError where the file has fewer rows than the mixture says.
    """
    firsts, rows, repeats = (np.array(column, np.int64) for column in zip(*(one[1:4] for one in entries), strict=True))
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        end_of_last = int((firsts + rows).max())
        if end_of_last > file.metadata.num_rows:
            raise InputError(
                f"{path}: {file.metadata.num_rows} rows, the mixture names {end_of_last}; make the mixture again"
            )
        start = 0
        for number in range(file.num_row_groups):
            end = start + file.metadata.row_group(number).num_rows
            low, high = np.maximum(firsts, start), np.minimum(firsts + rows, end)
            here = np.flatnonzero(low < high)
            if len(here):
                table = file.read_row_group(number, columns=list(columns))
                places = np.concatenate([np.arange(low[one], high[one]) for one in here]) - start
                together = bool(np.all(np.diff(places) == 1))
                found = table.slice(places[0], len(places)) if together else table.take(pa.array(places))
                yield found, np.repeat(repeats[here], high[here] - low[here])
            start = end
