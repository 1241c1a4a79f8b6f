"""Runs of words shared with evaluation sets, beside a search that is plain to see."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.overlap import Ngrams, ngrams_of, overlap_fractions
from pipeline.dedup.shingles import normalise_words
from pipeline.text.words.segmenters import segment_with_icu

# an item of each script, of at least 13 words, from article 1 of the Universal Declaration of Human Rights
ITEMS = {
    "Latn": "All human beings are born free and equal in dignity and rights. They are endowed with reason.",
    "Cyrl": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью.",
    "Arab": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميراً وعليهم أن يعامل بعضهم بعضاً.",
    "Deva": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "Hani": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
    "Thai": "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในศักดิ์ศรีและสิทธิ ต่างมีเหตุผลและมโนธรรม",
}
FILLER = {"Hani": "今天天气很好。", "Thai": "วันนี้อากาศดี "}


def words_of(text: str) -> list[str]:
    return normalise_words(segment_with_icu(text))


@pytest.mark.parametrize("script", ITEMS)
def test_an_item_is_found_in_a_document_of_its_script_and_in_no_other(script: str) -> None:
    item = ITEMS[script]
    ngrams = ngrams_of([segment_with_icu(item)], 13)
    filler = FILLER.get(script, "Nothing of it is here. ")
    fraction = overlap_fraction(words_of(f"{filler * 3}\n{item.upper()}\n{filler * 3}"), ngrams, 8)
    inside, outside = len(words_of(item)), 2 * len(words_of(filler * 3))
    assert inside >= 13
    assert fraction == pytest.approx(inside / (inside + outside), abs=1e-4)
    others = [overlap_fraction(words_of(text), ngrams, 8) for other, text in ITEMS.items() if other != script]
    assert others == [0.0] * (len(ITEMS) - 1)


def overlap_fraction(words: Sequence[str], ngrams: Ngrams, shortest: int) -> float:
    return overlap_fractions(words, {"set": ngrams}, shortest).get("set", 0.0)


def naive(words: Sequence[str], items: Sequence[Sequence[str]], ngram: int, shortest: int) -> float:
    hit = [False] * len(words)
    for item in items:
        length = min(ngram, len(item))
        for start in range(len(item) - length + 1):
            run = list(item[start : start + length])
            if not run or run.count("0") * 2 > length or (length < shortest and length != len(words)):
                continue
            for place in range(len(words) - length + 1):
                if list(words[place : place + length]) == run:
                    hit[place : place + length] = [True] * length
    return max(round(sum(hit) / len(hit), 4), 1e-4) if any(hit) else 0.0


some_words = st.lists(st.sampled_from(["a", "b", "c", "0"]), max_size=14)


@given(some_words, st.lists(some_words, max_size=4), st.integers(2, 5), st.integers(1, 6))
def test_the_fraction_is_that_of_a_naive_search(
    words: list[str], items: list[list[str]], ngram: int, shortest: int
) -> None:
    assert overlap_fraction(words, ngrams_of(items, ngram), shortest) == naive(words, items, ngram, shortest)


def test_a_short_item_is_found_whole_and_a_very_short_one_only_as_the_whole_document() -> None:
    short = "the capital of the small state is the old town"  # 10 words
    ngrams = ngrams_of([short.split(), ["yes"]], 13)
    assert overlap_fraction(words_of(f"We know that {short} by the sea, yes."), ngrams, 8) == pytest.approx(
        10 / 17, abs=1e-4
    )
    assert overlap_fraction(words_of("the capital of the small state is the new town"), ngrams, 8) == 0
    assert overlap_fraction(["yes"], ngrams, 8) == 1
    assert overlap_fraction(words_of("Yes, no."), ngrams, 8) == 0


def test_tables_of_numbers_match_nothing() -> None:
    ngrams = ngrams_of([[str(number) for number in range(20)]], 13)
    assert overlap_fraction(words_of(" ".join(str(number) for number in range(50, 90))), ngrams, 8) == 0
