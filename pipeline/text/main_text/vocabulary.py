"""What the tokeniser knows of HTML: tags and how they behave, character references, words in class names, characters.

Kernels look names up by a 64-bit FNV-1a hash in open-addressing tables, built here once a process.
"""

import html.entities
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.characters import TERMINAL, by_category

FNV_OFFSET: Final = 0xCBF29CE484222325
FNV_PRIME: Final = 0x100000001B3
_MASK64: Final = 2**64 - 1

# How a tag behaves; a tag has any of these bits.
BLOCK: Final = 1  # ends a block of text, becomes a node of the light tree
VOID: Final = 2  # has no content
RAW: Final = 4  # its content is text up to its end tag, and is not shown
SKIP: Final = 8  # its text is not shown or not read: form controls, pictures, ruby annotations
CLOSES_P: Final = 16  # its start tag ends an open paragraph
FORMATTING: Final = 32  # inline; its end tag works across block elements
SCOPE: Final = 64  # end tags inside do not reach beyond it
BOLD: Final = 128
HEADING: Final = 256
TABLE_PART: Final = 512
SPECIAL: Final = 1024  # an end tag of an inline element does not reach beyond it
UNSHOWN: Final = 2048  # html, head, body: not kept on the stack
BREAKS_OUT: Final = 4096  # its start tag ends a picture or formula around it

_TAGS: Final[dict[int, str]] = {
    BLOCK: "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu nav ol p pre search section summary table "
    "caption colgroup tbody td tfoot th thead tr ul xmp plaintext button frameset optgroup option body2",
    VOID: "area base basefont bgsound br col embed frame hr image img input keygen link meta param source track wbr",
    RAW: "script style title textarea iframe noembed noframes",
    SKIP: "select svg template noscript rt rp datalist",
    CLOSES_P: "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p pre search section summary table "
    "ul xmp plaintext",
    FORMATTING: "a b big code em font i nobr s small strike strong tt u",
    SCOPE: "applet caption table td th marquee object template",
    BOLD: "b strong",
    HEADING: "h1 h2 h3 h4 h5 h6",
    TABLE_PART: "table caption colgroup tbody thead tfoot tr td th",
    SPECIAL: "address applet article aside blockquote button caption center colgroup dd details dir div dl dt "
    "fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup iframe li listing main marquee "
    "menu nav noembed noframes noscript object ol p plaintext pre script search section select style summary table "
    "tbody td template textarea tfoot th thead title tr ul xmp",
    UNSHOWN: "html head body",
    BREAKS_OUT: "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing "
    "menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul",
    0: "time span label abbr sup sub cite q ruby rb rtc math picture video audio canvas object applet marquee ins del",
}
TAG_NAMES: Final[tuple[str, ...]] = (
    "",
    *sorted({name for names in _TAGS.values() for name in names.split()} - {"body2"}),
)
TAG: Final[dict[str, int]] = {name: number for number, name in enumerate(TAG_NAMES)}  # 0 is any other tag


def enumeration(names: Iterable[str], start: int = 0) -> Any:
    """Numbers by name, so that kernels say `Tag.table` where they mean the number of that tag.

    >>> int(enumeration(("li", "p"), start=1).p)
    2
    """
    return IntEnum("Numbers", list(names), start=start)


Tag: Final = enumeration(TAG_NAMES[1:], start=1)  # the numbers of TAG

# Words of class, id, role and itemprop that say what an element is for; groups are bits. English words stand on pages
# in every language, because they are the developers'.
CLASS_WORDS: Final[tuple[str, ...]] = (
    "article story news post entry hentry artikel articolo noticia nota articulo",
    "content text main body maincontent maintext articlebody bodytext storytext copy prose richtext contenido inhalt",
    "comment comments disqus commentlist respond reply replies discussion responses reviews fos comentarios kommentare",
    "nav navigation navbar menu menubar submenu topnav breadcrumb breadcrumbs crumb pagination pager paging tabs",
    "footer foot bottom copyright contentinfo legal colophon imprint credits",
    "header head top banner masthead topbar logo branding",
    "sidebar side aside rail widget widgets complementary secondary col right left column",
    "related more recommend recommended recommendations read also similar popular trending latest most teaser teasers "
    "promo outbrain taboola next previous prev carousel",
    "ad ads advert advertisement advertising adsense sponsor sponsored banner werbung anzeige publicidad reklama dfp",
    "share sharing social facebook twitter addthis follow like bookmark tools toolbar print email whatsapp icons",
    "meta byline author date time timestamp published info kicker dateline posted postmeta credit",
    "caption image img photo picture gallery figure media video player thumbnail thumb slideshow credit copyright",
    "tag tags category categories topic topics keywords label labels archive",
    "form login signin register subscribe subscription newsletter signup search input modal popup overlay dialog "
    "paywall",
    "cookie cookies consent gdpr privacy disclaimer notice alert warning hidden hide invisible none sr screenreader",
    "title headline heading hed subtitle subhead lead intro summary abstract excerpt deck dek standfirst description",
    "list item items link links index toc contents grid card cards block box feed listing result results",
    "quote blockquote recipe ingredients ingredient instructions directions step steps faq question answer forum "
    "thread message code pre table data spec specs definition",
)

# What a character is, for counts that hold in every script.
OTHER, LETTER, UPPER, HAN_KANA, DIGIT, TERMINAL_MARK, COMMA, SYMBOL, SPACE, INVISIBLE, SYLLABLE = range(11)
CHARACTER_CLASSES: Final = 11
_COMMAS: Final = (
    ",",
    ";",
    "\N{ARABIC COMMA}",
    "\N{ARABIC SEMICOLON}",
    "\N{IDEOGRAPHIC COMMA}",
    "\N{FULLWIDTH COMMA}",
    "\N{FULLWIDTH SEMICOLON}",
    "\N{HALFWIDTH IDEOGRAPHIC COMMA}",
    "\N{ETHIOPIC COMMA}",
)
CHARACTERS: Final = 0x20000  # planes 0 and 1; beyond them nearly all is Han


def fnv1a(text: str) -> int:
    """64-bit FNV-1a over code points; the kernels compute the same.

    >>> hex(fnv1a("p"))
    '0xaf63ed4c8602096f'
    """
    value = FNV_OFFSET
    for character in text:
        value = ((value ^ ord(character)) * FNV_PRIME) & _MASK64
    return value


def _hash_table(entries: Mapping[str, int] | Iterable[tuple[str, int]]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Keys and values of an open-addressing table at most half full; key 0 is empty."""
    pairs = list(entries.items() if isinstance(entries, Mapping) else entries)
    size = 1 << (2 * len(pairs)).bit_length()
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for name, value in pairs:
        key = fnv1a(name)
        slot = key & (size - 1)
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + 1) & (size - 1)
        keys[slot] = key
        values[slot] |= value
    return keys, values


@lru_cache(maxsize=1)
def tag_tables() -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Hash keys and numbers of tags, and the behaviour of each number."""
    behaviour = np.zeros(len(TAG_NAMES), np.int64)
    for bit, names in _TAGS.items():
        for name in names.split():
            if name in TAG:
                behaviour[TAG[name]] |= bit
    keys, numbers = _hash_table({name: number for name, number in TAG.items() if name})
    return keys, numbers, behaviour


@lru_cache(maxsize=1)
def reference_tables() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Named character references (HTML Living Standard, 13.5): name, with its semicolon where it needs one, to
    first code point | second code point << 32."""
    table = {}
    for name, value in html.entities.html5.items():
        table[name] = ord(value[0]) | (ord(value[1]) << 32 if len(value) > 1 else 0)
    return _hash_table(table)


@lru_cache(maxsize=1)
def class_word_tables() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Words in class names to the bits of their groups."""
    return _hash_table([(word, 1 << bit) for bit, words in enumerate(CLASS_WORDS) for word in words.split()])


@lru_cache(maxsize=1)
def character_classes() -> NDArray[np.uint8]:
    """The class of every code point of planes 0 and 1; (CHARACTERS,) uint8."""
    values = {"L": LETTER, "Lu": UPPER, "Lt": UPPER, "M": OTHER, "N": DIGIT, "P": SYMBOL, "S": SYMBOL, "Z": SPACE}
    values |= {"C": OTHER, "Cc": SPACE, "Cf": INVISIBLE}
    classes = by_category(values)[:CHARACTERS]
    for first, last in (
        (0x2E80, 0x2FDF),
        (0x3005, 0x3007),
        (0x3041, 0x30FF),
        (0x31F0, 0x31FF),
        (0x3400, 0x9FFF),
        (0xF900, 0xFAFF),
        (0xFF66, 0xFF9F),
        (0x1B000, 0x1B16F),
    ):  # Han, Hiragana, Katakana
        letters = classes[first : last + 1]
        letters[(letters == LETTER) | (letters == SYMBOL) & (first == 0x2E80)] = HAN_KANA
    classes[0x80:0xA0] = OTHER  # C1 controls are the remains of damaged encodings, which repair needs whole
    for first, last in ((0x1200, 0x137C), (0x13A0, 0x13F5), (0x1401, 0x166C), (0xA000, 0xA48C), (0xAC00, 0xD7A3)):
        letters = classes[first : last + 1]  # Ethiopic, Cherokee, Canadian syllabics, Yi, Hangul
        letters[(letters == LETTER) | (letters == UPPER)] = SYLLABLE
    for character in TERMINAL | frozenset("\N{HORIZONTAL ELLIPSIS}"):
        if ord(character) < CHARACTERS:
            classes[ord(character)] = TERMINAL_MARK
    for character in _COMMAS:
        classes[ord(character)] = COMMA
    return classes
