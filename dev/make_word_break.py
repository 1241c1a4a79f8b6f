"""Make pipeline/text/words/word_break.tsv: what each code point is to ICU's word boundaries, as ranges of code points.

    python -m dev.make_word_break [--check]

ICU itself is asked, through icu4py: each code point is put into the contexts of CONTEXTS, and the set of those that ICU
leaves whole shows its class of UAX #29. This takes about half a minute. What ICU's dictionaries split is
not asked but listed as Dictionary: letters with Line_Break=Complex_Context (Thai, Lao, Khmer, Burmese, and scripts that
have no dictionary), Han characters and kana, as unicodedataplus has these properties (extra `tables`). A line with such
a letter is given to ICU when text is split (`pipeline/text/words/word_break.py`), so that the list may be generous
but must not lack a letter. --check compares with the committed table and writes nothing.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Final

import icu4py
from icu4py.breakers import WordBreaker
from icu4py.locale import Locale

from dev.tables import ROOT, ranges, write_or_check

TABLE: Final = ROOT / "pipeline" / "text" / "words" / "word_break.tsv"
ICU: Final = "78"
HEAD: Final = """\
# What a code point is to word boundaries: first and last code point, class of UAX #29; the others are Other.
# Made by dev/make_word_break.py: as ICU 78 (Unicode 17) treats them, found by asking it. Format is Extend, which has
# the same rules. Departures of ICU's: Dictionary is what its dictionaries split, or scripts that have none there;
# Hangul joins nothing but Hangul.
"""
# A code point is put where the percent sign stands.
CONTEXTS: Final = {
    "extends": "!%",
    "is extended": "%\N{COMBINING DIAERESIS}",
    "follows CR": "\r%",
    "precedes LF": "%\n",
    "joins a pictograph": "%\N{COPYRIGHT SIGN}",
    "follows ZWJ": "\N{ZERO WIDTH JOINER}%",
    "follows a letter": "a%",
    "follows a letter and a full stop": "a.%",
    "follows a digit and a comma": "1,%",
    "follows a Hebrew letter": "\N{HEBREW LETTER ALEF}%",
    "follows a Hebrew letter and a quote": '\N{HEBREW LETTER ALEF}"%',
    "between letters": "a%a",
    "between digits": "1%1",
    "between Hebrew letters": "\N{HEBREW LETTER ALEF}%\N{HEBREW LETTER ALEF}",
    "follows a space": " %",
    "follows Hangul": "\N{HANGUL SYLLABLE GA}%",
    "follows a regional indicator": "\N{REGIONAL INDICATOR SYMBOL LETTER A}%",
}
_OF_WORDS: Final = frozenset(
    {"follows a letter", "follows a Hebrew letter", "between letters", "between digits", "between Hebrew letters"}
)
_LETTER: Final = _OF_WORDS | {"follows a letter and a full stop"}
_EXTEND: Final = _OF_WORDS | {
    "extends", "follows ZWJ", "follows a space", "follows Hangul", "follows a regional indicator",
}  # fmt: skip
# Contexts that stay whole, by class; "is extended" is left out, since only ends of lines lack it.
CLASSES: Final = {
    "Other": frozenset(),
    "LF": frozenset({"follows CR"}),
    "CR": frozenset({"precedes LF"}),
    "Newline": frozenset(),
    "Extend": _EXTEND,
    "ZWJ": _EXTEND | {"joins a pictograph"},
    "ALetter": _LETTER,
    "Hebrew_Letter": _LETTER | {"follows a Hebrew letter and a quote"},
    "Pictographic_Letter": _LETTER | {"follows ZWJ"},
    "Hangul": frozenset({"follows Hangul"}),
    "Numeric": _OF_WORDS | {"follows a digit and a comma"},
    "ExtendNumLet": _OF_WORDS,
    "Single_Quote": _OF_WORDS - {"follows a letter"},
    "Double_Quote": frozenset({"between Hebrew letters"}),
    "MidNumLet": frozenset({"between letters", "between digits", "between Hebrew letters"}),
    "MidLetter": frozenset({"between letters", "between Hebrew letters"}),
    "MidNum": frozenset({"between digits"}),
    "WSegSpace": frozenset({"follows a space"}),
    "Regional_Indicator": frozenset({"follows a regional indicator"}),
    "Extended_Pictographic": frozenset({"follows ZWJ"}),
}
LINE_ENDS: Final = frozenset({"LF", "CR", "Newline"})
# Blocks of Han characters and kana are Dictionary whole, with the code points to which no character is assigned.
WHOLE_BLOCKS: Final = (
    (0x2E80, 0x2FDF),  # radicals
    (0x3041, 0x30FF),  # Hiragana and Katakana
    (0x31F0, 0x31FF),  # Katakana Phonetic Extensions
    (0x3400, 0x4DBF),  # CJK Unified Ideographs, Extension A
    (0x4E00, 0x9FFF),  # CJK Unified Ideographs
    (0xF900, 0xFAFF),  # CJK Compatibility Ideographs
    (0x1AFF0, 0x1B16F),  # the supplements of kana
    (0x20000, 0x3FFFD),  # the planes of ideographs
)
# Kept as they have been in the table from its first version: ICU is right about their lines in any case.
ALSO_DICTIONARY: Final = (
    0x1A7F,  # a mark of Tai Tham, whose other letters and marks are Complex_Context
    0x3006, 0x303C,  # ideographic closing mark and masu mark, which stand between Han characters
    0x32FF,  # the square sign of an era, behind the circled kana
    0xFF9E, 0xFF9F,  # halfwidth sound marks, behind the halfwidth kana
    0x1F201, 0x1F202,  # squared kana, behind squared Hiragana
)  # fmt: skip
# Han by their script, but no dictionary has a word with them: ICU breaks around each, as the rules do for Other.
NOT_DICTIONARY: Final = frozenset({0x16FE2, 0x16FE3, *range(0x16FF0, 0x16FF7)})
# Planes 4 to 13, 15 and 16 have no character; 2 and 3 are Dictionary.
ASKED: Final = (*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000))


def dictionary() -> set[int]:
    """Code points that are listed and not asked."""
    import unicodedataplus as properties

    listed = set(ALSO_DICTIONARY).union(*(range(first, last + 1) for first, last in WHOLE_BLOCKS))
    for code_point in set(ASKED) - listed - NOT_DICTIONARY:
        character = chr(code_point)
        if (
            properties.line_break(character) == "SA"
            or properties.script(character) in ("Han", "Hiragana", "Katakana")
            or properties.word_break(character) == "Katakana"
        ):
            listed.add(code_point)
    return listed


def class_of(character: str, locale: Locale) -> str:
    """The class that ICU's boundaries show; raises ValueError for behaviour of no class."""
    whole = {
        name
        for name, context in CONTEXTS.items()
        if sum(1 for _ in WordBreaker(context.replace("%", character), locale)) == 1
    }
    for name, expected in CLASSES.items():
        if whole == (expected if name in LINE_ENDS else expected | {"is extended"}):
            return name
    raise ValueError(f"U+{ord(character):04X} behaves as no class does: {sorted(whole)}")


def classes() -> Iterator[tuple[int, str]]:
    """Code point and class of those that are not Other."""
    listed = dictionary()
    locale = Locale("und")
    for code_point in sorted(listed.union(ASKED)):
        name = "Dictionary" if code_point in listed else class_of(chr(code_point), locale)
        if name != "Other":
            yield code_point, name


def derive() -> str:
    """The text of the table."""
    if icu4py.icu_version.split(".")[0] != ICU:
        raise SystemExit(f"the table has ICU {ICU}, icu4py {icu4py.icu_version}: change ICU and HEAD with the table")
    return HEAD + "".join(f"{row}\n" for row in ranges(classes()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or compare it; the code to exit with."""
    return write_or_check(__doc__, TABLE, derive, arguments)


if __name__ == "__main__":
    sys.exit(main())
