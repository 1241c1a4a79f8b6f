"""compute_statistics: the histograms of every metric by label, and percentile bounds turned into numbers.

Takes the metric columns of `annotated/` and gives what tuning, the report and percentile rules need. It depends on no
rule, so a changed threshold finds it done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.fingerprint import fingerprint
from pipeline.config.language_files import LanguageConfig, load_language_config
from pipeline.config.run_settings import RunConfig
from pipeline.errors import InputError
from pipeline.execution.commit import finished_json, read_json, write_json
from pipeline.execution.storage import remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.histograms import Histograms, read_histograms, write_histograms
from pipeline.output.layout import shard_groups
from pipeline.output.measurements import calibrations, measured
from pipeline.output.output import Output
from pipeline.rules.fired import check_rules
from pipeline.rules.histogram import NULL, add, cell_of_rank, cells_of, histograms_of, rank_of, values_of
from pipeline.rules.percentiles import Bound, bounded, percentile_bounds

FORMAT = 2
Cell = tuple[str, str, int]  # label, metric, cell


@dataclass(frozen=True)
class Rules:
    """The rules of every label that was found, each bound a number, and what became of percentile bounds."""

    languages: dict[str, LanguageConfig]
    percentiles: list[Bound]


def compute_statistics(config: RunConfig, layout: Output, executor: Executor) -> Histograms:
    """The histograms of all documents; shard groups that were counted before are not read again."""
    manifests = layout.manifests()
    labels = sorted({label for manifest in manifests for label in manifest.rows_by_label})
    key = fingerprint(
        [
            FORMAT,
            config.dedup.shard_group_size,
            [one.sha256.annotated for one in manifests],
            calibrations(labels, config.models),
        ]
    )
    of_shard_groups = shard_groups(layout.shards(), config.dedup.shard_group_size)
    if finished_json(layout.histogram_index, key) is None:
        remove_tree(layout.histogram_index.parent)
        arguments = [(config, layout, number, shards) for number, shards in enumerate(of_shard_groups)]
        run_all(executor, statistics_of_shard_group, arguments)
        write_json(layout.histogram_index, {"fingerprint": key, "shard_groups": len(of_shard_groups)})
    return read_statistics(layout)


def read_statistics(layout: Output) -> Histograms:
    """The histograms of all documents of a run. Raises InputError where there are none yet."""
    if not layout.histogram_index.exists():
        raise InputError(f"{layout.root}: no histograms yet; `glotmill run` or `glotmill select` makes them")
    total: Histograms = {}
    for number in range(read_json(layout.histogram_index)["shard_groups"]):
        add(total, read_histograms(layout.histograms(number)))
    return total


def statistics_of_shard_group(config: RunConfig, layout: Output, shard_group: int, shards: list[str]) -> None:
    """Write the histograms of a shard group, a shard in memory at a time."""
    total: Histograms = {}
    for shard in shards:
        add(total, histograms_of(measured(layout, shard, config.models)))
    write_histograms(layout.histograms(shard_group), total)


def resolve_rules(
    config: RunConfig,
    layout: Output,
    executor: Executor,
    overrides: dict[str, Any],
    histograms: Histograms,
    boilerplate: bool = False,
) -> Rules:
    """The rules of every label that was found, with percentile bounds replaced by values of the run's documents.

    The population are all documents of the label that have the metric, n of them; percentile p is the value of rank
    p * n / 100, rounded up, in ascending order (nearest rank: no interpolation, so the bound is a value that occurs).
    The histogram names the bin with that rank and only the values of that bin are then gathered, so that the bound is
    exact for a label of any size. A label with fewer than `select.percentile_documents` gets no such bound; none has
    one on the metric of boilerplate unless `boilerplate` says that the pass is done. Raises
    ConfigError for a rule on an unknown metric, or whose bounds cross once they are numbers.
    """
    labels = sorted({label for label, _ in histograms})
    folder = Path(config.language_configs) if config.language_configs else None
    languages = {label: load_language_config(label, folder, overrides) for label in labels}
    bounds: list[Bound] = []
    wanted: dict[int, tuple[Cell, int]] = {}  # place in bounds -> cell, and rank inside it
    for label, language in languages.items():
        check_rules(language, config.boilerplate.enabled)
        for metric, side, percentile in percentile_bounds(language):
            counts = histograms[label, metric]
            documents = int(counts[:NULL].sum())
            if documents >= config.select.percentile_documents:
                cell, rank = cell_of_rank(counts, rank_of(percentile, documents))
                wanted[len(bounds)] = (label, metric, cell), rank
            bounds.append(Bound(label, metric, side, percentile, documents, None))
    if wanted:
        cells = sorted({cell for cell, _ in wanted.values()})
        of_shard_groups = shard_groups(layout.shards(), config.dedup.shard_group_size)
        arguments = [(config, layout, shards, cells, boilerplate) for shards in of_shard_groups]
        pieces = run_all(executor, values_in_cells, arguments)
        for place, (where, rank) in wanted.items():
            values = np.concatenate([piece[where][0] for piece in pieces])
            order = np.argsort(values, kind="stable")
            reached = np.cumsum(np.concatenate([piece[where][1] for piece in pieces])[order])
            bounds[place] = replace(bounds[place], value=float(values[order][np.searchsorted(reached, rank)]))
    return Rules({label: bounded(language, bounds) for label, language in languages.items()}, bounds)


def values_in_cells(
    config: RunConfig, layout: Output, shards: list[str], cells: Sequence[Cell], boilerplate: bool = False
) -> dict[Cell, tuple[np.ndarray, np.ndarray]]:
    """The distinct values of a shard group in each cell, ascending, and how often each occurs."""
    found: dict[Cell, list[np.ndarray]] = {cell: [] for cell in cells}
    metrics = sorted({metric for _, metric, _ in cells})
    for shard in shards:
        table = measured(layout, shard, config.models, metrics=metrics, boilerplate=boilerplate)
        labels = table["label"].to_numpy(zero_copy_only=False)
        for (label, metric, cell), parts in found.items():
            values = values_of(table, metric)[labels == label]
            parts.append(values[cells_of(metric, values) == cell])
    return {cell: np.unique(np.concatenate(parts), return_counts=True) for cell, parts in found.items()}
