"""Which documents are eligible for deduplication: the others are clusters of one document each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config.language_files import LanguageConfig
from pipeline.output.layout import Layout
from pipeline.output.measurements import PERCENTILE, calibrations, measured
from pipeline.rules.fired import rules_fired
from pipeline.schema.metrics import HOST_BOILERPLATE

LABEL_METRICS = ("language_score", "script_fraction")  # whose rules say whether the label itself can be trusted


@dataclass(frozen=True)
class Eligibility:
    """The rules that a document has to pass to be eligible for deduplication; without rules all documents are."""

    rules: Mapping[str, LanguageConfig] = field(default_factory=dict)  # by label
    models: str = ""  # folder of the perplexity models, whose calibration percentiles depend on

    def fingerprint_parts(self) -> list[Any]:
        """What eligibility depends on: the bounds, not their sources, and the calibration of perplexity percentiles."""
        bounds = {
            label: {metric: [rule.min, rule.max] for metric, rule in language.active_rules().items()}
            for label, language in self.rules.items()
        }
        calibrated = [label for label, rules in bounds.items() if PERCENTILE in rules]
        return [bounds, calibrations(calibrated, self.models)]

    def of_shard(self, layout: Layout, shard: str) -> npt.NDArray[np.bool_]:
        """Which documents of a shard are eligible, (rows,) bool."""
        metrics = sorted({metric for language in self.rules.values() for metric in language.active_rules()})
        table = measured(layout, shard, self.models, metrics)
        labels = table["label"].to_numpy(zero_copy_only=False)
        eligible = np.ones(table.num_rows, dtype=bool)
        for label in np.unique(labels):
            if label in self.rules:
                rows = np.flatnonzero(labels == label)
                eligible[rows] = ~rules_fired(table.take(pa.array(rows)), self.rules[label])[1]
        return eligible


def eligibility(
    setting: Literal["all", "above_language_floor", "passing"], languages: Mapping[str, LanguageConfig], models: str
) -> Eligibility:
    """The rules that `dedup.eligible` asks for, of the rules of each label.

    "above_language_floor" asks for the rules on the label itself, its score and its script; "passing" for all rules but
    the one on host boilerplate, which is measured after the clusters are known; "all" for none.
    """
    if setting == "all":
        return Eligibility(models=models)
    chosen = {}
    for label, language in languages.items():
        if setting == "passing":
            rules = {metric: rule for metric, rule in language.rules.items() if metric != HOST_BOILERPLATE}
        else:
            rules = {metric: language.rules[metric] for metric in LABEL_METRICS if metric in language.rules}
        chosen[label] = language.model_copy(update={"rules": rules})
    return Eligibility(chosen, models)
