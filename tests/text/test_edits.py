"""Masking of addresses and removal of table remains; the cases are in tests/cases/masking.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.text.edits import _IP, REFINEMENTS, _find_ips, apply_edits, find_edits

CASES: list[dict[str, str]] = tomllib.loads(
    (Path(__file__).parents[1] / "cases" / "masking.toml").read_text(encoding="utf-8")
)["case"]


def refined(text: str) -> str:
    return apply_edits(text, find_edits(text))


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
    edits = find_edits(text)
    assert all(first[1] <= second[0] for first, second in zip(edits, edits[1:], strict=False))
    assert refined(refined(text)) == refined(text)


NUMBERS = ["1", "25", "256", "0", "1.2", ".3.4", "5.6.7", ".", "..", " ", "a", "@", "\u0e01", "\u09ea"]


@given(st.lists(st.sampled_from(NUMBERS), max_size=20).map("".join) | st.text())
@example("?.1.2.3.4 1.2.3.4.5 2561.2.3.4 8.8.8.8.")
def test_ips_are_those_that_a_search_at_every_character_finds(text: str) -> None:
    assert [match.span() for match in _find_ips(text)] == [match.span() for match in _IP.finditer(text)]


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        apply_edits("abcd", [(0, 2, ""), (1, 3, "")])


LONG = "Diese Zeile hat sicher mehr als dreißig Zeichen, wie ein Absatz."
CODE = "var a = 1; document.write(a)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{LONG}\nStart\n\nKontakt\n", LONG),
        (f"Start\n{LONG}\nDas ist ein Satz.", f"Start\n{LONG}\nDas ist ein Satz."),
        (f"{LONG}\n猫坐在桌子上。", f"{LONG}\n猫坐在桌子上。"),
        (f"{LONG}\n联系我们 | 首页", LONG),
        (f"{LONG}\nयह एक वाक्य है।", f"{LONG}\nयह एक वाक्य है।"),
        (f"{LONG}\nसंपर्क करें", LONG),
        ("Rosen\nVeilchen\nTulpen", "Rosen\nVeilchen\nTulpen"),
        (LONG, LONG),
        ("", ""),
    ],
)
def test_short_lines_at_the_end_go_unless_they_end_a_sentence_or_are_all_there_is(text: str, expected: str) -> None:
    assert apply_edits(text, find_edits(text, ["footer"])) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"one\n{CODE}\ntwo", "one\ntwo"),
        (f"one\n{CODE}", "one\n"),
        (f"{CODE}\nhow to\n{CODE}", f"{CODE}\nhow to\n{CODE}"),
        ("The function of this document is to return a value to var.",) * 2,
        ("window.open(x); window.close(x)",) * 2,
    ],
)
def test_a_lone_line_of_script_goes_and_a_text_about_programming_stays(text: str, expected: str) -> None:
    assert apply_edits(text, find_edits(text, ["script_line"])) == expected


@given(st.lists(PIECES | st.sampled_from([CODE, LONG]), max_size=20).map("\n".join))
def test_all_refinements_together_give_spans_that_lie_apart(text: str) -> None:
    edits = find_edits(text, list(REFINEMENTS))
    assert all(first[1] <= second[0] for first, second in zip(edits, edits[1:], strict=False))
    assert len(apply_edits(text, edits)) >= 0


def test_an_address_in_a_footer_is_removed_with_it() -> None:
    text = f"{LONG}\nmail a@b.com"
    assert find_edits(text, ["footer", "addresses"]) == [(len(LONG), len(text), "")]
