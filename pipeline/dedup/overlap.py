"""Which words of a document are in evaluation sets: overlap of word n-grams.

A set is the hashes of every n-gram of `ngram` words of its items. An item with fewer words is one n-gram of its own
length, and an item below `shortest` words is only found where it is the whole document: "Yes." is the answer to many a
question. Words are normalised as for shingles, so case, punctuation and Unicode form do not hide a match.

Limits: numbers are all one word after normalisation, so n-grams of which more than half are numbers are left out. ICU
finds words of scripts without spaces by dictionary and context: at the ends of an item they can differ.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.dedup.shingles import UInt64Array, normalise_words, shingle_hashes, word_hashes

Ngrams = dict[int, UInt64Array]  # words of an n-gram -> hashes of these n-grams, ascending, each once
NUMBER = "0"  # what normalisation makes of every number


class _NgramHashes:
    """Hashes of the n-grams of normalised words, and whether at most half of the words of each are numbers."""

    def __init__(self, words: Sequence[str]) -> None:
        self.hashes = word_hashes(words)
        self.numbers = np.cumsum([0, *(word == NUMBER for word in words)])
        self.by_length: dict[int, tuple[UInt64Array, npt.NDArray[np.bool_]]] = {}

    def of_length(self, length: int) -> tuple[UInt64Array, npt.NDArray[np.bool_]]:
        if length not in self.by_length:
            hashes = shingle_hashes(self.hashes, length)
            numbers = self.numbers[length:][: len(hashes)] - self.numbers[: len(hashes)]
            self.by_length[length] = hashes, numbers <= length / 2
        return self.by_length[length]


def ngrams_of(items: Iterable[Iterable[str]], ngram: int) -> Ngrams:
    """The n-grams of items, each given by its words; an item without a letter or digit has none.

    >>> {length: len(ngrams) for length, ngrams in ngrams_of([["A", "b", "c"], ["so", "few"]], 3).items()}
    {2: 1, 3: 1}
    """
    by_length: dict[int, list[UInt64Array]] = {}
    for item in items:
        words = normalise_words(item)
        length = min(ngram, len(words))
        if length:
            hashes, is_compared = _NgramHashes(words).of_length(length)
            by_length.setdefault(length, []).append(hashes[is_compared])
    return {length: np.unique(np.concatenate(by_length[length])) for length in sorted(by_length)}


def overlap_fractions(words: Sequence[str], sets: Mapping[str, Ngrams], shortest: int) -> dict[str, float]:
    """By set, the fraction of the normalised words of a document that are in an n-gram of the set, where any is.

    `words` are normalised. A fraction lies in (0, 1]; it is rounded to 1e-4, and at least that, so that a match in a
    long document is not lost.

    >>> overlap_fractions("x a b c".split(), {"quiz": ngrams_of([["A", "b", "c"]], 3), "other": {}}, 2)
    {'quiz': 0.75}
    """
    own = _NgramHashes(words)
    fractions = {name: _fraction(own, ngrams, len(words), shortest) for name, ngrams in sets.items()}
    return {name: fraction for name, fraction in fractions.items() if fraction}


def _fraction(own: _NgramHashes, ngrams: Ngrams, total: int, shortest: int) -> float:
    change = np.zeros(total + 1, dtype=np.int64)
    for length, known in ngrams.items():
        if length > total or not len(known) or (length < shortest and length != total):
            continue
        hashes, is_compared = own.of_length(length)
        index = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        starts = np.flatnonzero((known[index] == hashes) & is_compared)
        change[starts] += 1  # each start once
        change[starts + length] -= 1
    covered = int((np.cumsum(change)[:total] > 0).sum())
    return max(round(covered / total, 4), 1e-4) if covered else 0.0
