"""Components -> clusters: split each component until every member resembles its leader.

Chains of near-duplicates join documents that have little in common (a component of a billion web pages easily
holds a million of them). Here each member, in ascending dense index, is compared with the leaders so far.

Weakness: the leader is the first seen, not the most central; two members of a cluster can be less alike than
each is to the leader; and members times leaders comparisons are bounded by `max_leaders` alone.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.dedup.lsh import CHANCE_OF_EQUAL_BYTES
from pipeline.errors import ConfigError
from pipeline.kernels import kernel

IndexT = TypeVar("IndexT", np.uint32, np.uint64)
IndexArray = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]


def equal_bytes_needed(threshold: float, minima_count: int) -> int:
    """Smallest number of equal bytes whose estimate reaches the threshold; minima_count + 1 if none does.

    >>> equal_bytes_needed(0.65, 112)
    73
    """
    counts = np.arange(minima_count + 1)
    estimates = (counts / max(minima_count, 1) - CHANCE_OF_EQUAL_BYTES) / (1 - CHANCE_OF_EQUAL_BYTES)
    return int(np.count_nonzero(estimates < threshold))


@kernel
def _verify_kernel(
    roots: IndexArray,
    order: npt.NDArray[np.int64],
    minima: npt.NDArray[np.uint8],
    has_minima: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.uint64],
    needed: int,
    seats: npt.NDArray[np.int64],
    leaders: IndexArray,
) -> int:
    overflow_count = 0
    leader_count = 0
    for position in range(order.shape[0]):
        member = order[position]
        if position == 0 or roots[member] != roots[order[position - 1]]:
            leader_count = 0
        found = False
        for seat in range(leader_count):
            leader = seats[seat]
            if exact[member] != np.uint64(0) and exact[member] == exact[leader]:
                found = True
            elif has_minima[member] and has_minima[leader]:
                equal = 0
                for k in range(minima.shape[1]):
                    equal += minima[member, k] == minima[leader, k]
                found = equal >= needed
            if found:
                leaders[member] = leader
                break
        if not found:
            leaders[member] = member
            if leader_count < seats.shape[0]:
                seats[leader_count] = member
                leader_count += 1
            else:
                overflow_count += 1
    return overflow_count


def verify(
    roots: npt.NDArray[IndexT],
    minima: npt.NDArray[np.uint8],
    has_minima: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.uint64],
    threshold: float = 0.65,
    max_leaders: int = 4096,
) -> tuple[npt.NDArray[IndexT], int]:
    """Re-cluster inside each component: (leaders, overflow_count).

    `roots` (n,) from `components`; `minima` (n, k) uint8; `has_minima` (n,) False where a document has no
    shingle; `exact` (n,) uint64, 0 is null. Gives leaders (n,) of the dtype of `roots`: each document joins
    the first leader of its component whose estimated Jaccard similarity (lsh.estimate_jaccard) is at least
    `threshold` or whose exact hash is equal, else it leads a new cluster. Once a component has `max_leaders`,
    documents that join none stay singletons, with which nothing is compared; overflow_count counts them.
    Besides its inputs it needs 8 bytes a document and 8 a leader of one component.

    Raises ConfigError if `threshold` lies outside [0, 1] or `max_leaders` is below 1, ValueError if lengths
    differ.

    >>> minima = np.uint8([[1] * 8, [2] * 8, [1] * 8])
    >>> leaders, overflow_count = verify(np.uint32([0, 0, 0]), minima, np.ones(3, bool), np.uint64([5, 6, 7]))
    >>> leaders.tolist(), overflow_count
    ([0, 1, 0], 0)
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"verify_threshold = {threshold}: must lie in [0, 1]")
    if max_leaders < 1:
        raise ConfigError(f"max_leaders = {max_leaders}: must be at least 1")
    n = roots.size
    if minima.ndim != 2 or not minima.shape[0] == has_minima.size == exact.size == n:
        raise ValueError("roots, minima, has_minima and exact must have one row a document")
    order = np.argsort(roots, kind="stable")  # (n,) int64: component by component, ascending inside
    seats = np.empty(min(max_leaders, n), dtype=np.int64)
    leaders = np.empty_like(roots)
    needed = equal_bytes_needed(threshold, minima.shape[1])
    overflow_count = int(_verify_kernel(roots, order, minima, has_minima, exact, needed, seats, leaders))
    return leaders, overflow_count
