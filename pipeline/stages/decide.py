"""metric columns + a language's rules -> every rule that fired. Rules are data: a changed threshold reads no text."""

import difflib

import numpy as np
import pyarrow as pa

from pipeline.config import LanguageConfig
from pipeline.errors import ConfigError
from pipeline.stages.histogram import HOST_BOILERPLATE, MEASURED, values_of


def check_rules(language: LanguageConfig, host_lines: bool) -> None:
    """Raises ConfigError for a rule on a metric that does not exist, naming the nearest one, or is not measured."""
    for metric in language.rules:
        if metric not in MEASURED:
            near = difflib.get_close_matches(metric, MEASURED, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{language.origins.get(metric, language.label)}: rules.{metric}: no such metric{hint}")
    if HOST_BOILERPLATE in language.active_rules() and not host_lines:
        raise ConfigError(
            f"{language.origins.get(HOST_BOILERPLATE, language.label)}: rules.{HOST_BOILERPLATE}: is measured with "
            "host_lines.enabled = true only; set that, too, or take the rule out"
        )


def rules_fired(table: pa.Table, language: LanguageConfig) -> tuple[list[list[str]], np.ndarray]:
    """For each row the metrics outside their interval, in the order of the rules, and whether any is.

    A null metric fires no rule. Raises ConfigError for a rule on a column that does not exist.

    >>> from pipeline.config import Rule
    >>> turkish = LanguageConfig(name="Turkish", rules={"word_count": Rule(min=50)})
    >>> rules_fired(pa.table({"word_count": [10, 60, None]}), turkish)[0]
    [['word_count'], [], []]
    """
    fired: list[list[str]] = [[] for _ in range(table.num_rows)]
    failed = np.zeros(table.num_rows, dtype=bool)
    for metric, rule in language.active_rules().items():
        if metric not in table.column_names:
            raise ConfigError(f"lang_configs/{language.label}.toml: rules.{metric}: no such metric")
        values = values_of(table, metric)
        low, high = rule.interval()
        out = (values < low) | (values > high)  # NaN is neither
        for row in np.flatnonzero(out):
            fired[row].append(metric)
        failed |= out
    return fired, failed


def percentile_of(perplexities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Percentile, 0 to 100, of perplexities in a reference given by its 101 percentiles; NaN stays NaN.

    >>> percentile_of(np.array([5.0, np.nan]), np.arange(101.0)).tolist()
    [5.0, nan]
    """
    found = np.interp(perplexities, reference, np.linspace(0, 100, len(reference)))
    return np.round(np.where(np.isnan(perplexities), np.nan, found), 4)


def bucket_of(percentiles: np.ndarray, head: float, middle: float) -> list[str | None]:
    """head, middle or tail, None for NaN.

    >>> bucket_of(np.array([10.0, 50.0, 90.0, np.nan]), 30, 60)
    ['head', 'middle', 'tail', None]
    """
    return [
        None if np.isnan(value) else "head" if value < head else "middle" if value < middle else "tail"
        for value in percentiles
    ]
