"""Shingles of characters: the code points of the normalised words of a text, joined by one space."""

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup.shingles import NormalWords, UInt64Array
from pipeline.text.characters import code_points

LETTER = "c"


def hash_units(words: NormalWords) -> tuple[UInt64Array, NDArray[np.int64]]:
    """Hash each code point as `NormalWords.hashes` would a word of that one.

    >>> hashes, counts = hash_units(NormalWords.of(["ab", "c"]))
    >>> counts.tolist(), set(NormalWords.of(["a", "b", "c"]).hashes().tolist()) < set(hashes.tolist())
    ([4], True)
    """
    hashes = [_hash_characters(text) for text in words.texts()]
    counts = np.array([len(of_text) for of_text in hashes], np.int64)
    return np.concatenate(hashes) if hashes else np.empty(0, np.uint64), counts


def _hash_characters(text: NormalWords) -> UInt64Array:
    points = code_points(text.data[:-1].tobytes().decode())
    different, positions = np.unique(points, return_inverse=True)
    hashes: UInt64Array = NormalWords.spelled(map(chr, different)).hashes()[positions]
    return hashes
