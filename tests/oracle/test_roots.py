"""The metrics of ROOTS and CulturaX against their stated formulas, written out in the obvious way.

Formulas: bigscience-workshop/data-preparation, parameters_filtering.py and filtering.py. Where ours departs, its
docstring says so: words are ICU's, and Unicode categories stand in for the list of special characters.
"""

import tomllib
import unicodedata
from collections import Counter
from math import isqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.characters import SYMBOLS
from pipeline.text.metrics.contract import WordLists, measure
from pipeline.text.metrics.view import TextView
from pipeline.text.words.segmenters import segment

TEXTS = {
    case["label"]: case["text"]
    for case in tomllib.loads((Path(__file__).parent / "texts.toml").read_text(encoding="utf-8"))["text"]
}
LISTS = WordLists(frozenset({"the", "кошка", "على", "है", "บน", "の", "上", "ላይ"}), frozenset({"cat", "猫", "mat"}))


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def stated_values(text: str) -> dict[str, float | None]:
    words = [word.lower() for word in segment(text) if not set(word) <= SYMBOLS]
    characters = Counter(text[i : i + 10] for i in range(len(text) - 9))
    repeated = sorted((count for count in characters.values() if count > 1), reverse=True)
    n_grams = Counter(tuple(words[i : i + 5]) for i in range(len(words) - 4))
    lines = [line for line in text.split("\n") if line.strip()]
    special = [one for one in text if one.isspace() or unicodedata.category(one) == "Nd"]
    special += [one for one in text if unicodedata.category(one)[0] in "PS"]
    return {
        "character_repetition_fraction": share(sum(repeated[: isqrt(len(characters))]), characters.total()),
        "word_repetition_fraction": share(sum(count for count in n_grams.values() if count > 1), n_grams.total()),
        "special_character_fraction": share(len(special), len(text)),
        "stop_word_fraction": share(sum(word in LISTS.stop_words for word in words), len(words)),
        "flagged_word_fraction": share(sum(word in LISTS.flagged_words for word in words), len(words)),
        "short_line_character_fraction": share(sum(len(s) for s in lines if len(s) <= 30), sum(map(len, lines))),
    }


@pytest.mark.parametrize("label", TEXTS)
def test_metrics_are_those_of_the_stated_formulas(label: str) -> None:
    ours = measure(TextView.of(TEXTS[label]), LISTS)
    theirs = stated_values(TEXTS[label])
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=5.1e-5)


@given(
    st.lists(st.sampled_from(["the ", "cat", "Кошка ", "猫", "บน", "है ", "\n", ". ", "1", "\u2028", "😀"]), max_size=60)
)
def test_metrics_are_those_of_the_stated_formulas_for_any_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    ours = measure(TextView.of(text), LISTS)
    theirs = stated_values(text)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=5.1e-5)
