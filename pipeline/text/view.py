"""One document as the metrics see it: takes a text, gives its words, lines and paragraphs, each split once.

Four kinds of line stand side by side because Gopher's and FineWeb's published thresholds were derived with
different splits; a metric that used another's would not be comparable with them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.text.characters import code_points
from pipeline.text.repetition import KnownWords, LookedAt, Repetition
from pipeline.text.segment import segmenter_for
from pipeline.text.words import Words


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
    words: Words  # every segment that is not white space, symbols included
    known: KnownWords  # length and hash of each of them
    plain_words: KnownWords  # words that are not symbols, in lower case
    alphabetic_count: int  # words with a letter
    plain_length: int  # code points of the words that are not symbols, as written
    lines: list[str]  # split at newlines, without blank lines (FineWeb)
    all_lines: list[str]  # split at any line end, with blank lines (Gopher quality)
    line_runs: list[str]  # split at runs of newlines; "" at a newline at either end (Gopher repetition)
    paragraphs: list[str]  # the stripped text, split at two or more newlines (Gopher repetition)
    repetition: Repetition  # of words, plain words and code points

    @classmethod
    def of(cls, text: str, segmenter: str = "icu") -> "TextView":
        """View of a text whose words a named segmenter finds."""
        return cls.from_words(text, segmenter_for("und_Zyyy", segmenter)(text))

    @classmethod
    def from_words(cls, text: str, words: Iterable[str]) -> "TextView":
        """View of a text whose words are given."""
        words = Words.of(words)
        codes, lower_text = code_points(text), text.lower()
        is_of_text = len(codes) == len(words.codes) and bool((codes == words.codes).all())
        looked_at = LookedAt.of(words, _lowered(codes, text, lower_text) if is_of_text else None)
        return cls(
            text=text,
            lower_text=lower_text,
            codes=codes,
            words=words,
            known=looked_at.words,
            plain_words=looked_at.plain_words,
            alphabetic_count=looked_at.alphabetic_count,
            plain_length=looked_at.plain_length,
            lines=[line for line in text.split("\n") if line and not line.isspace()],
            all_lines=text.splitlines(),
            line_runs=_line_runs(text),
            paragraphs=[part.lstrip("\n") for part in text.strip().split("\n\n") if part] or [""],
            repetition=Repetition.of(looked_at.words, looked_at.plain_words, codes),
        )


def _lowered(codes: NDArray[np.uint32], text: str, lower_text: str) -> NDArray[np.uint32] | None:
    """Code points in lower case in their old places; None where one of them depends on its neighbours or becomes two.

    They are capital sigma, which is another letter at the end of a word, and capital i with a dot above.
    """
    if len(lower_text) != len(text) or "\N{GREEK CAPITAL LETTER SIGMA}" in text:
        return None
    return codes if lower_text == text else code_points(lower_text)


def _line_runs(text: str) -> list[str]:
    """As re.split(r"\\n+", text)."""
    first, *rest = text.split("\n")
    return [first, *filter(None, rest[:-1]), rest[-1]] if rest else [first]
