"""Cleaning gives storable text; repair undoes mojibake and leaves good text alone."""

import itertools
import unicodedata
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import ftfy
import pytest
from ftfy.badness import BADNESS_RE
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.repair import _OPTIONS, _TOUCHED, clean, repair_encoding

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


def characters_of(node: Any) -> str:
    """The characters that one place of an expression may take; of an open class some that stand for the rest."""
    kind, value = node
    if kind is _constants.ANY:
        return "azAZ é猫"
    if kind is _constants.CATEGORY:
        return {_constants.CATEGORY_WORD: "aZ0_éПก", _constants.CATEGORY_SPACE: " \t\n\u3000"}[value]
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.RANGE:
        first, last = value
        whole = "".join(map(chr, range(first, last + 1)))
        return whole if first > 0x7F else whole[0] + whole[-1]
    if kind is _constants.NOT_LITERAL:
        return "é "
    if kind is _constants.IN and value[0][0] is _constants.NEGATE:
        return "éП 0-"
    assert kind is _constants.IN, kind
    return "".join(characters_of(one) for one in value)


def strings_of(nodes: list[Any]) -> Iterator[str]:
    """Every string that a sequence of places may take."""
    places: list[list[str]] = []
    for kind, value in nodes:
        if kind is _constants.AT:
            continue
        if kind is _constants.MAX_REPEAT:
            assert value[:2] == (0, 1)
            places.append(["", *characters_of(value[2][0])])
        elif kind is _constants.BRANCH:
            places.append([one for branch in value[1] for one in strings_of(list(branch))])
        else:
            places.append(list(characters_of((kind, value))))
    return map("".join, itertools.product(*places))


def test_the_scan_stops_at_every_string_that_ftfy_calls_bad() -> None:
    """ftfy repairs only what BADNESS_RE finds, so this is a proof that the scan hides no mojibake from it."""
    strings = [one for one in strings_of(list(_parser.parse(BADNESS_RE.pattern, BADNESS_RE.flags))) if one]
    assert len(strings) > 100_000
    bad = [one for one in strings if BADNESS_RE.search(one)]
    assert len(bad) > 0.99 * len(strings)
    assert [one for one in bad if not _TOUCHED.search(one)] == []


@pytest.mark.parametrize(
    "text", [chr(one) for one in range(0xA0) if chr(one) not in "\t\n\f\r" and not chr(one).isprintable()]
)
def test_the_scan_stops_at_every_control_character(text: str) -> None:
    assert _TOUCHED.search(f"a{text}b")


MOJIBAKE = [
    text.encode(charset).decode(wrong)
    for text in GOOD
    for charset, wrong in (
        ("utf-8", "latin-1"),
        ("utf-8", "sloppy-windows-1252"),
        ("utf-8", "sloppy-windows-1251"),
        ("utf-8", "sloppy-windows-1250"),
        ("utf-8", "sloppy-windows-1253"),
        ("utf-8", "sloppy-windows-1254"),
        ("utf-8", "sloppy-windows-1257"),
        ("utf-8", "macroman"),
        ("utf-8", "cp437"),
    )
]
FRAGMENTS = "Ã©â€œ&amp;\x1b[0m\u0e01«»„“”‘’•©®°§£€ÂÀÉŠŸœŒØÙЂвВГ½²…–— ПпΑα "


@given(
    st.lists(
        st.text(st.sampled_from(FRAGMENTS) | st.characters(), max_size=6)
        | st.sampled_from(GOOD)
        | st.sampled_from(MOJIBAKE),
        max_size=6,
    ).map("".join)
)
def test_the_scan_hides_no_repair_from_ftfy(text: str) -> None:
    expected = ftfy.fix_text(text, _OPTIONS)
    if expected.count("\ufffd") <= text.count("\ufffd"):
        assert repair_encoding(text) == (expected, expected != text)


@pytest.mark.parametrize(
    "text",
    [
        "Il a dit : « L'œuvre est là », et „so“ – É. © 2024 · 5 € à 20 °C",
        "«Привет», — сказал он. „Да“ № 5 § 3",
        "Σ' αγαπώ «πολύ» — €5",
        "Đường phố Việt Nam đẹp lắm ạ! “Ồ”",
        "Ünlü ‘İstanbul’ şehri",
        "ยินดี “ต้อนรับ” 5°",
        "猫“坐”在桌子上…",
    ],
)
def test_quotation_marks_and_accents_of_good_text_do_not_call_ftfy(text: str) -> None:
    assert _TOUCHED.search(text) is None
