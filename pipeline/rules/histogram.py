"""From metric columns to one histogram for each metric and label, over edges that are part of the metric's definition.

Cells are counts, so histograms of shards and shard groups merge by addition, in whatever order. They count every
document, whatever the rules are: what a bound removes is read off afterwards, and is exact where it lies on an edge.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.text.metrics.contract import METRICS

BINS = 256
UNDER, OVER, NULL = 0, BINS + 1, BINS + 2  # cells 1 to BINS are the bins
CELLS = BINS + 3
Counts = npt.NDArray[np.int64]

HOST_BOILERPLATE = "host_boilerplate_character_fraction"  # of the pass boilerplate; null where that is off
# measured outside METRICS: lower edge, upper edge, and whether edges are spaced by ratio
OTHERS = {
    "language_score": (0.0, 1.0, False),
    "script_fraction": (0.0, 1.0, False),
    "perplexity": (1.0, 1e6, True),
    "perplexity_median": (1.0, 1e6, True),
    "perplexity_p90": (1.0, 1e6, True),
    "perplexity_percentile": (0.0, 100.0, False),
    HOST_BOILERPLATE: (0.0, 1.0, False),
}
MEASURED = (*METRICS, *OTHERS)


@cache
def edges_of(metric: str) -> npt.NDArray[np.float64]:
    """The 257 edges of a metric's bins, ascending.

    A bin holds its lower edge and not its upper one, but the last bin, which holds both. Fractions and ratios are cut
    evenly, counts at whole numbers that grow by a ratio once it exceeds one, perplexities by a ratio.

    >>> edges_of("script_fraction")[:3].tolist(), edges_of("word_count")[[0, 1, 2, 255, 256]].tolist()
    ([0.0, 0.00390625, 0.0078125], [0.0, 1.0, 2.0, 954912.0, 1000000.0])
    """
    if metric in OTHERS:
        low, high, by_ratio = OTHERS[metric]
        return np.geomspace(low, high, BINS + 1) if by_ratio else np.linspace(low, high, BINS + 1)
    entry = METRICS[metric]
    if entry.dtype == "float64":
        return np.linspace(entry.low, entry.high, BINS + 1)
    edges = [0.0]
    while (left := BINS + 1 - len(edges)) > 0:
        last = edges[-1]
        growth = last * ((entry.high / last) ** (1 / left) - 1) if last else 1.0
        edges.append(last + max(1, round(growth)))
    return np.array(edges)


def cells_of(metric: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """The cell of each value: UNDER, 1 to 256, OVER, or NULL for NaN.

    >>> cells_of("script_fraction", np.array([-1, 0, 0.5, 1, 2, np.nan])).tolist()
    [0, 1, 129, 256, 257, 258]
    """
    edges = edges_of(metric)
    cells = np.searchsorted(edges, values, side="right")
    cells[values == edges[-1]] = BINS
    cells[np.isnan(values)] = NULL
    return cells


def bounds_of(metric: str, cell: int) -> tuple[float, float]:
    """The interval that a cell covers, infinite for UNDER and OVER; see `edges_of` for which ends belong to it."""
    edges = edges_of(metric)
    low = -np.inf if cell == UNDER else float(edges[cell - 1])
    return low, np.inf if cell == OVER else float(edges[cell])


def values_of(table: pa.Table, metric: str) -> npt.NDArray[np.float64]:
    """The values of a metric's column, (n,) float64, NaN where they are null."""
    values: npt.NDArray[np.float64] = table[metric].cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def histograms_of(table: pa.Table, metrics: Sequence[str] = MEASURED) -> dict[tuple[str, str], Counts]:
    """(label, metric) -> counts (CELLS,) int64 of each of `metrics` over the rows of a table with their labels."""
    labels, rows = np.unique(table["label"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    histograms: dict[tuple[str, str], Counts] = {}
    for metric in metrics:
        flat = rows * CELLS + cells_of(metric, values_of(table, metric))
        counts = np.bincount(flat, minlength=len(labels) * CELLS).reshape(len(labels), CELLS)  # int64
        histograms |= {(str(label), metric): row for label, row in zip(labels, counts, strict=True)}
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


def removed_range(metric: str, counts: Counts, side: str, threshold: float) -> tuple[int, int]:
    """How many documents a bound removes: at least, and at most; the two are equal where it lies on an edge.

    `side` "min" removes values below the threshold, "max" those above it. A null value is never removed.
    """
    cell = int(cells_of(metric, np.array([threshold]))[0])
    low, high = bounds_of(metric, cell)
    below, inside, above = counts[:cell].sum(), counts[cell], counts[cell + 1 : NULL].sum()
    certain = int(below if side == "min" else above)
    if cell < BINS and metric in METRICS and METRICS[metric].dtype == "int64":
        high -= 1  # the largest whole number of the bin
    is_cut = threshold > low if side == "min" else threshold < high
    return certain, certain + int(inside if is_cut else 0)
