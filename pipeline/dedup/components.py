"""From edges to connected components, by union-find with path halving and the smallest index as root.

Edges may come in any order and in any number of pieces; the flattened result depends on the set of edges alone. It
takes four bytes a document below 2**32 documents, eight from there on. Because every parent is smaller than its child,
flattening takes one pass.

Limit: there is no union by rank, which would not leave the smallest index as root. Path halving alone is O(log n)
amortised, and no slower on edges that point at the first row with their key, as those of `lsh.link` do.
"""

import numpy as np
import numpy.typing as npt

from pipeline.kernels.compile import kernel

ParentArray = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]


def new_parent(n: int) -> ParentArray:
    """Give n documents, each a component of its own: (n,) uint32, or uint64 if n exceeds 2**32.

    >>> new_parent(3).tolist()
    [0, 1, 2]
    """
    return np.arange(n, dtype=np.uint32) if n <= 2**32 else np.arange(n, dtype=np.uint64)


@kernel
def _union_kernel(parent: ParentArray, a: ParentArray, b: ParentArray) -> None:
    for edge in range(a.shape[0]):
        x = a[edge]
        while parent[x] != x:
            parent[x] = parent[parent[x]]  # path halving
            x = parent[x]
        y = b[edge]
        while parent[y] != y:
            parent[y] = parent[parent[y]]
            y = parent[y]
        if x < y:
            parent[y] = x
        else:
            parent[x] = y


@kernel
def _flatten_kernel(parent: ParentArray) -> None:
    for node in range(parent.shape[0]):
        parent[node] = parent[parent[node]]  # the parent is smaller, thus flat already


def union_edges(parent: ParentArray, a: npt.NDArray[np.unsignedinteger], b: npt.NDArray[np.unsignedinteger]) -> None:
    """Join the components of a[i] and b[i] for each i, in place; (m,) unsigned integers below len(parent).

    Raises ValueError if the lengths differ or an index lies outside.

    >>> parent = new_parent(4)
    >>> union_edges(parent, np.uint32([3]), np.uint32([1]))
    >>> parent.tolist()
    [0, 1, 2, 1]
    """
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"edges of shapes {a.shape} and {b.shape} must be one-dimensional and of one length")
    for side in (a, b):
        if side.size and not 0 <= int(side.min()) <= int(side.max()) < parent.size:
            raise ValueError(f"an edge names document {side.max()}, but there are {parent.size}")
    if parent.dtype == np.uint32:
        _union_kernel(parent, a.astype(np.uint32, copy=False), b.astype(np.uint32, copy=False))
    else:
        _union_kernel(parent, a.astype(np.uint64, copy=False), b.astype(np.uint64, copy=False))


def flatten(parent: ParentArray) -> ParentArray:
    """Point each document straight at the smallest index of its component, in place; returns the same array.

    Expects what `new_parent` and `union_edges` make: no parent is larger than its child.
    """
    _flatten_kernel(parent)
    return parent


def components(n: int, a: npt.NDArray[np.unsignedinteger], b: npt.NDArray[np.unsignedinteger]) -> ParentArray:
    """Give each of n documents the smallest index of its component: (n,) uint32 or uint64 (`new_parent`).

    `a` and `b` (m,) are the ends of the edges. Raises ValueError as `union_edges` does.

    >>> components(5, np.uint32([0, 3]), np.uint32([3, 4])).tolist()
    [0, 1, 2, 0, 0]
    """
    parent = new_parent(n)
    union_edges(parent, a, b)
    return flatten(parent)


@kernel
def _sizes_kernel(roots: ParentArray, skip: npt.NDArray[np.bool_], sizes: ParentArray) -> None:
    for document in range(roots.size):
        if not skip[document]:
            sizes[roots[document]] += sizes.dtype.type(1)


def sizes_at_roots(roots: ParentArray, skip: npt.NDArray[np.bool_]) -> ParentArray:
    """Number of members of each cluster, at the index of its root: (n,) of the dtype of `roots`; 0 elsewhere.

    Members where `skip` (n,) is True are not counted.

    >>> sizes_at_roots(np.uint32([0, 1, 0, 0]), np.array([False, False, True, False])).tolist()
    [2, 1, 0, 0]
    """
    sizes = np.zeros_like(roots)
    _sizes_kernel(roots, skip, sizes)
    return sizes


@kernel
def count_roots(roots: ParentArray) -> int:
    """Number of clusters, which is the number of documents that are their own root.

    >>> count_roots(np.uint32([0, 1, 0]))
    2
    """
    count = 0
    for document in range(roots.size):
        count += roots[document] == document
    return count
