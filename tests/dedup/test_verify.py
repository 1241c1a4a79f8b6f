"""Splitting of components against an obvious loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.lsh import estimate_jaccard
from pipeline.dedup.verify import Verifier, equal_bytes_needed, verify
from pipeline.errors import ConfigError


def naive_verify(roots, minima, has_minima, exact, threshold, max_cluster_centres):
    centres_of, centres, overflow_count = {}, [], 0
    for member, root in enumerate(roots):
        slots = centres_of.setdefault(root, [])
        for centre in slots:
            alike = has_minima[member] and has_minima[centre]
            alike = alike and estimate_jaccard(minima[member], minima[centre]) >= threshold
            if alike or (exact[member] and exact[member] == exact[centre]):
                centres.append(centre)
                break
        else:
            centres.append(member)
            if len(slots) < max_cluster_centres:
                slots.append(member)
            else:
                overflow_count += 1
    return centres, overflow_count


@st.composite
def documents(draw):
    n = draw(st.integers(0, 15))
    roots = [draw(st.integers(0, member)) for member in range(n)]
    roots = [root if roots[root] == root else roots[roots[root]] for root in roots]
    minima = [draw(st.lists(st.integers(0, 1), min_size=8, max_size=8)) for _ in range(n)]
    has_minima = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    exact = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return (
        np.array(roots, dtype=np.uint32),
        np.array(minima, dtype=np.uint8).reshape(n, 8),
        np.array(has_minima, dtype=np.bool_),
        np.array(exact, dtype=np.uint64),
    )


@given(documents(), st.sampled_from([0, 0.3, 0.5, 0.65, 1]), st.integers(1, 4))
def test_verify_agrees_with_an_obvious_loop(rows, threshold, max_cluster_centres):
    centres, overflow_count = verify(*rows, threshold, max_cluster_centres)
    expected = naive_verify(*rows, threshold, max_cluster_centres)
    assert (centres.tolist(), overflow_count) == expected
    assert centres.dtype == rows[0].dtype


@given(documents())
def test_a_leader_leads_itself_and_lies_in_the_component_of_its_members(rows):
    centres, _ = verify(*rows)
    assert np.array_equal(centres[centres], centres)
    assert np.array_equal(rows[0][centres], rows[0])
    assert np.all(centres <= np.arange(centres.size))


def one_component(minima, exact=None, has_minima=None):
    minima = np.array(minima, dtype=np.uint8)
    n = len(minima)
    return (
        np.zeros(n, dtype=np.uint64),
        minima,
        np.ones(n, dtype=np.bool_) if has_minima is None else np.array(has_minima),
        np.zeros(n, dtype=np.uint64) if exact is None else np.array(exact, dtype=np.uint64),
    )


def test_a_chain_is_split_where_it_has_left_its_leader():
    chain = [[0] * (10 - i) + [1] * i for i in range(0, 11, 2)]  # neighbours share 8 of 10
    centres, overflow_count = verify(*one_component(chain), threshold=0.75)
    assert centres.tolist() == [0, 0, 2, 2, 4, 4]
    assert overflow_count == 0


def test_equal_exact_hashes_join_whatever_the_minima():
    rows = one_component([[0] * 8, [9] * 8, [9] * 8], exact=[5, 5, 6])
    assert verify(*rows)[0].tolist() == [0, 0, 2]


def test_null_exact_hashes_and_absent_minima_join_nothing():
    rows = one_component([[255] * 8] * 3, has_minima=[False] * 3)
    assert verify(*rows)[0].tolist() == [0, 1, 2]


def test_documents_beyond_the_last_leader_stay_alone_and_are_counted():
    minima = [[i] * 8 for i in (0, 1, 2, 2, 0, 3)]
    centres, overflow_count = verify(*one_component(minima), max_cluster_centres=2)
    assert centres.tolist() == [0, 1, 2, 3, 0, 5]
    assert overflow_count == 3


def test_each_component_has_its_own_leaders():
    roots = np.array([0, 1, 0, 1], dtype=np.uint32)
    minima = np.zeros((4, 8), dtype=np.uint8)
    centres, _ = verify(roots, minima, np.ones(4, dtype=np.bool_), np.zeros(4, dtype=np.uint64), max_cluster_centres=1)
    assert centres.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("threshold", [0, 0.3, 0.65, 0.72, 1])
def test_the_number_of_equal_bytes_needed_is_where_the_estimate_reaches_the_threshold(threshold):
    needed = equal_bytes_needed(threshold, 112)
    for count in range(113):
        one, other = np.zeros(112, dtype=np.uint8), np.zeros(112, dtype=np.uint8)
        other[count:] = 1
        assert (estimate_jaccard(one, other) >= threshold) == (count >= needed)


def test_impossible_settings_and_shapes_are_refused():
    rows = one_component([[0] * 8])
    with pytest.raises(ConfigError, match=r"verify_threshold = 1\.5"):
        verify(*rows, threshold=1.5)
    with pytest.raises(ConfigError, match="max_cluster_centres = 0"):
        verify(*rows, max_cluster_centres=0)
    with pytest.raises(ValueError, match="one row a document"):
        verify(rows[0], rows[1], rows[2], np.zeros(2, dtype=np.uint64))


@given(documents(), st.integers(1, 4))
def test_feeding_in_pieces_changes_nothing(rows, piece):
    roots, minima, has_minima, exact = rows
    verifier = Verifier(roots, 8, 0.5, 2)
    for start in range(0, roots.size, piece):
        part = slice(start, start + piece)
        verifier.feed(minima[part], has_minima[part], exact[part])
    centres, overflow_count = verify(*rows, 0.5, 2)
    assert np.array_equal(verifier.centres, centres)
    assert verifier.overflow_count == overflow_count


def test_more_leaders_than_the_first_room_are_kept():
    n = 5000  # one component, nobody like another: the room grows from 1,024 centres
    minima = np.random.default_rng(1).integers(0, 256, (n, 16), dtype=np.uint8)
    minima[-1] = minima[3000]
    verifier = Verifier(np.zeros(n, dtype=np.uint32), 16, 0.9, n)
    for start in range(0, n, 500):
        part = slice(start, start + 500)
        verifier.feed(minima[part], np.ones(500, dtype=np.bool_), np.zeros(500, dtype=np.uint64))
    assert verifier.centres.tolist() == [*range(n - 1), 3000]


def test_more_rows_than_documents_are_refused():
    with pytest.raises(ValueError, match="3 documents were fed, but there are 2"):
        Verifier(np.zeros(2, dtype=np.uint32), 8).feed(
            np.zeros((3, 8), dtype=np.uint8), np.ones(3, dtype=np.bool_), np.zeros(3, dtype=np.uint64)
        )
