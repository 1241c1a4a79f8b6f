"""Hashes of names and words as kernels compute them (64-bit FNV-1a, as `vocabulary.fnv1a`), and look-ups by them."""

from typing import Final

import numpy as np

from pipeline.kernels.compile import inner_kernel
from pipeline.text.main_text import vocabulary as v

OFFSET: Final = np.uint64(v.FNV_OFFSET)
PRIME: Final = np.uint64(v.FNV_PRIME)


@inner_kernel
def lower(c):  # type: ignore[no-untyped-def]
    """A code point, in lower case where it is an ASCII letter; int64."""
    return np.int64(c) + 32 if 65 <= c <= 90 else np.int64(c)


@inner_kernel
def hash_lower(source, start, end):  # type: ignore[no-untyped-def]
    """The hash of a part of the source, ASCII letters in lower case; uint64."""
    h = OFFSET
    for i in range(start, end):
        h = (h ^ np.uint64(lower(source[i]))) * PRIME
    return h


@inner_kernel
def value_of(keys, values, key):  # type: ignore[no-untyped-def]
    """The value of a key in an open-addressing table, -1 where it is absent."""
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return values[slot]
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)
