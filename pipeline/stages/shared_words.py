"""The words of a table's texts, split once for all stages that need them.

Splitting is the dearest thing that is done with a text, and metrics and signatures are of the same words. Whoever asks
first splits; who asks for the same texts next is given the same words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.text.words.segmenters import segment_all
from pipeline.text.words.words import Words

CHUNK_CHARACTERS = 32_768  # of texts that are split together: few enough to stay in the processor's cache


@dataclass(frozen=True)
class WordChunk:
    """The words of the texts `first` to `end` of a table."""

    first: int
    end: int
    words: Words


@dataclass
class _LastSplit:
    """What was split last, and its words."""

    of: tuple[list[str], list[str], str] | None = None
    chunks: list[WordChunk] | None = None


_LAST = _LastSplit()


def split_words(texts: list[str], labels: list[str], segmenter: str) -> list[WordChunk]:
    """The words of texts in languages `labels`, in chunks, in order; each text is in one chunk."""
    if _LAST.chunks is None or (texts, labels, segmenter) != _LAST.of:
        _LAST.chunks = [
            WordChunk(first, end, segment_all(texts[first:end], labels[first:end], segmenter))
            for first, end in _chunks(texts)
        ]
        _LAST.of = (texts, labels, segmenter)
    return _LAST.chunks


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and behind the last of texts that are split together: of CHUNK_CHARACTERS, but one text at least."""
    first = size = 0
    for number, text in enumerate(texts):
        if number > first and size + len(text) > CHUNK_CHARACTERS:
            yield first, number
            first, size = number, 0
        size += len(text)
    if texts:
        yield first, len(texts)
