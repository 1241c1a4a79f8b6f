"""The training rows of a selection by cluster size, as runs that are weighted alike."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pipeline.dedup.weights import Weights, repeats_of
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor
from pipeline.passes.rebalance.cluster_size_updates import Resized
from pipeline.passes.rebalance.tokens import Ranges, TokenizerFile, characters_per_token, sum_ranges


class Run(NamedTuple):
    """Rows of one cluster size in one file, but for those that moved; or, without a file, moved rows of one weight."""

    file: str
    first: int
    rows: int
    characters: int
    tokens: float
    weight: int
    moved: np.ndarray = np.empty(0, np.int64)  # places, from `first`, of rows that do not count here

    def place(self, row: int) -> int:
        """Where in the file row `row` of those that count stands; behind the run for one that is behind them."""
        if row == self.rows:
            return self.first + self.rows + len(self.moved)
        return self.first + row + int(np.searchsorted(self.moved - np.arange(len(self.moved)), row, side="right"))

    def ranges(self, row: int, rows: int) -> list[tuple[int, int]]:
        """(first row of the file, rows) of `rows` rows that count from `row` on, with nothing between."""
        start, end = self.place(row), self.place(row + rows)
        gaps = self.moved[(self.moved >= start - self.first) & (self.moved < end - self.first)] + self.first
        firsts, ends = [start, *(gaps + 1).tolist()], [*gaps.tolist(), end]
        return [(first, stop - first) for first, stop in zip(firsts, ends, strict=True) if stop > first]


class Moved(NamedTuple):
    """Rows of clean files whose weight is that of another cluster size than the one they stand under, by hash of id."""

    file: list[str]
    row: np.ndarray
    characters: np.ndarray
    tokens: np.ndarray

    def slice(self, first: int, rows: int) -> "Moved":
        here = slice(first, first + rows)
        return Moved(self.file[here], self.row[here], self.characters[here], self.tokens[here])


def runs_of(
    manifest: dict[str, Any],
    weights: Mapping[str, Weights],
    resized: Mapping[str, list[Resized]],
    executor: Executor,
    folder: Location,
    tokenizer: TokenizerFile | None,
) -> tuple[dict[str, list[Run]], dict[str, dict[int, Moved]]]:
    """The training split's rows by cluster size, with tokens counted where there is a tokenizer, else estimated.

    Rows of which later outputs changed the size, and so the weight, are no part of their run. They are runs of their
    own behind the others, one for each weight; the rows of these stand in the second mapping, by number of the run.
    """
    files = {label: _training(ones) for label, ones in manifest["files"].items()}
    leaving = {
        one.path: _leaving(file, one, weights[label])
        for label, ones in resized.items()
        for one in ones
        for file in files[label]
        if file["path"] == one.path
    }
    counted: dict[str, list[tuple[int, int]]] = {}
    if tokenizer:
        wanted = []
        for file in (file for ones in files.values() for file in ones):
            ranges = [(run[1], run[2]) for run in file["run_lengths"]]
            if file["path"] in leaving:
                ranges += [(int(row), 1) for row in leaving[file["path"]][0].rows]
            wanted.append(Ranges(file["path"], file["sha256"], file["characters"], ranges))
        sums = sum_ranges(executor, folder, wanted, tokenizer)
        counted = {one.path: found for one, found in zip(wanted, sums, strict=True)}
    runs: dict[str, list[Run]] = {}
    moved: dict[str, dict[int, Moved]] = {}
    for label, ones in files.items():
        rate = characters_per_token(label)
        runs[label] = []
        parts: list[tuple[Moved, np.ndarray, np.ndarray]] = []  # rows, their weights, their hashes
        for file in ones:
            gone, own_weights, of_run = leaving.get(file["path"], (NOTHING, NO_NUMBERS, NO_NUMBERS))
            tokens_gone = gone.characters / rate
            if tokenizer:
                tokens_gone = np.array([one[1] for one in counted[file["path"]][len(file["run_lengths"]) :]], float)
            for number, (size, first, rows, characters, *_) in enumerate(file["run_lengths"]):
                here = of_run == number
                left = characters - int(gone.characters[here].sum())
                tokens = counted[file["path"]][number][1] - float(tokens_gone[here].sum()) if tokenizer else left / rate
                places = gone.rows[here] - first
                weight = repeats_of(size, weights[label])
                runs[label].append(Run(file["path"], first, rows - len(places), left, tokens, weight, places))
            named = [file["path"]] * len(gone.rows)
            parts.append((Moved(named, gone.rows, gone.characters, tokens_gone), own_weights, gone.id_hashes))
        if any(len(own) for _, own, _ in parts):
            moved[label] = _by_weight(parts, runs[label])
    return runs, moved


NO_NUMBERS = np.empty(0, np.int64)
NOTHING = Resized("", NO_NUMBERS, NO_NUMBERS, NO_NUMBERS.astype(np.uint64), NO_NUMBERS)


def _leaving(file: dict[str, Any], resized: Resized, weights: Weights) -> tuple[Resized, np.ndarray, np.ndarray]:
    """Of the resized rows of a file those whose weight changes, the weights, and the numbers of the runs they leave."""
    sizes, firsts = (np.array([run[column] for run in file["run_lengths"]]) for column in (0, 1))
    of_run = np.searchsorted(firsts, resized.rows, side="right") - 1
    old, new = (np.array([repeats_of(int(size), weights) for size in of]) for of in (sizes[of_run], resized.sizes))
    leaves = old != new
    columns = (column[leaves] for column in resized[1:])
    return Resized(resized.path, *columns), new[leaves], of_run[leaves]


def _by_weight(parts: list[tuple[Moved, np.ndarray, np.ndarray]], runs: list[Run]) -> dict[int, Moved]:
    """Append a run for each weight to `runs`; the rows of these, by number, in the order of the hash of id."""
    names = [name for one, _, _ in parts for name in one.file]
    rows, characters, tokens = (np.concatenate([one[column] for one, _, _ in parts]) for column in (1, 2, 3))
    weights, hashes = (np.concatenate([part[column] for part in parts]) for column in (1, 2))
    found = {}
    for weight in np.unique(weights):
        here = np.flatnonzero(weights == weight)
        here = here[np.argsort(hashes[here], kind="stable")]
        found[len(runs)] = Moved([names[one] for one in here], rows[here], characters[here], tokens[here])
        total = int(characters[here].sum()), float(tokens[here].sum())
        runs.append(Run("", 0, len(here), *total, int(weight)))
    return found


def _training(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [file for file in files if file["split"] == "train"]
