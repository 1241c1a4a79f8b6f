"""Hashes of strings: XXH64 of one text, and of many words that lie end to end, in a compiled loop."""

from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from pipeline.kernels.compile import kernel


def hash64(text: str) -> int:
    """xxh64 of UTF-8, in [1, 2**64): 0 is kept for null.

    >>> hash64("a") == hash64("a")
    True
    """
    return xxhash.xxh64_intdigest(text.encode()) or 1


_P1: Final = np.uint64(0x9E3779B185EBCA87)
_P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_P3: Final = np.uint64(0x165667B19E3779F9)
_P4: Final = np.uint64(0x85EBCA77C2B2AE63)
_P5: Final = np.uint64(0x27D4EB2F165667C5)


def hash_words(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Hash each of the words of a byte string with seed 0; (n_words,) uint64.

    Word i is data[starts[i] : starts[i + 1] - 1], so that one byte stands behind each; starts is (n_words + 1,).

    >>> [hex(value) for value in hash_words(np.frombuffer(b"a ", np.uint8), np.array([0, 2]))]
    ['0xd24ec4f1a98c6e5b']
    """
    result: npt.NDArray[np.uint64] = _hash_words(data, starts)
    return result


@kernel
def _rotate(value: np.uint64, bits: int) -> np.uint64:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@kernel
def _read(data: npt.NDArray[np.uint8], start: int, count: int) -> np.uint64:
    value = np.uint64(0)
    for i in range(count):
        value |= np.uint64(data[start + i]) << np.uint64(8 * i)
    return value


@kernel
def _round(lane: np.uint64, value: np.uint64) -> np.uint64:
    rotated: np.uint64 = _rotate(lane + value * _P2, 31)
    return rotated * _P1


@kernel
def _merge(state: np.uint64, lane: np.uint64) -> np.uint64:
    merged: np.uint64 = (state ^ _round(np.uint64(0), lane)) * _P1 + _P4
    return merged


@kernel
def _xxh64(data: npt.NDArray[np.uint8], start: int, end: int) -> np.uint64:
    position = start
    if end - start >= 32:
        first, second, third, fourth = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while end - position >= 32:
            first = _round(first, _read(data, position, 8))
            second = _round(second, _read(data, position + 8, 8))
            third = _round(third, _read(data, position + 16, 8))
            fourth = _round(fourth, _read(data, position + 24, 8))
            position += 32
        state = _rotate(first, 1) + _rotate(second, 7) + _rotate(third, 12) + _rotate(fourth, 18)
        state = _merge(_merge(_merge(_merge(state, first), second), third), fourth)
    else:
        state = _P5
    state += np.uint64(end - start)
    while end - position >= 8:
        state = _rotate(state ^ _round(np.uint64(0), _read(data, position, 8)), 27) * _P1 + _P4
        position += 8
    if end - position >= 4:
        state = _rotate(state ^ (_read(data, position, 4) * _P1), 23) * _P2 + _P3
        position += 4
    while position < end:
        state = _rotate(state ^ (np.uint64(data[position]) * _P5), 11) * _P1
        position += 1
    state = (state ^ (state >> np.uint64(33))) * _P2
    state = (state ^ (state >> np.uint64(29))) * _P3
    final: np.uint64 = state ^ (state >> np.uint64(32))
    return final


@kernel
def _hash_words(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    hashes = np.empty(len(starts) - 1, np.uint64)
    for word in range(len(hashes)):
        hashes[word] = _xxh64(data, starts[word], starts[word + 1] - 1)
    return hashes
