"""From words to the 64-bit hashes that deduplication compares: word, shingle and exact hashes.

The module takes the words of one document, which any segmenter found, normalises them, and gives NumPy arrays of
uint64. Two texts that differ only in case, Unicode form, punctuation or the numbers in them get the same shingles.
Combining marks are kept: in Indic scripts, Thai, Arabic or Hebrew they are vowels, and without them different words
would become the same.

Limits: full case folding is not the Turkish one (dotless i stays apart from i), and numbers written as letters (Roman,
Han numerals) are not folded; only decimal digits are.

These hashes end up in files. Whatever changes one of them needs a new `SignatureScheme` version (minhash.py).
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import xxhash

from pipeline.errors import ConfigError
from pipeline.kernels.compile import kernel
from pipeline.kernels.hashing import hash_words
from pipeline.text.characters import ALPHANUMERIC, DIGIT, character_classes
from pipeline.text.words.words import Words

UInt32Array = npt.NDArray[np.uint32]
UInt64Array = npt.NDArray[np.uint64]

EXACT_HASH_SEED = 1

# MurmurHash3's 64-bit finalizer, and 2**64 over the golden ratio (odd: multiplying by it is a bijection).
_SHIFT = np.uint64(33)
_FIRST_MULTIPLIER = np.uint64(0xFF51AFD7ED558CCD)
_SECOND_MULTIPLIER = np.uint64(0xC4CEB9FE1A85EC53)
_CHAIN_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class NormalWords:
    """The normalised words that the shingles of texts are made of, end to end, in UTF-8 with a space behind each word.

    Word i is data[starts[i] : starts[i + 1] - 1]; text t has those from bounds[t] to bounds[t + 1].
    """

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]  # (n_words + 1,)
    bounds: npt.NDArray[np.int64]  # (n_texts + 1,) from 0 to n_words

    @classmethod
    def of(cls, words: Iterable[str]) -> "NormalWords":
        """Normalise words as `normalise_words` does."""
        words, is_folded = Words.of(words), False
        while True:
            data, starts, bounds, stopped = _normalise(
                words.codes,
                words.starts,
                words.ends,
                words.bounds,
                character_classes(),
                _folded_characters(),
                is_folded,
            )
            if stopped < 0:
                return cls(data, starts, bounds)
            if _folded_characters()[stopped, 0] == _UNSEEN:
                _fold_characters(words.codes)
            else:
                words, is_folded = words.changed(fold_text), True

    @classmethod
    def spelled(cls, words: Iterable[str]) -> "NormalWords":
        """Words of one text that are normalised already."""
        encoded = [f"{word} ".encode() for word in words]
        data = np.frombuffer(bytearray().join(encoded), np.uint8)  # writeable, as that of `of`: one kind of array
        return cls(data, np.cumsum([0, *map(len, encoded)]), np.array([0, len(encoded)]))

    def texts(self) -> Iterator["NormalWords"]:
        """The words of each text."""
        for first, last in pairwise(self.bounds.tolist()):
            start, end = self.starts[first], self.starts[last]
            yield NormalWords(self.data[start:end], self.starts[first : last + 1] - start, np.array([0, last - first]))

    def hashes(self) -> UInt64Array:
        """XXH64 of each word's UTF-8 bytes, seed 0; (n_words,) uint64."""
        return hash_words(self.data, self.starts)

    def exact_hashes(self) -> list[int]:
        """XXH64 of each text's words joined by one space, UTF-8, seed 1; 0 to 2**64 - 1.

        0 is the null of a document without words, which never matches; a true 0 is stored as 1.
        """
        data = self.data.data
        return [
            (xxhash.xxh64_intdigest(data[start : end - 1], EXACT_HASH_SEED) or 1) if start < end else 0
            for start, end in pairwise(self.starts[self.bounds].tolist())
        ]


def normalise_words(words: Iterable[str]) -> list[str]:
    """The normalised words that shingles are made of, in order.

    NFC, full case folding, NFC again (folding can decompose); each run of decimal digits of any script
    becomes one 0; a word without letter or digit (categories L and N) is left out. Marks stay where they are.

    >>> normalise_words(["Straße", " ", "No", ".", "2024", "x²³", "४२"])
    ['strasse', 'no', '0', 'x²³', '0']
    """
    normal = NormalWords.of(words)
    data = normal.data.tobytes()
    return [data[start : end - 1].decode("utf-8", "surrogatepass") for start, end in pairwise(normal.starts.tolist())]


def fold_text(text: str) -> str:
    """A text in NFC with full case folding, then in NFC again, because folding can decompose.

    >>> fold_text("Stra\N{LATIN SMALL LETTER SHARP S}e")
    'strasse'
    """
    if text.isascii():  # NFC already, and lower() is its case folding
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


# In place of what a character becomes: it is yet to be looked at; what it becomes depends on its neighbours.
_UNSEEN = np.uint32(0)
_DEPENDS = np.uint32(0xFFFFFFFF)
_FOLDED_BYTES = 6  # of UTF-8 that a character becomes at most


@cache
def _folded_characters() -> UInt32Array:
    """(code points, 3) what `fold_text` makes of each code point, filled up with zeros.

    Rows are computed when a code point is met, and only the pages of memory that have such rows are taken.
    """
    return np.zeros((0x110000, 3), np.uint32)


def _fold_characters(codes: UInt32Array) -> None:
    table = _folded_characters()
    for code in set(codes[table[codes, 0] == _UNSEEN].tolist()):
        folded = fold_text(chr(code))
        if code and not any(map(_may_join, chr(code) + unicodedata.normalize("NFC", chr(code)) + folded)):
            table[code, : len(folded)] = list(map(ord, folded))
        else:
            table[code, 0] = _DEPENDS


def _may_join(character: str) -> bool:
    """Whether NFC may join a character to one before it, or order it: marks, letters of Hangul, vowels of Kirat Rai.

    One that is unassigned may be any of these to come.
    """
    code = ord(character)
    return (
        unicodedata.category(character) in ("Mn", "Mc", "Me", "Cn")
        or 0x1100 <= code < 0x1200
        or 0x16D40 <= code < 0x16D80
    )


@kernel
def _put(data: npt.NDArray[np.uint8], size: int, code: np.uint32) -> int:
    """Write a code point as UTF-8 behind `size` bytes; the new size."""
    if code < 0x80:
        data[size] = code
        return size + 1
    if code < 0x800:
        data[size] = 0xC0 | code >> 6
        data[size + 1] = 0x80 | code & 0x3F
        return size + 2
    if code < 0x10000:
        data[size] = 0xE0 | code >> 12
        data[size + 1] = 0x80 | code >> 6 & 0x3F
        data[size + 2] = 0x80 | code & 0x3F
        return size + 3
    data[size] = 0xF0 | code >> 18
    data[size + 1] = 0x80 | code >> 12 & 0x3F
    data[size + 2] = 0x80 | code >> 6 & 0x3F
    data[size + 3] = 0x80 | code & 0x3F
    return size + 4


@kernel
def _normalise(
    codes: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    table: UInt32Array,
    is_folded: bool,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """NormalWords' data, starts and bounds, and -1, or a code point that cannot be folded by the table alone."""
    last = len(classes) - 1
    lengths = ends - starts
    folded = np.empty(3 * (lengths.max() if len(lengths) else 0), np.uint32)  # a word
    data = np.empty(_FOLDED_BYTES * lengths.sum() + len(starts), np.uint8)
    normal_starts, normal_bounds = np.zeros(len(starts) + 1, np.int64), np.zeros(len(bounds), np.int64)
    size = n_words = 0
    for text in range(len(bounds) - 1):
        for word in range(bounds[text], bounds[text + 1]):
            length = 0
            any_of = np.uint8(0)
            for position in range(starts[word], ends[word]):
                code = codes[position]
                if not is_folded:
                    code = table[codes[position], 0]
                    if code in (_UNSEEN, _DEPENDS):
                        return data[:0], normal_starts[:1], normal_bounds, int(codes[position])
                folded[length] = code
                length += 1
                any_of |= classes[min(code, last)]
                if not is_folded:
                    for place in range(1, 3):
                        if table[codes[position], place]:
                            folded[length] = table[codes[position], place]
                            any_of |= classes[min(folded[length], last)]
                            length += 1
            if not any_of & ALPHANUMERIC:
                continue
            in_number = False
            for code in folded[:length]:
                if any_of & DIGIT and classes[min(code, last)] & DIGIT:
                    if not in_number:
                        size = _put(data, size, np.uint32(0x30))
                    in_number = True
                else:
                    size = _put(data, size, code)
                    in_number = False
            data[size] = 0x20
            size += 1
            n_words += 1
            normal_starts[n_words] = size
        normal_bounds[text + 1] = n_words
    return data[:size], normal_starts[: n_words + 1], normal_bounds, -1


def word_hashes(words: Iterable[str]) -> UInt64Array:
    """Hash each normalised word: XXH64 of its UTF-8 bytes, seed 0; (n_words,) uint64.

    >>> int(word_hashes(["a"])[0]) == 0xD24EC4F1A98C6E5B
    True
    """
    return NormalWords.spelled(words).hashes()


def exact_hash(words: Iterable[str]) -> int:
    """Hash normalised words joined by one space; see `NormalWords.exact_hashes`.

    >>> exact_hash([])
    0
    """
    return NormalWords.spelled(words).exact_hashes()[0]


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
