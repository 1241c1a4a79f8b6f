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

from pipeline.config import RunConfig
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
from pipeline.execution.executors import Executor
from pipeline.execution.manifests import read_json, write_json
from pipeline.execution.storage import Location
from pipeline.passes.layout import Layout
from pipeline.passes.tokens import ESTIMATE, Ranges, TokenizerFile, characters_per_token, check_tokenizer, sum_ranges

FORMAT = 2
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
    the epochs of some, which count against the budget first; 0 leaves a language out.
    """

    name: str
    weights: str = "default"
    max_repeats: int = 10
    temperature: float | None = None
    token_budget: float | None = None
    max_epochs: float | None = None
    languages: Mapping[str, float] = field(default_factory=dict)
    tokenizer: str | None = None

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
    """Rows of one cluster size in one file."""

    file: str
    size: int
    first: int
    rows: int
    characters: int
    tokens: float
    weight: int


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
    weights = {label: _weights(settings, manifest["cluster_statistics"].get(label, [])) for label in manifest["files"]}
    runs = _runs(manifest, weights, executor, folder, tokenizer)
    weighted = {label: sum(run.tokens * run.weight for run in one) for label, one in runs.items()}
    epochs = _epochs(settings, weighted)
    pieces = {label: _pieces(one, epochs[label]) for label, one in runs.items()}
    entries = _entries(manifest, runs, pieces, executor, folder, tokenizer)
    totals = {label: _total(runs[label], entries[label], epochs[label]) for label in runs}
    mix = {
        "format": FORMAT,
        "name": settings.name,
        "settings": asdict(settings) | {"languages": dict(settings.languages)},
        "weights": settings.weights,
        "selection": manifest["fingerprint"],
        "row_group_rows": manifest["select"]["row_group_rows"],
        "token_counts": _how_counted(tokenizer, runs),
        "weights_by_label": {label: [list(one) for one in weights[label]] for label in weights},
        "totals": totals,
        "total": {key: sum(one[key] for one in totals.values()) for key in SUMMED},
        "entries": [entry for label in sorted(entries) for entry in entries[label]],
    }
    write_json(mix_path(folder, settings.name), mix)
    return mix


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


def _runs(
    manifest: dict[str, Any],
    weights: Mapping[str, Weights],
    executor: Executor,
    folder: Location,
    tokenizer: TokenizerFile | None,
) -> dict[str, list[_Run]]:
    """The training split's rows by cluster size, with tokens counted where there is a tokenizer, else estimated."""
    files = {label: _training(ones) for label, ones in manifest["files"].items()}
    counted: dict[str, list[tuple[int, int]]] = {}
    if tokenizer:
        wanted = [
            Ranges(file["path"], file["sha256"], file["characters"], [(run[1], run[2]) for run in file["run_lengths"]])
            for ones in files.values()
            for file in ones
        ]
        sums = sum_ranges(executor, folder, wanted, tokenizer)
        counted = {one.path: found for one, found in zip(wanted, sums, strict=True)}
    runs: dict[str, list[_Run]] = {}
    for label, ones in files.items():
        runs[label] = []
        for file in ones:
            for number, (size, first, rows, characters, *_) in enumerate(file["run_lengths"]):
                tokens = counted[file["path"]][number][1] if tokenizer else characters / characters_per_token(label)
                weight = repeats_of(size, weights[label])
                runs[label].append(_Run(file["path"], size, first, rows, characters, tokens, weight))
    return runs


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
    """(number of the run, first row, rows, repeats): a run in one piece, or a prefix with one copy more and the rest.

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
        for first, rows, repeats in ((run.first, more, whole + 1), (run.first + more, run.rows - more, whole)):
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
            if rows < run.rows:
                cut.setdefault(run.file, []).append((first, rows))
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
            characters, tokens = (run.characters, run.tokens) if rows == run.rows else found[run.file, first]
            if not tokenizer:
                tokens = characters / characters_per_token(label)
            entries[label].append(
                {
                    "file": run.file,
                    "first_row": first,
                    "rows": rows,
                    "repeats": repeats,
                    "characters": characters,
                    "tokens": round(tokens),
                }
            )
    return entries


SUMMED = ("clean_documents", "clean_tokens", "documents", "repeated_documents", "characters", "tokens")


def _total(runs: list[_Run], entries: list[dict[str, Any]], epochs: float) -> dict[str, Any]:
    """Totals of a language; `clean_` is what the selection has, the rest what a pass over the mix reads."""
    return {
        "clean_documents": sum(run.rows for run in runs),
        "clean_tokens": round(sum(run.tokens for run in runs)),
        "documents": sum(one["rows"] for one in entries),
        "repeated_documents": sum(one["rows"] * one["repeats"] for one in entries),
        "characters": sum(one["characters"] * one["repeats"] for one in entries),
        "tokens": sum(one["tokens"] * one["repeats"] for one in entries),
        "epochs": epochs,
        "most_copies": max((one["repeats"] for one in entries), default=0),
    }


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
