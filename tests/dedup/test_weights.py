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
    Weight,
    Weights,
    default_weights,
    fineweb2_weights,
    repeats_of,
    temperature_budget,
    txt360_weights,
    unimax_budget,
    unimodal_fit,
)
from pipeline.errors import ConfigError


def pairs(weights: Weights) -> list[tuple[int, int]]:
    """(cluster size, repeats) of each weight."""
    return [(weight.from_cluster_size, weight.repeats) for weight in weights]


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
            assert dict(pairs(computed)) == {int(size): count for size, count in weights.items()}, path.stem
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
    assert pairs(fineweb2_weights(*arguments)) == expected


def test_txt360_repeats_by_its_table():
    counts = {1: 1, 2: 3, 5: 3, 6: 5, 100: 5, 101: 8, 1000: 8, 1001: 10, 10**9: 10}
    assert {size: repeats_of(size, txt360_weights()) for size in counts} == counts


def test_a_size_below_the_first_start_counts_once():
    assert repeats_of(3, [Weight(4, 7)]) == 1
    assert repeats_of(3, []) == 1


def hump(clusters):
    """Rates 0.7, 0.4, 0.3, 0.4, 0.7 at sizes 1 to 5, with so many clusters each (singletons ten times as many)."""
    sizes = np.arange(1, 6)
    documents = sizes * clusters * np.array([10, 1, 1, 1, 1])
    return sizes, documents, documents * np.array([0.7, 0.4, 0.3, 0.4, 0.7])


def test_much_evidence_gives_the_whole_hump():
    # global rate (10 * .7 + .4 + .3 + .4 + .7) / 14 = .62857; gain of .4 is .22857 / .32857 = .696 of the best
    expected = [(1, 1), (2, 7), (3, 10), (4, 7), (5, 1)]
    assert pairs(default_weights(*hump(10**6), max_repeats=10)) == expected


def test_little_evidence_stays_near_one():
    # 20 clusters: two standard errors are 2 * sqrt(.62857 * .37143 / 20) = .2161; of the gains .2286 and .3286 (the
    # best) remain .0125 and .1125: 1 + 9 * .0125 / .3286 = 1.34 and 4.08
    assert pairs(default_weights(*hump(20), max_repeats=10)) == [(1, 1), (3, 4), (4, 1)]
    assert pairs(default_weights(*hump(1), max_repeats=10)) == [(1, 1)]


def test_clusters_count_once_whatever_their_size():
    # by cluster g = (100 * .5 + 100 * .1) / 200 = .3; by document it would be .136, and size 10 not far below it
    assert pairs(default_weights([1, 10], [10**5, 10**6], [5 * 10**4, 10**5], 3)) == [(1, 1), (10, 3)]


def test_sizes_that_one_in_a_thousand_documents_reach_are_one_tail():
    # 12,410,000 documents, so that the tail is the sizes from 110 on: 10,000 + 2,500, of which all and none fail
    sizes = np.array([1, 2, 110, 250])
    clusters = np.array([8_000_000, 2_200_000, 10_000 / 110, 10])
    rates = np.array([0.8, 0.2, 1.0, 0.0])
    weights = default_weights(sizes, sizes * clusters, sizes * clusters * rates, 5)
    assert pairs(weights) == [(1, 1), (2, 5), (110, 1)]
    assert repeats_of(250, weights) == repeats_of(10**6, weights) == 1


def curve(size):
    """A removal rate that falls from 0.75 for single documents to 0.4 at size 16 and rises again to 0.75 at 256."""
    return 0.75 - 0.35 * (1 - np.abs(np.log2(size) - 4) / 4)


def drawn(clusters, rate, seed):
    """Clusters of sizes 1 to 256, fewer the larger, each removed as a whole or not at all, by `rate` of its size."""
    draw = np.random.default_rng(seed)
    every = np.arange(1, 257)
    counts = draw.multinomial(clusters, every**-2.0 / np.sum(every**-2.0))
    sizes, counts = every[counts > 0], counts[counts > 0]
    return sizes, sizes * counts, sizes * draw.binomial(counts, rate(sizes))


def error(clusters, seed):
    """Mean distance, over documents, from the weights of the curve itself; at most 10 repeats."""
    sizes, documents, removed = drawn(clusters, curve, seed)
    every = np.arange(1, 257)
    share = every**-2.0 / np.sum(every**-2.0)
    rate = np.sum(share * curve(every))
    wanted = 1 + 9 * np.clip((rate - curve(sizes)) / (rate - 0.4), 0, 1)
    weights = default_weights(sizes, documents, removed, 10)
    found = np.array([repeats_of(int(size), weights) for size in sizes])
    return float(np.average(np.abs(found - wanted), weights=documents))


def test_a_known_curve_is_found_the_better_the_more_clusters_there_are():
    errors = {n: np.mean([error(n, seed) for seed in range(5)]) for n in (1000, 30_000, 1_000_000, 30_000_000)}
    assert list(errors.values()) == sorted(errors.values(), reverse=True)
    assert errors[1_000_000] < 0.75
    assert errors[30_000_000] < 0.3


@pytest.mark.parametrize("clusters", [100, 1000, 10_000, 100_000, 1_000_000])
def test_where_size_says_nothing_hardly_anything_is_repeated(clusters):
    growth = []
    for seed in range(20):
        sizes, documents, removed = drawn(clusters, lambda size: np.full(size.shape, 0.6), seed)
        weights = default_weights(sizes, documents, removed, 10)
        growth.append(np.average([repeats_of(int(size), weights) for size in sizes], weights=documents))
    assert np.mean(growth) < 1.1
    assert max(growth) < 1.6


def test_a_rare_size_with_a_lucky_rate_does_not_lower_the_others():
    sizes, documents, removed = (
        np.array([1, 2, 3, 20]),
        np.array([9e6, 2e6, 9e5, 400]),
        np.array([6.3e6, 8e5, 3.6e5, 0]),
    )
    before = default_weights(sizes[:3], documents[:3], removed[:3], 10)
    assert pairs(before) == [(1, 1), (2, 10)]
    lucky = default_weights(sizes, documents, removed, 10)
    assert [repeats_of(size, lucky) for size in (1, 2, 3)] == [1, 10, 10]


def test_giant_clusters_that_are_removed_count_once():
    sizes = np.array([1, 4, 5, 3000, 40_000])
    clusters = np.array([100_000, 10_000, 9_000, 2, 1])
    rates = np.array([0.7, 0.4, 0.4, 1, 1])
    weights = default_weights(sizes, sizes * clusters, sizes * clusters * rates, 10)
    assert [repeats_of(size, weights) for size in (1, 4, 5, 3000, 40_000)] == [1, 10, 10, 1, 1]


def test_nothing_to_tell_sizes_apart_gives_one():
    assert pairs(default_weights([], [], [], 5)) == [(1, 1)]
    assert pairs(default_weights([1], [100], [50], 5)) == [(1, 1)]
    assert pairs(default_weights([1, 2, 3], [100, 100, 99], [50, 50, 49.5], 5)) == [(1, 1)]
    assert pairs(default_weights(*hump(1000), max_repeats=1)) == [(1, 1)]


counts = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 5000), st.floats(0, 1)), min_size=1, max_size=25)


@given(counts, st.integers(1, 12))
def test_repeats_rise_and_then_fall_within_the_cap(rows, max_repeats):
    sizes = np.cumsum([gap for gap, _, _ in rows])
    documents = sizes * np.array([clusters for _, clusters, _ in rows])
    removed = documents * np.array([rate for _, _, rate in rows])
    weights = default_weights(sizes, documents, removed, max_repeats)
    starts, repeats = zip(*pairs(weights), strict=True)
    assert starts[0] == 1
    assert all(start < following for start, following in pairwise(starts))
    assert min(repeats) >= 1
    assert max(repeats) <= max_repeats
    peak = repeats.index(max(repeats))
    assert list(repeats[: peak + 1]) == sorted(repeats[: peak + 1])
    assert list(repeats[peak:]) == sorted(repeats[peak:], reverse=True)


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


def algorithm_1(sizes, total, epochs):
    """UniMax as the paper has it: arXiv:2304.09151, algorithm 1, in Python."""
    budget = {}
    left = total
    for number, (name, size) in enumerate(sorted(sizes.items(), key=lambda one: (one[1], one[0]))):
        part = left / (len(sizes) - number)
        budget[name] = size * epochs if part > size * epochs else part
        left -= budget[name]
    return budget


@given(tokens, st.floats(1, 1e13), st.floats(0.1, 20))
def test_unimax_is_algorithm_1_of_its_paper(tokens_by_language, total, epochs):
    wanted = algorithm_1(tokens_by_language, total, epochs)
    assert unimax_budget(tokens_by_language, total, epochs) == pytest.approx(wanted, rel=1e-9, abs=1e-9 * total)


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
