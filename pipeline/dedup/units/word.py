"""Shingles of normalised words, as FineWeb2 has them."""

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup.shingles import NormalWords, UInt64Array

LETTER = "s"


def hash_units(words: NormalWords) -> tuple[UInt64Array, NDArray[np.int64]]:
    """Hash each word, see `NormalWords.hashes`."""
    return words.hashes(), np.diff(words.bounds)
