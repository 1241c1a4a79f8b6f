"""Words in scripts with and without spaces."""

import pytest
from datatrove.utils import _import_utils
from datatrove.utils.word_tokenizers import load_word_tokenizer
from hypothesis import given
from hypothesis import strategies as st
from icu4py.breakers import WordBreaker
from icu4py.locale import Locale

import pipeline.text.words.segmenters as segment_module
from pipeline.errors import ConfigError
from pipeline.text.words.segmenters import SEGMENTERS, check_segmenter, segment, segment_with_datatrove


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat.", ["The", "cat", "."]),
        ("Кошка сидит", ["Кошка", "сидит"]),
        ("هل هذا", ["هل", "هذا"]),
        ("मेज़ पर।", ["मेज़", "पर", "।"]),
        ("แมวนั่งอยู่", ["แมว", "นั่ง", "อยู่"]),
        ("고양이가 책상", ["고양이가", "책상"]),
        ("a\U0001f600b \U00020000\U00020001", ["a", "\U0001f600", "b", "\U00020000", "\U00020001"]),
        ("well-known, /etc/init.d/x.", ["well-known", ",", "/", "etc/init.d/x", "."]),
        ("что-то a@b.ru: x--y - z-", ["что-то", "a@b.ru", ":", "x", "-", "-", "y", "-", "z", "-"]),
        ("जल-थल और/या", ["जल-थल", "और/या"]),
        ("http://x.org 中国-日本，是", ["http", ":", "/", "/", "x.org", "中国-日本", "，", "是"]),
        ("l\u2019eau d'un a'", ["l\u2019eau", "d'un", "a", "'"]),
        ("x-\u200by -- =", ["x", "-", "y", "-", "-", "="]),
        ("ខ្ញុំ\u200bស្រឡាញ់", ["ខ្ញុំ", "ស្រឡាញ់"]),
        ("", []),
        (" \n\u3000\u200b", []),
        ("a \ud800", ["a", "\ufffd"]),
    ],
)
def test_icu_finds_the_words(text: str, words: list[str]) -> None:
    assert segment(text) == words


@pytest.mark.parametrize("text", ["ខ្ញុំស្រឡាញ់ប្រទេសកម្ពុជា", "猫坐在桌子上", "ねこはテーブルのうえにいます", "ድመቷ ላይ"])
def test_icu_splits_text_and_loses_no_letter(text: str) -> None:
    words = segment(text)
    assert len(words) > 1
    assert "".join(words) == text.replace(" ", "")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_keep_order_and_hold_no_white_space_only_segment(text: str) -> None:
    position = 0
    for word in segment(text):
        assert word.strip() != ""
        position = text.index(word, position) + len(word)


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("ab-/. \n\u0e01\u4e2d")))  # no surrogates
def test_words_hold_every_character_but_white_space(text: str) -> None:
    def visible(text: str) -> str:
        return "".join(one for one in text if not one.isspace() and one not in "\u200b\u2060\ufeff")

    assert visible("".join(segment(text))) == visible(text)


def test_a_long_chain_is_one_word_and_takes_no_quadratic_time() -> None:
    assert segment("a-" * 200_000) == ["a-" * 199_999 + "a", "-"]


def test_an_unknown_segmenter_is_a_config_error_that_names_the_choices() -> None:
    with pytest.raises(ConfigError, match="icu, whitespace"):
        segment("a", "spacy")
    assert set(SEGMENTERS) == {"icu", "whitespace", "datatrove"}


@pytest.mark.parametrize(
    ("label", "package", "text", "words"),
    [
        ("fra_Latn", "spacy", "C'est l'été à Paris !", ["C'", "est", "l'", "été", "à", "Paris", "!"]),
        ("rus_Cyrl", "spacy", "Кошка сидит.", ["Кошка", "сидит", "."]),
        ("hin_Deva", "indicnlp", "मेज़ पर बैठी है।", ["मेज़", "पर", "बैठी", "है", "।"]),
        ("tha_Thai", "pythainlp", "แมวนั่งอยู่บนโต๊ะ", ["แมว", "นั่ง", "อยู่", "บน", "โต๊ะ"]),
    ],
)
def test_datatrove_splits_as_its_tokenizer_of_the_language_does(
    label: str, package: str, text: str, words: list[str]
) -> None:
    pytest.importorskip(package)
    check_segmenter("datatrove", [label])
    assert segment(text, "datatrove", label) == words


def test_every_tokenizer_that_cannot_be_loaded_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_import_utils, "_is_package_available", lambda name: name not in ("stanza", "kiwipiepy"))
    for loaded in (segment_with_datatrove, load_word_tokenizer):
        loaded.cache_clear()
    with pytest.raises(ConfigError) as error:
        check_segmenter("datatrove", ["bel_Cyrl", "kor_Hang"])
    first, second = str(error.value).splitlines()
    assert "bel_Cyrl" in first
    assert "stanza" in first
    assert "kor_Hang" in second
    assert "kiwipiepy" in second


def test_datatrove_needs_the_languages_by_name() -> None:
    with pytest.raises(ConfigError, match=r"languages\.include"):
        check_segmenter("datatrove", [])


def joined_one_by_one(tokens: list[str]) -> list[str]:
    """The rule for marks, without expressions: ICU's tokens in, words out."""
    words: list[str] = []
    i = 0
    while i < len(tokens):
        word, i = tokens[i], i + 1
        if word[0].isalnum():
            while i + 1 < len(tokens) and tokens[i] in segment_module._JOINERS and tokens[i + 1][0].isalnum():
                word, i = word + tokens[i] + tokens[i + 1], i + 2
        if not word.isspace() and word not in "\u200b\u2060\ufeff":
            words.append(word)
    return words


@given(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("aab1-/.:' \n\u200b\u0e01\u4e2d")))
def test_words_are_icus_segments_joined_one_by_one(text: str) -> None:
    assert segment(text) == joined_one_by_one(list(WordBreaker(text, Locale("und"))))
