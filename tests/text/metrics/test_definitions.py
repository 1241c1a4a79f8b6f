"""Metrics against obvious versions and for any text; tests/oracle has datatrove's, tests/cases those worked by hand."""

import re
import unicodedata
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.characters import (
    ALPHABETIC,
    ALPHANUMERIC,
    DIGIT,
    SPACE,
    SPECIAL,
    SYMBOL,
    SYMBOLS,
    by_category,
    character_classes,
    code_points,
    text_places,
)
from pipeline.text.metrics.contract import METRICS, WordLists, measure
from pipeline.text.metrics.repetition import KnownWords, Repetition, TokenFeatures
from pipeline.text.metrics.repetition_kernels import BASE, CHARACTER_BASE, MODULUS
from pipeline.text.metrics.view import TextView
from pipeline.text.words.segmenters import segment, segment_all
from pipeline.text.words.words import Words

SCRIPTS = {
    "Latin": "The cat sat on the mat.",
    "Cyrillic": "Кошка сидит на столе.",
    "Arabic": "القط على الطاولة.",
    "Devanagari": "बिल्ली मेज़ पर बैठी है।",
    "Thai": "แมวนั่งอยู่บนโต๊ะ",
    "Khmer": "ខ្ញុំស្រឡាញ់ប្រទេសកម្ពុជា។",
    "Han": "猫坐在桌子上。",
    "Kana": "ねこはテーブルのうえにいます。",
    "Hangul": "고양이가 책상 위에 앉아 있다.",
    "Ethiopic": "ድመቷ ጠረጴዛ ላይ ተቀመጠች።",
    "empty": "",
    "blank": " \n\n ",
    "broken": "a\ud800b\x00\ufffd\U0001f600",
}
SPECIAL_CATEGORIES = {*("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Nd", "Zs", "Zl", "Zp", "Sm", "Sc", "Sk", "So")}
WORDS = st.lists(st.text("ab \u0e01", min_size=1, max_size=3), max_size=40)


def naive_top(words: list[str], n: int) -> int | None:
    grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    if not grams:
        return None
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def naive_duplicates(words: list[str], n: int) -> int | None:
    if len(words) < n:
        return None
    seen, characters, i = set(), 0, 0
    while i < len(words) - n + 1:
        gram = "".join(words[i : i + n])
        if gram in seen:
            characters += len(gram)
            i += n
        else:
            seen.add(gram)
            i += 1
    return characters


@given(WORDS, st.integers(1, 6))
def test_kernels_agree_with_strings_and_counters(words: list[str], n: int) -> None:
    check_repetition(words, n, n)


@pytest.mark.parametrize("vocabulary", [5, 300, 100_000])
def test_kernels_agree_with_strings_and_counters_on_long_texts(vocabulary: int) -> None:
    random = Random(vocabulary)
    for n in (2, 5):
        check_repetition([f"{random.randrange(vocabulary):x}" for _ in range(5_000)], n, 10)


def check_repetition(words: list[str], n: int, character_n: int) -> None:
    known, text = KnownWords.of(Words.of(words)), "".join(words)
    (found,) = Repetition.of(known, known, code_points(text), text_places([text]), (n,), (n,), n, character_n)
    assert found.top == {n: naive_top(words, n)}
    assert found.duplicate == {n: naive_duplicates(words, n)}
    repeated, _ = repeated_counts([" ".join(words[i : i + n]) for i in range(len(words) - n + 1)])
    assert found.repeated_words == (sum(repeated) / (len(words) - n + 1) if len(words) >= n else None)
    n_grams = len(text) - character_n + 1
    repeated, distinct = repeated_counts([text[i : i + character_n] for i in range(n_grams)])
    k = int(distinct**0.5)
    assert found.repeated_characters == (sum(repeated[:k]) / n_grams if n_grams > 0 else None)


def repeated_counts(grams: list[str]) -> tuple[list[int], int]:
    """Falling counts of what occurs twice or more, and the number of distinct n-grams."""
    counts = Counter(grams)
    return sorted((count for count in counts.values() if count > 1), reverse=True), len(counts)


@given(st.lists(st.text(), max_size=5))
def test_hashes_of_words_equal_python_integers(words: list[str]) -> None:
    expected = []
    for word in words:
        value = 0
        for character in word:
            value = (value * BASE + ord(character) + 1) % MODULUS
        expected.append(value)
    assert KnownWords.of(Words.of(words)).hashes.tolist() == expected


@given(st.text(st.characters() | st.sampled_from("a .!\N{GREEK CAPITAL LETTER SIGMA}\u0391\u0130\ud800")))
def test_plain_words_in_lower_case_of_a_whole_text_are_those_word_by_word(text: str) -> None:
    view = TextView.of(text)
    known, found = TokenFeatures.of(view.words, None), view.looked_at.plain_words
    assert found.hashes.tolist() == known.plain_words.hashes.tolist()
    assert found.lengths.tolist() == known.plain_words.lengths.tolist()
    plain = [word for word in view.words if not SYMBOLS.issuperset(word)]
    lower = [word.lower() for word in plain]
    assert found.hashes.tolist() == KnownWords.of(Words.of(lower)).hashes.tolist()
    assert view.plain_length == sum(map(len, plain))
    assert view.alphabetic_count == sum(any(map(str.isalpha, word)) for word in view.words)


def test_classes_of_characters_are_those_of_python() -> None:
    classes = character_classes()
    for code in range(0x110000):
        one = chr(code)
        special = one.isspace() or unicodedata.category(one) in SPECIAL_CATEGORIES
        expected = SPECIAL * special | SYMBOL * (one in SYMBOLS) | ALPHABETIC * one.isalpha()
        expected |= ALPHANUMERIC * one.isalnum() | SPACE * one.isspace() | DIGIT * one.isdecimal()
        assert classes[min(code, len(classes) - 1)] == expected, hex(code)


def test_values_by_category_are_those_of_each_character() -> None:
    values = {"L": 1, "Lu": 2, "N": 3, "Nd": 4, "Cc": 5, "Po": 6, "Zs": 7}
    table = by_category(values)
    for code in range(len(table)):
        category = unicodedata.category(chr(code))
        assert table[code] == values.get(category, values.get(category[0], 0)), hex(code)


@given(st.lists(st.text(st.characters() | st.sampled_from("\nΣΑİ.'\u00ad"))))
def test_words_in_lower_case_together_are_those_one_by_one(words: list[str]) -> None:
    assert list(Words.of(words).changed(str.lower)) == [word.lower() for word in words]


@given(st.text(st.sampled_from("a \n\t")))
def test_lines_and_paragraphs_are_those_of_expressions(text: str) -> None:
    view = TextView.of(text)
    assert view.line_runs == re.split(r"\n+", text)
    assert view.paragraphs == re.split(r"\n{2,}", text.strip())


def test_no_two_pairs_of_characters_have_the_same_hash() -> None:
    # Pairs (a, b) and (c, d) collide if (a - c) * BASE = d - b, and no difference of code points is above 0x10FFFF.
    products = (difference * BASE % MODULUS for difference in range(1, 0x110000))
    assert min(min(product, MODULUS - product) for product in products) > 0x10FFFF


def test_no_two_n_grams_of_characters_that_differ_in_one_or_two_places_have_the_same_hash() -> None:
    # They collide if a * B**i + b * B**j = 0 modulo 2**64 for differences a and b of code points, as B is odd.
    differences = np.arange(1, 0x110000, dtype=np.uint64)
    for distance in range(1, 10):
        products = differences * np.uint64(pow(int(CHARACTER_BASE), distance, 2**64))
        assert np.minimum(products, -products).min() > 0x10FFFF


@given(st.text(st.characters() | st.sampled_from("a b\n.|#{\u2026\u0e01"), max_size=200))
def test_fractions_lie_in_the_unit_interval_for_any_text(text: str) -> None:
    lists = WordLists(frozenset({"a"}), frozenset({"b"}))
    for name, value in measure(TextView.of(text), lists).items():
        assert value is None or value >= 0
        if name.endswith("_fraction") and not name.startswith("top_"):
            assert value is None or value <= 1, name


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=10))
def test_repeating_a_line_never_lowers_the_duplicate_fraction(lines: list[str]) -> None:
    before = measure(TextView.of("\n".join(lines)))["duplicate_line_fraction"]
    after = measure(TextView.of("\n".join([*lines, lines[0]])))["duplicate_line_fraction"]
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert after >= before


LINES = st.lists(
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")) | st.sampled_from(".a#\u0e01"), max_size=40)
)
OF_WORDS_AND_LINES = (
    "mean_word_length",
    "hash_per_word",
    "alphabetic_word_fraction",
    "terminal_punctuation_line_fraction",
    "short_line_fraction",
    "bullet_line_fraction",
    "ellipsis_line_fraction",
    "short_line_character_fraction",
    "stop_word_fraction",
    "c4_line_fraction",
)


@given(LINES)
def test_a_text_written_twice_has_twice_the_words_and_the_same_fractions_of_words_and_lines(lines: list[str]) -> None:
    lists = WordLists(frozenset({"a"}))
    once = measure(TextView.of("\n".join(lines)), lists)
    twice = measure(TextView.of("\n".join(lines + lines)), lists)
    assert twice["segment_count"] == 2 * (once["segment_count"] or 0)
    if lines and lines[-1]:  # after an empty last line the second copy begins one line later
        assert {name: twice[name] for name in OF_WORDS_AND_LINES} == {name: once[name] for name in OF_WORDS_AND_LINES}


@given(LINES, st.randoms(use_true_random=False))
def test_the_order_of_lines_matters_to_no_count_of_lines(lines: list[str], random: Random) -> None:
    lines = [line for line in lines if line.strip()]
    shuffled = random.sample(lines, len(lines))
    names = ("duplicate_line_fraction", "repeated_line_character_fraction", "duplicate_line_character_fraction")
    before, after = (measure(TextView.of("\n".join(order))) for order in (lines, shuffled))
    names += ("line_count", "word_count", "special_character_fraction", "terminal_punctuation_line_fraction")
    assert {name: after[name] for name in names} == {name: before[name] for name in names}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_metric_measures_every_script_with_its_declared_type(script: str) -> None:
    values = measure(TextView.of(SCRIPTS[script]))
    assert list(values) == list(METRICS)
    for name, value in values.items():
        assert value is None or type(value) is (int if METRICS[name].dtype == "int64" else float), name


@given(
    st.lists(
        st.text(st.characters() | st.sampled_from("aA -.\n\r\u03a3\u0130\ud800\u0e01\u4e2d\u0301\U0001f1e6"))
        | st.sampled_from(list(SCRIPTS.values())),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["icu", "whitespace"]),
)
def test_texts_that_are_looked_at_together_have_the_words_and_metrics_of_each(texts: list[str], segmenter: str) -> None:
    lists = WordLists(frozenset({"a", "A", "\u0e01"}), frozenset({"aa"}))
    words = segment_all(texts, ["und_Zyyy"] * len(texts), segmenter)
    views = TextView.of_all(texts, words)
    assert [list(view.words) for view in views] == [segment(text, segmenter) for text in texts]
    assert [measure(view, lists) for view in views] == [measure(TextView.of(text, segmenter), lists) for text in texts]


def test_what_is_undefined_is_none() -> None:
    values = measure(TextView.of(""))
    assert {name for name, value in values.items() if value is not None} == {
        "character_count", "segment_count", "word_count", "line_count",
        "lorem_ipsum_count", "curly_bracket_count",
    }  # fmt: skip
