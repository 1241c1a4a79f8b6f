"""HTML to blocks of text in one compiled pass, without a document tree.

Takes a page as UTF-8, of which only what is shown is ever decoded; gives the text that a reader would see, cut into
blocks at block elements and line breaks, with counts per block, and a light tree of the block elements. Tags,
attributes, comments, raw text and character references are read as the HTML Living Standard says (13.2.5); of tree
construction (13.2.6) it follows what decides where text belongs: implied end tags, scopes, formatting elements that
end across blocks, scripts within comments within scripts, foreign content. It does not move misplaced text out of
tables, nor reopen formatting elements. Tests hold its text against lexbor's on real pages.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import inner_kernel, kernel
from pipeline.text.main_text import vocabulary as v

# Columns of the block table.
START, END, NODE, FLAGS, WORDS, LINK_CHARACTERS, LINKS, BOLD_CHARACTERS, IMAGES, INLINE_GROUPS = range(10)
FIRST_CLASS, LAST_CLASS, COUNTS = 10, 11, 12  # COUNTS: a column for each class of character
BLOCK_COLUMNS: Final = COUNTS + v.CHARACTER_CLASSES
# Flags of a block.
AFTER_BREAK, HIDDEN, PREFORMATTED = 1, 2, 4
# Columns of the node table.
PARENT, TAG, GROUPS, DEPTH = range(4)
NODE_COLUMNS: Final = 4
# Spans of the source that metadata are read from.
SPAN_META, SPAN_HTML, SPAN_LINK, SPAN_TIME, SPAN_TITLE, SPAN_JSON = range(6)
MAX_SPANS: Final = 400
MAX_DEPTH: Final = 500  # browsers stop at 512

Utf8 = bytes | memoryview  # of a page; a memoryview where the page lies in memory that two processes share

_LT, _GT, _SLASH, _BANG, _QUESTION, _AMP, _HASH, _SEMICOLON = 60, 62, 47, 33, 63, 38, 35, 59
_QUOTE, _APOSTROPHE, _EQUALS, _DASH = 34, 39, 61, 45
_LINK, _BOLD, _PRE, _SKIP, _HIDE, _FOREIGN = range(6)  # how many open elements are such

_OFFSET = np.uint64(v.FNV_OFFSET)
_PRIME = np.uint64(v.FNV_PRIME)
_H_CLASS, _H_ID, _H_ROLE, _H_ITEMPROP = (np.uint64(v.fnv1a(name)) for name in ("class", "id", "role", "itemprop"))
_H_STYLE, _H_HIDDEN, _H_ARIA_HIDDEN, _H_HREF = (
    np.uint64(v.fnv1a(name)) for name in ("style", "hidden", "aria-hidden", "href")
)
_LONGEST_KNOWN: Final = len("aria-hidden")  # of these attributes
_MAY_BE_KNOWN: Final = np.zeros((256, _LONGEST_KNOWN + 1), np.bool_)  # by first byte and length of the name
for _name in ("class", "id", "role", "itemprop", "style", "hidden", "aria-hidden", "href"):
    _MAY_BE_KNOWN[[ord(_name[0]), ord(_name[0].upper())], len(_name)] = True
_ENDS_NAME: Final = np.array([chr(byte) in "=>/ \t\n\f\r" for byte in range(256)])
_H_NONE, _H_TRUE = np.uint64(v.fnv1a("display:none")), np.uint64(v.fnv1a("true"))
_T = v.TAG
_A, _P, _BR, _IMG, _LI, _DD, _DT, _TR, _TD, _TH = (
    _T[name] for name in ("a", "p", "br", "img", "li", "dd", "dt", "tr", "td", "th")
)
_TABLE, _TBODY, _THEAD, _TFOOT, _CAPTION, _COLGROUP = (
    _T[name] for name in ("table", "tbody", "thead", "tfoot", "caption", "colgroup")
)
_OPTION, _OPTGROUP, _SELECT, _BUTTON, _FORM, _UL, _OL, _DIV, _ADDRESS = (
    _T[name] for name in ("option", "optgroup", "select", "button", "form", "ul", "ol", "div", "address")
)
_RT, _RP, _RB, _SVG, _MATH, _PRE_TAG, _LISTING, _XMP, _PLAINTEXT = (
    _T[name] for name in ("rt", "rp", "rb", "svg", "math", "pre", "listing", "xmp", "plaintext")
)
_SCRIPT, _STYLE, _TITLE, _TEXTAREA, _META, _LINK_TAG, _HTML, _TIME, _NOSCRIPT = (
    _T[name] for name in ("script", "style", "title", "textarea", "meta", "link", "html", "time", "noscript")
)
_TEMPLATE, _BODY, _HR = _T["template"], _T["body"], _T["hr"]
# WHATWG 13.2.5.80: what numeric references to the C1 controls mean
_C1: Final = np.array(
    [
        ord(bytes([code]).decode("cp1252", "replace")) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else code
        for code in range(0x80, 0xA0)
    ],
    np.int64,
)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A page's visible text, its blocks, the block elements around them, and where metadata stand in the source."""

    stream: NDArray[np.uint32]  # code points of all blocks, one after another
    blocks: NDArray[np.int32]  # (n_blocks, BLOCK_COLUMNS)
    nodes: NDArray[np.int32]  # (n_nodes, NODE_COLUMNS); node 0 is the document
    paths: NDArray[np.uint64]  # (n_nodes,) hash of tags and classes from the root
    spans: NDArray[np.int32]  # (n_spans, 3) kind, and the bytes of the source from start to end

    def text(self, block: int) -> str:
        """The text of one block."""
        start, end = self.blocks[block, START], self.blocks[block, END]
        return self.stream[start:end].tobytes().decode("utf-32-le")


def as_utf8(html: str | Utf8) -> Utf8:
    """A page as the tokeniser reads it; bytes must be valid UTF-8. Raises UnicodeEncodeError on a lone surrogate."""
    return html.encode() if isinstance(html, str) else html


def tokenise(html: str | Utf8, keep_noscript: bool = False) -> Blocks:
    """Blocks of a page, which as bytes must be valid UTF-8, as a string valid Unicode (else UnicodeEncodeError).

    >>> page = tokenise("<p>One <b>two</b><br>three<script>no</script>")
    >>> [page.text(block) for block in range(len(page.blocks))]
    ['One two', 'three']
    """
    source = np.frombuffer(as_utf8(html), np.uint8)
    source.flags.writeable = False  # as those of bytes are: the kernel is compiled for one kind of array
    return Blocks(
        *_tokenise(
            source, keep_noscript, *v.tag_tables(), *v.reference_tables(), *v.class_word_tables(),
            v.character_classes(),
        )
    )  # fmt: skip


@inner_kernel
def _find(keys, values, key):  # type: ignore[no-untyped-def]
    """The value of a key in an open-addressing table, -1 where it is absent."""
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return values[slot]
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@inner_kernel
def _lower(c):  # type: ignore[no-untyped-def]
    return np.int64(c) + 32 if 65 <= c <= 90 else np.int64(c)


@inner_kernel
def _is_space(c):  # type: ignore[no-untyped-def]
    return c == 32 or (9 <= c <= 13 and c != 11)


@inner_kernel
def _is_mojibake(c, before):  # type: ignore[no-untyped-def]
    """Whether a control, no-break space or soft hyphen can be the rest of a letter in UTF-8 that was read as Latin 1.

    Such text is repaired after extraction, which has to leave it whole.
    """
    if 0x80 <= c <= 0x9F:
        return True
    if c != 0xA0 and c != 0xAD:
        return False
    return 0x80 <= before <= 0xF4 or 0x152 <= before <= 0x192 or 0x2013 <= before <= 0x203A or before == 0x20AC


@inner_kernel
def _hash_lower(source, start, end):  # type: ignore[no-untyped-def]
    h = _OFFSET
    for i in range(start, end):
        h = (h ^ np.uint64(_lower(source[i]))) * _PRIME
    return h


@inner_kernel
def _next(source, i, c):  # type: ignore[no-untyped-def]
    """Position of the next c, the length of the source where there is none."""
    n = len(source)
    wanted = np.uint8(c)
    while i + 64 <= n:  # a loop without exits over so many bytes becomes one comparison of all
        part = source[i : i + 64]
        first = np.int32(64)
        for k in range(64):
            first = min(first, np.int32(k) if part[k] == wanted else np.int32(64))
        if first < 64:
            return i + first
        i += 64
    while i < n and source[i] != c:
        i += 1
    return i


@inner_kernel
def _after(source, i, c):  # type: ignore[no-untyped-def]
    """Position behind the next c, the length of the source where there is none."""
    return min(_next(source, i, c) + 1, len(source))


@inner_kernel
def _code_point(source, i):  # type: ignore[no-untyped-def]
    """The code point at i, which is not ASCII, and the position behind it."""
    n = len(source)
    c = np.int64(source[i])
    length = 2 if c < 0xE0 else 3 if c < 0xF0 else 4
    c &= 0xFF >> (length + 1)
    for k in range(i + 1, min(i + length, n)):
        c = (c << 6) | (np.int64(source[k]) & 0x3F)
    return c, min(i + length, n)


@inner_kernel
def _after_comment(source, i):  # type: ignore[no-untyped-def]
    """Position behind a comment whose text starts at i (behind `<!--`)."""
    n = len(source)
    if i < n and source[i] == _GT:
        return i + 1
    if i + 1 < n and source[i] == _DASH and source[i + 1] == _GT:
        return i + 2
    while i < n:
        i = _next(source, i, _DASH)
        if i + 2 < n and source[i + 1] == _DASH:
            if source[i + 2] == _GT:
                return i + 3
            if source[i + 2] == _BANG and i + 3 < n and source[i + 3] == _GT:
                return i + 4
        i += 1
    return n


@inner_kernel
def _is_tag(source, i, name_hash, length):  # type: ignore[no-untyped-def]
    """Whether the name at i is the one with this hash, followed by what ends a tag name."""
    end = i + length
    if end >= len(source):
        return False
    c = source[end]
    if not (_is_space(c) or c == _SLASH or c == _GT):
        return False
    return _hash_lower(source, i, end) == name_hash


@inner_kernel
def _raw_end(source, i, name_hash, length):  # type: ignore[no-untyped-def]
    """Position of the `<` of the end tag of raw text, -1 without one (rawtext and RCDATA states)."""
    n = len(source)
    while i + length + 2 < n:
        i = _next(source, i, _LT)
        if i + length + 2 < n and source[i + 1] == _SLASH and _is_tag(source, i + 2, name_hash, length):
            return i
        i += 1
    return -1


_H_SCRIPT: Final = np.uint64(v.fnv1a("script"))


@inner_kernel
def _script_end(source, i):  # type: ignore[no-untyped-def]
    """Position of the `<` of a script's end tag, -1 without one; `<!-- <script` hides one end tag (13.2.5.4-31)."""
    n = len(source)
    escaped = doubly = False
    while i < n:
        if not escaped:
            i = _next(source, i, _LT)
            if i == n:
                break
        c = source[i]
        if c == _LT:
            if not escaped:
                if i + 3 < n and source[i + 1] == _BANG and source[i + 2] == _DASH and source[i + 3] == _DASH:
                    escaped = True
                    i += 2  # the dashes may be those of an end, as in <!-->
                    continue
            elif not doubly and _is_tag(source, i + 1, _H_SCRIPT, 6):
                doubly = True
            if i + 1 < n and source[i + 1] == _SLASH and _is_tag(source, i + 2, _H_SCRIPT, 6):
                if not doubly:
                    return i
                doubly = False
        elif c == _DASH and escaped and i + 2 < n and source[i + 1] == _DASH and source[i + 2] == _GT:
            escaped = doubly = False
            i += 2
        i += 1
    return -1


@inner_kernel
def _class_groups(source, start, end, word_keys, word_values):  # type: ignore[no-untyped-def]
    """Bits of the groups that the words of a class or id belong to, and a hash of its letters."""
    groups = np.int64(0)
    h = shape = _OFFSET
    length = 0
    lower_before = False
    for i in range(start, end + 1):
        c = source[i] if i < end else 32
        is_upper = 65 <= c <= 90
        is_letter = is_upper or 97 <= c <= 122
        if length and (not is_letter or (is_upper and lower_before)):
            if length > 1:
                found = _find(word_keys, word_values, h)
                if found > 0:
                    groups |= found
            h = _OFFSET
            length = 0
        if is_letter:
            h = (h ^ np.uint64(_lower(c))) * _PRIME
            length += 1
            shape = (shape ^ np.uint64(c)) * _PRIME
        lower_before = bool(is_letter and not is_upper)
    return groups, shape


@inner_kernel
def _hides(source, start, end):  # type: ignore[no-untyped-def]
    """Whether a style says display: none."""
    n = 0
    h = _OFFSET
    for i in range(start, end + 1):
        c = source[i] if i < end else _SEMICOLON
        if c == _SEMICOLON:
            if n == 12 and h == _H_NONE:
                return True
            h = _OFFSET
            n = 0
        elif not _is_space(c) and n <= 12:
            h = (h ^ np.uint64(_lower(c))) * _PRIME
            n += 1
    return False


@inner_kernel
def _pop_to(level, sp, stack, opened, depths):  # type: ignore[no-untyped-def]
    """Take elements from the top of the stack down to `level`; returns the new height, which is `level`."""
    while sp > level:
        sp -= 1
        opened[stack[sp, 0]] -= 1
        kinds = stack[sp, 2]
        for kind in range(6):
            if kinds >> kind & 1:
                depths[kind] -= 1
    return sp


@inner_kernel
def _remove(level, sp, stack, opened, depths):  # type: ignore[no-untyped-def]
    """Take one element out of the stack and leave those above it; returns the new height."""
    opened[stack[level, 0]] -= 1
    kinds = stack[level, 2]
    for kind in range(6):
        if kinds >> kind & 1:
            depths[kind] -= 1
    for i in range(level, sp - 1):
        for column in range(stack.shape[1]):
            stack[i, column] = stack[i + 1, column]
    return sp - 1


@inner_kernel
def _open_level(tag, stops, sp, stack, behaviour):  # type: ignore[no-untyped-def]
    """Level of the innermost open element of a tag, -1 where an element with one of the bits `stops` is nearer."""
    for level in range(sp - 1, -1, -1):
        t = stack[level, 0]
        if t == tag:
            return level
        if behaviour[t] & stops:
            return -1
    return -1


@inner_kernel
def _imply_ends(tag, sp, stack, opened, depths, behaviour):  # type: ignore[no-untyped-def]
    """End what a start tag ends without saying so; returns the new height of the stack."""
    if opened[_SVG] or opened[_MATH]:
        if behaviour[tag] & v.BREAKS_OUT:
            for level in range(sp):
                if stack[level, 0] == _SVG or stack[level, 0] == _MATH:
                    sp = _pop_to(level, sp, stack, opened, depths)
                    break
    if behaviour[tag] & v.CLOSES_P and opened[_P]:
        level = sp - 1
        while level >= 0 and stack[level, 0] != _P:
            if behaviour[stack[level, 0]] & v.SCOPE or stack[level, 0] == _BUTTON:
                level = -1
                break
            level -= 1
        if level >= 0:
            sp = _pop_to(level, sp, stack, opened, depths)
    if tag == _LI and opened[_LI]:
        for level in range(sp - 1, -1, -1):
            t = stack[level, 0]
            if t == _LI:
                sp = _pop_to(level, sp, stack, opened, depths)
                break
            if behaviour[t] & v.SPECIAL and t != _ADDRESS and t != _DIV and t != _P:
                break
    elif tag == _DD or tag == _DT:
        for level in range(sp - 1, -1, -1):
            t = stack[level, 0]
            if t == _DD or t == _DT:
                sp = _pop_to(level, sp, stack, opened, depths)
                break
            if behaviour[t] & v.SPECIAL and t != _ADDRESS and t != _DIV and t != _P:
                break
    elif behaviour[tag] & v.HEADING:
        if sp and behaviour[stack[sp - 1, 0]] & v.HEADING:
            sp = _pop_to(sp - 1, sp, stack, opened, depths)
    elif behaviour[tag] & v.TABLE_PART and tag != _TABLE:
        if opened[_TABLE]:
            lowest = sp
            for level in range(sp - 1, -1, -1):
                t = stack[level, 0]
                if t == _TABLE or t == _TEMPLATE:
                    break
                if t == _TD or t == _TH or t == _CAPTION or t == _COLGROUP:
                    lowest = level
                elif t == _TR and tag != _TD and tag != _TH:
                    lowest = level
                elif (t == _TBODY or t == _THEAD or t == _TFOOT) and tag != _TD and tag != _TH and tag != _TR:
                    lowest = level
            sp = _pop_to(lowest, sp, stack, opened, depths)
    elif tag == _TABLE:
        if sp and behaviour[stack[sp - 1, 0]] & v.TABLE_PART:
            t = stack[sp - 1, 0]
            if t != _TD and t != _TH and t != _CAPTION:  # a table directly in a table's row ends that table
                for level in range(sp - 1, -1, -1):
                    if stack[level, 0] == _TABLE:
                        sp = _pop_to(level, sp, stack, opened, depths)
                        break
    elif tag == _OPTION or tag == _OPTGROUP:
        if sp and stack[sp - 1, 0] == _OPTION:
            sp = _pop_to(sp - 1, sp, stack, opened, depths)
    elif tag == _RT or tag == _RP:
        if sp and (stack[sp - 1, 0] == _RT or stack[sp - 1, 0] == _RP or stack[sp - 1, 0] == _RB):
            sp = _pop_to(sp - 1, sp, stack, opened, depths)
    elif tag == _A and opened[_A]:
        level = _open_level(_A, v.SCOPE, sp, stack, behaviour)
        if level >= 0:
            sp = _remove(level, sp, stack, opened, depths)
    elif tag == _BUTTON and opened[_BUTTON]:
        level = _open_level(_BUTTON, v.SCOPE, sp, stack, behaviour)
        if level >= 0:
            sp = _pop_to(level, sp, stack, opened, depths)
    elif tag == _SELECT and opened[_SELECT]:
        level = _open_level(_SELECT, v.SCOPE, sp, stack, behaviour)
        if level >= 0:
            sp = _pop_to(level, sp, stack, opened, depths)
    return sp


@inner_kernel
def _end_level(tag, name, sp, stack, names, behaviour):  # type: ignore[no-untyped-def]
    """Level of the element that an end tag ends, -1 where it is to be ignored."""
    kind = behaviour[tag]
    for level in range(sp - 1, -1, -1):
        t = stack[level, 0]
        if t == tag and (tag != 0 or names[level] == name):
            return level
        if kind & v.HEADING and behaviour[t] & v.HEADING:
            return level
        if kind & v.TABLE_PART:
            if t == _TABLE or t == _TEMPLATE:
                return -1
        elif behaviour[t] & v.SCOPE:
            return -1
        elif tag == _LI and (t == _UL or t == _OL):
            return -1
        elif tag == _P and t == _BUTTON:
            return -1
        elif not kind & (v.BLOCK | v.FORMATTING) and behaviour[t] & v.SPECIAL and not kind & v.SPECIAL:
            return -1
    return -1


@inner_kernel
def _reference(source, i, reference_keys, reference_values):  # type: ignore[no-untyped-def]
    """Code points (second << 32 | first) of the character reference at i, which has an ampersand, and the position
    behind it; 0 where there is none (13.2.5.72-80)."""
    n = len(source)
    j = i + 1
    if j < n and source[j] == _HASH:
        j += 1
        base = 10
        if j < n and (source[j] == 120 or source[j] == 88):
            base = 16
            j += 1
        value = np.int64(0)
        first = j
        while j < n:
            c = np.int64(source[j])
            if 48 <= c <= 57:
                digit = c - 48
            elif base == 16 and 97 <= c <= 102:
                digit = c - 87
            elif base == 16 and 65 <= c <= 70:
                digit = c - 55
            else:
                break
            value = min(value * base + digit, np.int64(0x110000))
            j += 1
        if j == first:
            return np.int64(0), i
        if j < n and source[j] == _SEMICOLON:
            j += 1
        if value == 0 or value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
            value = np.int64(0xFFFD)
        elif 0x80 <= value <= 0x9F:
            value = _C1[value - 0x80]
        return value, j
    h = _OFFSET
    value = np.int64(0)
    end = i
    while j < n and j - i <= 32:
        c = source[j]
        if not (48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == _SEMICOLON):
            break
        h = (h ^ np.uint64(c)) * _PRIME
        j += 1
        if c == _SEMICOLON or j - i <= 7:  # a name without a semicolon has six letters at most
            found = _find(reference_keys, reference_values, h)
            if found > 0:
                value, end = found, j
        if c == _SEMICOLON:
            break
    return value, end


@inner_kernel
def _write(  # type: ignore[no-untyped-def]
    blocks, n, start, end, node, flags, words, link_characters, links, bold_characters, images, inline, first, last,
    counts,
):  # fmt: skip
    """Add a row to the block table; returns the number of its rows."""
    blocks[n, START], blocks[n, END], blocks[n, NODE], blocks[n, FLAGS] = start, end, node, flags
    blocks[n, WORDS], blocks[n, LINK_CHARACTERS], blocks[n, LINKS] = words, link_characters, links
    blocks[n, BOLD_CHARACTERS], blocks[n, IMAGES], blocks[n, INLINE_GROUPS] = bold_characters, images, inline
    blocks[n, FIRST_CLASS], blocks[n, LAST_CLASS] = first, last
    for k in range(v.CHARACTER_CLASSES):
        blocks[n, COUNTS + k] = counts[k]
    return n + 1


@kernel
def _tokenise(  # type: ignore[no-untyped-def]
    source, keep_noscript, tag_keys, tag_numbers, behaviour, reference_keys, reference_values, word_keys, word_values,
    character_class,
):  # fmt: skip
    """Stream, blocks, nodes, paths and spans of a page, as `Blocks` has them."""
    n = len(source)
    most = 2  # rows: a tag begins a node and ends a block at most
    for k in range(n):
        most += source[k] == _LT
    # What is not written to takes no memory. Tables that grow would be counted references to with each character.
    stream = np.empty(n + 2, np.uint32)
    blocks = np.empty((most, BLOCK_COLUMNS), np.int32)
    nodes = np.empty((most, NODE_COLUMNS), np.int32)
    paths = np.empty(most, np.uint64)
    spans = np.empty((MAX_SPANS, 3), np.int32)
    stack = np.zeros((MAX_DEPTH + 2, 4), np.int64)  # tag, node, kinds, groups of inline elements
    names = np.zeros(MAX_DEPTH + 2, np.uint64)
    opened = np.zeros(len(behaviour), np.int64)
    depths = np.zeros(6, np.int64)
    counts = np.zeros(v.CHARACTER_CLASSES, np.int32)
    sp = 0
    pos = n_blocks = n_spans = 0
    n_nodes = 1
    nodes[0, PARENT] = -1
    nodes[0, TAG] = nodes[0, GROUPS] = nodes[0, DEPTH] = 0
    paths[0] = _OFFSET
    # the block being filled
    start = 0
    node = flags = words = link_characters = links = bold_characters = images = inline = first = last = 0
    space = False
    indent = 0
    after_break = False
    pending = np.int64(0)
    i = 0
    while i < n or pending:
        if pending:
            c = pending
            pending = np.int64(0)
        else:
            c = np.int64(source[i])  # signed: Numba compares unsigned with signed numbers as floats
            if c == _LT and i + 1 < n:
                d = source[i + 1]
                is_end = d == _SLASH
                e = source[i + 2] if is_end and i + 2 < n else d
                if 65 <= e <= 90 or 97 <= e <= 122:
                    # a tag: its name, then attributes
                    name_start = i + 2 if is_end else i + 1
                    j = name_start
                    name = _OFFSET
                    while j < n and source[j] != _GT and source[j] != _SLASH and not _is_space(source[j]):
                        name = (name ^ np.uint64(_lower(source[j]))) * _PRIME
                        j += 1
                    name_length = j - name_start
                    tag = max(np.int64(0), _find(tag_keys, tag_numbers, name))
                    groups = np.int64(0)
                    shape = np.uint64(0)
                    hidden = closed_itself = has_href = False
                    while j < n and source[j] != _GT:
                        if _is_space(source[j]) or source[j] == _SLASH:
                            closed_itself = source[j] == _SLASH
                            j += 1
                            continue
                        closed_itself = False
                        attribute_start = j
                        j += 1
                        while j < n and not _ENDS_NAME[source[j]]:
                            j += 1
                        attribute_length = j - attribute_start
                        while j < n and _is_space(source[j]):
                            j += 1
                        value_start = value_end = j
                        if j < n and source[j] == _EQUALS:
                            j += 1
                            while j < n and _is_space(source[j]):
                                j += 1
                            if j < n and (source[j] == _QUOTE or source[j] == _APOSTROPHE):
                                value_start = j + 1
                                j = _after(source, j + 1, source[j])
                                value_end = j - 1
                            else:
                                value_start = j
                                while j < n and source[j] != _GT and not _is_space(source[j]):
                                    j += 1
                                value_end = j
                        if is_end or attribute_length > _LONGEST_KNOWN:
                            continue
                        if not _MAY_BE_KNOWN[source[attribute_start], attribute_length]:
                            continue
                        attribute = _hash_lower(source, attribute_start, attribute_start + attribute_length)
                        if attribute == _H_CLASS or attribute == _H_ID:
                            found, letters = _class_groups(source, value_start, value_end, word_keys, word_values)
                            groups |= found
                            if attribute == _H_CLASS:
                                shape = letters
                        elif attribute == _H_ROLE or attribute == _H_ITEMPROP:
                            groups |= _class_groups(source, value_start, value_end, word_keys, word_values)[0]
                        elif attribute == _H_STYLE:
                            hidden = hidden or _hides(source, value_start, value_end)
                        elif attribute == _H_HIDDEN:
                            hidden = True
                        elif attribute == _H_ARIA_HIDDEN:
                            hidden = hidden or bool(_hash_lower(source, value_start, value_end) == _H_TRUE)
                        elif attribute == _H_HREF:
                            has_href = True
                    if j >= n:
                        break  # a tag that does not end is dropped
                    tag_start = i
                    i = j + 1
                    kind = behaviour[tag]
                    breaks = False
                    if is_end:
                        if depths[_FOREIGN] and tag in (_BR, _P):
                            sp = _imply_ends(tag, sp, stack, opened, depths, behaviour)
                        if tag == _BR:
                            breaks = after_break = True
                        elif tag == _P and not opened[_P]:
                            breaks = True
                        elif opened[tag]:
                            level = _end_level(tag, name, sp, stack, names, behaviour)
                            if level >= 0:
                                if kind & v.BLOCK and tag != _FORM:
                                    breaks = True
                                    sp = _pop_to(level, sp, stack, opened, depths)
                                elif tag == _FORM or kind & v.FORMATTING:
                                    breaks = tag == _FORM
                                    for k in range(level, sp - 1):
                                        names[k] = names[k + 1]
                                    sp = _remove(level, sp, stack, opened, depths)
                                else:
                                    sp = _pop_to(level, sp, stack, opened, depths)
                    else:
                        if n_spans < MAX_SPANS and (tag == _META or tag == _HTML or tag == _LINK_TAG or tag == _TIME):
                            spans[n_spans, 0] = (
                                SPAN_META if tag == _META else SPAN_HTML if tag == _HTML
                                else SPAN_LINK if tag == _LINK_TAG else SPAN_TIME
                            )  # fmt: skip
                            spans[n_spans, 1] = tag_start
                            spans[n_spans, 2] = i
                            n_spans += 1
                        foreign = depths[_FOREIGN] > 0
                        if kind & v.RAW and not (foreign and (tag == _TITLE or tag == _STYLE)):
                            end = _script_end(source, i) if tag == _SCRIPT else _raw_end(source, i, name, name_length)
                            if n_spans < MAX_SPANS and (tag == _TITLE or tag == _SCRIPT):
                                json_type = False
                                if tag == _SCRIPT:  # type="application/ld+json"
                                    for k in range(tag_start, i - 6):
                                        if source[k] == 108 and source[k + 1] == 100 and source[k + 2] == 43:
                                            json_type = True
                                            break
                                if tag == _TITLE or json_type:
                                    spans[n_spans, 0] = SPAN_TITLE if tag == _TITLE else SPAN_JSON
                                    spans[n_spans, 1] = i
                                    spans[n_spans, 2] = end if end >= 0 else i
                                    n_spans += 1
                            if end >= 0:
                                i = _after(source, end, _GT)
                            elif tag == _SCRIPT or tag == _STYLE:
                                i = n
                            if tag == _TEXTAREA:
                                breaks = True
                        elif kind & v.UNSHOWN:
                            breaks = tag == _BODY
                        else:
                            ends_select = tag == _SELECT and opened[_SELECT] > 0  # and opens none
                            sp = _imply_ends(tag, sp, stack, opened, depths, behaviour)
                            foreign = depths[_FOREIGN] > 0
                            breaks = kind & v.BLOCK > 0
                            if tag == _BR:
                                breaks = after_break = True
                            elif tag == _IMG:
                                images += 1
                            if (
                                kind & v.VOID
                                or ends_select
                                or (closed_itself and (foreign or tag == _SVG or tag == _MATH))
                            ):
                                if tag == _HR:
                                    breaks = True
                            elif sp < MAX_DEPTH:
                                kinds = 0
                                if tag == _A and has_href:
                                    kinds |= 1 << _LINK
                                if kind & v.BOLD:
                                    kinds |= 1 << _BOLD
                                if tag == _PRE_TAG or tag == _LISTING or tag == _XMP or tag == _PLAINTEXT:
                                    kinds |= 1 << _PRE
                                if kind & (v.SKIP | v.RAW) and not (tag == _NOSCRIPT and keep_noscript):
                                    kinds |= 1 << _SKIP
                                if hidden:
                                    kinds |= 1 << _HIDE
                                if tag == _SVG or tag == _MATH:
                                    kinds |= 1 << _FOREIGN
                                for k in range(6):
                                    if kinds >> k & 1:
                                        depths[k] += 1
                                parent = stack[sp - 1, 1] if sp else 0
                                above = stack[sp - 1, 3] if sp else 0
                                stack[sp, 0] = tag
                                stack[sp, 2] = kinds
                                names[sp] = name
                                opened[tag] += 1
                                if kind & v.BLOCK:
                                    nodes[n_nodes, PARENT] = parent
                                    nodes[n_nodes, TAG] = tag
                                    nodes[n_nodes, GROUPS] = groups | above
                                    nodes[n_nodes, DEPTH] = nodes[parent, DEPTH] + 1
                                    paths[n_nodes] = (((paths[parent] ^ np.uint64(tag)) * _PRIME) ^ shape) * _PRIME
                                    stack[sp, 1] = n_nodes
                                    stack[sp, 3] = 0
                                    n_nodes += 1
                                else:
                                    stack[sp, 1] = parent
                                    stack[sp, 3] = above | groups
                                sp += 1
                                if tag == _A and has_href and depths[_SKIP] == 0:
                                    links += 1
                    if breaks:
                        if pos > start:
                            n_blocks = _write(
                                blocks, n_blocks, start, pos, node, flags, words, link_characters, links,
                                bold_characters, images, inline, first, last, counts,
                            )  # fmt: skip
                            start = pos
                            links = images = 0
                        space = False
                        indent = 0
                    continue
                if d == _BANG or d == _QUESTION or is_end:
                    if d == _BANG and i + 3 < n and source[i + 2] == _DASH and source[i + 3] == _DASH:
                        i = _after_comment(source, i + 4)
                    elif is_end and i + 2 >= n:
                        i = n
                    else:
                        i = _after(source, i + 1, _GT)
                    continue
            if depths[_SKIP]:
                i = _next(source, i + 1, _LT)
                continue
            if c == _AMP:
                value, end = _reference(source, i, reference_keys, reference_values)
                if value:
                    c = value & 0xFFFFFFFF
                    pending = value >> 32
                    i = end
                else:
                    i += 1
            elif c < 0x80:
                i += 1
            else:
                c, i = _code_point(source, i)
        looks = int(character_class[c]) if c < len(character_class) else v.HAN_KANA
        if c >= 0x80 and _is_mojibake(c, np.int64(stream[pos - 1]) if pos > start and not space else 0):
            looks = v.OTHER
        elif looks == v.SPACE:
            if depths[_PRE] and c != 13:
                if pos > start:
                    stream[pos] = c
                    pos += 1
                    words += 1
                elif c == 10:
                    indent = 0
                else:
                    indent += 1
            else:
                space = True
                if not depths[_PRE] and not pending:
                    while i < n and _is_space(source[i]):  # more of it, as in indented source
                        i += 1
            continue
        elif looks == v.INVISIBLE and (c == 0xAD or c == 0xFEFF or pos == start):
            continue
        if pos == start:
            node = stack[sp - 1, 1] if sp else 0
            inline = stack[sp - 1, 3] if sp else 0
            flags = (
                (AFTER_BREAK if after_break else 0)
                | (HIDDEN if depths[_HIDE] else 0)
                | (PREFORMATTED if depths[_PRE] else 0)
            )
            after_break = False
            words = 1
            link_characters = bold_characters = 0
            first = looks
            counts[:] = 0
            if depths[_PRE]:
                for _ in range(min(indent, 80)):
                    stream[pos] = 32
                    pos += 1
            indent = 0
            if depths[_LINK] and links == 0:
                links = 1
        elif space:
            stream[pos] = 32
            pos += 1
            words += 1
        space = False
        stream[pos] = c
        pos += 1
        counts[looks] += 1
        last = looks
        more = 0
        while not pending and i < n and 97 <= source[i] <= 122:  # most of what follows a letter is a small letter
            stream[pos] = source[i]
            pos += 1
            i += 1
            more += 1
        if more:
            counts[v.LETTER] += more
            last = v.LETTER
        if depths[_LINK]:
            link_characters += 1 + more
        if depths[_BOLD]:
            bold_characters += 1 + more
    if pos > start:
        n_blocks = _write(
            blocks, n_blocks, start, pos, node, flags, words, link_characters, links,
            bold_characters, images, inline, first, last, counts,
        )  # fmt: skip
    return stream[:pos], blocks[:n_blocks], nodes[:n_nodes], paths[:n_nodes], spans[:n_spans]
