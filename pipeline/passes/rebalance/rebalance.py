"""rebalance: cluster sizes and removal rates become a mixture: (file, first row, rows, repeats) entries; no text moves.

How often a document counts is a function of the exact size of its cluster (`dedup/weights.py`), times the epochs of its
language: 1, or what temperature, a token budget or an override make of it. A fraction of a copy is a prefix of the
rows of one cluster size, which are in the order of the hash of id: a uniform sample. Only documents of the training
split take part.
"""

from typing import Any

from pipeline.config.run_settings import RunConfig
from pipeline.errors import InputError
from pipeline.execution.commit import read_json, write_json
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor
from pipeline.output.mixtures import FORMAT, FORMAT_WITH_UPDATES, mixture_path
from pipeline.output.output import Output
from pipeline.passes.rebalance.cluster_size_updates import open_later_outputs, resize
from pipeline.passes.rebalance.entries import (
    SUMMED,
    entries_of,
    how_counted,
    moved_entries,
    pieces_of,
    total_of,
    write_changed,
)
from pipeline.passes.rebalance.epochs import epochs_of, weights_of
from pipeline.passes.rebalance.runs import runs_of
from pipeline.passes.rebalance.settings import MixtureSettings, settings_of
from pipeline.passes.rebalance.tokens import check_tokenizer


def rebalance(config: RunConfig, layout: Output, executor: Executor) -> dict[str, Any]:
    """Write the mixture of the run's own settings, `mixtures/<weights>.json`, and return it."""
    kind = config.rebalance.weights
    settings = MixtureSettings(name=kind, weights=kind, max_repeats=config.rebalance.max_repeats)
    return make_mixture(settings, layout.selection(config.selection), executor)


def make_mixture(settings: MixtureSettings, folder: Location, executor: Executor) -> dict[str, Any]:
    """Write `mixtures/<name>.json` of the selection in `folder` and return it, with exact totals by language.

    Raises ConfigError for settings that contradict each other or the selection, InputError where there is no selection,
    ModelError for a file that is no tokenizer.
    """
    if not (folder / "manifest.json").exists():
        raise InputError(f"{folder}: no such selection; `glotmill run` or `glotmill select` makes one")
    manifest = read_json(folder / "manifest.json")
    settings.check(manifest["files"])
    tokenizer = check_tokenizer(settings.tokenizer) if settings.tokenizer else None
    later = open_later_outputs(Output(folder.parent.parent), settings.updates) if settings.updates else []
    statistics, resized = resize(executor, folder, later, manifest)
    weights = {label: weights_of(settings, statistics.get(label, [])) for label in manifest["files"]}
    runs, moved = runs_of(manifest, weights, resized, executor, folder, tokenizer)
    weighted = {label: sum(run.tokens * run.weight for run in one) for label, one in runs.items()}
    epochs = epochs_of(settings, weighted)
    pieces = {label: pieces_of(one, epochs[label]) for label, one in runs.items()}
    entries = entries_of(manifest, runs, pieces, executor, folder, tokenizer)
    changed = {label: moved_entries(runs[label], pieces[label], moved[label]) for label in moved}
    totals = {
        label: total_of(runs[label], [*entries[label], *(one for one, _ in changed.get(label, []))], epochs[label])
        for label in runs
    }
    mixture = {
        "format": FORMAT,
        "name": settings.name,
        "settings": settings_of(settings),
        "weights": settings.weights,
        "selection": manifest["fingerprint"],
        "row_group_rows": manifest["select"]["row_group_rows"],
        "token_counts": how_counted(tokenizer, runs),
        "weights_by_label": {label: [list(one) for one in weights[label]] for label in weights},
        "totals": totals,
        "total": {key: sum(one[key] for one in totals.values()) for key in SUMMED},
        "entries": [entry for label in sorted(entries) for entry in entries[label]],
    }
    if later:
        mixture |= {"format": FORMAT_WITH_UPDATES, "updates": [one.fingerprint for one in later]}
        mixture["changed"] = write_changed(folder, settings.name, changed)
    write_json(mixture_path(folder, settings.name), mixture)
    return mixture
