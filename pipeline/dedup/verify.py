"""From components to clusters: each component is split until every member resembles its cluster centre.

Chains of near-duplicates join documents that have little in common (a component of a billion web pages easily holds a
million of them). Here each member, in ascending row number within its group, is compared with the centres so far.

Limits: the centre of a cluster is its first document, not the most central one; two members of a cluster can be less
alike than each is to the centre; and only `max_cluster_centres` bounds the number of comparisons, which is members
times centres.
"""

import tempfile
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.dedup.lsh import CHANCE_OF_EQUAL_BYTES
from pipeline.errors import ConfigError
from pipeline.kernels.compile import intrinsic, kernel

IndexT = TypeVar("IndexT", np.uint32, np.uint64)
IndexArray = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
UInt64Array = npt.NDArray[np.uint64]
UInt8Array = npt.NDArray[np.uint8]

LANES = 64  # bytes that are compared at once


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


@intrinsic
def _equal_lanes(context: Any, left: Any, row: Any, right: Any, slot: Any, place: Any) -> tuple[Any, Any]:
    """How many of the LANES bytes of left[row] and right[slot] from `place` on are equal.

    In LLVM's words, as the compiler does not vectorise a loop that counts equal bytes: both as vectors, one comparison,
    a count of the bits that say yes. LLVM makes it of what the processor has; with vectors of 64 bytes four
    instructions.
    """

    from llvmlite import ir
    from numba import types
    from numba.core import cgutils

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        get_item_pointer: Any = cgutils.get_item_pointer

        def vector(array: int, number: int) -> Any:
            kind = signature.args[array]
            at = [context.cast(builder, arguments[one], signature.args[one], types.intp) for one in (number, 4)]
            values = context.make_array(kind)(context, builder, arguments[array])
            pointer = get_item_pointer(context, builder, kind, values, at)
            return builder.load(builder.bitcast(pointer, ir.VectorType(ir.IntType(8), LANES).as_pointer()), align=1)

        equal = builder.icmp_unsigned("==", vector(0, 1), vector(2, 3))
        return builder.ctpop(builder.bitcast(equal, ir.IntType(LANES)))

    return types.intp(left, row, right, slot, place), generate


@kernel
def _feed_kernel(
    first: int,
    begin: int,
    roots: IndexArray,
    numbers: IndexArray,
    none: np.uint64,
    minima: UInt8Array,
    has_minima: npt.NDArray[np.bool_],
    exact: UInt64Array,
    needed: int,
    max_cluster_centres: int,
    components: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    slots: tuple[IndexArray, UInt64Array, npt.NDArray[np.bool_], UInt8Array],
    own: UInt8Array,
    used: int,
    centres: IndexArray,
) -> tuple[int, int, int]:
    """Rows from `begin` on until the room for slots is used up: the row that was reached, slots used, left alone as
    overflow.

    The slots of a component stand side by side; where there are 1, 2, 4, ... they move to a place of twice as many.
    `own` (1, k') has room for a row's minima with zeros behind them, as wide as those of slots.
    """
    places, counts = components
    slot_document, slot_exact, slot_signed, slot_minima = slots
    overflow_count = 0
    for row in range(begin, minima.shape[0]):
        document = first + row
        component = numbers[roots[document]]
        centres[document] = document
        if component == none:
            continue
        place, count = places[component], counts[component]
        found = False
        own[0, : minima.shape[1]] = minima[row]
        for slot in range(place, place + count):
            if exact[row] != np.uint64(0) and exact[row] == slot_exact[slot]:
                found = True
            elif has_minima[row] and slot_signed[slot]:
                equal = 0
                for lane in range(0, own.shape[1], LANES):
                    equal += _equal_lanes(own, 0, slot_minima, slot, lane)
                found = equal >= needed
            if found:
                centres[document] = slot_document[slot]
                break
        if found:
            continue
        if count >= max_cluster_centres:
            overflow_count += 1
            continue
        if count & (count - 1) == 0:  # 0, 1, 2, 4, ...: no slot is free
            room = max(1, 2 * count)
            if used + room > slot_exact.size:
                return row, used, overflow_count
            for slot in range(count):
                slot_document[used + slot] = slot_document[place + slot]
                slot_exact[used + slot] = slot_exact[place + slot]
                slot_signed[used + slot] = slot_signed[place + slot]
                slot_minima[used + slot] = slot_minima[place + slot]
            place = used
            places[component] = place
            used += room
        slot = place + count
        slot_document[slot] = document
        slot_exact[slot] = exact[row]
        slot_signed[slot] = has_minima[row]
        slot_minima[slot] = own[0]
        counts[component] = count + 1
    return minima.shape[0], used, overflow_count


class Verifier:
    """Splits components into clusters while minima stream by, in ascending row number within the group.

    Each document joins the first centre of its component whose estimated Jaccard similarity (`lsh.estimate_jaccard`) is
    at least `threshold` or whose exact hash is equal, else it becomes the centre of a new cluster. Once a component has
    `max_cluster_centres`, a document that joins none of them is overflow: a cluster of its own, with which nothing is
    compared.

    Only the minima of centres are kept, in a mapped file that is deleted with the verifier. Each row is filled up with
    zeros to the next multiple of LANES bytes, which are equal in any two rows. In memory are two indices a document
    (`centres`, and the numbering of components), 16 bytes a component and 13 or 17 a centre; a component with several
    centres takes up to four times that, because they stand side by side.

    `roots` (n,) uint32 or uint64 from `components`; `minima_count` is k; `scratch` a folder for the file, else the
    system's. Raises ConfigError if `threshold` lies outside [0, 1] or `max_cluster_centres` is below 1.
    """

    def __init__(
        self,
        roots: IndexArray,
        minima_count: int,
        threshold: float = 0.65,
        max_cluster_centres: int = 4096,
        scratch: str | None = None,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise ConfigError(f"verify_threshold = {threshold}: must lie in [0, 1]")
        if max_cluster_centres < 1:
            raise ConfigError(f"max_cluster_centres = {max_cluster_centres}: must be at least 1")
        self.roots = roots
        self.centres = np.empty_like(roots)
        self.overflow_count = 0
        self.fed = 0
        self._width = minima_count
        self._own = np.zeros((1, -(-minima_count // LANES) * LANES), np.uint8)
        padding = self._own.size - minima_count  # bytes that are equal in any two rows
        self._needed = equal_bytes_needed(threshold, minima_count) + padding
        self._max_cluster_centres = max_cluster_centres
        self._none = np.uint64(np.iinfo(roots.dtype).max)
        self._numbers = np.empty_like(roots)
        count = int(_number_kernel(roots, self._numbers, self._none))
        self._components = (np.zeros(count, np.int64), np.zeros(count, np.int64))
        self._used = 0
        self._file = tempfile.TemporaryFile(prefix="glotmill-centres-", dir=scratch)  # noqa: SIM115 lives as long as we
        self._slots = self._room(max(1024, count))

    def _room(self, capacity: int) -> tuple[np.ndarray, ...]:
        """Arrays for `capacity` centres, with those that there are copied into them."""
        dtypes = (self.roots.dtype, np.dtype(np.uint64), np.dtype(np.bool_))
        grown = [np.empty(capacity, dtype=dtype) for dtype in dtypes]
        for number, array in enumerate(grown):
            if self._used:
                array[: self._used] = self._slots[number][: self._used]
        shape = (capacity, self._own.size)
        self._file.truncate(max(1, capacity * self._own.size))
        mapped = np.memmap(self._file, np.uint8, "r+", shape=shape) if self._own.size else np.empty(shape, np.uint8)
        return (*grown, mapped.view(np.ndarray))

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
        minima = np.ascontiguousarray(minima)
        row = 0
        while row < rows:
            row, self._used, overflow = _feed_kernel(
                self.fed,
                row,
                self.roots,
                self._numbers,
                self._none,
                minima,
                has_minima,
                exact,
                self._needed,
                self._max_cluster_centres,
                self._components,
                self._slots,
                self._own,
                self._used,
                self.centres,
            )
            self.overflow_count += int(overflow)
            if row < rows:
                self._slots = self._room(2 * self._slots[0].size + 2 * self._max_cluster_centres)
        self.fed += rows


def verify(
    roots: npt.NDArray[IndexT],
    minima: npt.NDArray[np.uint8],
    has_minima: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.uint64],
    threshold: float = 0.65,
    max_cluster_centres: int = 4096,
) -> tuple[npt.NDArray[IndexT], int]:
    """Split each component, with all minima in memory: (centres (n,) of the dtype of `roots`, overflow_count).

    Arguments, rule and errors are those of `Verifier`; ValueError also if fewer rows than documents are given.

    >>> minima = np.uint8([[1] * 8, [2] * 8, [1] * 8])
    >>> centres, overflow_count = verify(np.uint32([0, 0, 0]), minima, np.ones(3, bool), np.uint64([5, 6, 7]))
    >>> centres.tolist(), overflow_count
    ([0, 1, 0], 0)
    """
    if minima.ndim != 2 or minima.shape[0] != roots.size:
        raise ValueError("roots, minima, has_minima and exact must have one row a document")
    verifier = Verifier(roots, minima.shape[1], threshold, max_cluster_centres)
    verifier.feed(minima, has_minima, exact)
    return verifier.centres.astype(roots.dtype, copy=False), verifier.overflow_count
