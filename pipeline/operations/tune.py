"""Look at thresholds without a run: quantiles of stored metrics and what rules would remove. Reads no text.

Everything here works on the metric columns of `annotated/`, before deduplication, as the first step of select does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pipeline.config.language_files import LanguageConfig, Rule, load_language_config
from pipeline.config.run_settings import RunConfig
from pipeline.errors import InputError
from pipeline.output import measurements
from pipeline.output.output import Output
from pipeline.passes.boilerplate.boilerplate import has_boilerplate, measured_boilerplate
from pipeline.passes.statistics import read_statistics
from pipeline.rules.fired import rules_fired
from pipeline.rules.histogram import MEASURED, rank_of, removed_range, values_of
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
class TakeDownReport:
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
    """Documents that fail with the rules of the language files, and with overrides laid over them."""

    documents: int
    failed_before: int
    failed_after: int
    newly_failed: int
    newly_passed: int
    fired_before: dict[str, int]
    fired_after: dict[str, int]


def measured(layout: Output, label: str) -> pa.Table:
    """Numeric metric columns of every document of a language, and its perplexity percentile.

    Raises InputError where the run has no document of that language.
    """
    shards = [manifest.shard for manifest in layout.manifests() if label in manifest.rows_by_label]
    if not shards:
        raise InputError(f"{layout.root}: no document with the label {label}")
    models, marked = _run_config(layout).models, has_boilerplate(layout)
    tables = [measurements.measured(layout, shard, models, boilerplate=marked) for shard in shards]
    return pa.concat_tables([one.filter(pa.compute.equal(one["label"], label)) for one in tables]).select(MEASURED)


def metric_quantiles(layout: Output, label: str) -> list[Quantiles]:
    """Quantiles of each metric that is defined for any document of the language, in column order."""
    table = measured(layout, label)
    found = []
    for name in table.column_names:
        values = values_of(table, name)
        values = values[~np.isnan(values)]
        if len(values):
            at = np.quantile(values, QUANTILES).round(4)
            found.append(Quantiles(name, len(values), tuple(float(value) for value in at)))
    return found


def removal_by_threshold(
    layout: Output, label: str, metric: str, side: Side, thresholds: Sequence[float]
) -> list[TakeDownReport]:
    """What a rule with this one bound removes, for each threshold; other rules play no part.

    Raises InputError for a metric that is not measured.
    """
    table = measured(layout, label)
    if metric not in table.column_names:
        raise InputError(f"{metric}: no such metric; choose from {', '.join(table.column_names)}")
    found = []
    for threshold in thresholds:
        rule = Rule(min=threshold) if side == "min" else Rule(max=threshold)
        _, failed = rules_fired(table, LanguageConfig(name=label, label=label, rules={metric: rule}))
        found.append(TakeDownReport(float(threshold), int(failed.sum()), table.num_rows))
    return found


def removal_from_histogram(
    layout: Output, label: str, metric: str, side: Side, thresholds: Sequence[float]
) -> list[RemovalRange]:
    """What a rule with this one bound removes, from the histograms that the run wrote: no column is read.

    `removal_by_threshold` is exact where this gives a range. Raises InputError for an unknown metric or label.
    """
    counts = (read_statistics(layout) | measured_boilerplate(layout)).get((label, metric))
    if counts is None:
        raise InputError(f"{layout.root}: no histogram of {metric} for {label}")
    documents = int(counts.sum())
    return [
        RemovalRange(float(threshold), *removed_range(metric, counts, side, threshold), documents)
        for threshold in thresholds
    ]


def what_if(layout: Output, label: str, overrides: Mapping[str, Any]) -> WhatIf:
    """How many documents fail if `overrides`, such as `{"rules": {"word_count": {"min": 100}}}`, are laid on.

    The rules before are those of the run's language files, not those of a selection made with --set.
    """
    table = measured(layout, label)
    names_before, before = rules_fired(table, _rules(layout, label, {}, table))
    names_after, after = rules_fired(table, _rules(layout, label, overrides, table))
    return WhatIf(
        documents=table.num_rows,
        failed_before=int(before.sum()),
        failed_after=int(after.sum()),
        newly_failed=int((after & ~before).sum()),
        newly_passed=int((before & ~after).sum()),
        fired_before=_count(names_before),
        fired_after=_count(names_after),
    )


def _rules(layout: Output, label: str, overrides: Mapping[str, Any], table: pa.Table) -> LanguageConfig:
    """A language's rules, percentiles taken from the documents of the table, as `compute_statistics.resolve_rules`
    does."""
    config = _run_config(layout)
    folder = Path(config.language_configs) if config.language_configs else None
    language = load_language_config(label, folder, overrides)
    notes = []
    for metric, side, percentile in percentile_bounds(language):
        values = np.sort(values_of(table, metric))
        values = values[~np.isnan(values)]
        enough = len(values) >= config.select.percentile_documents
        value = float(values[rank_of(percentile, len(values)) - 1]) if enough else None
        notes.append(
            PercentileBound(
                label=label, metric=metric, side=side, percentile=percentile, documents=len(values), value=value
            )
        )
    return bounded(language, notes)


def _count(fired: list[list[str]]) -> dict[str, int]:
    return dict(Counter(name for names in fired for name in names).most_common())


def _run_config(layout: Output) -> RunConfig:
    return layout.config()
