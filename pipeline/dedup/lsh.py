"""From equal keys to candidate pairs, and from stored minima to an estimate of the Jaccard similarity.

c rows with equal keys give c - 1 edges to the first of these rows, never all c * (c - 1) / 2 pairs: components need no
more, and a spam template with a million copies gives a million edges.
"""

import numpy as np
import numpy.typing as npt

from pipeline.kernels.compile import kernel

CHANCE_OF_EQUAL_BYTES = 1 / 256
PARTITION_ROWS = 16_384  # their keys and their hash table stay in the cache of a core
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: its products spread any keys


def link(
    keys: npt.NDArray[np.uint64], skip: npt.NDArray[np.bool_] | None = None, rows_at_a_time: int = 100_000_000
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Link all rows that share a key to the first of them: edges (a, b), two (m,) uint32, with a < b.

    `keys` (n,) uint64, band digests or exact hashes, spread evenly over 64 bits; 0 is null and never matches. Rows
    where `skip` (n,) is True are not linked.

    Rows are scattered by the leading bits of their key to partitions that fit the cache, in which they keep their
    order, and a hash table of each partition holds the first row of a key: nothing is sorted. About `rows_at_a_time`
    rows are scattered at a time, 12 bytes each beside the input, and the edges.

    Raises ValueError if the lengths differ, or from 2**32 rows on.

    >>> [edge.tolist() for edge in link(np.uint64([7, 0, 7, 0, 7]))]
    [[0, 0], [2, 4]]
    """
    if keys.ndim != 1 or (skip is not None and skip.shape != keys.shape):
        raise ValueError(f"keys {keys.shape} and skip must be one-dimensional and of one length")
    if keys.size >= 2**32:
        raise ValueError(f"{keys.size} keys, but an edge has 32 bits for each of its ends")
    skipped = np.empty(0, dtype=bool) if skip is None else skip
    bits = max(1, (keys.size // PARTITION_ROWS).bit_length())
    starts = np.zeros(2**bits + 1, np.int64)  # of each partition, among all rows that are linked
    _count_kernel(keys, skipped, np.uint64(64 - bits), starts[1:])
    np.cumsum(starts, out=starts)
    edges: list[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]] = []
    first = 0
    while first < 2**bits:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + rows_at_a_time, side="right")) - 1)
        bounds = starts[first : last + 1] - starts[first]  # of the partitions that are scattered now
        total = bounds[-1]
        scattered, rows = np.empty(total, np.uint64), np.empty(total, np.uint32)
        next_free = bounds[:-1].copy()
        _scatter_kernel(keys, skipped, np.uint64(64 - bits), first, next_free, bounds.size - 1, scattered, rows)
        a, b = np.empty(total, np.uint32), np.empty(total, np.uint32)  # memory is taken as far as it is written
        table = np.empty(2 ** int(2 * np.diff(bounds).max()).bit_length(), np.uint32)
        edge_count = _link_kernel(scattered, rows, bounds, table, a, b)
        edges.append((a[:edge_count], b[:edge_count]))
        first = last
    if len(edges) == 1:
        return edges[0]
    return np.concatenate([a for a, _ in edges]), np.concatenate([b for _, b in edges])


@kernel
def _count_kernel(
    keys: npt.NDArray[np.uint64], skip: npt.NDArray[np.bool_], shift: np.uint64, counts: npt.NDArray[np.int64]
) -> None:
    """Count the rows of each partition, which the leading bits of a key name."""
    for row in range(keys.size):
        if keys[row] != np.uint64(0) and not (skip.size and skip[row]):
            counts[keys[row] >> shift] += 1


@kernel
def _scatter_kernel(
    keys: npt.NDArray[np.uint64],
    skip: npt.NDArray[np.bool_],
    shift: np.uint64,
    first: int,
    places: npt.NDArray[np.int64],
    partitions: int,
    scattered: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.uint32],
) -> None:
    """Copy keys and row numbers of the partitions from `first` on, each to its next free index in `places`."""
    for row in range(keys.size):
        key = keys[row]
        if key == np.uint64(0) or (skip.size and skip[row]):
            continue
        partition = np.int64(key >> shift) - first
        if partition < 0 or partition >= partitions:
            continue
        place = places[partition]
        places[partition] = place + 1
        scattered[place] = key
        rows[place] = row


@kernel
def _link_kernel(
    keys: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint32],
    a: npt.NDArray[np.uint32],
    b: npt.NDArray[np.uint32],
) -> int:
    """Write the edges of one partition after the other; returns how many. `table` has room for twice the largest."""
    edge_count = 0
    for partition in range(starts.size - 1):
        start, end = starts[partition], starts[partition + 1]
        bits = 1
        while 2**bits < 2 * (end - start):
            bits += 1
        last = np.uint64(2**bits - 1)
        table[: 2**bits] = 0  # else the place in the partition, plus one, of the first row of a key
        for place in range(start, end):
            slot = (keys[place] * _GOLDEN) >> np.uint64(64 - bits)  # wraps modulo 2**64
            while table[slot] != 0 and keys[start + table[slot] - 1] != keys[place]:
                slot = (slot + np.uint64(1)) & last
            if table[slot] == 0:
                table[slot] = place - start + 1
            else:
                a[edge_count] = rows[start + table[slot] - 1]
                b[edge_count] = rows[place]
                edge_count += 1
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
