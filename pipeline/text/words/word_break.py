"""Where ICU would break a text into words: takes code points, gives a flag for each place where a segment begins.

Unicode UAX #29 in a kernel, with the departures of ICU's rules, since ICU gives a string a segment, which takes as
long as all metrics together. Lines with a letter that ICU's dictionaries split (Thai, Lao, Khmer, Burmese, Chinese,
Japanese) are given to ICU; a line is a world of its own, because nothing joins across its end. `word_break.tsv` has the
class of each code point; a test compares it and the rules with ICU, so that another version of ICU shows there.
"""

import re
from functools import cache
from importlib import resources
from typing import Final

import numpy as np
from icu4py.breakers import WordBreaker
from icu4py.locale import Locale
from numpy.typing import NDArray

from pipeline.kernels.compile import kernel
from pipeline.text.characters import code_points

# The root locale: ICU picks its dictionary by script, so no language name is needed. Parsed once a process;
# the breaker itself cannot be reused, because icu4py binds it to one text.
_ROOT: Final = Locale("und")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
(
    _OTHER, _CR, _LF, _NEWLINE, _EXTEND, _ZWJ, _LETTER, _HEBREW, _PICTOGRAPHIC_LETTER, _HANGUL, _NUMERIC,
    _EXTEND_NUM_LET, _SINGLE_QUOTE, _DOUBLE_QUOTE, _MID_NUM_LET, _MID_LETTER, _MID_NUM, _SPACE, _REGIONAL,
    _PICTOGRAPHIC, _DICTIONARY,
) = range(21)  # fmt: skip
_CLASSES: Final = {
    name: number
    for number, name in enumerate(
        "Other CR LF Newline Extend ZWJ ALetter Hebrew_Letter Pictographic_Letter Hangul Numeric ExtendNumLet "
        "Single_Quote Double_Quote MidNumLet MidLetter MidNum WSegSpace Regional_Indicator Extended_Pictographic "
        "Dictionary".split()
    )
}


@cache
def _classes() -> NDArray[np.uint8]:
    """Class of each code point; (0x110000,) uint8."""
    table = np.zeros(0x110000, np.uint8)
    text = resources.files("pipeline.text.words").joinpath("word_break.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            first, last, name = line.split("\t")
            table[int(first, 16) : int(last, 16) + 1] = _CLASSES[name]
    return table


def find_breaks(text: str) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Code points of a text and whether a segment begins at each, with one more flag for the end; ends are breaks.

    A lone surrogate is read as U+FFFD, since ICU refuses it.

    >>> codes, breaks = find_breaks("Hi, you")
    >>> breaks.nonzero()[0].tolist()
    [0, 2, 3, 4, 7]
    """
    try:
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    except UnicodeEncodeError:
        text = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
        codes = code_points(text)
    breaks = np.empty(len(codes) + 1, np.bool_)
    runs = np.empty((8, 2), np.int64)
    n_runs = _find_breaks(codes, _classes(), breaks, runs)
    if n_runs > len(runs):
        runs = np.empty((n_runs, 2), np.int64)
        _find_breaks(codes, _classes(), breaks, runs)
    for start, end in runs[:n_runs].tolist():
        ends = np.cumsum(list(map(len, WordBreaker(text[start:end], _ROOT))))
        breaks[start + 1 : end] = False
        breaks[start + ends] = True
    return codes, breaks


@kernel
def _is_letter(kind: int) -> bool:
    return kind in (_LETTER, _HEBREW, _PICTOGRAPHIC_LETTER)


@kernel
def _joins(before: int, last: int, kind: int, after: int, regionals: int) -> bool:
    """Whether rules WB5 to WB16 join `last` and `kind`; `before` and `after` are the neighbours of these two."""
    letter, number = _is_letter(kind), kind == _NUMERIC
    if _is_letter(last):
        if letter or number or kind == _EXTEND_NUM_LET:  # WB5, WB9, WB13a
            return True
        if kind in (_MID_LETTER, _MID_NUM_LET, _SINGLE_QUOTE):
            return _is_letter(after) or (last == _HEBREW and kind == _SINGLE_QUOTE)  # WB6, WB7a
        return last == _HEBREW and kind == _DOUBLE_QUOTE and after == _HEBREW  # WB7b
    if last == _NUMERIC:
        if letter or number or kind == _EXTEND_NUM_LET:  # WB8, WB10, WB13a
            return True
        return kind in (_MID_NUM, _MID_NUM_LET, _SINGLE_QUOTE) and after == _NUMERIC  # WB12
    if last == _EXTEND_NUM_LET:
        return letter or number or kind == _EXTEND_NUM_LET  # WB13a, WB13b
    if last == _MID_LETTER:
        return bool(letter and _is_letter(before))  # WB7
    if last == _MID_NUM:
        return number and before == _NUMERIC  # WB11
    if last in (_MID_NUM_LET, _SINGLE_QUOTE):
        return (letter and _is_letter(before)) or (number and before == _NUMERIC)
    if last == _DOUBLE_QUOTE:
        return kind == _HEBREW and before == _HEBREW  # WB7c
    return bool(last == _REGIONAL and kind == _REGIONAL and regionals % 2 == 1)  # WB15, WB16


@kernel
def _find_breaks(
    codes: NDArray[np.uint32], classes: NDArray[np.uint8], breaks: NDArray[np.bool_], runs: NDArray[np.int64]
) -> int:
    """Fill in `breaks`, and start and end of the runs of lines that need a dictionary, as far as `runs`, (n, 2), has
    room; returns how many there are.

    A kernel that makes a larger array itself counts references to it at each step of its loop.
    """
    n_runs = end_of_run = 0
    line = 0  # where it starts
    needs_dictionary = False
    before = last = _OTHER  # the two classes before, without those that extend them
    previous = _LF  # the class before, whatever it is
    regionals = 0  # how many Regional_Indicator end here
    breaks[:] = True
    for i in range(len(codes)):
        kind = classes[codes[i]]
        needs_dictionary |= kind == _DICTIONARY
        if kind == _LETTER and previous == _LETTER:  # WB5, by far the most
            breaks[i] = False
            before, regionals = _LETTER, 0
        elif kind in (_CR, _LF, _NEWLINE):
            breaks[i] = not (kind == _LF and previous == _CR)  # WB3, WB3b
            before = last = _OTHER
        elif previous in (_CR, _LF, _NEWLINE):  # WB3a
            before, last = _OTHER, (_OTHER if kind in (_EXTEND, _ZWJ) else kind)
            regionals = 1 if kind == _REGIONAL else 0
        elif kind in (_EXTEND, _ZWJ):
            breaks[i] = False  # WB4
        else:
            after = _OTHER
            if _SINGLE_QUOTE <= kind <= _MID_NUM:
                following = i + 1
                while following < len(codes) and (
                    classes[codes[following]] == _EXTEND or classes[codes[following]] == _ZWJ
                ):
                    following += 1
                after = classes[codes[following]] if following < len(codes) else _OTHER
            pictographic = kind in (_PICTOGRAPHIC, _PICTOGRAPHIC_LETTER)
            breaks[i] = not (
                (previous == _ZWJ and pictographic)  # WB3c
                or (previous == kind and (kind in (_SPACE, _HANGUL)))  # WB3d; Hangul is ICU's
                or _joins(before, last, kind, after, regionals)
            )
            before, last = last, kind
            regionals = regionals + 1 if kind == _REGIONAL else 0
        previous = kind
        if kind == _LF or i == len(codes) - 1:
            if needs_dictionary:
                if not n_runs or end_of_run < line:
                    n_runs += 1
                    if n_runs <= len(runs):
                        runs[n_runs - 1, 0] = line
                end_of_run = i + 1
                if n_runs <= len(runs):
                    runs[n_runs - 1, 1] = end_of_run
            line, needs_dictionary = i + 1, False
    return n_runs
