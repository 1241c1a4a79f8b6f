"""Documents as the metrics see them: takes texts, gives the words, lines and paragraphs of each, split once.

Four kinds of line stand side by side because Gopher's and FineWeb's published thresholds were derived with
different splits; a metric that used another's would not be comparable with them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.text.characters import code_points, text_places
from pipeline.text.metrics.repetition import Repetition, TokenFeatures
from pipeline.text.words.segmenters import segmenter_for
from pipeline.text.words.words import Words


@dataclass(frozen=True, slots=True, eq=False)
class TextView:
    r"""A text and its units; made by `of`, or by `from_words` where the words are known.

    >>> view = TextView.of("A b.\n\nC")
    >>> list(view.words), view.lines, view.paragraphs
    (['A', 'b', '.', 'C'], ['A b.', 'C'], ['A b.', 'C'])
    """

    text: str
    lower_text: str
    codes: NDArray[np.uint32]  # code points of the text
    segment_count: int  # every segment that is not white space, symbols included
    word_count: int  # words that are not symbols
    alphabetic_count: int  # words with a letter
    plain_length: int  # code points of the words that are not symbols, as written
    lines: list[str]  # split at newlines, without blank lines (FineWeb)
    all_lines: list[str]  # split at any line end, with blank lines (Gopher quality)
    line_runs: list[str]  # split at runs of newlines; "" at a newline at either end (Gopher repetition)
    paragraphs: list[str]  # the stripped text, split at two or more newlines (Gopher repetition)
    repetition: Repetition  # of words, plain words and code points
    number: int  # index of this text in the chunk of texts whose words were found together
    all_words: Words  # of all texts of the chunk
    looked_at: TokenFeatures  # of all words of the chunk

    @classmethod
    def of(cls, text: str, segmenter: str = "icu") -> "TextView":
        """View of a text whose words a named segmenter finds."""
        return cls.from_words(text, segmenter_for("und_Zyyy", segmenter)(text))

    @classmethod
    def from_words(cls, text: str, words: Iterable[str]) -> "TextView":
        """View of a text whose words are given."""
        return cls.of_all([text], Words.of(words))[0]

    @classmethod
    def of_all(cls, texts: Sequence[str], words: Words) -> list["TextView"]:
        """View of each of one or more texts whose words are given; a kernel is called once for all of them."""
        codes, bounds = code_points("\n".join(texts)), text_places(texts)
        lower_texts = [text.lower() for text in texts]
        looked_at = TokenFeatures.of(words, _lowered(texts, lower_texts, codes) if _same(codes, words.codes) else None)
        counts = zip(
            np.diff(words.bounds).tolist(),
            np.diff(looked_at.plain_words.bounds).tolist(),
            looked_at.alphabetic_counts.tolist(),
            looked_at.plain_lengths.tolist(),
            Repetition.of(looked_at.words, looked_at.plain_words, codes, bounds),
            strict=True,
        )
        views = []
        for number, (segment_count, word_count, alphabetic_count, plain_length, repetition) in enumerate(counts):
            text, (start, end) = texts[number], bounds[number]
            views.append(
                cls(
                    text=text,
                    lower_text=lower_texts[number],
                    codes=codes[start:end],
                    segment_count=segment_count,
                    word_count=word_count,
                    alphabetic_count=alphabetic_count,
                    plain_length=plain_length,
                    lines=[line for line in text.split("\n") if line and not line.isspace()],
                    all_lines=text.splitlines(),
                    line_runs=_line_runs(text),
                    paragraphs=[part.lstrip("\n") for part in text.strip().split("\n\n") if part] or [""],
                    repetition=repetition,
                    number=number,
                    all_words=words,
                    looked_at=looked_at,
                )
            )
        return views

    @property
    def words(self) -> Words:
        """Every segment that is not white space, symbols included."""
        return self.all_words.texts(self.number, self.number + 1)

    def listed_words(self, wanted: frozenset[str]) -> tuple[int, int]:
        """How many words, as written, stand in a list, and how many different ones."""
        return self.looked_at.words.listed(self.number, wanted)

    def listed_plain_words(self, wanted: frozenset[str]) -> tuple[int, int]:
        """How many words that are not symbols stand in a list in lower case, and how many different ones."""
        return self.looked_at.plain_words.listed(self.number, wanted)


def _same(codes: NDArray[np.uint32], others: NDArray[np.uint32]) -> bool:
    return len(codes) == len(others) and bool((codes == others).all())


def _lowered(texts: Sequence[str], lower_texts: list[str], codes: NDArray[np.uint32]) -> NDArray[np.uint32] | None:
    """Code points in lower case in their old places; None where one of them depends on its neighbours or becomes two.

    They are capital sigma, which is another letter at the end of a word, and capital i with a dot above.
    """
    if any("\N{GREEK CAPITAL LETTER SIGMA}" in text for text in texts):
        return None
    if list(map(len, texts)) != list(map(len, lower_texts)):
        return None
    return codes if lower_texts == texts else code_points("\n".join(lower_texts))


def _line_runs(text: str) -> list[str]:
    """As re.split(r"\\n+", text)."""
    first, *rest = text.split("\n")
    return [first, *filter(None, rest[:-1]), rest[-1]] if rest else [first]
