"""Masking of addresses and removal of table remains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.refine import find_spans, splice


def refined(text: str) -> str:
    return splice(text, find_spans(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail a@b.com and c.d@e.org", "mail email@example.com and firstname.lastname@example.org"),
        ("8.8.8.8, 10.0.0.1 and 8.8.4.4.", "192.0.2.1, 10.0.0.1 and 198.51.100.1."),
        ("v1.2.3.4.5 999.1.1.1 ab1.2.3.4cd v1.2.3.4", "v1.2.3.4.5 999.1.1.1 ab1.2.3.4cd v1.2.3.4"),
        ("邮箱abc@x.com。地址8.8.8.8是", "邮箱email@example.com。地址192.0.2.1是"),
        ("อีเมลabc@x.comครับ", "อีเมลemail@example.comครับ"),
        ("Почта: A@B.RU", "Почта: email@example.com"),
        ("foo@bar and me@example.org", "foo@bar and me@example.org"),
        ("user@[8.8.8.8]", "email@example.com"),
        ("a\n| |\n|\nb\n\nc | d\n|||\n", "a\n\nb\n\nc | d\n\n"),
        ("القط हिन्दी ខ្មែរ ねこ 고양이 ድመቷ", "القط हिन्दी ខ្មែរ ねこ 고양이 ድመቷ"),
        ("", ""),
    ],
)
def test_addresses_are_masked_and_bars_removed(text: str, expected: str) -> None:
    assert refined(text) == expected


PIECES = st.sampled_from(["a@b.com", "8.8.8.8", "|", " ", "\n", ".", "ก", "x", "\ud800", "@", "1"])


@given(st.lists(PIECES, max_size=30).map(" ".join))
def test_spans_lie_apart_and_refining_twice_changes_nothing_more(text: str) -> None:
    spans = find_spans(text)
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False))
    assert refined(refined(text)) == refined(text)


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        splice("abcd", [(0, 2, ""), (1, 3, "")])
