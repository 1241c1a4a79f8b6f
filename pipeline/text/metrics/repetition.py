"""How much of a sequence of words repeats: takes words and n, gives characters or occurrences that repeat.

An n-gram is compared as the string it spells, as datatrove does, so two ways to cut the same characters into
words are one n-gram. Building those strings for nine values of n would dominate the pipeline's time; instead
every n-gram gets a polynomial hash modulo 2**61 - 1 over its code points, in constant time from hashes of
prefixes; n-grams of characters, which are short, get one modulo 2**64. Weakness: two n-grams with equal hashes would
count as one, which for a document of a million words has a chance below 1 in 10**6.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.text.characters import character_classes
from pipeline.text.metrics.repetition_kernels import (
    compute_powers,
    compute_token_features,
    count_listed,
    make_table,
    measure_repetition,
)
from pipeline.text.words.words import Words


@dataclass(frozen=True, slots=True, eq=False)
class KnownWords:
    """What lists and n-grams ask of words; text t has those from bounds[t] to bounds[t + 1]."""

    hashes: NDArray[np.uint64]  # (n_words,) polynomial modulo 2**61 - 1
    lengths: NDArray[np.int64]  # (n_words,) code points
    bounds: NDArray[np.int64]  # (n_texts + 1,) from 0 to n_words
    longest: int  # code points of the text with most, one more for each of its words

    @classmethod
    def of(cls, words: Words) -> "KnownWords":
        """Look at each word."""
        return TokenFeatures.of(words, words.codes).words

    def listed(self, text: int, wanted: frozenset[str]) -> tuple[int, int]:
        """How many words of a text stand in a list, and how many different ones."""
        start, end = self.bounds[text : text + 2]
        occurrences, different = count_listed(self.hashes, start, end, _list_table(wanted))
        return occurrences, different


@dataclass(frozen=True, slots=True, eq=False)
class TokenFeatures:
    """What the metrics ask of the words of texts, found in one pass over their code points."""

    words: KnownWords
    plain_words: KnownWords  # those that are not symbols, in lower case
    alphabetic_counts: NDArray[np.int64]  # (n_texts,) words with a letter; vowel signs alone are none
    plain_lengths: NDArray[np.int64]  # (n_texts,) code points of the words that are not symbols, as written

    @classmethod
    def of(cls, words: Words, lowered: NDArray[np.uint32] | None) -> "TokenFeatures":
        """Look at each word; `lowered` are the words' codes in lower case, None where that changes their number."""
        given = words.codes if lowered is None else lowered
        hashes, lengths, plain, longest, is_symbol, alphabetic_counts, plain_lengths = compute_token_features(
            words.codes, given, words.starts, words.ends, words.bounds, character_classes()
        )
        known = KnownWords(hashes, lengths, words.bounds, longest)
        if lowered is None:
            plain_words = KnownWords.of(words.only(~is_symbol).changed(str.lower))
        else:
            plain_words = KnownWords(plain[0], plain[1], plain[2], longest)
        return cls(known, plain_words, alphabetic_counts, plain_lengths)


@dataclass(frozen=True, slots=True, eq=False)
class Repetition:
    """How much of a text repeats, found at once, since a call of a kernel takes as long as a tiny text.

    None stands where there are fewer words or characters than an n-gram has.

    top: characters in all occurrences of the most frequent n-gram of words joined by a space, by n. Of equally
    frequent n-grams the first to occur is taken, not the longest; occurrences may overlap, so the result may exceed
    the text. Source: Gopher, arXiv:2112.11446, table A1, as in datatrove's find_top_duplicate.

    duplicate: characters in n-grams of words joined by nothing that occurred before, no character twice, by n. From
    left to right an n-gram seen before is counted and jumped over, another is remembered and the scan moves one word
    on. Source: the same table, as in datatrove's find_all_duplicate.

    repeated_words: occurrences of n-grams of plain words that occur twice or more, over all; in [0, 1]. Source: ROOTS,
    arXiv:2303.03915, word repetition.

    repeated_characters: occurrences of the k most frequent n-grams of characters, over all; in [0, 1]. k is the
    number of distinct ones' square root, which keeps the fraction comparable between lengths, or the number of those
    that occur twice or more if that is less. Source: the same, character repetition.

    >>> known, codes = KnownWords.of(Words.of(["x", "y", "x", "y"])), Words.of(["ababab"]).codes
    >>> (repetition,) = Repetition.of(known, known, codes, np.array([[0, 6]]), word_n=2, character_n=2)
    >>> repetition.top[2], repetition.duplicate[5], repetition.repeated_words, repetition.repeated_characters
    (6, None, 0.6666666666666666, 0.6)
    """

    top: dict[int, int | None]
    duplicate: dict[int, int | None]
    repeated_words: float | None
    repeated_characters: float | None

    @classmethod
    def of(
        cls,
        words: KnownWords,
        plain_words: KnownWords,
        codes: NDArray[np.uint32],
        text_bounds: NDArray[np.int64],
        top_ns: tuple[int, ...] = (2, 3, 4),
        duplicate_ns: tuple[int, ...] = (5, 6, 7, 8, 9, 10),
        word_n: int = 5,
        character_n: int = 10,
    ) -> list["Repetition"]:
        """Repetition of each text given as words, words that are not symbols in lower case, and code points.

        Text t is codes[places[t, 0] : places[t, 1]].
        """
        ns = (*top_ns, *duplicate_ns, word_n, character_n)
        counts = measure_repetition(
            words.hashes,
            words.lengths,
            words.bounds,
            plain_words.hashes,
            plain_words.lengths,
            plain_words.bounds,
            codes,
            text_bounds,
            _powers(max(words.longest, plain_words.longest).bit_length()),
            _ns(ns),
            len(top_ns),
        )
        plain_counts, lengths = np.diff(plain_words.bounds).tolist(), np.diff(text_bounds)[:, 0].tolist()
        repetitions = []
        for row, plain_count, length in zip(counts.tolist(), plain_counts, lengths, strict=True):
            counts = [None if count < 0 else count for count in row]
            repetitions.append(
                cls(
                    dict(zip(top_ns, counts, strict=False)),
                    dict(zip(duplicate_ns, counts[len(top_ns) :], strict=False)),
                    None if counts[-2] is None else counts[-2] / (plain_count - word_n + 1),
                    None if counts[-1] is None else counts[-1] / (length - character_n + 1),
                )
            )
        return repetitions


@lru_cache(maxsize=512)
def _list_table(wanted: frozenset[str]) -> NDArray[np.uint64]:
    """A hash table of words; see `_find`."""
    table: NDArray[np.uint64] = make_table(KnownWords.of(Words.of(sorted(wanted))).hashes)
    return table


@lru_cache
def _ns(ns: tuple[int, ...]) -> NDArray[np.int64]:
    return np.array(ns, np.int64)


@lru_cache(maxsize=32)
def _powers(bits: int) -> NDArray[np.uint64]:
    """Powers of BASE from 0 to 2**bits - 1."""
    result: NDArray[np.uint64] = compute_powers(1 << bits)
    return result
