"""Text that can be stored and read: valid Unicode (`clean`), mojibake undone (`repair_encoding`).

`clean` is lossless for what a reader sees and runs on every document. `repair_encoding` is ftfy, a heuristic:
it may take rare letter sequences for mojibake, so it reports whether it changed the text, and a change that
loses characters is refused.
"""

import re
import unicodedata

import ftfy
from ftfy.badness import MOJIBAKE_CATEGORIES

_LINE_END = re.compile(r"\r\n?")
_UNWANTED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f"  # C0 controls but tab and newline
    "\x7f-\x9f"  # DEL and the C1 controls
    "\ufdd0-\ufdef"  # noncharacters, here and at the end of every plane
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)

# FineWeb-2's options (datatrove FTFYFormatter): ligatures, width, quotes and line ends stay.
_OPTIONS = ftfy.TextFixerConfig(
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    normalization=None,
    explain=False,
)
# Without one of these characters no rule of ftfy can act.
_TOUCHABLE = re.compile(
    "["
    "&"  # HTML character references
    "\x00-\x08\x0b\x0e-\x1f\x7f-\x9f"  # controls, ANSI escapes
    "\ud800-\udfff"
    "\u206a-\u206f\ufff9-\ufffc\ufeff"  # other characters that remove_control_chars deletes
    + "".join(MOJIBAKE_CATEGORIES.values())  # is_bad needs one of these
    + "]"
)


def clean(text: str) -> str:
    r"""The text as valid Unicode in NFC, with newline as its only line end among the controls.

    Lone surrogates, NUL, the C0 and C1 controls but newline and tab, and noncharacters are dropped; a
    surrogate pair is joined. ZWJ and ZWNJ stay, since Persian, Indic scripts and emoji need them. Idempotent.

    >>> clean("a\r\nb\x00 e\u0301") == "a\nb \u00e9"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    return unicodedata.normalize("NFC", _UNWANTED.sub("", text))


def repair_encoding(text: str) -> tuple[str, bool]:
    r"""The text with mojibake and HTML references undone, and whether that changed it.

    A repair that adds U+FFFD is refused: what ftfy could not decode, a reader may still guess. Raises
    nothing.

    >>> repair_encoding("caf\u00c3\u00a9 \u00e2\u20ac\u201c no")
    ('café – no', True)
    """
    if _TOUCHABLE.search(text) is None:
        return text, False
    repaired = ftfy.fix_text(text, _OPTIONS)
    lost = "\N{REPLACEMENT CHARACTER}"
    if repaired == text or repaired.count(lost) > text.count(lost):
        return text, False
    return repaired, True
