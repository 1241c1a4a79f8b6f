"""From metric columns and a language's rules to every rule that fires.

Rules are data: when a threshold changes, only columns are read again, and no text.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config.language_files import LanguageConfig
from pipeline.errors import ConfigError
from pipeline.rules.histogram import values_of
from pipeline.schema.metrics import HOST_BOILERPLATE, MetricColumn
from pipeline.text.reads import Reads


def check_rules(language: LanguageConfig, metrics: Collection[str], boilerplate: bool) -> None:
    """Raises ConfigError for a rule on a metric that does not exist, with the nearest name, or that is not measured.

    `metrics` are the names of those that exist, and `boilerplate` says whether host boilerplate is measured.
    """
    for metric in language.rules:
        if metric not in metrics:
            nearest = difflib.get_close_matches(metric, metrics, 1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise ConfigError(f"{language.origins.get(metric, language.label)}: rules.{metric}: no such metric{hint}")
    if HOST_BOILERPLATE in language.active_rules() and not boilerplate:
        raise ConfigError(
            f"{language.origins.get(HOST_BOILERPLATE, language.label)}: rules.{HOST_BOILERPLATE}: is measured with "
            "boilerplate.enabled = true only; set that, too, or take the rule out"
        )


def with_rules_reading(
    language: LanguageConfig, metrics: Mapping[str, MetricColumn], reads: Collection[Reads]
) -> LanguageConfig:
    """The language with those of its rules whose metric reads one of `reads`; `metrics` are all, by name."""
    rules = {metric: rule for metric, rule in language.rules.items() if metrics[metric].reads in reads}
    return language.model_copy(update={"rules": rules})


def rules_fired(table: pa.Table, language: LanguageConfig) -> tuple[list[list[str]], np.ndarray]:
    """For each row the metrics outside their interval, in the order of the rules, and whether any is.

    A null metric fires no rule. Raises ConfigError for a rule on a column that does not exist.

    >>> from pipeline.config.language_files import Rule
    >>> turkish = LanguageConfig(name="Turkish", rules={"word_count": Rule(min=50)})
    >>> rules_fired(pa.table({"word_count": [10, 60, None]}), turkish)[0]
    [['word_count'], [], []]
    """
    fired, failed = rules_fired_by(table, [language], np.zeros(table.num_rows, np.int64))
    return fired.to_pylist(), failed


def rules_fired_by(
    table: pa.Table, languages: Sequence[LanguageConfig], language_of: npt.NDArray[np.int64]
) -> tuple[pa.ListArray, np.ndarray]:
    """As `rules_fired`, for rows of many languages: `language_of` (n,) is the index of each row's in `languages`."""
    rules = [language.active_rules() for language in languages]
    metrics = list(dict.fromkeys(metric for of_language in rules for metric in of_language))
    outside = np.zeros((table.num_rows, len(metrics)), dtype=bool)
    order = np.zeros((len(languages), len(metrics)), dtype=np.int64)  # of a language's rules
    for column, metric in enumerate(metrics):
        bounds = np.full((2, len(languages)), [[-np.inf], [np.inf]])
        for index, (language, of_language) in enumerate(zip(languages, rules, strict=True)):
            if metric in of_language:
                if metric not in table.column_names:
                    raise ConfigError(f"lang_configs/{language.label}.toml: rules.{metric}: no such metric")
                bounds[:, index] = of_language[metric].interval()
                order[index, column] = list(of_language).index(metric)
        values = values_of(table, metric)
        outside[:, column] = (values < bounds[0][language_of]) | (values > bounds[1][language_of])  # NaN is neither
    rows, columns = np.nonzero(outside)
    columns = columns[np.lexsort((order[language_of[rows], columns], rows))]
    offsets = np.append(0, np.cumsum(outside.sum(axis=1))).astype(np.int32)
    names = pa.array(metrics, pa.string()).take(pa.array(columns))
    failed: np.ndarray = np.any(outside, axis=1)
    return pa.ListArray.from_arrays(pa.array(offsets), names), failed


def percentile_of(perplexities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Percentile, 0 to 100, of perplexities in a reference given by its 101 percentiles; NaN stays NaN.

    >>> percentile_of(np.array([5.0, np.nan]), np.arange(101.0)).tolist()
    [5.0, nan]
    """
    percentiles = np.interp(perplexities, reference, np.linspace(0, 100, len(reference)))
    return np.round(np.where(np.isnan(perplexities), np.nan, percentiles), 4)


def bucket_of(percentiles: np.ndarray, head: float | np.ndarray, middle: float | np.ndarray) -> npt.NDArray[np.object_]:
    """The bucket of each percentile of perplexity: head below `head`, middle below `middle`, else tail; None for NaN.

    The two bounds are numbers, or arrays like `percentiles`.

    >>> bucket_of(np.array([10.0, 50.0, 90.0, np.nan]), 30, 60).tolist()
    ['head', 'middle', 'tail', None]
    """
    bucket = np.where(percentiles < head, 0, np.where(percentiles < middle, 1, 2))
    return np.array(["head", "middle", "tail", None], dtype=object)[np.where(np.isnan(percentiles), 3, bucket)]
