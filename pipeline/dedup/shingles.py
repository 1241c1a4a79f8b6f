"""Words -> the 64-bit hashes that deduplication compares: word, shingle and exact hashes.

Takes the words of one document (any segmenter's; normalised here) and gives NumPy arrays of uint64. Two texts
that differ only in case, Unicode form, punctuation or the numbers in them get the same shingles. Combining
marks are kept: in Indic scripts, Thai, Arabic or Hebrew they are vowels, and without them different words
would meet.

Weakness: full case folding is not the Turkish one (dotless i stays apart from i), and numbers written as
letters (Roman, Han numerals) are not folded, only decimal digits are.

These hashes end up in files. Whatever changes one of them needs a new `SignatureScheme` version (minhash.py).
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xxhash

from pipeline.dedup.xxh64 import hash_words
from pipeline.errors import ConfigError
from pipeline.kernels import kernel

UInt64Array = npt.NDArray[np.uint64]

WORD_HASH_SEED = 0
EXACT_HASH_SEED = 1

DIGIT_RUN = re.compile(r"\d+")  # \d is category Nd, the decimal digits of every script

# MurmurHash3's 64-bit finalizer, and 2**64 over the golden ratio (odd: multiplying by it is a bijection).
_SHIFT = np.uint64(33)
_FIRST_MULTIPLIER = np.uint64(0xFF51AFD7ED558CCD)
_SECOND_MULTIPLIER = np.uint64(0xC4CEB9FE1A85EC53)
_CHAIN_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def normalise_words(words: Sequence[str]) -> list[str]:
    """Give the words that shingles are made of, in order.

    NFC, full case folding, NFC again (folding can decompose); each run of decimal digits of any script
    becomes one 0; a word without letter or digit (categories L and N) is left out. Marks stay where they are.

    >>> normalise_words(["Straße", " ", "No", ".", "2024", "x²³", "४२"])
    ['strasse', 'no', '0', 'x²³', '0']
    """
    if len(_OTHERS) > _OTHERS_MAX:
        _OTHERS.clear()
    return list(filter(None, [word if word.isalpha() else _OTHERS[word] for word in _fold(words)]))


class _Others(dict[str, str]):
    """What a folded word that is not all letters becomes, "" where it is left out; worked out when it is first seen."""

    def __missing__(self, word: str) -> str:
        kept = any(map(str.isalnum, word))  # isalnum is categories L and N; a test walks all of Unicode
        value = DIGIT_RUN.sub("0", word) if kept else ""
        if len(word) < _REMEMBERED_LENGTH:
            self[word] = value
        return value


_OTHERS = _Others()
_OTHERS_MAX = 1 << 16  # about 10 MB
_REMEMBERED_LENGTH = 64


def _fold(words: Sequence[str]) -> list[str]:
    """Case-fold each word between two NFC, all at once: neither composes, reorders or folds across a newline."""
    folded = fold_text("\n".join(words)).split("\n")
    return folded if len(folded) == len(words) else list(map(fold_text, words))


def fold_text(text: str) -> str:
    if text.isascii():  # NFC already, and lower() is its case folding
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def word_hashes(words: Sequence[str]) -> UInt64Array:
    """Hash each normalised word: XXH64 of its UTF-8 bytes, seed 0; (n_words,) uint64.

    >>> int(word_hashes(["a"])[0]) == 0xD24EC4F1A98C6E5B
    True
    """
    hashes = hash_words(" ".join(words).encode())
    if len(hashes) == len(words):
        return hashes
    hash_of = xxhash.xxh64_intdigest  # a word with a space in it
    return np.fromiter((hash_of(word.encode(), WORD_HASH_SEED) for word in words), np.uint64, len(words))


def character_hashes(words: Sequence[str]) -> UInt64Array:
    """Hash each code point of normalised words joined by one space, as `word_hashes` would a word of that one.

    >>> character_hashes(["ab", "c"]).tolist() == word_hashes(["a", "b", " ", "c"]).tolist()
    True
    """
    points = np.frombuffer(" ".join(words).encode("utf-32-le"), dtype="<u4")
    different, places = np.unique(points, return_inverse=True)
    hashes: UInt64Array = word_hashes([chr(point) for point in different])[places]
    return hashes


def exact_hash(words: Sequence[str]) -> int:
    """Hash normalised words joined by one space: XXH64 of the UTF-8 bytes, seed 1; 0 to 2**64 - 1.

    0 is the null of a document without words, which never matches; a true 0 is stored as 1.

    >>> exact_hash([])
    0
    """
    if not words:
        return 0
    return xxhash.xxh64_intdigest(" ".join(words).encode(), EXACT_HASH_SEED) or 1


@kernel
def mix64(value: np.uint64) -> np.uint64:
    """Scatter 64 bits with MurmurHash3's finalizer, a bijection of uint64; wraps modulo 2**64 on purpose."""
    value ^= value >> _SHIFT
    value *= _FIRST_MULTIPLIER
    value ^= value >> _SHIFT
    value *= _SECOND_MULTIPLIER
    value ^= value >> _SHIFT
    return value


@kernel
def chain64(state: np.uint64, value: np.uint64) -> np.uint64:
    """Take one more value into an order-dependent hash: mix64(state * 0x9E3779B97F4A7C15 + value) mod
    2**64."""
    mixed: np.uint64 = mix64(state * _CHAIN_MULTIPLIER + value)
    return mixed


@kernel
def shingle_at(hashes: UInt64Array, start: int, shingle_size: int) -> np.uint64:
    """Hash the `shingle_size` word hashes from position `start`; the formula is in `shingle_hashes`."""
    state = np.uint64(shingle_size)
    for position in range(start, start + shingle_size):
        state = chain64(state, hashes[position])
    return state


@kernel
def _shingle_kernel(hashes: UInt64Array, shingle_size: int, out: UInt64Array) -> None:
    for start in range(out.shape[0]):
        out[start] = shingle_at(hashes, start, shingle_size)


def shingle_hashes(hashes: npt.ArrayLike, shingle_size: int = 5) -> UInt64Array:
    """Hash each run of `shingle_size` words, in order and with repeats: (max(0, n_words - size + 1),) uint64.

    With w the word hashes, h_0 = shingle_size and h_(i+1) = mix64(h_i * 0x9E3779B97F4A7C15 + w_i), all modulo
    2**64. Fewer words than `shingle_size` give an empty array.

    Raises ConfigError if `shingle_size` is below 1.

    >>> shingle_hashes(word_hashes(["a", "b", "c"]), 2).shape
    (2,)
    """
    if shingle_size < 1:
        raise ConfigError(f"shingle_size = {shingle_size}: must be at least 1")
    values = np.ascontiguousarray(hashes, dtype=np.uint64)
    out = np.empty(max(0, len(values) - shingle_size + 1), dtype=np.uint64)
    _shingle_kernel(values, shingle_size, out)
    return out
