"""Metrics as columns: the range and the edges of their histograms, which are part of what a metric is.

Takes `METRICS` of text/metrics/, and what else is measured of a document: its label's score, perplexity, host
boilerplate.
"""

import math
from dataclasses import dataclass

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.text.metrics.contract import METRICS
from pipeline.text.reads import Reads

HOST_BOILERPLATE = "host_boilerplate_character_fraction"  # of the pass boilerplate; null where that is off
KINDS_OF_METRIC = (pa.int64(), pa.float64())


@dataclass(frozen=True)
class MetricColumn:
    """A column that rules can bound: its histogram goes from `low` to `high`, in even steps or by a ratio."""

    name: str
    dtype: str  # int64 or float64
    low: float
    high: float
    by_ratio: bool
    reads: Reads
    description: str


def metric_column(
    name: str,
    dtype: str = "float64",
    *,
    low: float = 0.0,
    high: float = 1.0,
    by_ratio: bool = False,
    description: str = "",
) -> pa.Field:
    """A column of a stage of the user's own that is to be a metric.

    `low` and `high` are the ends of its histogram, which has 256 bins; values beyond them are counted beside it.
    `by_ratio` spaces the edges by a ratio, for values that span powers of ten; `low` must then be above 0. Raises
    ConfigError where the ends are no range.
    """
    if dtype not in ("int64", "float64"):
        raise ConfigError(f"{name}: a metric is int64 or float64, not {dtype}")
    if not -math.inf < low < high < math.inf or (by_ratio and low <= 0):
        raise ConfigError(f"{name}: low {low:g} and high {high:g} are no range for its histogram")
    if dtype == "int64" and (low < 0 or low % 1 or by_ratio):
        raise ConfigError(
            f"{name}: a histogram of whole numbers begins at one that is 0 or more, and its edges grow by a ratio "
            "without by_ratio; change low, leave out by_ratio, or make the metric float64"
        )
    facts = {
        "low": repr(float(low)),
        "high": repr(float(high)),
        "by_ratio": str(int(by_ratio)),
        "description": description,
    }
    return pa.field(name, pa.int64() if dtype == "int64" else pa.float64(), metadata=facts)


def metric_of_field(field: pa.Field) -> MetricColumn | None:
    """The metric that `metric_column` made a column of; None for any other column."""
    facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    if "low" not in facts or "high" not in facts:
        return None
    return MetricColumn(
        name=field.name,
        dtype=str(field.type).replace("double", "float64"),
        low=float(facts["low"]),
        high=float(facts["high"]),
        by_ratio=facts.get("by_ratio") == "1",
        reads="document",
        description=facts.get("description", ""),
    )


def _measured_otherwise() -> list[MetricColumn]:
    """What is measured of a document outside METRICS."""
    by_ratio, even = True, False
    return [
        MetricColumn("language_score", "float64", 0.0, 1.0, even, "document", "confidence of the identifier"),
        MetricColumn("script_fraction", "float64", 0.0, 1.0, even, "characters", "letters in the label's script"),
        MetricColumn("perplexity", "float64", 1.0, 1e6, by_ratio, "words", "per token, sentence ends counted"),
        MetricColumn("perplexity_median", "float64", 1.0, 1e6, by_ratio, "lines", "median over the lines"),
        MetricColumn("perplexity_p90", "float64", 1.0, 1e6, by_ratio, "lines", "90th percentile over the lines"),
        MetricColumn("perplexity_percentile", "float64", 0.0, 100.0, even, "words", "in the language's reference text"),
        MetricColumn(HOST_BOILERPLATE, "float64", 0.0, 1.0, even, "lines", "in lines that repeat across the host"),
    ]


BUILT_IN: dict[str, MetricColumn] = {
    name: MetricColumn(name, metric.dtype, metric.low, metric.high, False, metric.reads, metric.description)
    for name, metric in METRICS.items()
} | {metric.name: metric for metric in _measured_otherwise()}
