"""Histograms over fixed edges: cells, merging, ranks, and what a bound removes."""

from random import Random

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.rules.histogram import (
    BINS,
    CELLS,
    NULL,
    OVER,
    UNDER,
    Counts,
    add,
    bounds_of,
    cell_of_rank,
    cells_of,
    edges_of,
    histograms_of,
    rank_of,
    removed_range,
)
from pipeline.schema.metrics import BUILT_IN, MetricColumn

VALUES = {
    "script_fraction": st.floats(-0.5, 1.5).map(lambda value: round(value, 4)),
    "word_count": st.integers(0, 3_000_000).map(float),
    "stop_word_count": st.integers(0, 300).map(float),
    "perplexity": st.floats(0, 2e6).map(lambda value: round(value, 4)),
}


def counted(metric: MetricColumn, values: npt.NDArray[np.float64]) -> Counts:
    return np.bincount(cells_of(metric, values), minlength=CELLS)


@pytest.mark.parametrize("metric", BUILT_IN.values(), ids=BUILT_IN)
def test_every_metric_has_257_ascending_edges(metric: MetricColumn) -> None:
    edges = edges_of(metric)
    assert len(edges) == BINS + 1
    assert (np.diff(edges) > 0).all()


def test_the_edges_of_counts_are_whole_numbers_that_begin_one_by_one() -> None:
    edges = edges_of(BUILT_IN["word_count"])
    assert edges.tolist() == np.round(edges).tolist()
    assert edges[:20].tolist() == list(range(20))
    assert edges[[100, 200, 256]].tolist() == [748.0, 75497.0, 1_000_000.0]  # frozen: part of the format


@pytest.mark.parametrize("metric", VALUES)
@given(data=st.data())
def test_a_value_lies_within_the_bounds_of_its_cell(metric: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[metric])
    cell = int(cells_of(BUILT_IN[metric], np.array([value]))[0])
    low, high = bounds_of(BUILT_IN[metric], cell)
    assert low <= value < high or (cell == BINS and value == high)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(VALUES["script_fraction"] | st.none(), max_size=8), min_size=1, max_size=5), st.randoms())
def test_merging_in_any_order_is_the_histogram_of_all_rows(pieces: list[list[float | None]], random: Random) -> None:
    def table(values: list[float | None]) -> pa.Table:
        columns = {metric: pa.nulls(len(values), pa.float64()) for metric in BUILT_IN}
        columns["script_fraction"] = pa.array(values, pa.float64())
        return pa.table(columns | {"label": ["tur_Latn"] * len(values)})

    whole = histograms_of(table([value for piece in pieces for value in piece]), BUILT_IN.values())
    shuffled = list(pieces)
    random.shuffle(shuffled)
    total: dict[tuple[str, str], Counts] = {}
    for piece in shuffled:
        add(total, histograms_of(table(piece), BUILT_IN.values()))
    assert {key: counts.tolist() for key, counts in total.items()} == {
        key: counts.tolist() for key, counts in whole.items()
    }
    if whole:
        nulls = sum(value is None for piece in pieces for value in piece)
        assert whole["tur_Latn", "script_fraction"][NULL] == nulls


@pytest.mark.parametrize("side", ["min", "max"])
@pytest.mark.parametrize("metric", VALUES)
@given(data=st.data())
def test_what_a_bound_removes_lies_in_the_range(metric: str, side: str, data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(VALUES[metric], max_size=30)) + [np.nan])
    threshold = data.draw(VALUES[metric] | st.sampled_from(edges_of(BUILT_IN[metric]).tolist()))
    at_least, at_most = removed_range(BUILT_IN[metric], counted(BUILT_IN[metric], values), side, threshold)
    removed = int((values < threshold).sum() if side == "min" else (values > threshold).sum())
    assert at_least <= removed <= at_most


@pytest.mark.parametrize(("side", "removed"), [("min", 15), ("max", 84)])
def test_a_bound_on_a_small_count_is_told_exactly(side: str, removed: int) -> None:
    counts = counted(BUILT_IN["word_count"], np.arange(100.0))
    assert removed_range(BUILT_IN["word_count"], counts, side, 15) == (removed, removed)


@given(st.lists(VALUES["perplexity"], min_size=1, max_size=40), st.floats(0, 100))
def test_the_value_of_a_rank_lies_in_the_cell_that_is_named(values: list[float], percentile: float) -> None:
    ordered = np.sort(np.array(values))
    rank = rank_of(percentile, len(values))
    cell, inside = cell_of_rank(counted(BUILT_IN["perplexity"], ordered), rank)
    in_cell = ordered[cells_of(BUILT_IN["perplexity"], ordered) == cell]
    assert in_cell[inside - 1] == ordered[rank - 1]


def test_ranks_are_not_pushed_up_by_binary_fractions() -> None:
    assert [rank_of(p, 1000) for p in (0.1, 29.9, 57.9, 99.9)] == [1, 299, 579, 999]
    assert (rank_of(29.91, 1000), rank_of(0, 5), rank_of(100, 5)) == (300, 1, 5)


def test_cells_beyond_the_edges_and_nulls_are_counted_apart() -> None:
    cells = cells_of(BUILT_IN["script_fraction"], np.array([-0.1, 1.1, np.nan]))
    assert cells.tolist() == [UNDER, OVER, NULL]
