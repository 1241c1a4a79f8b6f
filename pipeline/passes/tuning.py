"""Look at thresholds without a run: quantiles of stored metrics and what rules would remove. Reads no text.

Everything here works on the metric columns of `annotated/`, before deduplication, as the decide step does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.columns import LANGUAGE, METRIC, PERPLEXITY
from pipeline.config import LanguageConfig, Rule, RunConfig, load_language_config
from pipeline.errors import InputError
from pipeline.execution.manifests import read_json
from pipeline.execution.storage import readable
from pipeline.passes.layout import Layout
from pipeline.stages.decide import percentile_of, rules_fired
from pipeline.stages.score_perplexity import MODELS

QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)
PERCENTILE = "perplexity_percentile"
NUMERIC = tuple(
    name
    for part in (LANGUAGE, METRIC, PERPLEXITY)
    for name, (kind, _) in part.items()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind)
)

Side = Literal["min", "max"]


@dataclass(frozen=True)
class Quantiles:
    """The distribution of one metric: how many documents have a value, and values at `QUANTILES`."""

    metric: str
    defined: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Removal:
    """What one bound on one metric removes, of all documents of the language."""

    threshold: float
    removed: int
    documents: int

    @property
    def fraction(self) -> float:
        """Share of the documents that the bound removes, 0 to 1."""
        return self.removed / self.documents


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


def measured(layout: Layout, label: str) -> pa.Table:
    """Numeric metric columns of every document of a language, and its perplexity percentile.

    Raises InputError where the run has no document of that language.
    """
    shards = [one["shard"] for one in layout.manifests() if label in one["rows_by_label"]]
    paths = [layout.annotated(shard) for shard in shards]
    parts = [pq.read_table(readable(path), columns=list(NUMERIC), filters=[("label", "=", label)]) for path in paths]
    if not parts:
        raise InputError(f"{layout.root}: no document with the label {label}")
    table = pa.concat_tables(parts)
    path = _models(layout) / label / "calibration.json"
    percentiles = np.full(table.num_rows, np.nan)
    if path.exists():
        reference = np.array(read_json(path)["percentiles"], dtype=np.float64)
        percentiles = percentile_of(table["perplexity"].to_numpy(), reference)
    return table.append_column(PERCENTILE, pa.array(percentiles, from_pandas=True))


def metric_quantiles(layout: Layout, label: str) -> list[Quantiles]:
    """Quantiles of each metric that is defined for any document of the language, in column order."""
    table = measured(layout, label)
    found = []
    for name in table.column_names:
        values = _values(table, name)
        values = values[~np.isnan(values)]
        if len(values):
            at = np.quantile(values, QUANTILES).round(4)
            found.append(Quantiles(name, len(values), tuple(float(value) for value in at)))
    return found


def removal_by_threshold(
    layout: Layout, label: str, metric: str, side: Side, thresholds: Sequence[float]
) -> list[Removal]:
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
        found.append(Removal(float(threshold), int(failed.sum()), table.num_rows))
    return found


def what_if(layout: Layout, label: str, overrides: Mapping[str, Any]) -> WhatIf:
    """How many documents fail if `overrides`, such as `{"rules": {"word_count": {"min": 100}}}`, are laid on.

    The rules before are those of the run's language files, not those of a selection made with --set.
    """
    folder = _run_config(layout).language_configs
    configs = Path(folder) if folder else None
    table = measured(layout, label)
    names_before, before = rules_fired(table, load_language_config(label, configs))
    names_after, after = rules_fired(table, load_language_config(label, configs, overrides))
    return WhatIf(
        documents=table.num_rows,
        failed_before=int(before.sum()),
        failed_after=int(after.sum()),
        newly_failed=int((after & ~before).sum()),
        newly_passed=int((before & ~after).sum()),
        fired_before=_count(names_before),
        fired_after=_count(names_after),
    )


def _count(fired: list[list[str]]) -> dict[str, int]:
    return dict(Counter(name for names in fired for name in names).most_common())


def _values(table: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = table[name].cast(pa.float64()).to_numpy()
    return values


def _run_config(layout: Layout) -> RunConfig:
    return RunConfig.model_validate(read_json(layout.run)["config"])


def _models(layout: Layout) -> Path:
    models = _run_config(layout).models
    return Path(models) if models else MODELS
