"""One document as the metrics see it: takes a text, gives its words, lines and paragraphs, each split once.

Four kinds of line stand side by side because Gopher's and FineWeb's published thresholds were derived with
different splits; a metric that used another's would not be comparable with them.
"""

import re
from dataclasses import dataclass

from pipeline.text.characters import is_symbol
from pipeline.text.repetition import HashedWords
from pipeline.text.segment import segment

_NEWLINES = re.compile(r"\n+")
_BLANK_LINES = re.compile(r"\n{2,}")


@dataclass(frozen=True, slots=True, eq=False)
class TextView:
    r"""A text and its units; made by `of`, or by `from_words` where the words are known.

    >>> view = TextView.of("A b.\n\nC")
    >>> view.words, view.lines, view.paragraphs
    (['A', 'b', '.', 'C'], ['A b.', 'C'], ['A b.', 'C'])
    """

    text: str
    words: list[str]  # every segment that is not white space, symbols included
    plain_words: list[str]  # words that are not symbols, in lower case
    lines: list[str]  # split at newlines, without blank lines (FineWeb)
    all_lines: list[str]  # split at any line end, with blank lines (Gopher quality)
    line_runs: list[str]  # split at runs of newlines; "" at a newline at either end (Gopher repetition)
    paragraphs: list[str]  # the stripped text, split at two or more newlines (Gopher repetition)
    spaced: HashedWords  # words joined by a space
    joined: HashedWords  # words joined by nothing
    plain: HashedWords  # plain words joined by a space
    characters: HashedWords  # every code point a word

    @classmethod
    def of(cls, text: str, segmenter: str = "icu") -> "TextView":
        """View of a text whose words a named segmenter finds."""
        return cls.from_words(text, segment(text, segmenter))

    @classmethod
    def from_words(cls, text: str, words: list[str]) -> "TextView":
        """View of a text whose words are given."""
        plain_words = [word.lower() for word in words if not is_symbol(word)]
        return cls(
            text=text,
            words=words,
            plain_words=plain_words,
            lines=[line for line in text.split("\n") if line and not line.isspace()],
            all_lines=text.splitlines(),
            line_runs=_NEWLINES.split(text),
            paragraphs=_BLANK_LINES.split(text.strip()),
            spaced=HashedWords.of(words, " "),
            joined=HashedWords.of(words, ""),
            plain=HashedWords.of(plain_words, " "),
            characters=HashedWords.of_characters(text),
        )
