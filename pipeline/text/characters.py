"""Sets of characters that the metrics ask about: punctuation, marks that end a sentence, special characters.

PUNCTUATION and TERMINAL are datatrove's (`utils/text.py`, 0.10), because thresholds published for FineWeb-2
were derived with them. Known weakness, kept for parity: PUNCTUATION holds U+FF11, a full-width digit, and
lacks the bullet and the Arabic comma, so those count as words.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from string import ascii_lowercase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import kernel

# Hexadecimal code points and inclusive ranges.
_PUNCTUATION = """
0000-0008 000B-001F 0021-002F 003A-0040 005B-0060 007B-009F 00AB 00B4 00BB 2013-2014 2019 201C-201E 2026 2236
2501 25BA 3001-3002 3008-300D 3010-3011 FF01 FF05 FF08-FF09 FF0C FF0E FF11 FF1A-FF1B FF1F FF5E
"""
_TERMINAL = """
0021 002E 003F 0589 061D-061F 06D4 0700-0702 07F9 0837 0839 083D-083E 0964-0965 104A-104B 1362 1367-1368 166E
1735-1736 17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F
203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9
AA5D-AA5F AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048
110BE-110C1 11141-11143 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3
115C9-115D7 11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44
16A6E-16A6F 16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88
"""


def _characters(table: str) -> frozenset[str]:
    characters: set[str] = set()
    for entry in table.split():
        first, _, last = entry.partition("-")
        characters.update(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return frozenset(characters)


PUNCTUATION: Final = _characters(_PUNCTUATION)
TERMINAL: Final = _characters(_TERMINAL)
SYMBOLS: Final = PUNCTUATION | TERMINAL

# Unicode categories that stand in for the characters that ROOTS lists one by one as special
# (`parameters_filtering.py`), so that digits and marks of every script are treated as those of ASCII:
# punctuation, decimal digits, white space, symbols, of which emoji are.
_SPECIAL_CATEGORIES: Final = frozenset(
    ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Nd", "Zs", "Zl", "Zp", "Sm", "Sc", "Sk", "So")
)
# Planes 0 to 3 hold every letter and special character; a higher code point is read as the last entry, a noncharacter.
_TABLE_SIZE: Final = 0x40000
_BLOCK: Final = 256
_ALIKE_FROM: Final = 0x20000  # planes 2 and 3 have ideographs and code points without a character
_LETTER: Final = re.compile(r"\w")

SPECIAL: Final = 1
SYMBOL: Final = 2
ALPHABETIC: Final = 4
ALPHANUMERIC: Final = 8  # letters and numbers of all kinds
SPACE: Final = 16
DIGIT: Final = 32  # decimal digits of every script


@cache
def _categories() -> NDArray[np.uint16]:
    """Both letters of each code point's category as they lie in memory; (262144,) uint16, made in 10 ms."""
    every = np.arange(_TABLE_SIZE, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    letters = []
    for start in range(0, _TABLE_SIZE, _BLOCK):
        block = every[start : start + _BLOCK]
        if start >= _ALIKE_FROM and (block.isalpha() or not _LETTER.search(block)):
            letters.append(unicodedata.category(block[0]) * _BLOCK)
        else:
            letters.append("".join(map(unicodedata.category, block)))
    return np.frombuffer("".join(letters).encode(), np.uint16)


def by_category(values: Mapping[str, int]) -> NDArray[np.uint8]:
    """The value of each code point of planes 0 to 3 by its Unicode category, or else by the category's first letter,
    or else 0; (262144,) uint8.

    >>> by_category({"L": 1, "Lu": 2})[[ord("a"), ord("A"), ord("1")]].tolist()
    [1, 2, 0]
    """
    table = np.zeros(2**16, np.uint8)
    for name in sorted(values, key=len):
        alike = [name] if len(name) == 2 else [name + second for second in ascii_lowercase]
        table[np.frombuffer("".join(alike).encode(), np.uint16)] = values[name]
    return table[_categories()]


@cache
def character_classes() -> NDArray[np.uint8]:
    """SPECIAL to DIGIT of each code point of planes 0 to 3, added; (262144,) uint8."""
    letter, number = ALPHABETIC | ALPHANUMERIC, ALPHANUMERIC
    special = dict.fromkeys(_SPECIAL_CATEGORIES, SPECIAL)
    table = by_category({**special, "L": letter, "Nd": number | DIGIT | SPECIAL, "Nl": number, "No": number})
    spaces = [code for code in np.flatnonzero(by_category({"Z": 1, "Cc": 1})).tolist() if chr(code).isspace()]
    table[spaces] |= SPACE | SPECIAL
    table[list(map(ord, SYMBOLS))] |= SYMBOL
    return table


def code_points(text: str) -> NDArray[np.uint32]:
    """Code points of a text as (n_characters,) uint32; lone surrogates included.

    >>> code_points("ab").tolist()
    [97, 98]
    """
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def text_places(texts: Sequence[str]) -> NDArray[np.int64]:
    r"""Where each text begins and ends in "\n".join(texts), in code points; (n_texts, 2).

    >>> text_places(["ab", "", "c"]).tolist()
    [[0, 2], [3, 3], [4, 5]]
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    ends = np.cumsum(lengths + 1) - 1
    return np.stack((ends - lengths, ends), axis=1)


def special_count(codes: NDArray[np.uint32]) -> int:
    """Number of special characters among code points; from 0 to all of them.

    >>> special_count(code_points("a b!"))
    2
    """
    return int(_special_count(codes, character_classes()))


@kernel
def _special_count(codes: NDArray[np.uint32], classes: NDArray[np.uint8]) -> int:
    count = 0
    for code in codes:
        count += classes[min(code, len(classes) - 1)] & SPECIAL
    return count
