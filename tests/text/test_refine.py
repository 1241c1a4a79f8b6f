"""Masking of addresses and removal of table remains; the cases are in tests/cases/masking.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.refine import find_spans, splice

CASES: list[dict[str, str]] = tomllib.loads(
    (Path(__file__).parents[1] / "cases" / "masking.toml").read_text(encoding="utf-8")
)["case"]


def refined(text: str) -> str:
    return splice(text, find_spans(text))


def parameters() -> list[Any]:
    known = [pytest.mark.xfail(strict=True)]
    return [
        pytest.param(case, id=case["label"], marks=known if case["group"] == "known failure" else []) for case in CASES
    ]


@pytest.mark.parametrize("case", parameters())
def test_addresses_are_masked_and_bars_removed(case: dict[str, str]) -> None:
    assert refined(case["text"]) == case.get("expected", case["text"])


def test_every_case_says_why_and_is_of_a_known_group() -> None:
    assert {case["group"] for case in CASES} == {"synthetic", "found", "negative", "known failure"}
    assert [case["label"] for case in CASES if not case["why"]] == []


PIECES = st.sampled_from(
    ["a@b.com", "8.8.8.8", "5.6.7.8", "82.5.7.9", "IP", ":", "|", " ", "\n", ".", "ก", "\ud800", "@", "1"]
)


@given(st.lists(PIECES, max_size=30).map(" ".join))
def test_spans_lie_apart_and_refining_twice_changes_nothing_more(text: str) -> None:
    spans = find_spans(text)
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False))
    assert refined(refined(text)) == refined(text)


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        splice("abcd", [(0, 2, ""), (1, 3, "")])
