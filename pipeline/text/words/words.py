"""Words of texts as places in their code points: what the kernels work on in place of lists of strings.

A page has a thousand words, and a Python string a word costs more than all that is asked of it. Here a word is a start
and an end; strings are made only where someone reads them. The words of several texts lie end to end, because a tiny
text is looked at in less time than a kernel takes to be called.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import kernel
from pipeline.text.characters import code_points

NEWLINE = ord("\n")


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Word i is codes[starts[i]:ends[i]]; words follow each other and do not overlap.

    Text t has the words from bounds[t] to bounds[t + 1]. `of` gives the words of one.
    """

    codes: NDArray[np.uint32]  # (n_characters,) of the texts, of which the words need not be all
    starts: NDArray[np.int64]  # (n_words,)
    ends: NDArray[np.int64]  # (n_words,)
    bounds: NDArray[np.int64]  # (n_texts + 1,) from 0 to n_words

    @classmethod
    def of(cls, words: Iterable[str]) -> "Words":
        """Words of one text given as strings, or as they are here.

        >>> len(Words.of(["a", "bc"]))
        2
        """
        if isinstance(words, Words):
            return words
        words = list(words)
        ends = np.cumsum(np.fromiter(map(len, words), np.int64, len(words)))
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1]
        return cls(code_points("".join(words)), starts, ends, np.array([0, len(words)]))

    @classmethod
    def joined(cls, parts: Sequence["Words"]) -> "Words":
        """The words of one or more parts as those of all their texts.

        >>> Words.joined([Words.of(["a", "b"]), Words.of([]), Words.of(["c"])]).bounds.tolist()
        [0, 2, 2, 3]
        """
        if len(parts) == 1:
            return parts[0]
        shifts = np.cumsum([0, *(len(part.codes) for part in parts)])
        counts = np.cumsum([0, *(len(part) for part in parts)])
        return cls(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.starts + shift for part, shift in zip(parts, shifts, strict=False)]),
            np.concatenate([part.ends + shift for part, shift in zip(parts, shifts, strict=False)]),
            np.concatenate([[0], *(part.bounds[1:] + count for part, count in zip(parts, counts, strict=False))]),
        )

    @property
    def text_count(self) -> int:
        """Number of texts."""
        return len(self.bounds) - 1

    def texts(self, first: int, last: int) -> "Words":
        """The words of the texts from `first` to before `last`.

        >>> list(Words.joined([Words.of(["a", "b"]), Words.of(["c"])]).texts(1, 2))
        ['c']
        """
        bounds = self.bounds[first : last + 1]
        words = slice(bounds[0], bounds[-1])
        return Words(self.codes, self.starts[words], self.ends[words], bounds - bounds[0])

    def __len__(self) -> int:
        """Number of words."""
        return len(self.starts)

    def __iter__(self) -> Iterator[str]:
        """Each word as a string.

        >>> list(Words.of(["a", "bc"]))
        ['a', 'bc']
        """
        first, last = (self.starts[0], self.ends[-1]) if len(self) else (0, 0)
        text = _text_of(self.codes[first:last])
        for start, end in zip((self.starts - first).tolist(), (self.ends - first).tolist(), strict=True):
            yield text[start:end]

    def changed(self, change: Callable[[str], str]) -> "Words":
        """Words changed by a function of strings that looks across no newline and makes none.

        It is called once for all words, or word by word where one of them has a newline.

        >>> list(Words.of(["A", "Bc"]).changed(str.lower))
        ['a', 'bc']
        """
        codes = code_points(change(_text_of(_in_lines(self.codes, self.starts, self.ends))))
        starts, ends = _lines(codes)
        if len(starts) == len(self):
            return Words(codes, starts, ends, self.bounds)
        return replace(Words.of(map(change, self)), bounds=self.bounds)

    def only(self, wanted: NDArray[np.bool_]) -> "Words":
        """The words for which `wanted`, (n_words,), is true."""
        bounds = np.concatenate(([0], np.cumsum(wanted)))[self.bounds]
        return Words(self.codes, self.starts[wanted], self.ends[wanted], bounds)


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
