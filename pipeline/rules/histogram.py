"""From metric columns to one histogram for each metric and label, over edges that are part of the metric's definition.

Cells are counts, so histograms of shards and shard groups merge by addition, in whatever order. They count every
document, whatever the rules are: what a bound removes is read off afterwards, and is exact where it lies on an edge.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.schema.metrics import MetricColumn

BINS = 256
UNDER, OVER, NULL = 0, BINS + 1, BINS + 2  # cells 1 to BINS are the bins
CELLS = BINS + 3
Counts = npt.NDArray[np.int64]


@cache
def edges_of(metric: MetricColumn) -> npt.NDArray[np.float64]:
    """The 257 edges of a metric's bins, ascending.

    A bin holds its lower edge and not its upper one, but the last bin, which holds both. Fractions and ratios are cut
    evenly, counts at whole numbers that grow by a ratio once it exceeds one, perplexities by a ratio.

    >>> from pipeline.schema.metrics import BUILT_IN
    >>> edges_of(BUILT_IN["script_fraction"])[:3].tolist(), edges_of(BUILT_IN["word_count"])[[0, 1, 2, 256]].tolist()
    ([0.0, 0.00390625, 0.0078125], [0.0, 1.0, 2.0, 1000000.0])
    """
    if metric.by_ratio:
        return np.geomspace(metric.low, metric.high, BINS + 1)
    if metric.dtype == "float64":
        return np.linspace(metric.low, metric.high, BINS + 1)
    edges = [metric.low]
    while (left := BINS + 1 - len(edges)) > 0:
        last = edges[-1]
        growth = last * ((metric.high / last) ** (1 / left) - 1) if last > 0 else 1.0
        edges.append(last + max(1, round(growth)))
    return np.array(edges)


def cells_of(metric: MetricColumn, values: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """The cell of each value: UNDER, 1 to 256, OVER, or NULL for NaN.

    >>> from pipeline.schema.metrics import BUILT_IN
    >>> cells_of(BUILT_IN["script_fraction"], np.array([-1, 0, 0.5, 1, 2, np.nan])).tolist()
    [0, 1, 129, 256, 257, 258]
    """
    edges = edges_of(metric)
    cells = np.searchsorted(edges, values, side="right")
    cells[values == edges[-1]] = BINS
    cells[np.isnan(values)] = NULL
    return cells


def bounds_of(metric: MetricColumn, cell: int) -> tuple[float, float]:
    """The interval that a cell covers, infinite for UNDER and OVER; see `edges_of` for which ends belong to it."""
    edges = edges_of(metric)
    low = -np.inf if cell == UNDER else float(edges[cell - 1])
    return low, np.inf if cell == OVER else float(edges[cell])


def values_of(table: pa.Table, metric: str) -> npt.NDArray[np.float64]:
    """The values of a metric's column, (n,) float64, NaN where they are null."""
    values: npt.NDArray[np.float64] = table[metric].cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def histograms_of(table: pa.Table, metrics: Iterable[MetricColumn]) -> dict[tuple[str, str], Counts]:
    """(label, metric) -> counts (CELLS,) int64 of each of `metrics` over the rows of a table with their labels."""
    labels, rows = np.unique(table["label"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    histograms: dict[tuple[str, str], Counts] = {}
    for metric in metrics:
        flat = rows * CELLS + cells_of(metric, values_of(table, metric.name))
        counts = np.bincount(flat, minlength=len(labels) * CELLS).reshape(len(labels), CELLS)  # int64
        histograms |= {(str(label), metric.name): row for label, row in zip(labels, counts, strict=True)}
    return histograms


def add(total: dict[tuple[str, str], Counts], more: dict[tuple[str, str], Counts]) -> None:
    """Add histograms to `total`, in place. In whatever order pieces are added, the sum is the same."""
    for key, counts in more.items():
        total[key] = total[key] + counts if key in total else counts


def rank_of(percentile: float, count: int) -> int:
    """The rank, 1 to count, of the document whose value is the percentile: nearest rank, without interpolation.

    >>> [rank_of(p, 10) for p in (0, 10, 11, 90, 100)]
    [1, 1, 2, 9, 10]
    """
    return max(1, math.ceil(Fraction(str(percentile)) * count / 100))


def cell_of_rank(counts: Counts, rank: int) -> tuple[int, int]:
    """The cell that has the value of a rank, which counts from 1 in ascending order, and its rank inside the cell."""
    reached = np.cumsum(counts[:NULL])
    cell = int(np.searchsorted(reached, rank))
    return cell, rank - int(reached[cell - 1] if cell else 0)


def removed_range(metric: MetricColumn, counts: Counts, side: str, threshold: float) -> tuple[int, int]:
    """How many documents a bound removes: at least, and at most; the two are equal where it lies on an edge.

    `side` "min" removes values below the threshold, "max" those above it. A null value is never removed.
    """
    cell = int(cells_of(metric, np.array([threshold]))[0])
    low, high = bounds_of(metric, cell)
    below, inside, above = counts[:cell].sum(), counts[cell], counts[cell + 1 : NULL].sum()
    certain = int(below if side == "min" else above)
    if cell < BINS and metric.dtype == "int64":
        high -= 1  # the largest whole number of the bin
    is_cut = threshold > low if side == "min" else threshold < high
    return certain, certain + int(inside if is_cut else 0)
