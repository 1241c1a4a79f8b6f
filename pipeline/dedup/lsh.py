"""Equal keys -> candidate pairs; stored minima -> estimated Jaccard similarity.

A run of c equal keys gives c - 1 edges to its smallest index, never all c * (c - 1) / 2 pairs: components
need no more, and a spam template with a million copies stays a million edges.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.kernels import kernel

IndexT = TypeVar("IndexT", np.uint32, np.uint64)

CHANCE_OF_EQUAL_BYTES = 1 / 256


def link(
    keys: npt.NDArray[np.uint64],
    indices: npt.NDArray[IndexT],
    skip: npt.NDArray[np.bool_] | None = None,
    rows_at_a_time: int = 500_000_000,
) -> tuple[npt.NDArray[IndexT], npt.NDArray[IndexT]]:
    """Link all documents that share a key to the smallest of them: edges (a, b) with a < b.

    `keys` (n,) uint64, band digests or exact hashes, spread evenly over 64 bits; 0 is null and never matches. `indices`
    (n,) uint32 or uint64, the documents' dense indices, in any order. Rows where `skip` (n,) is True take no part. The
    set of edges does not depend on the order of rows; an index that has a key twice can give an edge twice.

    Sorts composites of the leading bits of the key and the position in place, which is many times faster than sorting
    pairs, and compares whole keys where the leading bits are equal. Keys are sorted in ranges of about `rows_at_a_time`
    rows. Takes 8 bytes a row of a range beside its input, and the edges.

    Raises ValueError if the lengths differ.

    >>> [edge.tolist() for edge in link(np.uint64([7, 0, 7, 0, 7]), np.uint32([4, 1, 2, 3, 9]))]
    [[2, 2], [4, 9]]
    """
    if keys.shape != indices.shape or keys.ndim != 1 or (skip is not None and skip.shape != keys.shape):
        raise ValueError(
            f"keys {keys.shape}, indices {indices.shape} and skip must be one-dimensional and of one length"
        )
    left_out = np.empty(0, dtype=bool) if skip is None else skip
    low = np.uint64((1 << max(1, keys.size.bit_length())) - 1)
    found: list[tuple[npt.NDArray[IndexT], npt.NDArray[IndexT]]] = []
    ranges = max(1, -(-keys.size // rows_at_a_time))
    for number in range(ranges):
        nothing = np.empty(0, dtype=np.uint64)
        composites = np.empty(_compose_kernel(keys, left_out, number, ranges, low, nothing), dtype=np.uint64)
        _compose_kernel(keys, left_out, number, ranges, low, composites)
        composites.sort()
        no_edge = np.empty(0, dtype=indices.dtype)
        edge_count = _link_kernel(composites, low, keys, indices, no_edge, no_edge)
        a, b = np.empty(edge_count, dtype=indices.dtype), np.empty(edge_count, dtype=indices.dtype)
        _link_kernel(composites, low, keys, indices, a, b)
        found.append((a, b))
    return found[0] if ranges == 1 else (np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found]))


@kernel
def _compose_kernel(
    keys: npt.NDArray[np.uint64],
    skip: npt.NDArray[np.bool_],
    number: int,
    ranges: int,
    low: np.uint64,
    composites: npt.NDArray[np.uint64],
) -> int:
    """Leading bits of each key of a range, and its position in the low bits; how many there are. Null has none."""
    count = 0
    for position in range(keys.size):
        key = keys[position]
        if key == np.uint64(0) or (skip.size and skip[position]):
            continue
        if ranges > 1 and ((key >> np.uint64(32)) * np.uint64(ranges)) >> np.uint64(32) != np.uint64(number):
            continue
        if composites.size:
            composites[count] = (key & ~low) | np.uint64(position)
        count += 1
    return count


@kernel
def _link_kernel(
    composites: npt.NDArray[np.uint64],
    low: np.uint64,
    keys: npt.NDArray[np.uint64],
    indices: npt.NDArray[IndexT],
    a: npt.NDArray[IndexT],
    b: npt.NDArray[IndexT],
) -> int:
    """Count the edges; write them where `a` and `b` have room."""
    edge_count = 0
    start = 0
    while start < composites.size:
        end = start + 1
        while end < composites.size and (composites[end] ^ composites[start]) & ~low == np.uint64(0):
            end += 1
        if end - start > 1:
            run = composites[start:end] & low
            first = keys[run[0]]
            for position in run:
                if keys[position] != first:  # a rare agreement of leading bits
                    run = run[np.argsort(keys[run])]
                    break
            left = 0
            while left < run.size:
                right = left
                smallest = indices[run[left]]
                while right < run.size and keys[run[right]] == keys[run[left]]:
                    smallest = min(smallest, indices[run[right]])
                    right += 1
                for other in range(left, right):
                    if indices[run[other]] != smallest:
                        if a.size:
                            a[edge_count] = smallest
                            b[edge_count] = indices[run[other]]
                        edge_count += 1
                left = right
        start = end
    return edge_count


def estimate_jaccard(minima_a: npt.NDArray[np.uint8], minima_b: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Estimate the Jaccard similarity from the low bytes of k minima: (..., k) uint8 twice -> (...) float64.

    (m - 1/256) / (1 - 1/256), m the share of equal bytes: two different minima have equal low bytes once in
    256. Unbiased, hence not clipped: dissimilar documents can get as little as -1/255. Source: b-bit MinHash,
    Li and Koenig, arXiv:0910.3349, for b = 8 and sets that are small beside 2**64.

    >>> float(estimate_jaccard(np.zeros(112, np.uint8), np.zeros(112, np.uint8)))
    1.0
    """
    equal = np.mean(np.asarray(minima_a) == np.asarray(minima_b), axis=-1)
    estimate: npt.NDArray[np.float64] = np.asarray((equal - CHANCE_OF_EQUAL_BYTES) / (1 - CHANCE_OF_EQUAL_BYTES))
    return estimate
