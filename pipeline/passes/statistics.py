"""compute_statistics: the histograms of every metric by label, and percentile bounds turned into numbers.

The pass takes the metric columns of annotated/ and gives what tuning, the report and percentile rules need. It depends
on no rule, so that it need not be done again when a threshold changes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.config.fingerprint import fingerprint
from pipeline.config.language_files import LanguageConfig, load_language_config
from pipeline.config.run_settings import RunConfig
from pipeline.config.user_stages import known_metrics
from pipeline.errors import InputError
from pipeline.execution.commit import finished, read_manifest, write_manifest
from pipeline.execution.storage import remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.histograms import Histograms, read_histograms, write_histograms
from pipeline.output.layout import Layout, shard_groups
from pipeline.output.measurements import calibrations, measured
from pipeline.output.output import Output
from pipeline.rules.fired import check_rules, with_rules_reading
from pipeline.rules.histogram import NULL, add, cell_of_rank, cells_of, histograms_of, rank_of, values_of
from pipeline.rules.percentiles import bounded, percentile_bounds
from pipeline.schema.manifests import HistogramIndex, PercentileBound
from pipeline.schema.metrics import MetricColumn
from pipeline.text.reads import Reads

FORMAT = 2


@dataclass(frozen=True)
class StatisticsSettings:
    """The settings that the pass reads."""

    shard_group_size: int  # shards whose histograms are one file
    models: str  # folder of the perplexity models, "" for those that come with Glotmill
    language_configs: str  # folder of the user's language files, "" for none
    rule_overrides: Mapping[str, Any]  # rules that were given with --set
    percentile_documents: int  # that a label must have for a bound that is a percentile
    boilerplate: bool  # whether host boilerplate is measured, so that rules on it are allowed
    metrics: Mapping[str, MetricColumn]  # those that rules can bound, by name
    rules_reading: Collection[Reads]  # what the metrics read whose rules are run

    @classmethod
    def of(cls, config: RunConfig, rule_overrides: Mapping[str, Any]) -> "StatisticsSettings":
        """Those of a run."""
        return cls(
            shard_group_size=config.dedup.shard_group_size,
            models=config.models,
            language_configs=config.language_configs,
            rule_overrides=rule_overrides,
            percentile_documents=config.select.percentile_documents,
            boilerplate=config.boilerplate.enabled,
            metrics=known_metrics(config.stages),
            rules_reading=config.select.rules_reading,
        )


@dataclass(frozen=True)
class Rules:
    """The rules of every label that documents have, each bound a number, and what became of percentile bounds."""

    languages: dict[str, LanguageConfig]
    percentiles: list[PercentileBound]


@dataclass(frozen=True, order=True)
class MetricCell:
    """One cell of the histogram of a metric, by its name, and label."""

    label: str
    metric: str
    cell: int


@dataclass(frozen=True, eq=False)
class ValueCounts:
    """The distinct values in a cell, (n,) float64 ascending, and how many documents have each, (n,) int64."""

    values: np.ndarray
    documents: np.ndarray


@dataclass(frozen=True)
class HistogramTask:
    """Count the metrics of one shard group."""

    layout: Layout
    shard_group: int
    shards: Sequence[str]
    models: str
    metrics: Sequence[MetricColumn]


@dataclass(frozen=True)
class ValuesTask:
    """Gather the values of one shard group that lie in some cells."""

    layout: Layout
    shards: Sequence[str]
    models: str
    metrics: Mapping[str, MetricColumn]  # of the cells, by name
    cells: Sequence[MetricCell]
    boilerplate: bool  # whether host boilerplate is measured by now


def compute_statistics(settings: StatisticsSettings, output: Output, executor: Executor) -> Histograms:
    """The histograms of all documents. They are read from files where those are of the same documents."""
    manifests = output.manifests()
    labels = sorted({label for manifest in manifests for label in manifest.rows_by_label})
    annotated = [manifest.sha256.annotated for manifest in manifests]
    metrics = sorted(settings.metrics.values(), key=lambda metric: metric.name)
    edges = [[metric.name, metric.dtype, metric.low, metric.high, metric.by_ratio] for metric in metrics]
    calibrated = calibrations(labels, settings.models)
    key = fingerprint([FORMAT, settings.shard_group_size, annotated, calibrated, edges])
    if finished(output.histogram_index, HistogramIndex, key) is None:
        remove_tree(output.histograms_folder)
        grouped = shard_groups(output.shards(), settings.shard_group_size)
        tasks = [HistogramTask(output, *group, settings.models, metrics) for group in enumerate(grouped)]
        run_all(executor, statistics_of_shard_group, tasks)
        write_manifest(output.histogram_index, HistogramIndex(fingerprint=key, shard_groups=len(grouped)))
    return read_statistics(output)


def read_statistics(layout: Layout) -> Histograms:
    """The histograms of all documents of a run. Raises InputError where there are none yet."""
    if not layout.histogram_index.exists():
        raise InputError(f"{layout.root}: no histograms yet; `glotmill run` or `glotmill select` makes them")
    total: Histograms = {}
    for number in range(read_manifest(layout.histogram_index, HistogramIndex).shard_groups):
        add(total, read_histograms(layout.histograms(number)))
    return total


def statistics_of_shard_group(task: HistogramTask) -> None:
    """Write the histograms of a shard group; the metrics of one shard are in memory at a time."""
    total: Histograms = {}
    for shard in task.shards:
        table = measured(task.layout, shard, task.models, [metric.name for metric in task.metrics])
        add(total, histograms_of(table, task.metrics))
    write_histograms(task.layout.histograms(task.shard_group), total)


def resolve_rules(
    settings: StatisticsSettings,
    output: Output,
    executor: Executor,
    histograms: Histograms,
    boilerplate_is_measured: bool = False,
) -> Rules:
    """The rules of every label that documents have, with percentile bounds replaced by values of the run's documents.

    Percentile p of the n documents of a label that have the metric is the value of rank p * n / 100, rounded up, in
    ascending order (nearest rank: no interpolation, so the bound is a value that occurs). The histogram names the cell
    with that rank, and only the values of that cell are then gathered, so that the bound is exact for a label of any
    size. A label with fewer than `percentile_documents` gets no such bound, and none has one on the metric of host
    boilerplate unless `boilerplate_is_measured`. Raises ConfigError for a rule on an unknown metric, or whose bounds
    cross once they are numbers.
    """
    labels = sorted({label for label, _ in histograms})
    folder = Path(settings.language_configs) if settings.language_configs else None
    languages = {label: load_language_config(label, folder, settings.rule_overrides) for label in labels}
    bounds: list[PercentileBound] = []
    ranks: dict[int, tuple[MetricCell, int]] = {}  # index in bounds -> cell, and rank inside it
    for language in languages.values():
        check_rules(language, settings.metrics, settings.boilerplate)
    languages = {
        label: with_rules_reading(language, settings.metrics, settings.rules_reading)
        for label, language in languages.items()
    }
    for label, language in languages.items():
        for metric, side, percentile in percentile_bounds(language):
            counts = histograms[label, metric]
            documents = int(counts[:NULL].sum())
            if documents >= settings.percentile_documents:
                cell, rank = cell_of_rank(counts, rank_of(percentile, documents))
                ranks[len(bounds)] = MetricCell(label, metric, cell), rank
            bounds.append(
                PercentileBound(
                    label=label, metric=metric, side=side, percentile=percentile, documents=documents, value=None
                )
            )
    if ranks:
        cells = sorted({metric_cell for metric_cell, _ in ranks.values()})
        of_cells = {cell.metric: settings.metrics[cell.metric] for cell in cells}
        tasks = [
            ValuesTask(output, shards, settings.models, of_cells, cells, boilerplate_is_measured)
            for shards in shard_groups(output.shards(), settings.shard_group_size)
        ]
        pieces: list[dict[MetricCell, ValueCounts]] = run_all(executor, values_in_cells, tasks)
        for index, (metric_cell, rank) in ranks.items():
            value = _value_of_rank([piece[metric_cell] for piece in pieces], rank)
            bounds[index] = msgspec.structs.replace(bounds[index], value=value)
    return Rules({label: bounded(language, bounds) for label, language in languages.items()}, bounds)


def _value_of_rank(pieces: Sequence[ValueCounts], rank: int) -> float:
    """The value of this rank, counted from 1 in ascending order, among the values of all pieces."""
    values = np.concatenate([piece.values for piece in pieces])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(np.concatenate([piece.documents for piece in pieces])[order])
    return float(values[order][np.searchsorted(reached, rank)])


def values_in_cells(task: ValuesTask) -> dict[MetricCell, ValueCounts]:
    """The distinct values of a shard group in each cell, and how many documents have each."""
    chunks: dict[MetricCell, list[np.ndarray]] = {cell: [] for cell in task.cells}
    for shard in task.shards:
        table = measured(task.layout, shard, task.models, task.metrics, boilerplate=task.boilerplate)
        labels = table["label"].to_numpy(zero_copy_only=False)
        for cell, of_cell in chunks.items():
            values = values_of(table, cell.metric)[labels == cell.label]
            of_cell.append(values[cells_of(task.metrics[cell.metric], values) == cell.cell])
    return {
        cell: ValueCounts(*np.unique(np.concatenate(of_cell), return_counts=True)) for cell, of_cell in chunks.items()
    }
