"""What datatrove's filters compute and decide: their own code, run on our words, with thresholds that listen.

A filter compares each value with a threshold and stops at the first that fails. `Probe` stands where a threshold
would: it notes the value and lets it pass, so that one run of the filter, unchanged, gives all of its values.
"""

import math
import warnings
from collections.abc import Iterator

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import WordTokenizer

from pipeline.config.language_files import LanguageConfig
from pipeline.text.words.segmenters import segment

Values = dict[str, float | None]


class Probe:
    """A threshold that nothing crosses and that keeps what it was compared with."""

    __array_ufunc__ = None  # NumPy's scalars leave the comparison to us

    def __init__(self) -> None:
        self.seen: list[float | None] = []

    def __lt__(self, value: float) -> bool:
        self.seen.append(None if math.isnan(value) else float(value))
        return False

    __gt__ = __lt__


class OurWords(WordTokenizer):
    """Gives datatrove the words that our metrics see."""

    def word_tokenize(self, text: str) -> list[str]:
        return segment(text)

    def sent_tokenize(self, text: str) -> list[str]:
        raise AssertionError("the filters ask for words alone")

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        raise AssertionError("the filters ask for words alone")


OUR_WORDS = OurWords()
TOP, DUPLICATE = (2, 3, 4), (5, 6, 7, 8, 9, 10)

# What datatrove calls the rule on a metric.
METRIC_OF_REASON = {
    "dup_para_frac": "duplicate_paragraph_fraction",
    "dup_para_char_frac": "duplicate_paragraph_character_fraction",
    "dup_line_frac": "duplicate_line_fraction",
    "dup_line_char_frac": "duplicate_line_character_fraction",
    **{f"top_{n}_gram": f"top_{n}_gram_character_fraction" for n in TOP},
    **{f"duplicated_{n}_n_grams": f"duplicate_{n}_gram_character_fraction" for n in DUPLICATE},
    "line_punct_ratio": "terminal_punctuation_line_fraction",
    "short_line_ratio": "short_line_fraction",
    "char_dup_ratio": "repeated_line_character_fraction",
    "list_ratio": "newline_per_word",
    "gopher_short_doc": "word_count",
    "gopher_long_doc": "word_count",
    "gopher_below_avg_threshold": "mean_word_length",
    "gopher_above_avg_threshold": "mean_word_length",
    "gopher_too_many_hashes": "hash_per_word",
    "gopher_too_many_ellipsis": "ellipsis_per_word",
    "gopher_too_many_bullets": "bullet_line_fraction",
    "gopher_too_many_end_ellipsis": "ellipsis_line_fraction",
    "gopher_below_alpha_threshold": "alphabetic_word_fraction",
    "gopher_enough_stop_words": "stop_word_count",
}


def datatrove_values(text: str, stop_words: list[str]) -> Values:
    """The values that datatrove's filters reach, by our names; a filter that stops or fails gives no more of them."""
    return dict([*_repetition(text), *_fineweb(text), *_gopher(text, stop_words), *_c4(text)])


def _repetition(text: str) -> Iterator[tuple[str, float | None]]:
    names = ("dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac")
    probes = {name: Probe() for name in names}
    top, duplicate = {n: Probe() for n in TOP}, {n: Probe() for n in DUPLICATE}
    GopherRepetitionFilter(
        **probes, top_n_grams=list(top.items()), dup_n_grams=list(duplicate.items()), language=OUR_WORDS
    ).filter(Document(text, ""))
    probes |= {f"top_{n}_gram": probe for n, probe in top.items()}
    probes |= {f"duplicated_{n}_n_grams": probe for n, probe in duplicate.items()}
    for reason, probe in probes.items():
        yield from ((METRIC_OF_REASON[reason], value) for value in probe.seen)


def _fineweb(text: str) -> Iterator[tuple[str, float | None]]:
    punctuation, short, repeated, newline = Probe(), Probe(), Probe(), Probe()
    fineweb = FineWebQualityFilter(
        line_punct_thr=punctuation,
        short_line_thr=short,
        char_duplicates_ratio=repeated,
        new_line_ratio=newline,
        language=OUR_WORDS,
    )
    _run(fineweb, text)
    yield from (("terminal_punctuation_line_fraction", value) for value in punctuation.seen)
    yield from (("short_line_fraction", value) for value in short.seen)
    yield from (("repeated_line_character_fraction", value) for value in repeated.seen)
    yield from (("newline_per_word", value) for value in newline.seen)


def _gopher(text: str, stop_words: list[str]) -> Iterator[tuple[str, float | None]]:
    count, length, symbols, bullets, ellipses, letters, stops = (Probe() for _ in range(7))
    gopher = GopherQualityFilter(
        min_doc_words=count,
        max_doc_words=None,
        min_avg_word_length=length,
        max_avg_word_length=None,
        max_symbol_word_ratio=symbols,
        max_bullet_lines_ratio=bullets,
        max_ellipsis_lines_ratio=ellipses,
        max_non_alpha_words_ratio=letters,
        min_stop_words=stops,
        stop_words=stop_words,
        language=OUR_WORDS,
    )
    _run(gopher, text)
    yield from (("word_count", value) for value in count.seen)
    yield from (("mean_word_length", value) for value in length.seen)
    yield from zip(("hash_per_word", "ellipsis_per_word"), symbols.seen, strict=False)
    yield from (("bullet_line_fraction", value) for value in bullets.seen)
    yield from (("ellipsis_line_fraction", value) for value in ellipses.seen)
    yield from (("alphabetic_word_fraction", value) for value in letters.seen)
    yield from (("stop_word_count", value) for value in stops.seen)


def _c4(text: str) -> Iterator[tuple[str, float | None]]:
    """Kept lines over lines that are not blank; and 1 for the two phrases that cost the document, 0 without."""
    lines = [line for line in text.splitlines() if line.strip()]
    document = Document(text, "")
    _run(C4QualityFilter(min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False), document)
    kept = len(document.text.split("\n")) if document.text else 0
    yield "c4_line_fraction", kept / len(lines) if lines else None
    for metric, reason in (("lorem_ipsum_count", "lorem_ipsum"), ("curly_bracket_count", "curly_bracket")):
        found = _run(C4QualityFilter(min_num_sentences=-1), text) == (False, reason)
        yield metric, float(found)


def _run(filter_: object, text: str | Document) -> bool | tuple[bool, str] | None:
    """The filter's answer, None where it divides by a number of words or lines that is 0."""
    document = Document(text, "") if isinstance(text, str) else text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean length of no words
        try:
            answer: bool | tuple[bool, str] = filter_.filter(document)  # type: ignore[attr-defined]
        except ZeroDivisionError:
            return None
    return answer


def datatrove_reason(text: str, language: LanguageConfig) -> str | None:
    """The rule for which FineWeb-2's three filters drop a text, by its metric, with a language's rules; None: kept.

    Order and fixed settings are those of FineWeb-2's script: three of Gopher's repetition rules and FineWeb's
    short lines are off there. A rule that we have off has its "off" value there.
    """
    rules = language.active_rules()

    def low(metric: str, off: float) -> float:
        return off if metric not in rules or rules[metric].min is None else rules[metric].min

    def high(metric: str, off: float) -> float:
        return off if metric not in rules or rules[metric].max is None else rules[metric].max

    filters = (
        GopherRepetitionFilter(
            dup_line_frac=high("duplicate_line_fraction", 0),
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            top_n_grams=[(n, high(f"top_{n}_gram_character_fraction", math.inf)) for n in TOP],
            dup_n_grams=[(n, high(f"duplicate_{n}_gram_character_fraction", math.inf)) for n in DUPLICATE],
            language=OUR_WORDS,
        ),
        FineWebQualityFilter(
            line_punct_thr=low("terminal_punctuation_line_fraction", -1),
            short_line_thr=high("short_line_fraction", 999),
            char_duplicates_ratio=high("repeated_line_character_fraction", math.inf),
            new_line_ratio=high("newline_per_word", math.inf),
            language=OUR_WORDS,
        ),
        GopherQualityFilter(
            min_doc_words=low("word_count", 0),
            max_doc_words=high("word_count", 0),
            min_avg_word_length=low("mean_word_length", 0),
            max_avg_word_length=high("mean_word_length", 0),
            max_symbol_word_ratio=high("hash_per_word", 0),  # one setting for "#" and ellipses
            max_bullet_lines_ratio=high("bullet_line_fraction", 0),
            max_ellipsis_lines_ratio=high("ellipsis_line_fraction", 0),
            max_non_alpha_words_ratio=low("alphabetic_word_fraction", 0),
            min_stop_words=low("stop_word_count", 0) if language.stop_words else 0,
            stop_words=list(language.stop_words),
            language=OUR_WORDS,
        ),
    )
    for filter_ in filters:
        answer = filter_.filter(Document(text, ""))
        if answer is not True:
            return METRIC_OF_REASON[answer[1]]
    return None
