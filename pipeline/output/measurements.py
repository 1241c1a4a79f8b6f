"""The measurements of a shard's documents, as rules, histograms and selections read them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.execution.commit import read_json
from pipeline.output.grouped_parquet import read_file
from pipeline.output.layout import Layout
from pipeline.rules.fired import percentile_of
from pipeline.rules.histogram import values_of
from pipeline.schema.metrics import HOST_BOILERPLATE
from pipeline.text.perplexity import CALIBRATION_FILE, MODELS

PERCENTILE = "perplexity_percentile"  # the one metric that is computed when it is read: a new calibration is cheap


def reference_of(label: str, models: str) -> np.ndarray | None:
    """The 101 percentiles of perplexity in a language's reference text, (101,) float64; None without a model.

    `models` is the folder of the perplexity models, "" for those that come with Glotmill.
    """
    path = _calibration_path(label, models)
    return np.array(read_json(path)["percentiles"], dtype=np.float64) if path.exists() else None


def calibrations(labels: Iterable[str], models: str) -> dict[str, Any]:
    """What perplexity_percentile depends on besides the stored perplexity, by label, for a fingerprint."""
    paths = {label: _calibration_path(label, models) for label in labels}
    return {label: read_json(path) for label, path in paths.items() if path.exists()}


def _calibration_path(label: str, models: str) -> Path:
    return (Path(models) if models else MODELS) / label / CALIBRATION_FILE


def measured(
    layout: Layout,
    shard: str,
    models: str,
    metrics: Iterable[str],
    columns: Iterable[str] = (),
    boilerplate: bool = False,
) -> pa.Table:
    """Label, `metrics` by name and further `columns` of the documents of a shard, in row order.

    The metric of boilerplate is null unless `boilerplate` says that it was measured.
    """
    metrics = list(metrics)
    stored = ["perplexity" if metric == PERCENTILE else metric for metric in metrics if metric != HOST_BOILERPLATE]
    table = read_file(layout.annotated(shard), list(dict.fromkeys(["label", *stored, *columns])))
    if HOST_BOILERPLATE in metrics:
        fractions = pa.nulls(table.num_rows, pa.float64())
        if boilerplate:
            fractions = read_file(layout.boilerplate(shard), [HOST_BOILERPLATE])[HOST_BOILERPLATE]
        table = table.append_column(HOST_BOILERPLATE, fractions)
    if PERCENTILE not in metrics:
        return table
    labels = table["label"].to_numpy(zero_copy_only=False)
    perplexity = values_of(table, "perplexity")
    percentile = np.full(table.num_rows, np.nan)
    for label in np.unique(labels):
        if (reference := reference_of(label, models)) is not None:
            rows = labels == label
            percentile[rows] = percentile_of(perplexity[rows], reference)
    return table.append_column(PERCENTILE, pa.array(percentile, from_pandas=True))
