"""rebalance: cluster sizes and removal rates become a mix: (file, first row, rows, repeats) entries; no text moves.

How often a document counts is a function of the exact size of its cluster (`dedup/weights.py`), times the epochs of its
language: 1, or what temperature, a token budget or an override make of it. A fraction of a copy is a prefix of the
rows of one cluster size, which are in the order of the hash of id: a uniform sample. Only documents of the training
split take part.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.weights import (
    Weights,
    default_weights,
    fineweb2_weights,
    repeats_of,
    temperature_budget,
    txt360_weights,
    unimax_budget,
)
from pipeline.errors import ConfigError, InputError
from pipeline.execution.commit import committed, read_json, sha256_of, write_json
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor
from pipeline.output.layout import Layout
from pipeline.passes.rebalance.cluster_size_updates import Resized, open_later, resize
from pipeline.passes.rebalance.tokens import (
    ESTIMATE,
    Ranges,
    TokenizerFile,
    characters_per_token,
    check_tokenizer,
    sum_ranges,
)

FORMAT = 2
FORMAT_WITH_UPDATES = 3
TAIL_SHARE = 0.999
MAX_EPOCHS = 4.0  # up to four passes are worth nearly as much as new text: arXiv:2305.16264
EPOCHS_DECIMALS = 6  # epochs are rounded, so that a mix does not depend on the last bits of a machine's pow()
KINDS = ("default", "fineweb2", "txt360", "none")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class MixSettings:
    """What a mix is made from.

    An epoch is a pass over a language as its weights have it. Without `temperature` and `token_budget` every language
    has one. `token_budget` alone is shared by UniMax, with `temperature` in proportion to tokens ** (1 / temperature);
    temperature alone shares as many tokens as the weights give. A language gets at most `max_epochs`. `languages` fixes
    the epochs of some, which count against the budget first; 0 leaves a language out. `updates` are outputs that were
    made over this one, oldest first: cluster sizes are those of the last.
    """

    name: str
    weights: str = "default"
    max_repeats: int = 10
    temperature: float | None = None
    token_budget: float | None = None
    max_epochs: float | None = None
    languages: Mapping[str, float] = field(default_factory=dict)
    tokenizer: str | None = None
    updates: tuple[str, ...] = ()

    def check(self, labels: Mapping[str, Any]) -> None:
        """Raises ConfigError for what cannot be meant; `labels` are the languages of the selection."""
        if not NAME.fullmatch(self.name):
            raise ConfigError(f"--name {self.name}: letters, digits, dots, dashes and underscores only")
        if self.weights not in KINDS:
            raise ConfigError(f"--weights {self.weights}: must be one of {', '.join(KINDS)}")
        if self.max_repeats < 1:
            raise ConfigError(f"--max-repeats {self.max_repeats}: must be at least 1")
        for option in ("temperature", "token_budget", "max_epochs"):
            value = getattr(self, option)
            if value is not None and not 0 < value < np.inf:
                raise ConfigError(f"--{option.replace('_', '-')} {value:g}: must be above 0")
        if self.max_epochs is not None and self.temperature is None and self.token_budget is None:
            raise ConfigError("--max-epochs limits how a budget is shared: give --token-budget or --temperature, too")
        for label, epochs in self.languages.items():
            if label not in labels:
                raise ConfigError(f"--language {label}: not in the selection, which has {', '.join(sorted(labels))}")
            if not 0 <= epochs < np.inf:
                raise ConfigError(f"--language {label}={epochs:g}: must be 0 or more")


class _Run(NamedTuple):
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

    def spans(self, row: int, rows: int) -> list[tuple[int, int]]:
        """(first row of the file, rows) of `rows` rows that count from `row` on, with nothing between."""
        start, end = self.place(row), self.place(row + rows)
        gaps = self.moved[(self.moved >= start - self.first) & (self.moved < end - self.first)] + self.first
        firsts, ends = [start, *(gaps + 1).tolist()], [*gaps.tolist(), end]
        return [(first, stop - first) for first, stop in zip(firsts, ends, strict=True) if stop > first]


def rebalance(config: RunConfig, layout: Layout, executor: Executor) -> dict[str, Any]:
    """Write the mix of the run's own settings, `mixes/<weights>.json`, and return it."""
    kind = config.rebalance.weights
    settings = MixSettings(name=kind, weights=kind, max_repeats=config.rebalance.max_repeats)
    return make_mix(settings, layout.selection(config.selection), executor)


def mix_path(folder: Location, name: str) -> Location:
    """Where a selection's mix of this name lies."""
    return folder / "mixes" / f"{name}.json"


def make_mix(settings: MixSettings, folder: Location, executor: Executor) -> dict[str, Any]:
    """Write `mixes/<name>.json` of the selection in `folder` and return it, with exact totals by language.

    Raises ConfigError for settings that contradict each other or the selection, InputError where there is no selection,
    ModelError for a file that is no tokenizer.
    """
    if not (folder / "manifest.json").exists():
        raise InputError(f"{folder}: no such selection; `glotmill run` or `glotmill select` makes one")
    manifest = read_json(folder / "manifest.json")
    settings.check(manifest["files"])
    tokenizer = check_tokenizer(settings.tokenizer) if settings.tokenizer else None
    later = open_later(Layout(folder.parent.parent), settings.updates) if settings.updates else []
    statistics, resized = resize(executor, folder, later, manifest)
    weights = {label: _weights(settings, statistics.get(label, [])) for label in manifest["files"]}
    runs, moved = _runs(manifest, weights, resized, executor, folder, tokenizer)
    weighted = {label: sum(run.tokens * run.weight for run in one) for label, one in runs.items()}
    epochs = _epochs(settings, weighted)
    pieces = {label: _pieces(one, epochs[label]) for label, one in runs.items()}
    entries = _entries(manifest, runs, pieces, executor, folder, tokenizer)
    changed = {label: _moved_entries(runs[label], pieces[label], moved[label]) for label in moved}
    totals = {
        label: _total(runs[label], [*entries[label], *(one for one, _ in changed.get(label, []))], epochs[label])
        for label in runs
    }
    mix = {
        "format": FORMAT,
        "name": settings.name,
        "settings": _settings_of(settings),
        "weights": settings.weights,
        "selection": manifest["fingerprint"],
        "row_group_rows": manifest["select"]["row_group_rows"],
        "token_counts": _how_counted(tokenizer, runs),
        "weights_by_label": {label: [list(one) for one in weights[label]] for label in weights},
        "totals": totals,
        "total": {key: sum(one[key] for one in totals.values()) for key in SUMMED},
        "entries": [entry for label in sorted(entries) for entry in entries[label]],
    }
    if later:
        mix |= {"format": FORMAT_WITH_UPDATES, "updates": [one.fingerprint for one in later]}
        mix["changed"] = _write_changed(folder, settings.name, changed)
    write_json(mix_path(folder, settings.name), mix)
    return mix


def _settings_of(settings: MixSettings) -> dict[str, Any]:
    found = asdict(settings) | {"languages": dict(settings.languages)}
    if not found.pop("updates"):
        return found
    return found | {"updates": list(settings.updates)}


def _weights(settings: MixSettings, statistics: list[list[int]]) -> Weights:
    kind, cap = settings.weights, settings.max_repeats
    if kind == "txt360":
        return [(start, min(repeats, cap)) for start, repeats in txt360_weights()]
    if kind == "none" or not statistics:
        return [(1, 1)]
    sizes, documents, removed = (np.array(column, dtype=np.int64) for column in zip(*statistics, strict=True))
    if kind == "default":
        return default_weights(sizes, documents, removed, cap)
    # FineWeb2 pools the tail at about the 99.9th percentile of cluster size over documents
    reached = np.searchsorted(np.cumsum(documents) / documents.sum(), TAIL_SHARE)
    cut = max(1, int(reached))
    rates = removed / documents
    tail_rate = float(removed[cut:].sum() / documents[cut:].sum()) if cut < len(sizes) else float(rates[-1])
    threshold = int(sizes[cut]) if cut < len(sizes) else int(sizes[-1]) + 1
    overall = float(removed.sum() / documents.sum())
    return fineweb2_weights(sizes[:cut].tolist(), rates[:cut].tolist(), threshold, tail_rate, overall, cap)


class _Moved(NamedTuple):
    """Rows of clean files whose weight is that of another cluster size than the one they stand under, by hash of id."""

    file: list[str]
    row: np.ndarray
    characters: np.ndarray
    tokens: np.ndarray

    def slice(self, first: int, rows: int) -> "_Moved":
        here = slice(first, first + rows)
        return _Moved(self.file[here], self.row[here], self.characters[here], self.tokens[here])


def _runs(
    manifest: dict[str, Any],
    weights: Mapping[str, Weights],
    resized: Mapping[str, list[Resized]],
    executor: Executor,
    folder: Location,
    tokenizer: TokenizerFile | None,
) -> tuple[dict[str, list[_Run]], dict[str, dict[int, _Moved]]]:
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
    runs: dict[str, list[_Run]] = {}
    moved: dict[str, dict[int, _Moved]] = {}
    for label, ones in files.items():
        rate = characters_per_token(label)
        runs[label] = []
        parts: list[tuple[_Moved, np.ndarray, np.ndarray]] = []  # rows, their weights, their hashes
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
                runs[label].append(_Run(file["path"], first, rows - len(places), left, tokens, weight, places))
            named = [file["path"]] * len(gone.rows)
            parts.append((_Moved(named, gone.rows, gone.characters, tokens_gone), own_weights, gone.id_hashes))
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


def _by_weight(parts: list[tuple[_Moved, np.ndarray, np.ndarray]], runs: list[_Run]) -> dict[int, _Moved]:
    """Append a run for each weight to `runs`; the rows of these, by number, in the order of the hash of id."""
    names = [name for one, _, _ in parts for name in one.file]
    rows, characters, tokens = (np.concatenate([one[column] for one, _, _ in parts]) for column in (1, 2, 3))
    weights, hashes = (np.concatenate([part[column] for part in parts]) for column in (1, 2))
    found = {}
    for weight in np.unique(weights):
        here = np.flatnonzero(weights == weight)
        here = here[np.argsort(hashes[here], kind="stable")]
        found[len(runs)] = _Moved([names[one] for one in here], rows[here], characters[here], tokens[here])
        total = int(characters[here].sum()), float(tokens[here].sum())
        runs.append(_Run("", 0, len(here), *total, int(weight)))
    return found


def _training(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [file for file in files if file["split"] == "train"]


def _epochs(settings: MixSettings, weighted: Mapping[str, float]) -> dict[str, float]:
    """Passes over each language as its weights have it."""
    epochs = {label: float(settings.languages.get(label, 1.0)) for label in weighted}
    if settings.temperature is None and settings.token_budget is None:
        return epochs
    fixed = sum(weighted[label] * settings.languages[label] for label in settings.languages)
    shared = {label: tokens for label, tokens in weighted.items() if label not in settings.languages}
    budget = sum(shared.values()) if settings.token_budget is None else settings.token_budget - fixed
    if settings.token_budget is not None and budget < 0:
        raise ConfigError(
            f"--token-budget {settings.token_budget:.0f}: the languages given with --language take {fixed:.0f} tokens"
        )
    if not budget or not shared:
        return epochs | dict.fromkeys(shared, 0.0)
    cap = settings.max_epochs or MAX_EPOCHS
    if settings.temperature is None:
        shares = unimax_budget(shared, budget, cap)
    else:
        shares = temperature_budget(shared, settings.temperature, budget, cap)
    return epochs | {
        label: round(shares[label] / shared[label], EPOCHS_DECIMALS) if shared[label] else 0.0 for label in shared
    }


def _pieces(runs: list[_Run], epochs: float) -> list[tuple[int, int, int, int]]:
    """(number of the run, first of its rows, rows, repeats): a run in one piece, or a prefix with one copy more and the
    rest.

    What is rounded off at one run is added to the next, so that many short runs do not add up to a wrong total.
    """
    pieces = []
    due = 0.0
    taken = 0
    for number, run in enumerate(runs):
        copies = round(run.weight * epochs, EPOCHS_DECIMALS)
        whole = int(copies)
        due += (copies - whole) * run.rows
        more = min(run.rows, int(due + 0.5) - taken)
        taken += more
        for first, rows, repeats in ((0, more, whole + 1), (more, run.rows - more, whole)):
            if rows and repeats:
                pieces.append((number, first, rows, repeats))
    return pieces


def _entries(
    manifest: dict[str, Any],
    runs: dict[str, list[_Run]],
    pieces: dict[str, list[tuple[int, int, int, int]]],
    executor: Executor,
    folder: Location,
    tokenizer: TokenizerFile | None,
) -> dict[str, list[dict[str, Any]]]:
    """What the manifest lists: pieces with their characters and tokens, of one copy. Only cut runs are looked up."""
    cut: dict[str, list[tuple[int, int]]] = {}
    for label, ones in pieces.items():
        for number, first, rows, _ in ones:
            run = runs[label][number]
            if run.file and rows < run.rows:
                cut.setdefault(run.file, []).extend(run.spans(first, rows))
    known = {file["path"]: file for ones in manifest["files"].values() for file in ones}
    wanted = [Ranges(path, known[path]["sha256"], known[path]["characters"], cut[path]) for path in sorted(cut)]
    sums = sum_ranges(executor, folder, wanted, tokenizer)
    found = {
        (one.path, first): numbers
        for one, many in zip(wanted, sums, strict=True)
        for (first, _), numbers in zip(one.ranges, many, strict=True)
    }
    entries: dict[str, list[dict[str, Any]]] = {}
    for label, ones in pieces.items():
        entries[label] = []
        for number, first, rows, repeats in ones:
            run = runs[label][number]
            if not run.file:
                continue
            characters, tokens = run.characters, run.tokens
            if rows < run.rows:
                numbers = [found[run.file, place] for place, _ in run.spans(first, rows)]
                characters, tokens = (sum(column) for column in zip(*numbers, strict=True))
            if not tokenizer:
                tokens = characters / characters_per_token(label)
            start, end = run.place(first), run.place(first + rows)
            entry = {
                "file": run.file,
                "first_row": start,
                "rows": end - start,
                "repeats": repeats,
                "characters": characters,
                "tokens": round(tokens),
            }
            entries[label].append(entry | ({"changed": end - start - rows} if end - start > rows else {}))
    return entries


def _moved_entries(
    runs: list[_Run], pieces: list[tuple[int, int, int, int]], moved: dict[int, _Moved]
) -> list[tuple[dict[str, Any], _Moved]]:
    """As `_entries`, of the rows that moved, with the rows; those of no copy, too."""
    entries = []
    for number, rows_of_run in moved.items():
        mine = [piece[1:] for piece in pieces if piece[0] == number]
        read = sum(rows for _, rows, _ in mine)
        mine += [(read, runs[number].rows - read, 0)] if read < runs[number].rows else []
        for first, rows, repeats in mine:
            here = rows_of_run.slice(first, rows)
            sums = {"characters": int(here.characters.sum()), "tokens": round(float(here.tokens.sum()))}
            entries.append(({"rows": rows, "repeats": repeats} | sums, here))
    return entries


def _write_changed(
    folder: Location, name: str, changed: Mapping[str, list[tuple[dict[str, Any], _Moved]]]
) -> dict[str, Any]:
    """Write `mixes/<name>.changed.parquet`, a row for each row that does not follow its entry, by file and row."""
    pieces = [piece for of_label in changed.values() for piece in of_label]
    table = pa.table(
        {
            "file": pa.array([file for _, one in pieces for file in one.file], pa.string()),
            "row": pa.array([row for _, one in pieces for row in one.row], pa.int64()),
            "repeats": pa.array([told["repeats"] for told, one in pieces for _ in one.file], pa.int32()),
            "characters": pa.array([count for _, one in pieces for count in one.characters], pa.int64()),
        }
    ).sort_by([("file", "ascending"), ("row", "ascending")])
    path = mix_path(folder, name).with_name(f"{name}.changed.parquet")
    with committed(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        digest = sha256_of(temporary)
    return {"file": path.name, "rows": table.num_rows, "sha256": digest}


SUMMED = ("clean_documents", "clean_tokens", "documents", "repeated_documents", "characters", "tokens")


def _total(runs: list[_Run], entries: list[dict[str, Any]], epochs: float) -> dict[str, Any]:
    """Totals of a language; `clean_` is what the selection has, the rest what a pass over the mix reads."""
    return {
        "clean_documents": sum(run.rows for run in runs),
        "clean_tokens": round(sum(run.tokens for run in runs)),
        "documents": sum(_documents(one) for one in entries if one["repeats"]),
        "repeated_documents": sum(_documents(one) * one["repeats"] for one in entries),
        "characters": sum(one["characters"] * one["repeats"] for one in entries),
        "tokens": sum(one["tokens"] * one["repeats"] for one in entries),
        "epochs": epochs,
        "most_copies": max((one["repeats"] for one in entries), default=0),
    }


def _documents(entry: dict[str, Any]) -> int:
    documents: int = entry["rows"] - entry.get("changed", 0)
    return documents


def _how_counted(tokenizer: TokenizerFile | None, runs: Mapping[str, Any]) -> dict[str, Any]:
    if tokenizer:
        return {
            "method": "tokenizer",
            "file": Path(tokenizer.path).name,
            "sha256": tokenizer.sha256,
            "special_tokens": False,
        }
    return {
        "method": "estimate",
        "formula": ESTIMATE,
        "characters_per_token": {label: characters_per_token(label) for label in sorted(runs)},
    }
