"""Equal keys -> candidate pairs; stored minima -> estimated Jaccard similarity.

A run of c equal keys gives c - 1 edges to its smallest index, never all c * (c - 1) / 2 pairs: components
need no more, and a spam template with a million copies stays a million edges.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

IndexT = TypeVar("IndexT", np.uint32, np.uint64)

CHANCE_OF_EQUAL_BYTES = 1 / 256


def link(keys: npt.NDArray[np.uint64], indices: npt.NDArray[IndexT]) -> tuple[npt.NDArray[IndexT], npt.NDArray[IndexT]]:
    """Link all documents that share a key to the smallest of them: edges (a, b) with a < b, sorted, each
    once.

    `keys` (n,) uint64, band digests or exact hashes, 0 is null and never matches; `indices` (n,) uint32 or
    uint64, the documents' dense indices, in any order; the result does not depend on that order. Takes about
    32 bytes a row.

    Raises ValueError if the lengths differ.

    >>> [edge.tolist() for edge in link(np.uint64([7, 0, 7, 0, 7]), np.uint32([4, 1, 2, 3, 9]))]
    [[2, 2], [4, 9]]
    """
    if keys.shape != indices.shape or keys.ndim != 1:
        raise ValueError(f"keys {keys.shape} and indices {indices.shape} must be one-dimensional and of one length")
    present = keys != 0
    keys, indices = keys[present], indices[present]
    order = np.lexsort((indices, keys))
    keys, indices = keys[order], indices[order]
    starts = np.flatnonzero(np.concatenate((np.ones(min(1, keys.size), dtype=np.bool_), keys[1:] != keys[:-1])))
    lengths = np.diff(np.append(starts, keys.size))
    smallest = np.repeat(indices[starts], lengths)
    linked = smallest != indices
    a, b = smallest[linked], indices[linked]
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    fresh = np.ones(a.size, dtype=np.bool_)
    fresh[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return a[fresh], b[fresh]


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
