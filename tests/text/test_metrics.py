"""Metrics against datatrove's values (golden_metrics.json), against obvious versions, and for any text."""

import doctest
import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.characters import PUNCTUATION, SYMBOLS, TERMINAL
from pipeline.text.metrics import METRICS, WordLists, measure
from pipeline.text.repetition import (
    BASE,
    MODULUS,
    HashedWords,
    duplicate_n_gram_characters,
    most_repeated_fraction,
    repeated_fraction,
    top_n_gram_characters,
)
from pipeline.text.view import TextView

GOLDEN = json.loads((Path(__file__).parent / "golden_metrics.json").read_text(encoding="utf-8"))
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


@pytest.mark.parametrize("case", GOLDEN, ids=[case["language"] for case in GOLDEN])
def test_metrics_equal_datatrove_given_its_words(case: dict[str, Any]) -> None:
    values = measure(TextView.from_words(case["text"], case["words"]))
    assert {name: values[name] for name in case["expected"]} == pytest.approx(case["expected"], abs=6e-5)


def test_small_numeric_checks_of_datatrove() -> None:
    assert top_n_gram_characters(HashedWords.of(["x y", "longer z"], " "), 1) == 3
    assert duplicate_n_gram_characters(HashedWords.of(list("abcde") * 3, ""), 5) == 10
    assert duplicate_n_gram_characters(HashedWords.of(["a"] * 8, ""), 3) == 6
    text = "to be or not to be that is the question to be or not to be that is all"
    values = measure(TextView.of(text, "whitespace"))
    assert [values[f"top_{n}_gram_character_fraction"] for n in (2, 3, 4)] == [0.2857, 0.2286, 0.3429]
    assert [values[f"duplicate_{n}_gram_character_fraction"] for n in range(5, 11)] == [
        0.1571, 0.1857, 0.2429, 0.2714, 0.0, 0.0,
    ]  # fmt: skip
    assert TextView.of("\n\nA b c\n\nA b c\n\n").line_runs == ["", "A b c", "A b c", ""]


def test_character_sets_have_datatrove_s_sizes() -> None:
    assert (len(PUNCTUATION), len(TERMINAL), len(SYMBOLS)) == (129, 159, 281)


@given(WORDS, st.integers(1, 6))
def test_kernels_agree_with_strings_and_counters(words: list[str], n: int) -> None:
    spaced = HashedWords.of(words, " ")
    assert top_n_gram_characters(spaced, n) == naive_top(words, n)
    assert duplicate_n_gram_characters(HashedWords.of(words, ""), n) == naive_duplicates(words, n)
    counts = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    repeated = sorted((count for count in counts.values() if count > 1), reverse=True)
    total = sum(counts.values())
    assert repeated_fraction(spaced, n) == (sum(repeated) / total if total else None)
    k = int(len(counts) ** 0.5)
    assert most_repeated_fraction(spaced, n) == (sum(repeated[:k]) / total if total else None)


@given(st.text(max_size=50))
def test_prefix_hashes_equal_python_integers(text: str) -> None:
    value, expected = 0, [0]
    for character in text:
        value = (value * BASE + ord(character) + 1) % MODULUS
        expected.append(value)
    assert HashedWords.of_characters(text).prefixes.tolist() == expected


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


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_metric_measures_every_script_with_its_declared_type(script: str) -> None:
    values = measure(TextView.of(SCRIPTS[script]))
    assert list(values) == list(METRICS)
    for name, value in values.items():
        assert value is None or type(value) is (int if METRICS[name].dtype == "int64" else float), name


def test_what_is_undefined_is_none() -> None:
    values = measure(TextView.of(""))
    assert {name for name, value in values.items() if value is not None} == {
        "character_count", "segment_count", "word_count", "line_count",
        "lorem_ipsum_count", "curly_bracket_count",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["segment", "characters", "view", "repetition", "metrics", "repair", "refine"])
def test_examples_in_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"pipeline.text.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
