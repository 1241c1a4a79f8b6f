"""Components against SciPy and a naive search, whatever the order and the pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.dedup.components import components, flatten, new_parent, union_edges

KERNEL = settings(deadline=None)  # the first example may compile a kernel


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 25))
    node = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(node, node), max_size=40))


def sides(edges, dtype=np.uint32):
    array = np.array(edges, dtype=dtype).reshape(-1, 2)
    return np.ascontiguousarray(array[:, 0]), np.ascontiguousarray(array[:, 1])


def naive_components(n, edges):
    label = list(range(n))
    for _ in range(n):
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    return label


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@KERNEL
@given(graph=graphs())
def test_components_agree_with_a_naive_search(dtype, graph):
    n, edges = graph
    assert components(n, *sides(edges, dtype)).tolist() == naive_components(n, edges)


@KERNEL
@given(graph=graphs(), random=st.randoms(), cut=st.integers(0, 40))
def test_components_do_not_depend_on_order_direction_or_pieces(graph, random, cut):
    n, edges = graph
    shuffled = [edge if random.random() < 0.5 else edge[::-1] for edge in random.sample(edges, len(edges))]
    parent = new_parent(n)
    for piece in (shuffled[:cut], shuffled[cut:]):
        union_edges(parent, *sides(piece))
    assert np.array_equal(flatten(parent), components(n, *sides(edges)))


@KERNEL
@given(graph=graphs(), cut=st.integers(0, 40))
def test_flattening_between_pieces_changes_nothing(graph, cut):
    n, edges = graph
    parent = new_parent(n)
    union_edges(parent, *sides(edges[:cut]))
    flatten(parent)
    union_edges(parent, *sides(edges[cut:]))
    assert flatten(parent).tolist() == naive_components(n, edges)


@KERNEL
@given(graph=graphs(), cut=st.integers(0, 40))
def test_two_forests_merge_by_taking_one_as_edges_of_the_other(graph, cut):
    n, edges = graph
    one, other = components(n, *sides(edges[:cut])), components(n, *sides(edges[cut:]))
    union_edges(one, other, np.arange(n, dtype=np.uint32))
    assert flatten(one).tolist() == naive_components(n, edges)


def test_a_large_random_graph_agrees_with_scipy():
    n, m = 200_000, 150_000
    random = np.random.default_rng(3)
    a, b = (random.integers(0, n, m, dtype=np.uint32) for _ in range(2))
    parent = components(n, a, b)
    count, labels = connected_components(coo_array((np.ones(m), (a, b)), shape=(n, n)), directed=False)
    smallest = np.full(count, n, dtype=np.int64)
    np.minimum.at(smallest, labels, np.arange(n))
    assert np.array_equal(parent, smallest[labels])


def test_a_long_chain_in_the_worst_order_has_the_smallest_root():
    n = 100_000
    chain = np.arange(n - 1, 0, -1, dtype=np.uint32)
    assert not components(n, chain, chain - np.uint32(1)).any()


def test_no_edges_leave_each_document_alone():
    none = np.empty(0, dtype=np.uint32)
    assert components(4, none, none).tolist() == [0, 1, 2, 3]
    assert components(0, none, none).shape == (0,)


def test_parents_of_fewer_than_four_billion_documents_take_four_bytes():
    assert new_parent(3).dtype == np.uint32


def test_a_parent_array_of_eight_bytes_works_as_well():
    parent = np.arange(5, dtype=np.uint64)
    union_edges(parent, *sides([(4, 2), (2, 1)]))
    assert flatten(parent).tolist() == [0, 1, 1, 3, 1]


@pytest.mark.parametrize(("a", "b"), [([0], [3]), ([3], [0]), ([2**32 - 1], [0])])
def test_an_edge_to_a_document_that_does_not_exist_is_refused(a, b):
    with pytest.raises(ValueError, match="but there are 3"):
        components(3, np.array(a, dtype=np.uint32), np.array(b, dtype=np.uint32))


def test_edges_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        components(3, np.zeros(1, dtype=np.uint32), np.zeros(2, dtype=np.uint32))
