"""Cluster sizes and removal rates become weights, how often a document is repeated; token counts become budgets.

A document that many sites copy is often a good one, up to a point: the share of documents that the rules remove falls
with the size of the cluster and then rises again, as the largest clusters are spam and boilerplate. This module has
three ways to turn that into weights, a list in ascending cluster size in which `repeats_of` looks a size up, and two
ways to share a budget of tokens among languages. The weakness of all weights is that the removal rate of the rules
stands in for quality.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError

FloatArray = npt.NDArray[np.float64]

TAIL_SHARE = 0.001  # of the documents: the tail starts at the 99.9th percentile of their cluster sizes, as FineWeb2's
STANDARD_ERRORS = 2.0  # of what a step has to lie below the global rate; chance alone does one time in 44
STEP_CLUSTERS = 1000.0  # neighbouring sizes are one step until it has so many clusters,
STEP_RATIO = 1.25  # but all its sizes are below this multiple of the first: 1, 2, 3 and 4 always stand alone


@dataclass(frozen=True)
class Weight:
    """How often documents are repeated whose clusters have this size or more, up to the next weight's."""

    from_cluster_size: int
    repeats: int


Weights = list[Weight]
"""Weights in ascending order of cluster size."""


def repeats_of(size: int, weights: Sequence[Weight]) -> int:
    """Look up how often a document of a cluster of `size` is repeated; 1 below the first weight's size.

    >>> [repeats_of(size, [Weight(1, 1), Weight(3, 2), Weight(10, 1)]) for size in (1, 2, 3, 9, 10, 5000)]
    [1, 1, 2, 2, 1, 1]
    """
    position = bisect_right(weights, size, key=lambda weight: weight.from_cluster_size)
    return weights[position - 1].repeats if position else 1


def fineweb2_weights(
    sizes: Sequence[int],
    removal_rates: Sequence[float],
    tail_threshold: int,
    tail_rate: float,
    global_rate: float,
    max_repeats: int,
) -> Weights:
    """Give FineWeb2's weights, by its published procedure to the last quirk.

    `sizes` ascending and below `tail_threshold`, where all larger clusters are pooled; rates in any one unit,
    percent there. A size whose rate is not below the global one counts 1, the best size `max_repeats`,
    linearly between. Then a moving average over 5 sizes, whatever the gaps between them, with zeros beyond
    the ends; the first and last two values are put back; values are rounded half to even. With fewer than 5
    values the 'same' convolution gives 5, and the last two are put back behind the true end: copied, as the
    published weights have it.

    Raises ConfigError if lengths differ or `max_repeats` is below 1. Source: FineWeb2, misc/rehydration;
    arXiv:2506.20920, section on rehydration.

    >>> weights = fineweb2_weights([1, 2, 3, 4, 5], [60, 40, 30, 30, 40], 6, 70, 50, 3)
    >>> [(weight.from_cluster_size, weight.repeats) for weight in weights]
    [(1, 1), (2, 2), (6, 1)]
    """
    _check_repeats(max_repeats)
    if len(sizes) != len(removal_rates):
        raise ConfigError(f"{len(sizes)} cluster sizes, but {len(removal_rates)} removal rates")
    rates = np.array([*removal_rates, tail_rate], dtype=np.float64)
    best = rates.min()
    raw: FloatArray = np.array(
        [
            1.0 if rate >= global_rate else 1 + (max_repeats - 1) * (rate - global_rate) / (best - global_rate)
            for rate in rates
        ],
        dtype=np.float64,
    )
    smooth: FloatArray = np.convolve(raw, np.ones(5) / 5, "same").astype(np.float64)
    smooth[:2] = raw[:2]
    smooth[-2:] = raw[-2:]
    return _where_repeats_change([*sizes, tail_threshold], np.round(smooth)[: rates.size])


def txt360_weights() -> Weights:
    """Give TxT360's table: 2 to 5 copies three times, to 100 five, to 1,000 eight, more than that ten times.

    Source: TxT360 (LLM360), upsampling recipe. Its first two rows both name 5; here 5 counts as the lower.
    """
    return [Weight(1, 1), Weight(2, 3), Weight(6, 5), Weight(101, 8), Weight(1001, 10)]


def default_weights(
    sizes: npt.ArrayLike, documents: npt.ArrayLike, removed: npt.ArrayLike, max_repeats: int
) -> Weights:
    """Give Glotmill's weights: FineWeb2's idea, made safe for languages with few clusters.

    `sizes` (k,) distinct cluster sizes, ascending from 1 or more; `documents` (k,) members in clusters of
    that size; `removed` (k,) those that fail the rules. A cluster counts once, whatever its size: the global
    rate g is the mean over clusters.

    1. Sizes from the 99.9th percentile on (the largest size such that 0.1 % of the documents lie in clusters so
       large) are one step, the tail. Below it neighbours are one step until it has 1,000 clusters, as far as they
       lie within 25 %.
    2. The gain of a step with n clusters is g - rate, less what chance may have added to it: two standard
       errors, sqrt(g (1 - g) / n) each, but not below 0 for that.
    3. Repeats may rise with size and then fall, never again rise: the least-squares unimodal fit of the gains,
       weighted by clusters, so that noise between neighbouring sizes makes no teeth.
    4. 1 + (max_repeats - 1) * gain / best, between 1 and `max_repeats`, rounded half to even. `best` is the gain
       at the top of the fit before the errors were taken off: much evidence reaches `max_repeats`, a language
       with little stays at 1, and a rare size with a lucky rate does not lower all others.

    Raises ConfigError if `max_repeats` is below 1, ValueError if the counts contradict each other.

    >>> weights = default_weights([1, 2, 3, 4], [90000, 20000, 9000, 4000], [63000, 8000, 2700, 2800], 3)
    >>> [(weight.from_cluster_size, weight.repeats) for weight in weights]
    [(1, 1), (2, 2), (3, 3), (4, 1)]
    """
    _check_repeats(max_repeats)
    size = np.asarray(sizes, dtype=np.int64)
    members = np.asarray(documents, dtype=np.float64)
    failed = np.asarray(removed, dtype=np.float64)
    if not size.shape == members.shape == failed.shape or size.ndim != 1:
        raise ValueError("sizes, documents and removed must be one-dimensional and of one length")
    if size.size and (size[0] < 1 or np.any(np.diff(size) <= 0)):
        raise ValueError("sizes must ascend from 1 or more")
    if np.any(members <= 0) or np.any(failed < 0) or np.any(failed > members):
        raise ValueError("each size needs documents, and between 0 and all of them removed")
    if size.size == 0:
        return [Weight(1, 1)]
    clusters, bad = members / size, failed / size  # (k,) float64, in clusters
    reached = np.cumsum(members[::-1])[::-1]  # documents in clusters of this size or more
    tail = int(np.flatnonzero(reached >= TAIL_SHARE * reached[0])[-1])
    starts = _steps(size[:tail], clusters[:tail]) + [tail]  # (steps,) positions in size; the last is the tail
    clusters, bad = np.add.reduceat(clusters, starts), np.add.reduceat(bad, starts)
    global_rate = float(bad.sum() / clusters.sum())
    gain = global_rate - bad / clusters
    chance = STANDARD_ERRORS * np.sqrt(global_rate * (1 - global_rate) / clusters)
    sure = unimodal_fit(np.maximum(gain - chance, np.minimum(gain, 0)), clusters)
    if sure.max() <= 1e-12:  # all sizes alike
        return [Weight(1, 1)]
    top = np.isclose(sure, sure.max(), rtol=1e-9, atol=0)
    best_gain = float(np.average(gain[top], weights=clusters[top]))
    repeats = np.round(1 + (max_repeats - 1) * np.clip(sure / best_gain, 0, 1))
    return _where_repeats_change([1, *(int(size[start]) for start in starts[1:])], repeats)


def _steps(size: npt.NDArray[np.int64], clusters: FloatArray) -> list[int]:
    """Where each step begins: (k,) sizes, ascending, and their clusters -> positions in them."""
    starts: list[int] = []
    filled = STEP_CLUSTERS
    for position, count in enumerate(clusters.tolist()):
        if filled >= STEP_CLUSTERS or size[position] >= STEP_RATIO * size[starts[-1]]:
            starts.append(position)
            filled = 0.0
        filled += count
    return starts


def unimax_budget(tokens_by_language: Mapping[str, float], total_budget: float, max_epochs: float) -> dict[str, float]:
    """Share a token budget as evenly as `max_epochs` over each language allows; languages in sorted order.

    Smallest languages first, each gets an equal part of what is left, at most max_epochs times its tokens.
    The sum is `total_budget`, or all that the cap allows if that is less. Raises ConfigError on a negative or
    zero setting. Source: UniMax, arXiv:2304.09151, algorithm 1.

    >>> unimax_budget({"a": 1, "b": 100, "c": 1000}, 100, 4)
    {'a': 4.0, 'b': 48.0, 'c': 48.0}
    """
    _check_budget(tokens_by_language, total_budget, max_epochs)
    return _fill(tokens_by_language, total_budget, max_epochs, lambda tokens: 1.0)


def temperature_budget(
    tokens_by_language: Mapping[str, float], temperature: float, total_budget: float, max_epochs: float
) -> dict[str, float]:
    """Share a token budget in proportion to tokens ** (1 / temperature); languages in sorted order.

    Temperature 1 keeps the natural shares, a large one makes them equal (UniMax). A language gets at most
    max_epochs times its tokens; what it cannot take goes to the others in the same proportion, so that the
    sum is `total_budget` or all that the cap allows. Raises ConfigError on a negative or zero setting.
    Source: mT5, arXiv:2010.11934, section 3.2 (there without a cap; alpha is 1 / temperature).

    >>> temperature_budget({"a": 100, "b": 900}, 2, 40, 4)
    {'a': 10.0, 'b': 30.0}
    """
    _check_budget(tokens_by_language, total_budget, max_epochs)
    if not temperature > 0:
        raise ConfigError(f"temperature = {temperature}: must be above 0")
    largest = max(tokens_by_language.values(), default=1.0) or 1.0
    return _fill(tokens_by_language, total_budget, max_epochs, lambda tokens: (tokens / largest) ** (1 / temperature))


def _fill(
    tokens_by_language: Mapping[str, float],
    total_budget: float,
    max_epochs: float,
    share_of: Callable[[float], float],
) -> dict[str, float]:
    """Give languages shares of the budget up to their caps, in ascending order of cap by share, so that one round
    is enough."""
    shares = {name: share_of(tokens) for name, tokens in tokens_by_language.items() if tokens > 0}
    fullness = {
        name: max_epochs * tokens_by_language[name] / share if share > 0 else np.inf for name, share in shares.items()
    }
    names = sorted(shares, key=lambda name: (fullness[name], name))
    # Sums of what comes after, not running differences, which would leave rounding errors to the last one.
    shares_left = np.cumsum([shares[name] for name in reversed(names)])[::-1]
    budget = dict.fromkeys(sorted(tokens_by_language), 0.0)
    left = float(total_budget)
    for name, share_left in zip(names, shares_left, strict=True):
        part = left * shares[name] / float(share_left) if share_left > 0 else 0.0
        budget[name] = min(part, float(max_epochs * tokens_by_language[name]))
        left = max(0.0, left - budget[name])
    return budget


def unimodal_fit(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Least-squares fit that rises and then falls; (k,) float64 twice -> (k,) float64.

    Every split into a rising and a falling part is tried; the errors of all prefixes come from one pass each
    way.
    """
    rising_errors = _rising_errors(values, weights)
    falling_errors = _rising_errors(values[::-1], weights[::-1])[::-1]
    split = int(np.argmin(rising_errors + falling_errors))
    rising = _rising(values[:split], weights[:split])
    falling = _rising(values[split:][::-1], weights[split:][::-1])[::-1]
    return np.concatenate((rising, falling))


def _rising(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Least-squares fit that never falls, by pool-adjacent-violators (Barlow et al. 1972)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            _pool(blocks)
    return np.repeat(np.array([block[0] for block in blocks]), [block[2] for block in blocks])


def _rising_errors(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Squared error of the rising fit to each prefix, the empty one first: (k,) -> (k + 1,) float64."""
    blocks: list[tuple[float, float, int]] = []
    errors = [0.0]
    total = 0.0
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            total += _pool(blocks)
        errors.append(total)
    return np.array(errors)


def _pool(blocks: list[tuple[float, float, int]]) -> float:
    """Merge the last two blocks (mean, weight, length); gives the squared error that this adds."""
    (mean_a, weight_a, length_a), (mean_b, weight_b, length_b) = blocks[-2:]
    weight = weight_a + weight_b
    blocks[-2:] = [((mean_a * weight_a + mean_b * weight_b) / weight, weight, length_a + length_b)]
    return weight_a * weight_b / weight * (mean_a - mean_b) ** 2


def _where_repeats_change(sizes: Sequence[int], repeats: npt.NDArray[np.float64]) -> Weights:
    """A weight for each of the ascending sizes at which the repeats change; both are cut to the shorter."""
    weights: Weights = []
    for size, count in zip(sizes, repeats.tolist(), strict=False):
        if not weights or weights[-1].repeats != int(count):
            weights.append(Weight(int(size), int(count)))
    return weights


def _check_repeats(max_repeats: int) -> None:
    if max_repeats < 1:
        raise ConfigError(f"max_repeats = {max_repeats}: must be at least 1")


def _check_budget(tokens_by_language: Mapping[str, float], total_budget: float, max_epochs: float) -> None:
    for key, value in (("total_budget", total_budget), ("max_epochs", max_epochs)):
        if not value > 0:
            raise ConfigError(f"{key} = {value}: must be above 0")
    for name, tokens in tokens_by_language.items():
        if not tokens >= 0:
            raise ConfigError(f"{name} has {tokens} tokens: must be 0 or more")
