"""Words of a text as places in its code points: what the kernels work on in place of a list of strings.

A page has a thousand words, and a Python string a word costs more than all that is asked of it. Here a word is a start
and an end; strings are made only where someone reads them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels import kernel
from pipeline.text.characters import code_points

NEWLINE = ord("\n")


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Word i is codes[starts[i]:ends[i]]; words follow each other and do not overlap."""

    codes: NDArray[np.uint32]  # (n_characters,) of a text, of which the words need not be all
    starts: NDArray[np.int64]  # (n_words,)
    ends: NDArray[np.int64]  # (n_words,)

    @classmethod
    def of(cls, words: Iterable[str]) -> "Words":
        """Words given as strings, or as they are here.

        >>> len(Words.of(["a", "bc"]))
        2
        """
        if isinstance(words, Words):
            return words
        words = list(words)
        ends = np.cumsum(np.fromiter(map(len, words), np.int64, len(words)))
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1]
        return cls(code_points("".join(words)), starts, ends)

    def __len__(self) -> int:
        """Number of words."""
        return len(self.starts)

    def __iter__(self) -> Iterator[str]:
        """Each word as a string.

        >>> list(Words.of(["a", "bc"]))
        ['a', 'bc']
        """
        text = _text_of(self.codes)
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield text[start:end]

    def changed(self, change: Callable[[str], str]) -> "Words":
        """Words changed by a function of strings that looks across no newline and makes none.

        It is called once for all words, or word by word where one of them has a newline.

        >>> list(Words.of(["A", "Bc"]).changed(str.lower))
        ['a', 'bc']
        """
        codes = code_points(change(_text_of(_in_lines(self.codes, self.starts, self.ends))))
        starts, ends = _lines(codes)
        return Words(codes, starts, ends) if len(starts) == len(self) else Words.of(map(change, self))

    def only(self, wanted: NDArray[np.bool_]) -> "Words":
        """The words for which `wanted`, (n_words,), is true."""
        return Words(self.codes, self.starts[wanted], self.ends[wanted])


def _text_of(codes: NDArray[np.uint32]) -> str:
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


@kernel
def _in_lines(codes: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Code points of the words with a newline between each two."""
    lines = np.empty(max(0, (ends - starts).sum() + len(starts) - 1), np.uint32)
    size = 0
    for word in range(len(starts)):
        if word:
            lines[size] = NEWLINE
            size += 1
        for position in range(starts[word], ends[word]):
            lines[size] = codes[position]
            size += 1
    return lines


@kernel
def _lines(codes: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of what newlines separate."""
    count = 1
    for code in codes:
        count += code == NEWLINE
    starts, ends = np.zeros(count, np.int64), np.full(count, len(codes), np.int64)
    line = 0
    for position in range(len(codes)):
        if codes[position] == NEWLINE:
            ends[line] = position
            line += 1
            starts[line] = position + 1
    return starts, ends
