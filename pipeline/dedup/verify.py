"""Components -> clusters: split each component until every member resembles its leader.

Chains of near-duplicates join documents that have little in common (a component of a billion web pages easily
holds a million of them). Here each member, in ascending dense index, is compared with the leaders so far.

Weakness: the leader is the first seen, not the most central; two members of a cluster can be less alike than
each is to the leader; and members times leaders comparisons are bounded by `max_leaders` alone.
"""

import tempfile
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
def _number_kernel(roots: IndexArray, numbers: IndexArray, none: np.uint64) -> int:
    """Number the components of two documents and more, at the place of their root; `none` elsewhere."""
    for document in range(roots.size):
        numbers[document] = none
    count = 0
    for document in range(roots.size):
        root = roots[document]
        if root != document and numbers[root] == none:
            numbers[root] = count
            count += 1
    return count


@kernel
def _feed_kernel(
    first: int,
    roots: IndexArray,
    numbers: IndexArray,
    none: np.uint64,
    minima: npt.NDArray[np.uint8],
    has_minima: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.uint64],
    needed: int,
    max_leaders: int,
    components: tuple[IndexArray, IndexArray, IndexArray],
    seats: tuple[IndexArray, IndexArray, npt.NDArray[np.uint64], npt.NDArray[np.bool_], npt.NDArray[np.uint8]],
    seat_count: int,
    leaders: IndexArray,
) -> tuple[int, int]:
    heads, tails, counts = components
    seat_document, seat_next, seat_exact, seat_signed, seat_minima = seats
    width = minima.shape[1]
    half = width // 2
    overflow_count = 0
    for row in range(minima.shape[0]):
        document = first + row
        component = numbers[roots[document]]
        leaders[document] = document
        if component == none:
            continue
        found = False
        seat = heads[component]
        while seat != none:
            if exact[row] != np.uint64(0) and exact[row] == seat_exact[seat]:
                found = True
            elif has_minima[row] and seat_signed[seat]:
                equal = 0
                for k in range(half):
                    equal += minima[row, k] == seat_minima[seat, k]
                if equal + width - half >= needed:  # else out of reach
                    for k in range(half, width):
                        equal += minima[row, k] == seat_minima[seat, k]
                    found = equal >= needed
            if found:
                leaders[document] = seat_document[seat]
                break
            seat = seat_next[seat]
        if found:
            continue
        if counts[component] >= max_leaders:
            overflow_count += 1
            continue
        seat_document[seat_count] = document
        seat_next[seat_count] = none
        seat_exact[seat_count] = exact[row]
        seat_signed[seat_count] = has_minima[row]
        seat_minima[seat_count] = minima[row]
        if counts[component] == 0:
            heads[component] = seat_count
        else:
            seat_next[tails[component]] = seat_count
        tails[component] = seat_count
        counts[component] += 1
        seat_count += 1
    return seat_count, overflow_count


class Verifier:
    """Re-clusters inside components while minima stream by, in ascending dense index.

    Each document joins the first leader of its component whose estimated Jaccard similarity (lsh.estimate_jaccard) is
    at least `threshold` or whose exact hash is equal, else it leads a new cluster. Once a component has `max_leaders`,
    documents that join none stay singletons, with which nothing is compared.

    Only leaders' minima are kept, in a file that is mapped and goes when the verifier does. Beside it: two indices a
    document (`leaders`, and the numbering of components), three a component and 17 bytes a leader.

    `roots` (n,) uint32 or uint64 from `components`; `minima_count` is k; `scratch` a folder for the file, else the
    system's. Raises ConfigError if `threshold` lies outside [0, 1] or `max_leaders` is below 1.
    """

    def __init__(
        self,
        roots: IndexArray,
        minima_count: int,
        threshold: float = 0.65,
        max_leaders: int = 4096,
        scratch: str | None = None,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise ConfigError(f"verify_threshold = {threshold}: must lie in [0, 1]")
        if max_leaders < 1:
            raise ConfigError(f"max_leaders = {max_leaders}: must be at least 1")
        self.roots = roots
        self.leaders = np.empty_like(roots)
        self.overflow_count = 0
        self.fed = 0
        self._needed = equal_bytes_needed(threshold, minima_count)
        self._max_leaders = max_leaders
        self._none = np.uint64(np.iinfo(roots.dtype).max)
        self._numbers = np.empty_like(roots)
        count = int(_number_kernel(roots, self._numbers, self._none))
        self._components = tuple(np.full(count, fill, roots.dtype) for fill in (self._none, 0, 0))
        self._seat_count = 0
        self._width = minima_count
        self._file = tempfile.TemporaryFile(prefix="glotmill-leaders-", dir=scratch)  # noqa: SIM115 lives as long as we
        self._seats = self._room(0, max(1024, count))

    def _room(self, used: int, capacity: int) -> tuple[np.ndarray, ...]:
        """Arrays for `capacity` leaders with the first `used` of today's in them."""
        kinds = (self.roots.dtype, self.roots.dtype, np.dtype(np.uint64), np.dtype(np.bool_))
        grown = [np.empty(capacity, dtype=kind) for kind in kinds]
        for number, array in enumerate(grown):
            if used:
                array[:used] = self._seats[number][:used]
        self._file.truncate(max(1, capacity * self._width))
        shape = (capacity, self._width)
        mapped = np.memmap(self._file, np.uint8, "r+", shape=shape) if self._width else np.empty(shape, np.uint8)
        return (*grown, mapped)

    def feed(
        self, minima: npt.NDArray[np.uint8], has_minima: npt.NDArray[np.bool_], exact: npt.NDArray[np.uint64]
    ) -> None:
        """The next documents: `minima` (m, k) uint8, `has_minima` (m,), False without a shingle, `exact` (m,), 0 null.

        Raises ValueError if the lengths differ or there are more rows than documents left.
        """
        rows = minima.shape[0]
        if minima.ndim != 2 or minima.shape[1] != self._width or not rows == has_minima.size == exact.size:
            raise ValueError(f"minima {minima.shape}, has_minima and exact must have one row a document")
        if self.fed + rows > self.roots.size:
            raise ValueError(f"{self.fed + rows} documents were fed, but there are {self.roots.size}")
        if self._seat_count + rows > self._seats[0].size:
            self._seats = self._room(self._seat_count, max(2 * self._seats[0].size, self._seat_count + rows))
        self._seat_count, overflow = _feed_kernel(
            self.fed,
            self.roots,
            self._numbers,
            self._none,
            minima,
            has_minima,
            exact,
            self._needed,
            self._max_leaders,
            self._components,
            self._seats,
            self._seat_count,
            self.leaders,
        )
        self.overflow_count += int(overflow)
        self.fed += rows


def verify(
    roots: npt.NDArray[IndexT],
    minima: npt.NDArray[np.uint8],
    has_minima: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.uint64],
    threshold: float = 0.65,
    max_leaders: int = 4096,
) -> tuple[npt.NDArray[IndexT], int]:
    """Re-cluster inside each component, all minima in memory: (leaders (n,) of the dtype of `roots`, overflow_count).

    Arguments, rule and errors are those of `Verifier`; ValueError also if fewer rows than documents are given.

    >>> minima = np.uint8([[1] * 8, [2] * 8, [1] * 8])
    >>> leaders, overflow_count = verify(np.uint32([0, 0, 0]), minima, np.ones(3, bool), np.uint64([5, 6, 7]))
    >>> leaders.tolist(), overflow_count
    ([0, 1, 0], 0)
    """
    if minima.ndim != 2 or minima.shape[0] != roots.size:
        raise ValueError("roots, minima, has_minima and exact must have one row a document")
    verifier = Verifier(roots, minima.shape[1], threshold, max_leaders)
    verifier.feed(np.ascontiguousarray(minima), has_minima, exact)
    return verifier.leaders.astype(roots.dtype, copy=False), verifier.overflow_count
