"""How much of a sequence of words repeats: takes words and n, gives characters or occurrences that repeat.

An n-gram is compared as the string it spells, as datatrove does, so two ways to cut the same characters into
words are one n-gram. Building those strings for nine values of n would dominate the pipeline's time; instead
every n-gram gets a polynomial hash modulo 2**61 - 1 over its code points, in constant time from hashes of
prefixes. Weakness: two n-grams with equal hashes would count as one, which for a document of a million words
has a chance below 1 in 10**6.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels import kernel
from pipeline.text.characters import ALPHABETIC, SYMBOL, character_classes
from pipeline.text.words import Words

MODULUS: Final = 2**61 - 1
# The first 64 binary digits of pi's fraction. No two pairs of characters collide (a test goes through all); the base
# before, (2**63 - 1) / 7, had 7 * BASE = 3 modulo 2**61 - 1, so that "(/" and "/," were one.
BASE: Final = 0x243F6A8885A308D3 % MODULUS

_U1: Final = np.uint64(1)
_U30: Final = np.uint64(30)
_U31: Final = np.uint64(31)
_U61: Final = np.uint64(61)
_LOW30: Final = np.uint64(2**30 - 1)
_LOW31: Final = np.uint64(2**31 - 1)
_MODULUS: Final = np.uint64(MODULUS)
_BASE: Final = np.uint64(BASE)
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # golden ratio; its product wraps modulo 2**64


@dataclass(frozen=True, slots=True, eq=False)
class HashedWords:
    """Words end to end, each followed by the separator if there is one, with a hash up to the start of each word.

    The separator behind the last word changes no comparison: two n-grams are equal with it where they are without.
    """

    prefixes: NDArray[np.uint64]  # (n_words + 1,)
    bounds: NDArray[np.int64]  # (n_words + 1,) code points before each word
    separator_length: int

    @classmethod
    def of(cls, words: list[str], separator: str) -> "HashedWords":
        """Hash words joined by a separator."""
        return cls.of_known(KnownWords.of(Words.of(words)), separator)

    @classmethod
    def of_known(cls, words: "KnownWords", separator: str) -> "HashedWords":
        """Hash words whose own hashes are known, joined by one character or by nothing."""
        code = ord(separator) if separator else -1
        prefixes, bounds = _chain(words.hashes, words.lengths, _powers_for(words.longest), code)
        return cls(prefixes, bounds, len(separator))

    @classmethod
    def of_characters(cls, codes: NDArray[np.uint32]) -> "HashedWords":
        """Hash a text whose words are its single code points."""
        return cls(_prefix_hashes(codes), np.arange(len(codes) + 1), 0)

    @property
    def word_count(self) -> int:
        """Number of words."""
        return len(self.bounds) - 1

    @property
    def powers(self) -> NDArray[np.uint64]:
        """Powers of BASE up to the number of code points at least."""
        return _powers_for(int(self.bounds[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class KnownWords:
    """What the metrics ask of each word of a text, found in one pass over its code points; arrays are (n_words,)."""

    hashes: NDArray[np.uint64]  # polynomial modulo 2**61 - 1
    lengths: NDArray[np.int64]  # code points
    is_symbol: NDArray[np.bool_]  # no character but symbols, as `characters.is_symbol`
    longest: int  # code points
    alphabetic_count: int  # words with a letter, as `characters.is_alphabetic`
    plain_length: int  # code points of the words that are not symbols

    @classmethod
    def of(cls, words: Words) -> "KnownWords":
        """Look at each word."""
        return cls(*_look_at_words(words.codes, words.starts, words.ends, character_classes()))

    def __len__(self) -> int:
        """Number of words."""
        return len(self.hashes)

    def listed(self, wanted: frozenset[str]) -> tuple[int, int]:
        """How many of the words stand in a list, and how many different ones."""
        occurrences, different = _count_listed(self.hashes, _list_table(wanted))
        return occurrences, different


@lru_cache(maxsize=512)
def _list_table(wanted: frozenset[str]) -> NDArray[np.uint64]:
    """A hash table of words; see `_find`."""
    table: NDArray[np.uint64] = _make_table(KnownWords.of(Words.of(sorted(wanted))).hashes)
    return table


def top_n_gram_characters(words: HashedWords, n: int) -> int | None:
    """Characters in all occurrences of the most frequent n-gram; None if there are fewer than n words.

    Of equally frequent n-grams the first to occur is taken, not the longest; occurrences may overlap, so the
    result may exceed the text. Source: Gopher, arXiv:2112.11446, table A1, as in datatrove's
    find_top_duplicate.

    >>> top_n_gram_characters(HashedWords.of(["x", "y", "x", "y"], " "), 2)
    6
    """
    if words.word_count < n:
        return None
    return int(_top(words.prefixes, words.powers, words.bounds, n, words.separator_length))


def duplicate_n_gram_characters(words: HashedWords, n: int) -> int | None:
    """Characters in n-grams that occurred before, no character twice; None with fewer than n words.

    Scans from left to right: an n-gram seen before is counted and jumped over, another is remembered and the
    scan moves one word on. Source: Gopher, arXiv:2112.11446, table A1, as in datatrove's find_all_duplicate.

    >>> duplicate_n_gram_characters(HashedWords.of(list("aaaaaaaa"), ""), 3)
    6
    """
    if words.word_count < n:
        return None
    return int(_scan(words.prefixes, words.powers, words.bounds, n, words.separator_length))


def repeated_fraction(words: HashedWords, n: int) -> float | None:
    """Occurrences of n-grams that occur twice or more, over all; in [0, 1], None with fewer than n words.

    Source: ROOTS, arXiv:2303.03915, word repetition.

    >>> repeated_fraction(HashedWords.of(["a", "b", "a", "b"], " "), 2)
    0.6666666666666666
    """
    total = words.word_count - n + 1
    if total < 1:
        return None
    counts, _ = _repeated(words.prefixes, words.powers, words.bounds, n)
    return int(counts.sum()) / total


def most_repeated_fraction(words: HashedWords, n: int) -> float | None:
    """Occurrences of the k most frequent n-grams, over all; in [0, 1], None if there are fewer than n words.

    k = min(floor(sqrt(distinct n-grams)), n-grams that occur twice or more); the square root keeps the
    fraction comparable between lengths. Source: ROOTS, arXiv:2303.03915, character repetition.

    >>> most_repeated_fraction(HashedWords.of(list("ababab"), ""), 2)
    0.6
    """
    total = words.word_count - n + 1
    if total < 1:
        return None
    counts, distinct = _repeated(words.prefixes, words.powers, words.bounds, n)
    return int(np.sort(counts)[::-1][: int(distinct**0.5)].sum()) / total


def _powers_for(exponent: int) -> NDArray[np.uint64]:
    """Powers of BASE from 0 to an exponent or more."""
    return _powers(exponent.bit_length())


@lru_cache(maxsize=32)
def _powers(bits: int) -> NDArray[np.uint64]:
    result: NDArray[np.uint64] = _compute_powers(1 << bits)
    return result


@kernel
def _multiply(a: np.uint64, b: np.uint64) -> np.uint64:
    """a * b modulo 2**61 - 1 for a, b below it; no step overflows; 2**61 = 1 lets high bits be added."""
    a_high, a_low = a >> _U31, a & _LOW31
    b_high, b_low = b >> _U31, b & _LOW31
    middle = a_low * b_high + a_high * b_low
    total = ((a_high * b_high) << _U1) + (middle >> _U30) + ((middle & _LOW30) << _U31) + a_low * b_low
    total = (total >> _U61) + (total & _MODULUS)
    return total - _MODULUS if total >= _MODULUS else total


@kernel
def _compute_powers(size: int) -> NDArray[np.uint64]:
    powers = np.empty(size, np.uint64)
    powers[0] = _U1
    for i in range(1, size):
        powers[i] = _multiply(powers[i - 1], _BASE)
    return powers


@kernel
def _append(value: np.uint64, code: np.uint64) -> np.uint64:
    """The hash of a string with one more code point; one is added so that a leading NUL changes the hash."""
    value = _multiply(value, _BASE) + code + _U1
    return value - _MODULUS if value >= _MODULUS else value


@kernel
def _prefix_hashes(codes: NDArray[np.uint32]) -> NDArray[np.uint64]:
    prefixes = np.empty(len(codes) + 1, np.uint64)
    prefixes[0] = np.uint64(0)
    for i in range(len(codes)):
        prefixes[i + 1] = _append(prefixes[i], np.uint64(codes[i]))
    return prefixes


@kernel
def _look_at_words(
    codes: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64], table: NDArray[np.uint8]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_], int, int, int]:
    """The fields of KnownWords."""
    hashes = np.empty(len(starts), np.uint64)
    lengths = np.empty(len(starts), np.int64)
    is_symbol = np.empty(len(starts), np.bool_)
    longest = alphabetic_count = plain_length = 0
    for word in range(len(starts)):
        value = np.uint64(0)
        all_of, any_of = np.uint8(SYMBOL), np.uint8(0)
        for position in range(starts[word], ends[word]):
            code = codes[position]
            value = _append(value, np.uint64(code))
            one = table[min(code, len(table) - 1)]
            all_of &= one
            any_of |= one
        length = ends[word] - starts[word]
        hashes[word], lengths[word], is_symbol[word] = value, length, all_of != 0
        longest = max(longest, length)
        alphabetic_count += any_of & ALPHABETIC != 0
        plain_length += 0 if all_of else length
    return hashes, lengths, is_symbol, longest, alphabetic_count, plain_length


@kernel
def _chain(
    hashes: NDArray[np.uint64], lengths: NDArray[np.int64], powers: NDArray[np.uint64], separator: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hash of, and code points in, the words before each; `separator` is a code point, below 0 for none."""
    prefixes = np.empty(len(hashes) + 1, np.uint64)
    bounds = np.empty(len(hashes) + 1, np.int64)
    prefixes[0], bounds[0] = np.uint64(0), 0
    for word in range(len(hashes)):
        value = _multiply(prefixes[word], powers[lengths[word]]) + hashes[word]
        value = value - _MODULUS if value >= _MODULUS else value
        bounds[word + 1] = bounds[word] + lengths[word]
        if separator >= 0:
            value = _append(value, np.uint64(separator))
            bounds[word + 1] += 1
        prefixes[word + 1] = value
    return prefixes, bounds


@kernel
def _ngram(
    prefixes: NDArray[np.uint64], powers: NDArray[np.uint64], bounds: NDArray[np.int64], n: int, i: int
) -> np.uint64:
    """Hash of the n-gram that begins with word i, plus 1."""
    value = prefixes[i + n] + _MODULUS - _multiply(prefixes[i], powers[bounds[i + n] - bounds[i]])
    return (value - _MODULUS if value >= _MODULUS else value) + _U1  # type: ignore[no-any-return]


@kernel
def _table_bits(size: int) -> int:
    """Bits of a table at least twice as large as the number of keys."""
    bits = 3
    while (1 << bits) < 2 * size:
        bits += 1
    return bits


@kernel
def _find(keys: NDArray[np.uint64], key: np.uint64, shift: np.uint64) -> np.int64:
    """Slot of a key, or the free slot where it belongs; linear probing, 0 is free, so keys are hash + 1."""
    mask = len(keys) - 1
    slot = np.int64((key * _SPREAD) >> shift)
    while keys[slot] != np.uint64(0) and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def _make_table(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = _table_bits(len(hashes))
    keys = np.zeros(1 << bits, np.uint64)
    for value in hashes:
        keys[_find(keys, value + _U1, np.uint64(64 - bits))] = value + _U1
    return keys


@kernel
def _count_listed(hashes: NDArray[np.uint64], keys: NDArray[np.uint64]) -> tuple[int, int]:
    """How many hashes are in a table, and how many of the table's keys they are."""
    shift = np.uint64(64)
    size = len(keys)
    while size > 1:
        size >>= 1
        shift -= _U1
    seen = np.zeros(len(keys), np.bool_)
    occurrences = 0
    for value in hashes:
        slot = _find(keys, value + _U1, shift)
        if keys[slot] != np.uint64(0):
            occurrences += 1
            seen[slot] = True
    return occurrences, seen.sum()


@kernel
def _count(
    prefixes: NDArray[np.uint64], powers: NDArray[np.uint64], bounds: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count and first position of each distinct n-gram, by first occurrence; two (n_distinct,)."""
    total = len(bounds) - n
    bits = _table_bits(total)
    shift = np.uint64(64 - bits)
    keys = np.zeros(1 << bits, np.uint64)
    indices = np.empty(1 << bits, np.int32)
    counts = np.empty(total, np.int32)
    firsts = np.empty(total, np.int32)
    distinct = 0
    for i in range(total):
        key = _ngram(prefixes, powers, bounds, n, i)
        slot = _find(keys, key, shift)
        if keys[slot] == key:
            counts[indices[slot]] += 1
        else:
            keys[slot] = key
            indices[slot] = distinct
            counts[distinct] = 1
            firsts[distinct] = i
            distinct += 1
    return counts[:distinct], firsts[:distinct]


@kernel
def _repeated(
    prefixes: NDArray[np.uint64], powers: NDArray[np.uint64], bounds: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int32], int]:
    """Counts of the n-grams that occur twice or more, and the number of all distinct ones."""
    counts, _ = _count(prefixes, powers, bounds, n)
    return counts[counts > 1], len(counts)


@kernel
def _top(
    prefixes: NDArray[np.uint64], powers: NDArray[np.uint64], bounds: NDArray[np.int64], n: int, separator_length: int
) -> int:
    counts, firsts = _count(prefixes, powers, bounds, n)
    best = 0
    for i in range(1, len(counts)):
        if counts[i] > counts[best]:
            best = i
    first = firsts[best]
    return (bounds[first + n] - bounds[first] - separator_length) * counts[best]  # type: ignore[no-any-return]


@kernel
def _scan(
    prefixes: NDArray[np.uint64], powers: NDArray[np.uint64], bounds: NDArray[np.int64], n: int, separator_length: int
) -> int:
    total = len(bounds) - n
    bits = _table_bits(total)
    shift = np.uint64(64 - bits)
    keys = np.zeros(1 << bits, np.uint64)
    characters = 0
    i = 0
    while i < total:
        key = _ngram(prefixes, powers, bounds, n, i)
        slot = _find(keys, key, shift)
        if keys[slot] == key:
            characters += bounds[i + n] - bounds[i] - separator_length
            i += n
        else:
            keys[slot] = key
            i += 1
    return characters
