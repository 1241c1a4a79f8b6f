"""Words of a document and of evaluation sets -> which words of the document stand in a set.

A set is the hashes of every run of `ngram` words of its items. An item with fewer words is one run of its own length,
and one below `shortest` words is only found where it is the whole document: "Yes." is the answer to many a question.
Words are normalised as for shingles, so case, punctuation and Unicode form do not hide a match.

Weakness: numbers are all one word after normalisation, so runs of which more than half are numbers are left out. ICU
finds words of scripts without spaces by dictionary and context: at the ends of an item they can differ.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.dedup.shingles import UInt64Array, normalise_words, shingle_hashes, word_hashes

Ngrams = dict[int, UInt64Array]  # length of a run -> its hashes, ascending, each once
NUMBER = "0"  # what normalisation makes of one


class _Runs:
    """Hash of each run of normalised words, by length, and whether at most half of its words are numbers."""

    def __init__(self, words: Sequence[str]) -> None:
        self.hashes = word_hashes(words)
        self.numbers = np.cumsum([0, *(word == NUMBER for word in words)])
        self.known: dict[int, tuple[UInt64Array, npt.NDArray[np.bool_]]] = {}

    def of(self, length: int) -> tuple[UInt64Array, npt.NDArray[np.bool_]]:
        if length not in self.known:
            hashes = shingle_hashes(self.hashes, length)
            numbers = self.numbers[length:][: len(hashes)] - self.numbers[: len(hashes)]
            self.known[length] = hashes, numbers <= length / 2
        return self.known[length]


def ngrams_of(items: Iterable[Iterable[str]], ngram: int) -> Ngrams:
    """The runs of items, each given by its words; an item without a letter or digit has none.

    >>> {length: len(runs) for length, runs in ngrams_of([["A", "b", "c"], ["so", "few"]], 3).items()}
    {2: 1, 3: 1}
    """
    found: dict[int, list[UInt64Array]] = {}
    for item in items:
        words = normalise_words(item)
        length = min(ngram, len(words))
        if length:
            hashes, telling = _Runs(words).of(length)
            found.setdefault(length, []).append(hashes[telling])
    return {length: np.unique(np.concatenate(found[length])) for length in sorted(found)}


def overlap_fractions(words: Sequence[str], sets: Mapping[str, Ngrams], shortest: int) -> dict[str, float]:
    """Set -> fraction of the normalised words of a document that stand in a run of it, where there is one.

    In (0, 1], rounded to 1e-4, and at least that, so that a match in a long document is not lost.

    >>> overlap_fractions("x a b c".split(), {"quiz": ngrams_of([["A", "b", "c"]], 3), "other": {}}, 2)
    {'quiz': 0.75}
    """
    runs = _Runs(words)
    found = {name: _fraction(runs, ngrams, len(words), shortest) for name, ngrams in sets.items()}
    return {name: fraction for name, fraction in found.items() if fraction}


def _fraction(runs: _Runs, ngrams: Ngrams, total: int, shortest: int) -> float:
    change = np.zeros(total + 1, dtype=np.int64)
    for length, known in ngrams.items():
        if length > total or not len(known) or (length < shortest and length != total):
            continue
        hashes, telling = runs.of(length)
        place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        starts = np.flatnonzero((known[place] == hashes) & telling)
        change[starts] += 1  # each place once
        change[starts + length] -= 1
    covered = int((np.cumsum(change)[:total] > 0).sum())
    return max(round(covered / total, 4), 1e-4) if covered else 0.0
