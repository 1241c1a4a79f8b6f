"""The training rows of a selection, as runs of rows that have one weight.

The rows of a file that have one cluster size are a run. Rows of which later outputs changed the cluster size, and so
the weight, leave their run; those that have the same weight now are a run of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.dedup.weights import Weights, repeats_of
from pipeline.passes.rebalance.cluster_size_updates import ResizedRows
from pipeline.passes.rebalance.later_outputs import Integers
from pipeline.passes.rebalance.tokens import FileRanges, RowRange, TextCounter, TextCounts, characters_per_token
from pipeline.schema.manifests import CleanFile, SelectionManifest

NO_NUMBERS = np.empty(0, np.int64)


@dataclass(frozen=True)
class FileRun:
    """Rows of one cluster size in one file; those that moved to another weight do not count."""

    file: str  # relative to the selection
    first_row: int
    rows: int  # that count, as characters and tokens
    characters: int
    tokens: float
    weight: int
    moved: Integers  # rows, from `first_row`, that do not count, ascending

    def file_row(self, row: int) -> int:
        """The row of the file of row `row` of those that count; the end of the run for one behind them."""
        if row == self.rows:
            return self.first_row + self.rows + len(self.moved)
        return self.first_row + row + int(np.searchsorted(self.moved - np.arange(len(self.moved)), row, side="right"))

    def ranges(self, row: int, rows: int) -> list[RowRange]:
        """The rows of the file that are `rows` rows which count, from `row` on."""
        start, end = self.file_row(row), self.file_row(row + rows)
        inside = (self.moved >= start - self.first_row) & (self.moved < end - self.first_row)
        moved = self.moved[inside] + self.first_row
        firsts, ends = [start, *(moved + 1).tolist()], [*moved.tolist(), end]
        return [RowRange(first, stop - first) for first, stop in zip(firsts, ends, strict=True) if stop > first]


@dataclass(frozen=True)
class MovedRows:
    """Rows of clean files whose weight is that of another cluster size than the one by which they are sorted.

    All of one length, in the order of the hash of the id.
    """

    files: list[str]  # relative to the selection
    file_rows: Integers
    row_characters: Integers
    row_tokens: npt.NDArray[np.float64]

    def slice(self, first: int, rows: int) -> "MovedRows":
        """`rows` rows from `first` on."""
        part = slice(first, first + rows)
        return MovedRows(self.files[part], self.file_rows[part], self.row_characters[part], self.row_tokens[part])

    @property
    def rows(self) -> int:
        """How many they are."""
        return len(self.files)

    @property
    def characters(self) -> int:
        """Of all rows, code points."""
        return int(self.row_characters.sum())

    @property
    def tokens(self) -> float:
        """Of all rows."""
        return float(self.row_tokens.sum())


@dataclass(frozen=True)
class MovedRun:
    """Moved rows of one weight, of any file of a language."""

    moved_rows: MovedRows
    weight: int

    @property
    def rows(self) -> int:
        """How many they are."""
        return self.moved_rows.rows

    @property
    def tokens(self) -> float:
        """Of all rows."""
        return self.moved_rows.tokens


Run = FileRun | MovedRun


@dataclass(frozen=True)
class _Leaving:
    """Rows of a file that leave their runs: their new weights, and the numbers of the runs; all of one length."""

    rows: ResizedRows
    weights: Integers
    runs: Integers


@dataclass(frozen=True)
class _FileTokens:
    """Tokens of the rows that stay in each run of a file, and of each row that leaves one."""

    staying: list[float]
    leaving: npt.NDArray[np.float64]


def training_files(manifest: SelectionManifest) -> dict[str, list[CleanFile]]:
    """The files of the training split by label."""
    return {label: [file for file in files if file.split == "train"] for label, files in manifest.files.items()}


def find_runs(
    manifest: SelectionManifest,
    weights: Mapping[str, Weights],
    resized: Mapping[str, list[ResizedRows]],
    counter: TextCounter,
) -> dict[str, list[Run]]:
    """The runs of the training split by label: those of files in their order, then those of moved rows by weight.

    Tokens are counted where the counter has a tokenizer, else estimated.
    """
    files = training_files(manifest)
    resized_by_path = {rows.path: rows for of_label in resized.values() for rows in of_label}
    leaving = {
        file.path: _leaving(file, resized_by_path.get(file.path), weights[label])
        for label, of_label in files.items()
        for file in of_label
    }
    counts = _count_tokens(files, leaving, counter) if counter.tokenizer else {}
    runs: dict[str, list[Run]] = {}
    for label, of_label in files.items():
        tokens = {
            file.path: _counted_tokens(counts[file.path], leaving[file.path])
            if counter.tokenizer
            else _estimated_tokens(file, leaving[file.path], label)
            for file in of_label
        }
        file_runs = [
            run for file in of_label for run in _file_runs(file, leaving[file.path], tokens[file.path], weights[label])
        ]
        moved = [(leaving[file.path], tokens[file.path].leaving) for file in of_label]
        runs[label] = [*file_runs, *_moved_runs(moved)]
    return runs


def _leaving(file: CleanFile, resized: ResizedRows | None, weights: Weights) -> _Leaving:
    """Of the resized rows of a file those whose weight changes; none where no row of it has another size."""
    if resized is None:
        nothing = ResizedRows(file.path, NO_NUMBERS, NO_NUMBERS, NO_NUMBERS.astype(np.uint64), NO_NUMBERS)
        return _Leaving(nothing, NO_NUMBERS, NO_NUMBERS)
    firsts = np.array([run.first_row for run in file.runs])
    sizes = np.array([run.cluster_size for run in file.runs])
    run_of_row = np.searchsorted(firsts, resized.rows, side="right") - 1
    before, now = (
        np.array([repeats_of(int(size), weights) for size in of_rows], np.int64)
        for of_rows in (sizes[run_of_row], resized.sizes)
    )
    leaves = before != now
    return _Leaving(resized.where(leaves), now[leaves], run_of_row[leaves])


def _count_tokens(
    files: Mapping[str, list[CleanFile]], leaving: Mapping[str, _Leaving], counter: TextCounter
) -> dict[str, list[TextCounts]]:
    """By path the counts of each run of a file, then of each row that leaves one."""
    wanted = []
    for file in (file for of_label in files.values() for file in of_label):
        ranges = [RowRange(run.first_row, run.rows) for run in file.runs]
        ranges += [RowRange(int(row), 1) for row in leaving[file.path].rows.rows]
        wanted.append(FileRanges(file.path, file.sha256, file.characters, ranges))
    return {ranges.path: counts for ranges, counts in zip(wanted, counter.count(wanted), strict=True)}


def _counted_tokens(counts: list[TextCounts], leaving: _Leaving) -> _FileTokens:
    run_count = len(counts) - len(leaving.weights)
    of_leaving = np.array([count.tokens for count in counts[run_count:]], np.float64)
    staying = [
        count.tokens - float(of_leaving[leaving.runs == number].sum())
        for number, count in enumerate(counts[:run_count])
    ]
    return _FileTokens(staying, of_leaving)


def _estimated_tokens(file: CleanFile, leaving: _Leaving, label: str) -> _FileTokens:
    rate = characters_per_token(label)
    staying = [characters / rate for characters in _staying_characters(file, leaving)]
    return _FileTokens(staying, leaving.rows.characters / rate)


def _staying_characters(file: CleanFile, leaving: _Leaving) -> list[int]:
    """Characters of the rows that stay in each run of a file."""
    return [
        run.characters - int(leaving.rows.characters[leaving.runs == number].sum())
        for number, run in enumerate(file.runs)
    ]


def _file_runs(file: CleanFile, leaving: _Leaving, tokens: _FileTokens, weights: Weights) -> list[FileRun]:
    runs = []
    characters = _staying_characters(file, leaving)
    for number, run in enumerate(file.runs):
        moved = leaving.rows.rows[leaving.runs == number] - run.first_row
        runs.append(
            FileRun(
                file=file.path,
                first_row=run.first_row,
                rows=run.rows - len(moved),
                characters=characters[number],
                tokens=tokens.staying[number],
                weight=repeats_of(run.cluster_size, weights),
                moved=moved,
            )
        )
    return runs


def _moved_runs(files: list[tuple[_Leaving, npt.NDArray[np.float64]]]) -> list[MovedRun]:
    """A run for each weight, ascending, of the rows that leave the files of a language, and their tokens."""
    if not any(len(leaving.weights) for leaving, _ in files):
        return []
    names = [leaving.rows.path for leaving, _ in files for _ in leaving.weights]
    rows = np.concatenate([leaving.rows.rows for leaving, _ in files])
    characters = np.concatenate([leaving.rows.characters for leaving, _ in files])
    tokens = np.concatenate([of_file for _, of_file in files])
    weights = np.concatenate([leaving.weights for leaving, _ in files])
    hashes = np.concatenate([leaving.rows.id_hashes for leaving, _ in files])
    runs = []
    for weight in np.unique(weights):
        members = np.flatnonzero(weights == weight)
        members = members[np.argsort(hashes[members], kind="stable")]
        paths = [names[member] for member in members]
        runs.append(MovedRun(MovedRows(paths, rows[members], characters[members], tokens[members]), int(weight)))
    return runs
