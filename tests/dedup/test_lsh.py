"""Links between equal keys, and the estimate from low bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.lsh import estimate_jaccard, link


def naive_links(keys, indices):
    edges = set()
    for key in set(keys) - {0}:
        members = [index for other, index in zip(keys, indices, strict=True) if other == key]
        edges |= {(min(members), member) for member in members if member != min(members)}
    return edges


def edges_of(a, b):
    return set(zip(a.tolist(), b.tolist(), strict=True))


rows = st.lists(st.tuples(st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]), st.integers(0, 2**32 - 1)))


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@given(rows=rows)
def test_links_agree_with_a_naive_search(dtype, rows):
    keys = np.array([key for key, _ in rows], dtype=np.uint64)
    indices = np.array([index for _, index in rows], dtype=dtype)
    a, b = link(keys, indices)
    assert edges_of(a, b) == naive_links(keys.tolist(), indices.tolist())
    assert a.dtype == b.dtype == dtype


@given(rows=rows, random=st.randoms())
def test_links_do_not_depend_on_the_order_of_rows(rows, random):
    shuffled = random.sample(rows, len(rows))
    results = []
    for some in (rows, shuffled):
        results.append(link(np.array([k for k, _ in some], np.uint64), np.array([i for _, i in some], np.uint32)))
    assert edges_of(*results[0]) == edges_of(*results[1])


def test_a_run_of_equal_keys_gives_one_edge_less_than_members():
    a, b = link(np.full(1000, 9, dtype=np.uint64), np.arange(1000, dtype=np.uint32))
    assert np.array_equal(a, np.zeros(999))
    assert np.array_equal(b, np.arange(1, 1000))


def test_null_keys_match_nothing():
    a, b = link(np.zeros(5, dtype=np.uint64), np.arange(5, dtype=np.uint32))
    assert a.size == b.size == 0


def test_keys_that_differ_in_their_last_bits_only_are_told_apart():
    keys = np.uint64(2**63) + np.array([1, 2, 1, 3, 2, 1], dtype=np.uint64)
    a, b = link(keys, np.arange(6, dtype=np.uint32))
    assert edges_of(a, b) == {(0, 2), (0, 5), (1, 4)}


def test_keys_and_indices_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        link(np.ones(2, dtype=np.uint64), np.ones(3, dtype=np.uint32))


def test_the_estimate_takes_out_the_bytes_that_are_equal_by_chance():
    one = np.zeros((3, 256), dtype=np.uint8)
    other = np.ones((3, 256), dtype=np.uint8)
    other[1, :1] = 0  # one in 256 is what chance gives
    other[2, :] = 0
    assert estimate_jaccard(one, other).tolist() == [-1 / 255, 0, 1]


def test_the_estimate_of_one_pair_is_a_number():
    assert float(estimate_jaccard(np.arange(8, dtype=np.uint8), np.arange(8, dtype=np.uint8))) == 1
