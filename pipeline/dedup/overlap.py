"""Words of a document and of evaluation sets -> which words of the document stand in a set.

A set is the hashes of every run of `ngram` words of its items. An item with fewer words is one run of its own length,
and one below `shortest` words is only found where it is the whole document: "Yes." is the answer to many a question.
Words are normalised as for shingles, so case, punctuation and Unicode form do not hide a match.

Weakness: numbers are all one word after normalisation, so runs of which more than half are numbers are left out. ICU
finds words of scripts without spaces by dictionary and context: at the ends of an item they can differ.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.dedup.shingles import UInt64Array, normalise_words, shingle_hashes, word_hashes

Ngrams = dict[int, UInt64Array]  # length of a run -> its hashes, ascending, each once
NUMBER = "0"  # what normalisation makes of one


def _runs(words: Sequence[str], length: int) -> tuple[UInt64Array, npt.NDArray[np.bool_]]:
    """Hash of each run of so many normalised words, and whether at most half of them are numbers."""
    numbers = np.cumsum([0, *(word == NUMBER for word in words)])
    hashes = shingle_hashes(word_hashes(words), length)
    return hashes, numbers[length:][: len(hashes)] - numbers[: len(hashes)] <= length / 2


def ngrams_of(items: Iterable[Sequence[str]], ngram: int) -> Ngrams:
    """The runs of items, each given by its words; an item without a letter or digit has none.

    >>> {length: len(runs) for length, runs in ngrams_of([["A", "b", "c"], ["so", "few"]], 3).items()}
    {2: 1, 3: 1}
    """
    found: dict[int, list[UInt64Array]] = {}
    for item in items:
        words = normalise_words(item)
        length = min(ngram, len(words))
        if length:
            hashes, telling = _runs(words, length)
            found.setdefault(length, []).append(hashes[telling])
    return {length: np.unique(np.concatenate(found[length])) for length in sorted(found)}


def overlap_fraction(words: Sequence[str], ngrams: Ngrams, shortest: int) -> float:
    """Fraction of the normalised words of a document that stand in a run of the set; in [0, 1], rounded to 1e-4.

    `words` are normalised. Above 0 is at least 1e-4, so that a match in a long document is not lost.

    >>> overlap_fraction("x a b c".split(), ngrams_of([["A", "b", "c"]], 3), 2)
    0.75
    """
    total = len(words)
    change = np.zeros(total + 1, dtype=np.int64)
    for length, known in ngrams.items():
        if length > total or not len(known) or (length < shortest and length != total):
            continue
        hashes, telling = _runs(words, length)
        place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        starts = np.flatnonzero((known[place] == hashes) & telling)
        change[starts] += 1
        change[starts + length] -= 1
    covered = int((np.cumsum(change)[:total] > 0).sum())
    return max(round(covered / total, 4), 1e-4) if covered else 0.0
