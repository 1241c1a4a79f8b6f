"""Repeat counts against FineWeb2's published weights; shapes, shrinkage and budgets."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from pipeline.dedup.weights import (
    default_weights,
    fineweb2_weights,
    repeats_of,
    temperature_budget,
    txt360_weights,
    unimax_budget,
    unimodal_fit,
)
from pipeline.errors import ConfigError

REHYDRATION = Path(__file__).parents[2].parent / "shared" / "data" / "fineweb2" / "rehydration"


@pytest.mark.skipif(not REHYDRATION.is_dir(), reason="FineWeb2's rehydration files are not beside the repository")
def test_published_rates_give_the_published_weights_of_every_language():
    compared = 0
    for path in sorted(REHYDRATION.glob("*.json")):
        published = json.loads(path.read_text())
        rates = published["distribution"]
        for max_repeats, weights in published["weights"].items():
            computed = fineweb2_weights(
                rates["cluster_sizes"],
                rates["cluster_removal_rates"],
                rates["tail_threshold"],
                rates["tail_removal_rate"],
                rates["global_removal_rate"],
                int(max_repeats),
            )
            assert dict(computed) == {int(size): count for size, count in weights.items()}, path.stem
            compared += 1
    assert compared >= 100


# (sizes, rates, tail threshold, tail rate, global rate, max repeats) -> weights, computed by hand
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # raw 1 2 3 3 2 1; averages of the middle two 2.2 and 2.2; the rest put back
        (([1, 2, 3, 4, 5], [60, 40, 30, 30, 40], 6, 70, 50, 3), [(1, 1), (2, 2), (6, 1)]),
        # all rates equal the global one: no division by zero
        (([1, 2, 3, 4], [50, 50, 50, 50], 9, 50, 50, 10), [(1, 1)]),
        # 2 values make 5: positions 0 and 1 are raw, the copies at 3 and 4 fall off
        (([1], [60], 2, 40, 50, 5), [(1, 1), (2, 5)]),
        # 3 values make 5: raw 1 5 1, and the third is an average, 7/5, not put back
        (([1, 2], [60, 40], 3, 60, 50, 5), [(1, 1), (2, 5), (3, 1)]),
        # 4 values make 5: raw 1 1 9 1, the third is 12/5, and the raw 9 lands on the fourth place
        (([1, 2, 3], [60, 60, 40], 4, 60, 50, 9), [(1, 1), (3, 2), (4, 9)]),
        # only a tail
        (([], [], 1, 50, 50, 3), [(1, 1)]),
    ],
)
def test_the_published_procedure_with_its_quirks(arguments, expected):
    assert fineweb2_weights(*arguments) == expected


def test_txt360_repeats_by_its_table():
    counts = {1: 1, 2: 3, 5: 3, 6: 5, 100: 5, 101: 8, 1000: 8, 1001: 10, 10**9: 10}
    assert {size: repeats_of(size, txt360_weights()) for size in counts} == counts


def test_a_size_below_the_first_start_counts_once():
    assert repeats_of(3, [(4, 7)]) == 1
    assert repeats_of(3, []) == 1


def hump(clusters):
    """Rates 0.7, 0.4, 0.3, 0.4, 0.7 at sizes 1 to 5, with so many clusters each (singletons ten times as many)."""
    sizes = np.arange(1, 6)
    documents = sizes * clusters * np.array([10, 1, 1, 1, 1])
    return sizes, documents, documents * np.array([0.7, 0.4, 0.3, 0.4, 0.7])


def test_much_evidence_gives_the_whole_hump():
    # global rate (10 * .7 + .4 + .3 + .4 + .7) / 14 = .62857; gain of .4 is .22857 / .32857 = .696 of the best
    expected = [(1, 1), (2, 7), (3, 10), (4, 7), (5, 1)]
    assert default_weights(*hump(10**6), max_repeats=10) == expected


def test_little_evidence_stays_near_one():
    # 20 clusters a size: shrunk to a sixth, 1 + 9/6 = 2.5 -> 2 (half to even), 1 + 9 * .696/6 = 2.04 -> 2
    assert default_weights(*hump(20), max_repeats=10) == [(1, 1), (2, 2), (5, 1)]
    assert default_weights(*hump(1), max_repeats=10) == [(1, 1)]


def test_clusters_count_once_whatever_their_size():
    # by cluster g = (100 * .5 + 100 * .1) / 200 = .3; by document it would be .136, and size 10 not far below it
    assert default_weights([1, 10], [10**5, 10**6], [5 * 10**4, 10**5], 3) == [(1, 1), (10, 3)]


def test_sizes_that_one_in_a_thousand_clusters_reach_are_one_tail():
    # 5 of 10,000 clusters reach size 50, and 10 size 40: the tail is 40 and more, its rate 5 / 10
    sizes = np.array([1, 2, 40, 50])
    clusters = np.array([8000, 1990, 5, 5])
    rates = np.array([0.8, 0.2, 0.0, 1.0])
    weights = default_weights(sizes, sizes * clusters, sizes * clusters * rates, 5)
    assert weights[:2] == [(1, 1), (2, 5)]
    assert max(start for start, _ in weights) <= 40
    assert repeats_of(40, weights) == repeats_of(50, weights) == repeats_of(10**6, weights) == 1


def test_nothing_to_tell_sizes_apart_gives_one():
    assert default_weights([], [], [], 5) == [(1, 1)]
    assert default_weights([1], [100], [50], 5) == [(1, 1)]
    assert default_weights([1, 2, 3], [100, 100, 99], [50, 50, 49.5], 5) == [(1, 1)]
    assert default_weights(*hump(1000), max_repeats=1) == [(1, 1)]


counts = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 5000), st.floats(0, 1)), min_size=1, max_size=25)


@given(counts, st.integers(1, 12))
def test_repeats_rise_and_then_fall_within_the_cap(rows, max_repeats):
    sizes = np.cumsum([gap for gap, _, _ in rows])
    documents = sizes * np.array([clusters for _, clusters, _ in rows])
    removed = documents * np.array([rate for _, _, rate in rows])
    weights = default_weights(sizes, documents, removed, max_repeats)
    repeats = [count for _, count in weights]
    assert weights[0][0] == 1
    assert all(start < following for (start, _), (following, _) in pairwise(weights))
    assert min(repeats) >= 1
    assert max(repeats) <= max_repeats
    peak = repeats.index(max(repeats))
    assert repeats[: peak + 1] == sorted(repeats[: peak + 1])
    assert repeats[peak:] == sorted(repeats[peak:], reverse=True)


@given(counts, st.integers(2, 12))
def test_the_unimodal_fit_is_the_best_among_all_splits(rows, max_repeats):
    values = np.array([rate for _, _, rate in rows])
    weights = np.array([clusters for _, clusters, _ in rows], dtype=np.float64)
    errors = []
    for split in range(len(values) + 1):
        fit = np.empty(len(values))
        if split:
            fit[:split] = isotonic_regression(values[:split], weights=weights[:split]).x
        if split < len(values):
            fit[split:] = isotonic_regression(values[split:], weights=weights[split:], increasing=False).x
        errors.append(float(np.sum(weights * (fit - values) ** 2)))
    ours = float(np.sum(weights * (unimodal_fit(values, weights) - values) ** 2))
    assert ours == pytest.approx(min(errors), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        ([1, 2], [5], [1]),
        ([2, 1], [5, 5], [1, 1]),
        ([0, 1], [5, 5], [1, 1]),
        ([1, 2], [5, 0], [1, 0]),
        ([1, 2], [5, 4], [1, 5]),
        ([1, 2], [5, 4], [-1, 1]),
    ],
)
def test_contradictory_counts_are_refused(arguments):
    with pytest.raises(ValueError, match="siz"):
        default_weights(*arguments, 3)


def test_a_repeat_count_below_one_is_refused():
    with pytest.raises(ConfigError, match="max_repeats = 0"):
        default_weights([1], [1], [0], 0)
    with pytest.raises(ConfigError, match="max_repeats = 0"):
        fineweb2_weights([1], [1], 2, 1, 1, 0)
    with pytest.raises(ConfigError, match="2 cluster sizes, but 1 removal rates"):
        fineweb2_weights([1, 2], [1], 3, 1, 1, 2)


TOKENS = {"swh_Latn": 10.0, "eng_Latn": 1000.0, "tur_Latn": 100.0}


def test_unimax_fills_small_languages_to_the_cap_and_shares_the_rest_evenly():
    assert unimax_budget(TOKENS, 500, 4) == {"eng_Latn": 230, "swh_Latn": 40, "tur_Latn": 230}
    assert unimax_budget(TOKENS, 30, 4) == {"eng_Latn": 10, "swh_Latn": 10, "tur_Latn": 10}


def test_temperature_one_keeps_the_natural_shares_and_a_higher_one_evens_them():
    assert temperature_budget(TOKENS, 1, 555, 4) == pytest.approx({"eng_Latn": 500, "swh_Latn": 5, "tur_Latn": 50})
    roots = np.sqrt(list(TOKENS.values()))
    budget = temperature_budget(TOKENS, 2, 50, 4)
    assert [budget[name] for name in TOKENS] == pytest.approx(50 * roots / roots.sum())


def test_what_a_capped_language_cannot_take_goes_to_the_others_in_proportion():
    # shares 1 : 10 : 100; of a budget of 332 "a" would get 2.99 and can take 2
    budget = temperature_budget({"a": 1, "b": 100, "c": 10000}, 2, 111, 2)
    assert budget["a"] == pytest.approx(1)
    assert temperature_budget({"a": 1, "b": 100, "c": 10000}, 2, 332, 2) == pytest.approx({"a": 2, "b": 30, "c": 300})


tokens = st.dictionaries(st.text(max_size=3), st.integers(0, 10**12), max_size=8)


@given(tokens, st.floats(1, 1e13), st.floats(0.1, 20), st.floats(0.2, 50))
def test_a_budget_is_spent_in_full_or_every_language_is_at_its_cap(tokens_by_language, total, epochs, temperature):
    caps = {name: epochs * count for name, count in tokens_by_language.items()}
    for budget in (
        unimax_budget(tokens_by_language, total, epochs),
        temperature_budget(tokens_by_language, temperature, total, epochs),
    ):
        assert list(budget) == sorted(tokens_by_language)
        assert all(0 <= budget[name] <= caps[name] for name in caps)
        assert sum(budget.values()) == pytest.approx(min(total, sum(caps.values())), rel=1e-9)


def test_settings_that_give_nothing_are_refused():
    with pytest.raises(ConfigError, match="total_budget = 0"):
        unimax_budget(TOKENS, 0, 4)
    with pytest.raises(ConfigError, match="max_epochs = -1"):
        unimax_budget(TOKENS, 1, -1)
    with pytest.raises(ConfigError, match="temperature = 0"):
        temperature_budget(TOKENS, 0, 1, 1)
    with pytest.raises(ConfigError, match="x has -1 tokens"):
        unimax_budget({"x": -1}, 1, 1)
