"""Cleaning gives storable text; repair undoes mojibake and leaves good text alone."""

import unicodedata

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.repair import _OPTIONS, clean, repair_encoding

GOOD = [
    "The cat – naïve café, “quoted”",
    "Кошка сидит на столе",
    "القط على الطاولة، نعم",
    "बिल्ली मेज़ पर बैठी है।",
    "แมวนั่งอยู่บนโต๊ะ",
    "ខ្ញុំស្រឡាញ់",
    "猫坐在桌子上。",
    "ねこはいます",
    "고양이가 책상",
    "ድመቷ ላይ",
    "",
]


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("\r\n\t\x00\u0301e\u200d\ufdd0")))
def test_clean_text_is_storable_normal_and_stays_so(text: str) -> None:
    result = clean(text)
    assert result.encode().decode() == result == clean(result)
    assert unicodedata.is_normalized("NFC", result)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in result)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x00\x1b\x85\ufffe\U0001ffffb", "ab"),
        ("\ud83d\ude00\ud83d", "\U0001f600"),
        ("می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"),
    ],
)
def test_clean_drops_what_cannot_be_stored_and_keeps_joiners(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize("text", GOOD)
def test_good_text_is_returned_as_it_is(text: str) -> None:
    assert clean(text) == unicodedata.normalize("NFC", text)
    assert repair_encoding(text) == (text, False)


@pytest.mark.parametrize("text", [text for text in GOOD if text and not text.isascii()][1:])
def test_utf8_read_as_latin1_is_repaired_in_every_script(text: str) -> None:
    assert repair_encoding(text.encode().decode("latin-1")) == (text, True)


@given(st.text(st.characters(min_codepoint=0x0600, max_codepoint=0x0EFF, categories=("L", "M", "Nd", "Po"))))
def test_arabic_to_thai_blocks_are_never_changed(text: str) -> None:
    assert repair_encoding(text) == (text, False)


@given(st.text(st.characters() | st.sampled_from("Ã©â€œ&amp;\x1b[0m\u0e01")))
def test_the_scan_hides_no_repair_from_ftfy(text: str) -> None:
    expected = ftfy.fix_text(text, _OPTIONS)
    if expected.count("\ufffd") <= text.count("\ufffd"):
        assert repair_encoding(text) == (expected, expected != text)
