"""Text that can be stored and read: valid Unicode (`clean`), mojibake undone (`repair_encoding`).

`clean` is lossless for what a reader sees and runs on every document. `repair_encoding` is ftfy, a heuristic:
it may take rare letter sequences for mojibake, so it reports whether it changed the text, and a change that
loses characters is refused.
"""

import re
import unicodedata

import ftfy
import numpy as np
from ftfy.badness import MOJIBAKE_CATEGORIES

from pipeline.text.characters import code_points

_LINE_END = re.compile(r"\r\n?")
_UNWANTED = "".join(
    map(
        chr,
        [
            *range(0x09),  # C0 controls but tab and newline
            *range(0x0B, 0x20),
            *range(0x7F, 0xA0),  # DEL and the C1 controls
            *range(0xFDD0, 0xFDF0),  # noncharacters, here and at the end of every plane
            *(plane << 16 | last for plane in range(17) for last in (0xFFFE, 0xFFFF)),
        ],
    )
)
_DROP_UNWANTED = dict.fromkeys(map(ord, _UNWANTED))
_IS_UNWANTED = np.zeros(0x110000, np.bool_)
_IS_UNWANTED[list(_DROP_UNWANTED)] = True

# FineWeb-2's options (datatrove FTFYFormatter): ligatures, width, quotes and line ends stay.
_OPTIONS = ftfy.TextFixerConfig(
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    normalization=None,
    explain=False,
)
# What ftfy can act on: a character reference, a character that it deletes or replaces, or mojibake, which it looks
# for with BADNESS_RE. That expression tries forty alternatives at each character. Here each of them is reduced to
# two neighbours, the rarer one first, so that one pass over a set of characters finds the places keep priority a look.
# A text without such a place is left as it is by ftfy; one with such a place may be, too. `tests/text/test_repair.py`
# takes BADNESS_RE apart and proves that each alternative is covered.
_C = MOJIBAKE_CATEGORIES
_BAD, _BOX, _UPPER, _LOWER = _C["bad"], _C["box"], _C["upper_accented"], _C["lower_accented"]
_START, _END, _CURRENCY, _NUMERIC = _C["start_punctuation"], _C["end_punctuation"], _C["currency"], _C["numeric"]
_SIGNS = _START + _END + _CURRENCY + _NUMERIC + _C["law"]
_COMMON_LETTERS = _C["lower_common"] + _C["upper_common"]
# After A with circumflex or tilde, I with circumflex, Eth; after O with stroke, U with grave: see BADNESS_RE.
_AFTER_A = "\u20ac\u0153\u0160\u0161\xa2\xa3\u0178\u017e\xa0\xad\xae\xa9\xb0\xb7\xbb\u2013\u2014\xb4" + _START + _END
_AFTER_O = "\u0178\u0160\xae\xb0\xb5\xbb" + _C["common"] + _CURRENCY + _BAD + _NUMERIC + _START
_CYRILLIC_LEADS = "\u0412\u0413\u0420\u0421"  # Ve, Ghe, Er, Es: the UTF-8 of Latin-1 and Cyrillic in windows-1251
_GREEK_LEADS = "\u0392\u0393\u039e\u039f"  # Beta, Gamma, Xi, Omicron: the same in windows-1253
_REMOVED = r"\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\u206a-\u206f\ufff9-\ufffc\ufeff"
_RARE = _SIGNS + _BAD + _BOX + _UPPER + "\u0152\u0153\u0402\u00d9\u00b0"
_TOUCHED = re.compile(
    rf"""
    [&{_REMOVED}{_RARE}]
    (?:
      (?<=&) \#?[0-9A-Za-z]{{1,24}};                            # character reference
    | (?<=[{_REMOVED}])
    | (?<=[{_BAD}]) (?= [{_LOWER}{_UPPER}{_BAD}{_BOX}{_SIGNS}] )
    | (?<=[{_LOWER}{_UPPER}{_BAD}{_BOX}{_SIGNS}][{_BAD}])
    | (?<=[a-zA-Z][{_COMMON_LETTERS}][{_BAD}])
    | (?<=[{_LOWER}{_C["lower_common"]}{_BOX}{_END}{_CURRENCY}{_NUMERIC}][{_UPPER}])
    | (?<=[{_UPPER}]) (?= [{_CURRENCY}{_NUMERIC}{_C["law"]}{_BOX}\xb0] )
    | (?<=[a-z][{_UPPER}]) (?= [{_START}] )
    | (?<=[{_BOX}]) (?= [{_C["kaomoji"]}{_LOWER}{_UPPER}{_SIGNS}] )
    | (?<=[{_LOWER}{_UPPER}{_SIGNS}][{_BOX}])
    | (?<=[{_END}{_CURRENCY}{_NUMERIC}]) (?= [{_LOWER}] )
    | (?<=[{_LOWER}{_END}][{_CURRENCY}])
    | (?<=[{_CURRENCY}{_NUMERIC}]) (?= [{_START}] )
    | (?<=[{_LOWER}{_UPPER}{_CURRENCY}{_END}][{_START}]) (?= [{_NUMERIC}] )
    | (?<=[{_LOWER}{_UPPER}{_CURRENCY}{_NUMERIC}{_C["law"]}][{_END}]) (?= [{_START}] )
    | (?<=[{_LOWER}{_UPPER}][{_START}{_END}]) (?= \w )
    | (?<=[\u0152\u0153]) (?! [A-Za-z] )                       # a ligature oe that no letter follows
    | (?<=[\xc2\xc3\xce\xd0]) (?= [{_AFTER_A}] )
    | (?<=[\xc2\xc3]) (?= [ ] )                                # an A with circumflex or tilde that ends a word
    | (?<=[\xd8\xd9]) (?= [{_AFTER_O}] )
    | (?<=\xd7) (?= [\xb2\xb3] )
    | (?<=\xe0[\xb2\xb5\xb9\xbc\xbd\xbe])
    | (?<=\u221a) (?= [\xb1\u2202\u2020\u2260\xae\u2122\xb4\u2264\u2265\xa5\xb5\xf8] )  # Mac Roman
    | (?<=\u2248) (?= [\xb0\xa2] )
    | (?<=\u201a) (?= [\xc4\xe2\xf3] )
    | (?<=[\u0412\u0432]\u0402)                                # windows-1251
    | (?<=[{_CYRILLIC_LEADS}].) (?= [{_CYRILLIC_LEADS}] )
    | (?<=[{_GREEK_LEADS}].) (?= [{_GREEK_LEADS}] )
    | (?<=[\u03b2\u0101]\u20ac)                                # windows-1253, windows-1257
    )
    """,
    re.VERBOSE | re.DOTALL,
)


def clean(text: str) -> str:
    r"""The text as valid Unicode in NFC, with newline as its only line end among the controls.

    Lone surrogates, NUL, the C0 and C1 controls but newline and tab, and noncharacters are dropped; a
    surrogate pair is joined. ZWJ and ZWNJ stay, since Persian, Indic scripts and emoji need them. Idempotent.

    >>> clean("a\r\nb\x00 e\u0301") == "a\nb \u00e9"
    True
    """
    if text.replace("\n", "").isprintable():  # no control, surrogate or noncharacter: most texts and nearly all titles
        return unicodedata.normalize("NFC", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    if _IS_UNWANTED[code_points(text)].any():
        text = text.translate(_DROP_UNWANTED)
    return unicodedata.normalize("NFC", text)


def repair_encoding(text: str) -> tuple[str, bool]:
    r"""The text with mojibake and HTML references undone, and whether that changed it.

    A repair that adds U+FFFD is refused: what ftfy could not decode, a reader may still guess. Raises
    nothing.

    >>> repair_encoding("caf\u00c3\u00a9 \u00e2\u20ac\u201c no")
    ('café – no', True)
    """
    if _TOUCHED.search(text) is None:
        return text, False
    repaired = ftfy.fix_text(text, _OPTIONS)
    lost = "\N{REPLACEMENT CHARACTER}"
    if repaired == text or repaired.count(lost) > text.count(lost):
        return text, False
    return repaired, True
