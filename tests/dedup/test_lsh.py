"""Links between equal keys, and the estimate from low bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.components import components
from pipeline.dedup.lsh import PARTITION_ROWS, estimate_jaccard, link
from pipeline.dedup.shingles import mix64


def naive_links(keys):
    edges = set()
    for key in set(keys) - {0}:
        members = [row for row, other in enumerate(keys) if other == key]
        edges |= {(members[0], member) for member in members[1:]}
    return edges


def edges_of(a, b):
    return set(zip(a.tolist(), b.tolist(), strict=True))


many_keys = st.lists(st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]))


@given(keys=many_keys)
def test_links_agree_with_a_naive_search(keys):
    a, b = link(np.array(keys, dtype=np.uint64))
    assert edges_of(a, b) == naive_links(keys)
    assert len(a) == len(naive_links(keys))
    assert a.dtype == b.dtype == np.uint32


@given(keys=many_keys, random=st.randoms())
def test_who_shares_a_key_does_not_depend_on_the_order_of_rows(keys, random):
    order = random.sample(range(len(keys)), len(keys))
    shuffled = components(len(keys), *link(np.array([keys[row] for row in order], np.uint64)))
    whole = components(len(keys), *link(np.array(keys, np.uint64)))
    assert len({*zip(whole[order].tolist(), shuffled.tolist(), strict=True)}) == len(set(whole.tolist()))
    assert len(set(shuffled.tolist())) == len(set(whole.tolist()))


@pytest.mark.parametrize("rows_at_a_time", [1, 20_000, 100_000_000])
def test_links_in_many_partitions_agree_with_a_sort(rows_at_a_time):
    # a third are one key, a third have a partner or few, a third are alone; some leave out
    random = np.random.default_rng(5)
    n = 150_000
    assert n > 8 * PARTITION_ROWS
    keys = mix64_of(random.integers(1, n, n))
    keys[random.random(n) < 1 / 3] = keys[0]
    keys[random.random(n) < 0.01] = 0
    skip = random.random(n) < 0.1
    a, b = link(keys, skip, rows_at_a_time)
    _, first, inverse = np.unique(np.where(skip, 0, keys), return_index=True, return_inverse=True)
    expected = first[inverse]
    later = np.flatnonzero(~skip & (keys != 0))
    first_taking_part = np.full(n, n)
    np.minimum.at(first_taking_part, expected[later], later)
    edges = {(int(first_taking_part[expected[row]]), int(row)) for row in later}
    assert edges_of(a, b) == {(one, other) for one, other in edges if one != other}
    assert len(a) == len(edges_of(a, b)) > n / 3


def mix64_of(numbers):
    return np.array([mix64(np.uint64(number)) for number in numbers], dtype=np.uint64)


def test_a_run_of_equal_keys_gives_one_edge_less_than_members():
    a, b = link(np.full(1000, 9, dtype=np.uint64))
    assert np.array_equal(a, np.zeros(999))
    assert np.array_equal(b, np.arange(1, 1000))


def test_null_keys_match_nothing():
    a, b = link(np.zeros(5, dtype=np.uint64))
    assert a.size == b.size == 0


def test_keys_that_differ_in_their_last_bits_only_are_told_apart():
    keys = np.uint64(2**63) + np.array([1, 2, 1, 3, 2, 1], dtype=np.uint64)
    a, b = link(keys)
    assert edges_of(a, b) == {(0, 2), (0, 5), (1, 4)}


def test_keys_and_rows_to_skip_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        link(np.ones(2, dtype=np.uint64), np.ones(3, dtype=bool))


def test_the_estimate_takes_out_the_bytes_that_are_equal_by_chance():
    one = np.zeros((3, 256), dtype=np.uint8)
    other = np.ones((3, 256), dtype=np.uint8)
    other[1, :1] = 0  # one in 256 is what chance gives
    other[2, :] = 0
    assert estimate_jaccard(one, other).tolist() == [-1 / 255, 0, 1]


def test_the_estimate_of_one_pair_is_a_number():
    assert float(estimate_jaccard(np.arange(8, dtype=np.uint8), np.arange(8, dtype=np.uint8))) == 1
