"""Which documents take part in clusters."""

from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.config.language_files import LanguageConfig
from pipeline.config.run_settings import RunConfig
from pipeline.output.layout import Layout
from pipeline.output.measurements import calibrations, measured
from pipeline.rules.fired import rules_fired
from pipeline.rules.histogram import HOST_BOILERPLATE

FLOOR = ("language_score", "script_fraction")  # the rules on the label itself


def eligibility_rules(config: RunConfig, languages: dict[str, LanguageConfig]) -> dict[str, LanguageConfig]:
    """The rules that a document has to pass to take part in clusters, by label; empty where all take part.

    `above_language_floor`: the rules on the label itself, its score and its script. `passing`: all of them, but for one
    on what boilerplate measures, which needs the clusters.
    """
    if config.dedup.eligible == "all" or not config.select.rules:
        return {}
    if config.dedup.eligible == "passing":
        return {label: _without(language, HOST_BOILERPLATE) for label, language in languages.items()}
    floors = {
        label: {metric: language.rules[metric] for metric in FLOOR if metric in language.rules}
        for label, language in languages.items()
    }
    return {label: languages[label].model_copy(update={"rules": rules}) for label, rules in floors.items()}


def _without(language: LanguageConfig, metric: str) -> LanguageConfig:
    rules = {name: rule for name, rule in language.rules.items() if name != metric}
    return language.model_copy(update={"rules": rules})


def eligibility_settings(config: RunConfig, eligible: dict[str, LanguageConfig]) -> list[Any]:
    """What decides on the population: bounds, not their sources, and the reference of perplexity percentiles."""
    bounds = {
        label: {metric: [rule.min, rule.max] for metric, rule in language.active_rules().items()}
        for label, language in eligible.items()
    }
    calibrated = [label for label, rules in bounds.items() if "perplexity_percentile" in rules]
    return [bounds, calibrations(calibrated, config.models)]


def eligible_rows(config: RunConfig, layout: Layout, shard: str, eligible: dict[str, LanguageConfig]) -> np.ndarray:
    """Which documents of a shard take part in clusters, (rows,) bool: those that pass their population's rules."""
    metrics = sorted({metric for language in eligible.values() for metric in language.active_rules()})
    table = measured(layout, shard, config.models, metrics=metrics)
    labels = table["label"].to_numpy(zero_copy_only=False)
    part = np.ones(table.num_rows, dtype=bool)
    for label in np.unique(labels):
        if label in eligible:
            rows = np.flatnonzero(labels == label)
            part[rows] = ~rules_fired(table.take(pa.array(rows)), eligible[label])[1]
    return part
