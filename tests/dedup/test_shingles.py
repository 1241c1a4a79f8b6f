"""Words to shingles, in at least ten scripts, against plain Python integers."""

import sys
import unicodedata

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup.shingles import exact_hash, fold_text, normalise_words, shingle_hashes, word_hashes
from pipeline.errors import ConfigError

KERNEL = settings(deadline=None)  # the first example may compile a kernel
MASK = 2**64 - 1

# script, words of a segmenter, what is left of them, why
CASES = [
    ("Latin", ["STRASSE", "Straße", ",", "É"], ["strasse", "strasse", "\u00e9"], "full case folding"),
    ("Latin, NFD", ["Cafe\u0301"], ["caf\u00e9"], "composed"),
    ("Latin, Turkish", ["\u0130", "\u0131"], ["i\u0307", "\u0131"], "folding knows no language"),
    ("Greek", ["ΟΔΟΣ", "οδος"], ["οδοσ", "οδοσ"], "final sigma is folded"),
    ("Cyrillic", ["Ёлка", "—", "МОСКВА"], ["ёлка", "москва"], "the dots of yo are kept"),
    ("Arabic", ["كِتاب", "؟", "١٢٣"], ["كِتاب", "0"], "vowel marks kept, Arabic-Indic digits folded"),
    ("Hebrew", ["שָׁלוֹם"], [unicodedata.normalize("NFC", "שָׁלוֹם")], "points kept"),
    ("Devanagari", ["हिन्दी", "।", "२०२४"], ["हिन्दी", "0"], "vowel signs and virama kept, danda left out"),
    ("Bengali", ["বাংলা", "৳৫০"], ["বাংলা", "৳0"], "a sign beside a digit stays"),
    ("Tamil", ["தமிழ்"], ["தமிழ்"], "unchanged"),
    ("Thai", ["ภาษาไทย", "ที่", "๕๕๕"], ["ภาษาไทย", "ที่", "0"], "tone marks kept"),
    ("Khmer", ["ភាសាខ្មែរ", "។", "១២"], ["ភាសាខ្មែរ", "0"], "subscripts kept, khan left out"),
    ("Han", ["中文", "。", "二〇二四", "2024年"], ["中文", "二〇二四", "0年"], "Han numerals are letters"),
    ("Kana", ["カタカナ", "が", "か\u3099", "、"], ["カタカナ", "が", "が"], "voicing mark composed"),
    ("Hangul", ["한국어", unicodedata.normalize("NFD", "한국어")], ["한국어"] * 2, "jamo composed"),
    ("Ethiopic", ["አማርኛ", "።", "፲፪"], ["አማርኛ", "፲፪"], "Ethiopic numbers are no decimal digits"),
    ("Cherokee", ["\u13a0", "\uab70"], ["\u13a0", "\u13a0"], "its folding is to upper case"),
    ("digits", ["12,345.67", "3D", "4", "H2O", "½"], ["0,0.0", "0d", "0", "h0o", "½"], "each run is one 0"),
    ("mixed digits", ["1\u0661\u0967"], ["0"], "one run over three scripts"),
    ("nothing", ["", " ", "\n", "!?", "€", "\u0301", "😀", "___"], [], "neither letter nor digit"),
    ("empty", [], [], "no word"),
]


def plain_mix64(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


def plain_shingles(hashes: list[int], size: int) -> list[int]:
    out = []
    for start in range(len(hashes) - size + 1):
        state = size
        for value in hashes[start : start + size]:
            state = plain_mix64((state * 0x9E3779B97F4A7C15 + value) & MASK)
        out.append(state)
    return out


@pytest.mark.parametrize(("script", "words", "expected", "why"), CASES, ids=[case[0] for case in CASES])
def test_words_are_normalised_in_every_script(script, words, expected, why):
    assert normalise_words(words) == expected, why


def test_a_word_counts_exactly_if_a_character_is_of_category_l_or_n():
    wrong = []
    for code_point in range(sys.maxunicode + 1):
        character = chr(code_point)
        if not 0xD800 <= code_point < 0xE000:
            counted = bool(normalise_words([character]))
            if counted != (unicodedata.category(character)[0] in "LN"):
                wrong.append(hex(code_point))
    # The ypogegrammeni, a mark, folds to the letter iota.
    assert wrong == ["0x345"]


@KERNEL
@given(st.lists(st.text(max_size=8), max_size=8))
def test_canonically_equivalent_words_are_the_same_words(words):
    decomposed = [unicodedata.normalize("NFD", word) for word in words]
    assert normalise_words(decomposed) == normalise_words(words)


@KERNEL
@given(st.lists(st.integers(0, MASK), max_size=20), st.integers(1, 7))
def test_shingle_hashes_equal_plain_python_integers(hashes, size):
    assert shingle_hashes(np.array(hashes, dtype=np.uint64), size).tolist() == plain_shingles(hashes, size)


def test_hashes_are_frozen():
    words = normalise_words(["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"])
    assert word_hashes(words[:1]).tolist() == [xxhash.xxh64_intdigest(b"the")]
    assert shingle_hashes(word_hashes(words)).tolist() == [
        0x9DF5E3FEE7FEEEC8,
        0x79ED783E6A6BAD7A,
        0x6F7A2D037CFF79EE,
        0xF17E30CE47C6E204,
        0x847CC24D05E59EAE,
    ]
    assert exact_hash(words) == 6144221730223242619


def test_hashes_read_utf_8_bytes_in_every_script():
    for _, words, _, _ in CASES:
        kept = normalise_words(words)
        assert word_hashes(kept).tolist() == [xxhash.xxh64_intdigest(word.encode()) for word in kept]


def test_the_order_of_words_changes_a_shingle():
    hashes = word_hashes(list("abcde"))
    assert shingle_hashes(hashes)[0] != shingle_hashes(hashes[::-1])[0]


def test_the_shingle_size_is_part_of_the_hash_even_for_words_that_hash_to_zero():
    zeros = np.zeros(6, dtype=np.uint64)
    assert len({int(shingle_hashes(zeros, size)[0]) for size in range(1, 7)}) == 6


@pytest.mark.parametrize("n_words", range(5))
def test_fewer_words_than_a_shingle_give_none(n_words):
    shingles = shingle_hashes(word_hashes(list("abcd")[:n_words]))
    assert shingles.shape == (0,)
    assert shingles.dtype == np.uint64


def test_no_words_have_the_null_exact_hash_and_a_true_zero_is_not_null(monkeypatch):
    assert exact_hash([]) == 0
    # No text with XXH64 = 0 is known; the third-party hash is replaced to reach the branch.
    monkeypatch.setattr(xxhash, "xxh64_intdigest", lambda data, seed=0: 0)
    assert exact_hash(["a"]) == 1


def test_the_exact_hash_sees_word_boundaries():
    assert exact_hash(["ab", "c"]) != exact_hash(["a", "bc"])


def test_a_shingle_of_no_words_is_refused():
    with pytest.raises(ConfigError, match="shingle_size = 0"):
        shingle_hashes(word_hashes(["a"]), 0)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=40), max_size=20))
def test_words_hash_as_one_by_one_with_the_xxhash_library(words: list[str]) -> None:
    assert word_hashes(words).tolist() == [xxhash.xxh64_intdigest(word.encode(), 0) for word in words]


def test_every_character_that_nfc_may_join_or_order_is_folded_with_its_neighbours() -> None:
    neighbours = {"A", "a", "\N{HANGUL CHOSEONG KIYEOK}", "\N{HANGUL SYLLABLE GA}"}  # and what begins a composition
    seconds = set()
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        parts = unicodedata.normalize("NFD", character)
        if len(parts) > 1 and unicodedata.normalize("NFC", parts) == character:
            seconds.add(parts[-1])
            neighbours.add(unicodedata.normalize("NFC", parts[:-1]))
        if unicodedata.combining(character):
            seconds.add(character)
    assert len(seconds) > 800
    for second in seconds:
        words = [first + second + "a" for first in sorted(neighbours)]
        assert normalise_words(words) == [fold_text(word) for word in words], hex(ord(second))


def test_every_character_that_changes_is_folded_as_python_does() -> None:
    changing = [
        f"a{character}b" for character in map(chr, range(sys.maxunicode + 1)) if fold_text(character) != character
    ]
    assert len(changing) > 2000
    for word in changing:  # one by one: a mark beside them would have them folded by Python
        assert normalise_words([word]) == [fold_text(word)]
        long = word[1] * 1000  # as long as words get in bytes
        assert normalise_words([long]) == [fold_text(long)] or not any(map(str.isalnum, fold_text(long)))


@given(st.lists(st.text(st.characters() | st.sampled_from("\nΣσς\u0301\u0345e=\u0338İ1٢")), max_size=12))
def test_words_are_normalised_together_as_one_by_one(words: list[str]) -> None:
    assert normalise_words(words) == [one for word in words for one in normalise_words([word])]
