"""One kept document per cluster, and an outcome for everybody."""

from typing import Any

import numpy as np
import pytest

from pipeline.dedup.keep import NOBODY, KeepPolicy, Members, choose_kept
from pipeline.passes.select.keep import OUTCOMES


def members(centre: list[int], **facts: Any) -> Members:
    total = len(centre)
    return Members(
        centre=np.array(centre, dtype=np.uint32),
        failed=np.array(facts.get("failed", [False] * total), dtype=bool),
        already_read=np.array(facts.get("already_read", [False] * total), dtype=bool),
        url_hash=np.array(facts.get("url_hash", [0] * total), dtype=np.uint64),
        keep_priority={
            "longest": np.array(facts.get("characters", [1] * total), dtype=np.float64),
            "lowest_perplexity": -np.array(facts.get("perplexity", [np.nan] * total), dtype=np.float64),
            "newest": np.array(facts.get("date", [np.nan] * total), dtype=np.float64),
            "best_language_score": np.array(facts.get("language_score", [1.0] * total), dtype=np.float64),
        },
    )


def outcomes(
    who: Members, *keep: KeepPolicy, url_duplicates: bool = True, before: bool = False
) -> tuple[list[str], list[int]]:
    outcome, kept_document = choose_kept(who, keep or ("first_seen",), url_duplicates, before)
    return OUTCOMES[outcome].tolist(), [-1 if one == NOBODY else int(one) for one in kept_document]


THREE = members(
    [0, 0, 0],
    characters=[10, 30, 20],
    perplexity=[np.nan, 80.0, 50.0],
    date=[20260103, 20260101, 20260102],
    language_score=[0.7, 0.8, 0.9],
)


@pytest.mark.parametrize(
    ("policy", "winner"),
    [
        ("longest", 1),
        ("lowest_perplexity", 2),
        ("newest", 0),
        ("best_language_score", 2),
        ("first_seen", 0),
    ],
)
def test_each_policy_keeps_its_best(policy: KeepPolicy, winner: int) -> None:
    found, kept_document = outcomes(THREE, policy)
    assert [number for number, outcome in enumerate(found) if outcome == "kept"] == [winner]
    assert found.count("duplicate") == 2
    assert kept_document == [winner] * 3


def test_ties_go_to_the_next_policy_and_then_to_the_first_seen() -> None:
    tied = members([0, 0, 0, 0], characters=[5, 9, 9, 9], language_score=[1.0, 0.5, 0.6, 0.6])
    assert outcomes(tied, "longest", "best_language_score")[1] == [2] * 4
    assert outcomes(tied, "longest")[1] == [1] * 4


def test_first_seen_before_another_policy_decides_alone() -> None:
    assert outcomes(THREE, "first_seen", "longest")[1] == [0, 0, 0]


def test_clusters_of_one_are_kept() -> None:
    assert outcomes(members([0, 1, 2])) == (["kept"] * 3, [0, 1, 2])


def test_a_member_that_passes_stands_for_those_that_fail() -> None:
    who = members([0, 0, 0], characters=[30, 20, 10], failed=[True, False, False])
    assert outcomes(who, "longest") == (["failed_rules", "kept", "duplicate"], [1, 1, 1])


def test_a_cluster_where_all_fail_has_no_representative() -> None:
    assert outcomes(members([0, 0], failed=[True, True])) == (["failed_rules", "failed_rules"], [-1, -1])


def test_elected_before_the_rules_a_failing_survivor_loses_its_cluster() -> None:
    who = members([0, 0, 2], characters=[30, 20, 5], failed=[True, False, False])
    assert outcomes(who, "longest", before=True) == (["failed_rules", "duplicate", "kept"], [0, 0, 2])


def test_a_record_read_before_is_neither_kept_nor_a_representative() -> None:
    who = members([0, 1], already_read=[False, True])
    assert outcomes(who) == (["kept", "already_read"], [0, -1])


def test_of_kept_documents_with_one_url_the_best_stays() -> None:
    who = members([0, 1, 2, 3], url_hash=[7, 7, 0, 0], characters=[5, 9, 1, 1])
    assert outcomes(who, "longest")[0] == ["url_duplicate", "kept", "kept", "kept"]
    assert outcomes(who, "longest", url_duplicates=False)[0] == ["kept"] * 4


def test_a_failing_document_takes_no_url_from_a_passing_one() -> None:
    who = members([0, 1], url_hash=[7, 7], characters=[9, 5], failed=[True, False])
    assert outcomes(who, "longest")[0] == ["failed_rules", "kept"]


def test_with_no_value_at_all_the_first_seen_stays() -> None:
    unknown = members([0, 0, 0])
    assert outcomes(unknown, "lowest_perplexity", "newest")[1] == [0, 0, 0]
    known = members([0, 0, 0], perplexity=[np.nan, np.nan, 9e9])
    assert outcomes(known, "lowest_perplexity")[1] == [2, 2, 2]


def test_nobody_gives_nothing() -> None:
    assert outcomes(members([])) == ([], [])
