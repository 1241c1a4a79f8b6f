"""Numbers that describe a text: takes a TextView, gives one value a metric, None where it is undefined.

Metrics measure and never judge; thresholds are config. Each is one function, and its column, report line and
tests follow from it. Names and formulas follow Gopher (arXiv:2112.11446), FineWeb and FineWeb-2 as
implemented in datatrove 0.10, C4 (arXiv:1910.10683), ROOTS (arXiv:2303.03915) and CulturaX
(arXiv:2309.09400). Weakness of all: they know nothing of meaning.
"""

import re

from pipeline.text.characters import TERMINAL, special_count
from pipeline.text.metrics.contract import WordLists, metric
from pipeline.text.metrics.view import TextView

SHORT_LINE = 30  # characters; a line of this length is still short (FineWeb)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _length(items: list[str] | set[str]) -> int:
    return sum(map(len, items))


@metric(reads="document", high=10_000_000)
def character_count(view: TextView) -> int:
    r"""Number of code points, newlines included; 0 or more.

    >>> character_count(TextView.of("a\nb"))
    3
    """
    return len(view.text)


@metric(reads="document", high=1_000_000)
def segment_count(view: TextView) -> int:
    """Number of words, symbols included; 0 or more. What `_per_word` metrics divide by, as in datatrove.

    >>> segment_count(TextView.of("Yes, yes."))
    4
    """
    return view.segment_count


@metric(reads="document", high=1_000_000)
def word_count(view: TextView) -> int:
    """Number of words that are not symbols; 0 or more. Source: Gopher, appendix A.1.

    >>> word_count(TextView.of("Yes, yes."))
    2
    """
    return view.word_count


@metric(reads="document", high=100_000)
def line_count(view: TextView) -> int:
    r"""Number of lines that are not blank; 0 or more.

    >>> line_count(TextView.of("a\n \nb"))
    2
    """
    return len(view.lines)


@metric(high=64)
def mean_word_length(view: TextView) -> float | None:
    """Mean length of the words that are not symbols, in code points; None without such a word.

    Source: Gopher, appendix A.1.

    >>> mean_word_length(TextView.of("a bcd !"))
    2.0
    """
    # Of the words as written: lower-casing can lengthen a word (U+0130).
    return _ratio(view.plain_length, view.word_count)


@metric
def hash_per_word(view: TextView) -> float | None:
    """Number signs for each word; 0 or more, None without words. Source: Gopher, appendix A.1.

    >>> hash_per_word(TextView.of("a #b"))
    0.3333333333333333
    """
    return _ratio(view.text.count("#"), view.segment_count)


@metric
def ellipsis_per_word(view: TextView) -> float | None:
    """Ellipses, of three dots or U+2026, for each word; 0 or more, None without words.

    Source: Gopher, appendix A.1.

    >>> ellipsis_per_word(TextView.from_words("a...", ["a", "..."]))
    0.5
    """
    return _ratio(view.text.count("...") + view.text.count("\N{HORIZONTAL ELLIPSIS}"), view.segment_count)


@metric(reads="lines")
def bullet_line_fraction(view: TextView) -> float | None:
    r"""Fraction of lines that begin with a bullet or a hyphen; in [0, 1], None without lines.

    Blank lines count. Source: Gopher, appendix A.1.

    >>> bullet_line_fraction(TextView.of("- a\n\nb\nc"))
    0.25
    """
    starts = ("\N{BULLET}", "-")
    return _ratio(sum(line.lstrip().startswith(starts) for line in view.all_lines), len(view.all_lines))


@metric(reads="lines")
def ellipsis_line_fraction(view: TextView) -> float | None:
    r"""Fraction of lines that end with an ellipsis; in [0, 1], None without lines.

    Blank lines count. Source: Gopher, appendix A.1.

    >>> ellipsis_line_fraction(TextView.of("a...\nb"))
    0.5
    """
    ends = ("...", "\N{HORIZONTAL ELLIPSIS}")
    return _ratio(sum(line.rstrip().endswith(ends) for line in view.all_lines), len(view.all_lines))


@metric
def alphabetic_word_fraction(view: TextView) -> float | None:
    """Fraction of words, symbols included, with at least one letter; in [0, 1], None without words.

    Source: Gopher, appendix A.1.

    >>> alphabetic_word_fraction(TextView.of("a 1"))
    0.5
    """
    return _ratio(view.alphabetic_count, view.segment_count)


@metric(reads="document", high=100)
def stop_word_count(view: TextView, lists: WordLists) -> int | None:
    """Number of distinct stop words present, compared as written; 0 or more, None without a list.

    Source: Gopher, appendix A.1.

    >>> stop_word_count(TextView.of("the cat and the dog"), WordLists(frozenset({"the", "and", "of"})))
    2
    """
    return view.listed_words(lists.stop_words)[1] if lists.stop_words else None


@metric(reads="lines")
def duplicate_paragraph_fraction(view: TextView) -> float | None:
    r"""Fraction of paragraphs that repeat an earlier one; in [0, 1], None for an empty text.

    Source: Gopher, table A1.

    >>> duplicate_paragraph_fraction(TextView.of("a\n\na"))
    0.5
    """
    return 1 - len(set(view.paragraphs)) / len(view.paragraphs) if view.text else None


@metric(reads="lines")
def duplicate_paragraph_character_fraction(view: TextView) -> float | None:
    r"""Fraction of characters in paragraphs that repeat an earlier one; in [0, 1], None for an empty text.

    Source: Gopher, table A1.

    >>> duplicate_paragraph_character_fraction(TextView.of("a\n\na"))
    0.25
    """
    return _ratio(_length(view.paragraphs) - _length(set(view.paragraphs)), len(view.text))


@metric(reads="lines")
def duplicate_line_fraction(view: TextView) -> float | None:
    r"""Fraction of lines that repeat an earlier one; in [0, 1], None for an empty text.

    The first copy is not a repeat. Blank lines inside do not count, but as in datatrove a newline at either
    end of the text gives an empty line. Source: Gopher, table A1.

    >>> duplicate_line_fraction(TextView.of("a\nb\nb\nb"))
    0.5
    """
    return 1 - len(set(view.line_runs)) / len(view.line_runs) if view.text else None


@metric(reads="lines")
def duplicate_line_character_fraction(view: TextView) -> float | None:
    r"""Fraction of characters in lines that repeat an earlier one; in [0, 1], None for an empty text.

    Source: Gopher, table A1.

    >>> duplicate_line_character_fraction(TextView.of("a\na\n"))
    0.25
    """
    return _ratio(_length(view.line_runs) - _length(set(view.line_runs)), len(view.text))


_GOPHER = " Source: Gopher, table A1."  # of what is made below


def _top_n_gram_metric(n: int) -> None:
    def function(view: TextView) -> float | None:
        characters = view.repetition.top[n]
        return None if characters is None else _ratio(characters, len(view.text))

    function.__name__ = f"top_{n}_gram_character_fraction"
    function.__doc__ = (
        f"Characters in the most frequent {n}-gram of words, for each character of the text; 0 or more, "
        f"None with fewer than {n} words. Overlaps count, so it may exceed 1.{_GOPHER}"
    )
    metric(function)


def _duplicate_n_gram_metric(n: int) -> None:
    def function(view: TextView) -> float | None:
        characters = view.repetition.duplicate[n]
        return None if characters is None else _ratio(characters, len(view.text))

    function.__name__ = f"duplicate_{n}_gram_character_fraction"
    function.__doc__ = (
        f"Fraction of characters in {n}-grams of words that repeat an earlier one; in [0, 1], "
        f"None with fewer than {n} words.{_GOPHER}"
    )
    metric(function)


for _n in (2, 3, 4):
    _top_n_gram_metric(_n)
for _n in (5, 6, 7, 8, 9, 10):
    _duplicate_n_gram_metric(_n)


@metric(reads="lines")
def terminal_punctuation_line_fraction(view: TextView) -> float | None:
    r"""Fraction of lines whose last character ends a sentence; in [0, 1], None without lines.

    The line is not stripped, and a closing quotation mark does not end a sentence. Source: FineWeb,
    line_punct_ratio.

    >>> terminal_punctuation_line_fraction(TextView.of("a.\nb"))
    0.5
    """
    return _ratio(sum(line[-1] in TERMINAL for line in view.lines), len(view.lines))


@metric(reads="lines")
def short_line_fraction(view: TextView) -> float | None:
    """Fraction of lines of 30 characters or fewer; in [0, 1], None without lines.

    Source: FineWeb, short_line_ratio.

    >>> short_line_fraction(TextView.of("short"))
    1.0
    """
    return _ratio(sum(len(line) <= SHORT_LINE for line in view.lines), len(view.lines))


@metric(reads="lines")
def repeated_line_character_fraction(view: TextView) -> float | None:
    r"""Fraction of characters but newlines in lines that repeat an earlier one; in [0, 1], None without any.

    Unlike `duplicate_line_character_fraction` no blank line counts. Source: FineWeb, char_dup_ratio.

    >>> repeated_line_character_fraction(TextView.of("a\na"))
    0.5
    """
    if not view.lines:
        return None
    return (_length(view.lines) - _length(set(view.lines))) / (len(view.text) - view.text.count("\n"))


@metric(reads="lines")
def newline_per_word(view: TextView) -> float | None:
    r"""Newlines for each word; 0 or more, None without words. Source: FineWeb, list_ratio.

    >>> newline_per_word(TextView.of("a\nb"))
    0.5
    """
    return _ratio(view.text.count("\n"), view.segment_count)


_CITATION = re.compile(
    r"""
    \[ [0-9]* \]             # a numbered note
    | \[edit\]               # Wikipedia's section link
    | \[citation\ needed\]
    """,
    re.VERBOSE,
)
_C4_ENDS = (".", "?", "!", '"', "'")
_C4_PHRASES = (
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_C4_LONGEST_WORD = 1_000
_C4_FEWEST_WORDS = 3


def _c4_keeps(line: str, look_for_phrases: bool) -> bool:
    line = line.strip()
    without_notes = _CITATION.sub("", line) if "[" in line else line
    if not without_notes.endswith(_C4_ENDS) or without_notes.endswith("..."):
        return False
    if len(line.split(maxsplit=_C4_FEWEST_WORDS - 1)) < _C4_FEWEST_WORDS:
        return False
    if len(line) > _C4_LONGEST_WORD and max(map(len, line.split())) > _C4_LONGEST_WORD:
        return False
    return not (look_for_phrases and _has_c4_phrase(without_notes.lower()))


def _has_c4_phrase(lower: str) -> bool:
    return any(phrase in lower for phrase in _C4_PHRASES)


@metric(reads="lines")
def c4_line_fraction(view: TextView) -> float | None:
    r"""Fraction of lines that C4's line rules would keep; in [0, 1], None without lines.

    A line is kept if it ends in . ? ! or a straight quotation mark but not in "...", has three words between
    spaces, none over 1,000 characters, and no phrase about JavaScript, cookies or terms of use. The marks and
    phrases are English, so it means little elsewhere. Source: arXiv:1910.10683, section 2.2; blank lines do
    not count here.

    >>> c4_line_fraction(TextView.of("One two three.\nMenu"))
    0.5
    """
    look_for_phrases = "[" in view.text or _has_c4_phrase(view.lower_text)  # a note can stand inside a phrase
    return _ratio(sum(_c4_keeps(line, look_for_phrases) for line in view.lines), len(view.lines))


@metric(reads="characters", high=10)
def lorem_ipsum_count(view: TextView) -> int:
    """Occurrences of "lorem ipsum" in any case; 0 or more. Source: C4.

    >>> lorem_ipsum_count(TextView.of("Lorem ipsum dolor"))
    1
    """
    return view.lower_text.count("lorem ipsum")


@metric(reads="characters", high=100)
def curly_bracket_count(view: TextView) -> int:
    """Number of opening curly brackets; 0 or more. Source: C4, which looks for the opening one only.

    >>> curly_bracket_count(TextView.of("f() { }"))
    1
    """
    return view.text.count("{")


@metric(reads="characters")
def character_repetition_fraction(view: TextView) -> float | None:
    """Fraction of 10-character sequences among the most repeated; in [0, 1], None under 10 characters.

    Source: ROOTS; the k most frequent, k at most the square root of the number of distinct sequences.

    >>> character_repetition_fraction(TextView.of("a" * 20))
    1.0
    """
    return view.repetition.repeated_characters


@metric
def word_repetition_fraction(view: TextView) -> float | None:
    """Fraction of 5-grams of words that occur twice or more; in [0, 1], None with fewer than 5 words.

    Words are lower-cased and symbols left out. Source: ROOTS, whose words are split at spaces.

    >>> word_repetition_fraction(TextView.of("a b c d e a b c d e"))
    0.3333333333333333
    """
    return view.repetition.repeated_words


@metric(reads="characters")
def special_character_fraction(view: TextView) -> float | None:
    """Fraction of characters that are punctuation, digit, white space or symbol; in [0, 1], None if empty.

    Source: ROOTS; by Unicode category in place of a list, see `characters`.

    >>> special_character_fraction(TextView.of("ab !"))
    0.5
    """
    return _ratio(special_count(view.codes), len(view.text))


@metric
def stop_word_fraction(view: TextView, lists: WordLists) -> float | None:
    """Fraction of words, lower-cased and without symbols, that are stop words; in [0, 1].

    None without words or list.

    Source: ROOTS.

    >>> stop_word_fraction(TextView.of("The cat"), WordLists(frozenset({"the"})))
    0.5
    """
    return _listed_fraction(view, lists.stop_words)


@metric
def flagged_word_fraction(view: TextView, lists: WordLists) -> float | None:
    """Fraction of words, lower-cased and without symbols, that are flagged; in [0, 1].

    None without words or list.

    Source: ROOTS.

    >>> flagged_word_fraction(TextView.of("Bad cat"), WordLists(flagged_words=frozenset({"bad"})))
    0.5
    """
    return _listed_fraction(view, lists.flagged_words)


def _listed_fraction(view: TextView, words: frozenset[str]) -> float | None:
    return _ratio(view.listed_plain_words(words)[0], view.word_count) if words else None


@metric(reads="lines")
def short_line_character_fraction(view: TextView) -> float | None:
    """Fraction of the characters in lines that are in lines of 30 or fewer; in [0, 1], None without lines.

    Source: CulturaX, which does not state its length; FineWeb's is used.

    >>> short_line_character_fraction(TextView.of("short"))
    1.0
    """
    lengths = list(map(len, view.lines))
    return _ratio(sum(length for length in lengths if length <= SHORT_LINE), sum(lengths))
