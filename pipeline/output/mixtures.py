"""A mixture as a file says it: which rows of which clean files are read, how often; for those who read it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.execution.commit import read_manifest, sha256_of
from pipeline.execution.storage import Location, readable
from pipeline.schema.manifests import OUTPUT_FORMAT, MixtureManifest, SelectionManifest


def mixture_path(folder: Location, name: str) -> Location:
    """Where the mixture of this name of the selection in `folder` lies."""
    return folder / "mixtures" / f"{name}.json"


@dataclass(frozen=True, slots=True)
class RepeatedRows:
    """Consecutive rows of one clean file that are read `repeats` times.

    `characters` are those of one copy; in proportion to the rows, and not exact, where these are a part of an entry.
    """

    file: str  # relative to the selection
    first_row: int
    rows: int
    repeats: int
    characters: int

    @property
    def end(self) -> int:
        """The row behind the last."""
        return self.first_row + self.rows

    def part(self, first_row: int, end: int, characters: int) -> "RepeatedRows":
        """The rows from `first_row` of the file up to `end`."""
        return replace(self, first_row=first_row, rows=end - first_row, characters=characters)


@dataclass(frozen=True)
class Mixture:
    """A mixture and the folder of the selection that it was made from."""

    folder: Location
    manifest: MixtureManifest

    def rows(self) -> Iterator[RepeatedRows]:
        """The rows to read, by label, file and row; no row is in two of them.

        Raises InputError where the file of changed rows is not the one that the mixture was written with.
        """
        of_entries = (
            RepeatedRows(entry.file, entry.first_row, entry.rows, entry.repeats, entry.characters)
            for entry in self.manifest.entries
        )
        changed = self._changed_rows()
        return of_entries if changed is None else _with_changed(of_entries, changed)

    def _changed_rows(self) -> pa.Table | None:
        """The rows that have repeats of their own: file, row, repeats and characters, by file and row."""
        changed = self.manifest.changed
        if changed is None:
            return None
        path = self.folder / "mixtures" / changed.file
        if not path.exists() or sha256_of(path) != changed.sha256:
            raise InputError(
                f"{path}: not what the mixture was written with; make the mixture again with `glotmill mix`"
            )
        return pq.read_table(readable(path))


def _with_changed(unchanged: Iterable[RepeatedRows], changed: pa.Table) -> Iterator[RepeatedRows]:
    """The rows of entries without those that have repeats of their own, and these beside them; by file and row."""
    by_file: dict[str, list[RepeatedRows]] = {}
    for rows in unchanged:
        by_file.setdefault(rows.file, []).append(rows)
    names, positions, repeats, characters = (
        changed[name].to_numpy(zero_copy_only=False) for name in ("file", "row", "repeats", "characters")
    )
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(names) else np.empty(0, np.int64)
    ends = np.append(starts[1:], len(names)).astype(np.int64)
    changed_of = {names[start]: slice(start, end) for start, end in zip(starts, ends, strict=True)}
    for file in sorted(by_file.keys() | changed_of.keys()):
        of_file = changed_of.get(file, slice(0, 0))
        parts = [part for rows in by_file.get(file, []) for part in _without(rows, positions[of_file])]
        columns = (column[of_file].tolist() for column in (positions, repeats, characters))
        parts += [RepeatedRows(file, row, 1, times, count) for row, times, count in zip(*columns, strict=True) if times]
        yield from sorted(parts, key=lambda rows: rows.first_row)


def _without(rows: RepeatedRows, changed: npt.NDArray[np.int64]) -> Iterator[RepeatedRows]:
    """The parts of `rows` between changed rows of the file, which are ascending; characters in proportion."""
    inside = changed[np.searchsorted(changed, rows.first_row) : np.searchsorted(changed, rows.end)]
    firsts = [rows.first_row, *(inside + 1).tolist()]
    ends = [*inside.tolist(), rows.end]
    for first, end in zip(firsts, ends, strict=True):
        if end > first:
            yield rows.part(first, end, rows.characters * (end - first) // (rows.rows - len(inside)))


def load_mixture(path: Location) -> Mixture:
    """The mixture at `<selection>/mixtures/<name>.json`.

    Raises InputError where it is absent or of another format, or where the selection was made again since.
    """
    if not path.exists():
        raise InputError(f"{path}: no such mixture; `glotmill mix` makes one")
    manifest = read_manifest(path, MixtureManifest)
    if manifest.format != OUTPUT_FORMAT:
        raise InputError(f"{path}: written by another version; make the mixture again with `glotmill mix`")
    folder = path.parent.parent
    if read_manifest(folder / "manifest.json", SelectionManifest).fingerprint != manifest.selection:
        raise InputError(f"{path}: the selection was made again since; make the mixture again with `glotmill mix`")
    return Mixture(folder, manifest)


def read_rows(
    path: Location, wanted: Sequence[RepeatedRows], columns: Sequence[str]
) -> Iterator[tuple[pa.Table, npt.NDArray[np.int64]]]:
    """Rows of one clean file in their order, with the repeats of each, (n,); a row group is read once, then dropped.

    `wanted` are in the order of the file. Raises InputError where the file has fewer rows than the mixture says.
    """
    firsts = np.array([rows.first_row for rows in wanted], np.int64)
    ends = np.array([rows.end for rows in wanted], np.int64)
    repeats = np.array([rows.repeats for rows in wanted], np.int64)
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        end_of_last = int(ends.max())
        if end_of_last > file.metadata.num_rows:
            raise InputError(
                f"{path}: {file.metadata.num_rows} rows, the mixture names {end_of_last}; make the mixture again"
            )
        start = 0
        for number in range(file.num_row_groups):
            end = start + file.metadata.row_group(number).num_rows
            low, high = np.maximum(firsts, start), np.minimum(ends, end)
            inside = np.flatnonzero(low < high)
            if len(inside):
                table = file.read_row_group(number, columns=list(columns))
                positions = np.concatenate([np.arange(low[part], high[part]) for part in inside]) - start
                are_consecutive = bool(np.all(np.diff(positions) == 1))
                chosen = (
                    table.slice(positions[0], len(positions)) if are_consecutive else table.take(pa.array(positions))
                )
                yield chosen, np.repeat(repeats[inside], high[inside] - low[inside])
            start = end
