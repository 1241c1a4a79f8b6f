"""tune: look at thresholds without a run, as quantiles of stored metrics and what rules would remove. Reads no text.

Everything is of the metric columns of `annotated/`, so of all measured documents before deduplication, as the first
step of select sees them. `notebooks/tune_thresholds.py` shows how to use it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config.language_files import LanguageConfig, Rule, load_language_config
from pipeline.config.user_stages import known_metrics
from pipeline.errors import InputError
from pipeline.output import measurements
from pipeline.output.output import Output
from pipeline.passes.boilerplate.boilerplate import has_boilerplate, measured_boilerplate
from pipeline.passes.statistics import read_statistics
from pipeline.rules.fired import check_rules, rules_fired, with_rules_reading
from pipeline.rules.histogram import rank_of, removed_range, values_of
from pipeline.rules.percentiles import bounded, percentile_bounds
from pipeline.schema.manifests import PercentileBound

QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)

Side = Literal["min", "max"]


@dataclass(frozen=True)
class Quantiles:
    """The distribution of one metric: how many documents have a value, and values at `QUANTILES`."""

    metric: str
    defined: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class ThresholdRemoval:
    """What one bound on one metric removes, of all documents of the language."""

    threshold: float
    removed: int
    documents: int

    @property
    def fraction(self) -> float:
        """Share of the documents that the bound removes, 0 to 1."""
        return self.removed / self.documents


@dataclass(frozen=True)
class RemovalRange:
    """What one bound on one metric removes, as far as a histogram can tell; both are equal on an edge."""

    threshold: float
    at_least: int
    at_most: int
    documents: int


@dataclass(frozen=True)
class WhatIf:
    """Documents that fail with the rules of the language files, and with overrides laid over them.

    `fired_before` and `fired_after` count the documents for which each rule fires, most first.
    """

    documents: int
    failed_before: int
    failed_after: int
    newly_failed: int
    newly_passed: int
    fired_before: dict[str, int]
    fired_after: dict[str, int]


def measured(output: Output, label: str) -> pa.Table:
    """Numeric metric columns of every document of a language, and its perplexity percentile.

    Raises InputError where the run has no document of that language.
    """
    shards = [manifest.shard for manifest in output.manifests() if label in manifest.rows_by_label]
    if not shards:
        raise InputError(f"{output.root}: the run has no document of the language {label}")
    config, marked = output.config(), has_boilerplate(output)
    metrics = known_metrics(config.stages)
    tables = [measurements.measured(output, shard, config.models, metrics, boilerplate=marked) for shard in shards]
    of_label = [table.filter(pa.compute.equal(table["label"], label)) for table in tables]
    return pa.concat_tables(of_label).select(list(metrics))


def metric_quantiles(output: Output, label: str) -> list[Quantiles]:
    """Quantiles of each metric that is defined for any document of the language, in column order."""
    table = measured(output, label)
    quantiles = []
    for name in table.column_names:
        values = _defined_values(table, name)
        if len(values):
            at = np.quantile(values, QUANTILES).round(4)
            quantiles.append(Quantiles(name, len(values), tuple(float(value) for value in at)))
    return quantiles


def removal_by_threshold(
    output: Output, label: str, metric: str, side: Side, thresholds: Sequence[float]
) -> list[ThresholdRemoval]:
    """What a rule with this one bound removes, for each threshold; other rules play no part.

    Raises InputError for a metric that is not measured.
    """
    table = measured(output, label)
    if metric not in table.column_names:
        raise InputError(f"{metric}: no such metric; choose from {', '.join(table.column_names)}")
    removals = []
    for threshold in thresholds:
        rule = Rule(min=threshold) if side == "min" else Rule(max=threshold)
        _, failed = rules_fired(table, LanguageConfig(name=label, label=label, rules={metric: rule}))
        removals.append(ThresholdRemoval(float(threshold), int(failed.sum()), table.num_rows))
    return removals


def removal_from_histogram(
    output: Output, label: str, metric: str, side: Side, thresholds: Sequence[float]
) -> list[RemovalRange]:
    """What a rule with this one bound removes, from the histograms that the run wrote, without reading a column.

    `removal_by_threshold` is exact where this gives a range. Raises InputError for an unknown metric or label.
    """
    counts = (read_statistics(output) | measured_boilerplate(output)).get((label, metric))
    if counts is None:
        raise InputError(f"{output.root}: no histogram of {metric} for {label}")
    documents = int(counts.sum())
    definition = known_metrics(output.config().stages)[metric]
    return [
        RemovalRange(float(threshold), *removed_range(definition, counts, side, threshold), documents)
        for threshold in thresholds
    ]


def what_if(output: Output, label: str, overrides: Mapping[str, Any]) -> WhatIf:
    """How many documents fail if `overrides` are laid over the rules.

    An override is such as `{"rules": {"word_count": {"min": 100}}}`.
    The rules before are those of the run's language files, not those of a selection made with --set.
    """
    table = measured(output, label)
    names_before, before = rules_fired(table, _rules(output, label, {}, table))
    names_after, after = rules_fired(table, _rules(output, label, overrides, table))
    return WhatIf(
        documents=table.num_rows,
        failed_before=int(before.sum()),
        failed_after=int(after.sum()),
        newly_failed=int((after & ~before).sum()),
        newly_passed=int((before & ~after).sum()),
        fired_before=_count(names_before),
        fired_after=_count(names_after),
    )


def _rules(output: Output, label: str, overrides: Mapping[str, Any], table: pa.Table) -> LanguageConfig:
    """The rules of a language, with percentile bounds as numbers, which come from the documents of the table.

    `resolve_rules` of the pass statistics does the same from histograms.
    """
    config = output.config()
    folder = Path(config.language_configs) if config.language_configs else None
    metrics = known_metrics(config.stages)
    language = load_language_config(label, folder, overrides)
    check_rules(language, metrics, has_boilerplate(output))
    language = with_rules_reading(language, metrics, config.select.rules_reading)
    bounds = []
    for metric, side, percentile in percentile_bounds(language):
        values = np.sort(_defined_values(table, metric))
        has_enough = len(values) >= config.select.percentile_documents
        value = float(values[rank_of(percentile, len(values)) - 1]) if has_enough else None
        bounds.append(
            PercentileBound(
                label=label, metric=metric, side=side, percentile=percentile, documents=len(values), value=value
            )
        )
    return bounded(language, bounds)


def _defined_values(table: pa.Table, metric: str) -> npt.NDArray[np.float64]:
    """The values of a metric, without the documents for which it is undefined."""
    values = values_of(table, metric)
    return values[~np.isnan(values)]


def _count(fired: list[list[str]]) -> dict[str, int]:
    return dict(Counter(name for names in fired for name in names).most_common())
