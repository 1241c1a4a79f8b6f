"""rebalance: cluster sizes and removal rates become a mixture, which says how often to read which rows of clean/.

How often a document counts is a function of the exact size of its cluster (`dedup/weights.py`), times the epochs of its
language: 1, or what temperature, a token budget or an override make of it. A fraction of a copy is a prefix of the
rows of one cluster size, which are in the order of the hash of id: a uniform sample. Only documents of the training
split take part. No text moves: a mixture is a list of (file, first row, rows, repeats).
"""

from pipeline.config.run_settings import RebalanceConfig
from pipeline.dedup.weights import Weights
from pipeline.errors import InputError
from pipeline.execution.commit import read_manifest, write_manifest
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor
from pipeline.output.mixtures import mixture_path
from pipeline.output.output import Output
from pipeline.passes.rebalance.cluster_size_updates import read_current_sizes
from pipeline.passes.rebalance.entries import (
    cut_runs,
    describe_token_counts,
    list_entries,
    moved_pieces,
    sum_language,
    sum_languages,
    write_changed_rows,
)
from pipeline.passes.rebalance.epochs import choose_weights, share_epochs
from pipeline.passes.rebalance.later_outputs import open_later_outputs
from pipeline.passes.rebalance.runs import find_runs
from pipeline.passes.rebalance.settings import check_settings
from pipeline.passes.rebalance.tokens import TextCounter, check_tokenizer
from pipeline.schema.manifests import OUTPUT_FORMAT, MixtureManifest, MixtureSettings, SelectionManifest, SizeWeight


def rebalance(config: RebalanceConfig, folder: Location, executor: Executor) -> MixtureManifest:
    """Write the mixture that a run's config asks for, `mixtures/<weights>.json` of the selection in `folder`."""
    settings = MixtureSettings(name=config.weights, weights=config.weights, max_repeats=config.max_repeats)
    return make_mixture(settings, folder, executor)


def make_mixture(settings: MixtureSettings, folder: Location, executor: Executor) -> MixtureManifest:
    """Write `mixtures/<name>.json` of the selection in `folder` and return it, with exact totals by language.

    Raises ConfigError for settings that contradict each other or the selection, InputError where there is no selection,
    ModelError for a file that is no tokenizer.
    """
    if not (folder / "manifest.json").exists():
        raise InputError(f"{folder}: no such selection; `glotmill run` or `glotmill select` makes one")
    manifest = read_manifest(folder / "manifest.json", SelectionManifest)
    check_settings(settings, manifest.files)
    tokenizer = check_tokenizer(settings.tokenizer) if settings.tokenizer else None
    counter = TextCounter(executor, folder, tokenizer)
    later_outputs = open_later_outputs(Output(folder.parent.parent), settings.updates) if settings.updates else []
    current = read_current_sizes(executor, folder, later_outputs, manifest)
    weights = {label: choose_weights(settings, current.statistics.get(label, [])) for label in manifest.files}
    runs = find_runs(manifest, weights, current.rows, counter)
    weighted_tokens = {label: sum(run.tokens * run.weight for run in of_label) for label, of_label in runs.items()}
    epochs = share_epochs(settings, weighted_tokens)
    pieces = {label: cut_runs(of_label, epochs[label]) for label, of_label in runs.items()}
    entries = list_entries(manifest.files, pieces, counter)
    moved = {label: moved_pieces(of_label) for label, of_label in pieces.items()}
    totals = {label: sum_language(runs[label], entries[label], moved[label], epochs[label]) for label in runs}
    changed = [piece for of_label in moved.values() for piece in of_label]
    mixture = MixtureManifest(
        format=OUTPUT_FORMAT,
        name=settings.name,
        settings=settings,
        weights=settings.weights,
        selection=manifest.fingerprint,
        row_group_rows=manifest.select["row_group_rows"],
        token_counts=describe_token_counts(tokenizer, runs),
        weights_by_label={label: _named(weights[label]) for label in weights},
        totals=totals,
        total=sum_languages(totals.values()),
        entries=[entry for label in sorted(entries) for entry in entries[label]],
        updates=[later.fingerprint for later in later_outputs],
        changed=write_changed_rows(folder, settings.name, changed) if later_outputs else None,
    )
    write_manifest(mixture_path(folder, settings.name), mixture)
    return mixture


def _named(weights: Weights) -> list[SizeWeight]:
    """Weights as the manifest has them."""
    return [SizeWeight(from_cluster_size=weight.from_cluster_size, repeats=weight.repeats) for weight in weights]
