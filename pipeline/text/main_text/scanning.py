"""Where what stands in the bytes of a page ends: comments, raw text, scripts, characters, character references.

All of it by the HTML Living Standard, whose sections the functions name. Positions are int64 indices of the source.
"""

from typing import Final

import numpy as np

from pipeline.kernels.compile import inner_kernel
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.hashes import OFFSET, PRIME, hash_lower, value_of

LT, GT, SLASH, BANG, QUESTION, AMP, HASH, SEMICOLON = 60, 62, 47, 33, 63, 38, 35, 59
QUOTE, APOSTROPHE, EQUALS, DASH = 34, 39, 61, 45

_H_SCRIPT: Final = np.uint64(v.fnv1a("script"))
# WHATWG 13.2.5.80: what numeric references to the C1 controls mean
_C1: Final = np.array(
    [
        ord(bytes([code]).decode("cp1252", "replace")) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else code
        for code in range(0x80, 0xA0)
    ],
    np.int64,
)


@inner_kernel
def is_space(c):  # type: ignore[no-untyped-def]
    """Whether a byte is white space of HTML: tab, line feed, form feed, carriage return or space."""
    return c == 32 or (9 <= c <= 13 and c != 11)


@inner_kernel
def next_byte(source, i, c):  # type: ignore[no-untyped-def]
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
def after_byte(source, i, c):  # type: ignore[no-untyped-def]
    """Position behind the next c, the length of the source where there is none."""
    return min(next_byte(source, i, c) + 1, len(source))


@inner_kernel
def code_point(source, i):  # type: ignore[no-untyped-def]
    """The code point at i, which is not ASCII, and the position behind it."""
    n = len(source)
    c = np.int64(source[i])
    length = 2 if c < 0xE0 else 3 if c < 0xF0 else 4
    c &= 0xFF >> (length + 1)
    for k in range(i + 1, min(i + length, n)):
        c = (c << 6) | (np.int64(source[k]) & 0x3F)
    return c, min(i + length, n)


@inner_kernel
def after_comment(source, i):  # type: ignore[no-untyped-def]
    """Position behind a comment whose text starts at i (behind `<!--`)."""
    n = len(source)
    if i < n and source[i] == GT:
        return i + 1
    if i + 1 < n and source[i] == DASH and source[i + 1] == GT:
        return i + 2
    while i < n:
        i = next_byte(source, i, DASH)
        if i + 2 < n and source[i + 1] == DASH:
            if source[i + 2] == GT:
                return i + 3
            if source[i + 2] == BANG and i + 3 < n and source[i + 3] == GT:
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
    if not (is_space(c) or c == SLASH or c == GT):
        return False
    return hash_lower(source, i, end) == name_hash


@inner_kernel
def raw_end(source, i, name_hash, length):  # type: ignore[no-untyped-def]
    """Position of the `<` of the end tag of raw text, -1 without one (rawtext and RCDATA states)."""
    n = len(source)
    while i + length + 2 < n:
        i = next_byte(source, i, LT)
        if i + length + 2 < n and source[i + 1] == SLASH and _is_tag(source, i + 2, name_hash, length):
            return i
        i += 1
    return -1


@inner_kernel
def script_end(source, i):  # type: ignore[no-untyped-def]
    """Position of the `<` of a script's end tag, -1 without one; `<!-- <script` hides one end tag (13.2.5.4-31)."""
    n = len(source)
    escaped = doubly = False
    while i < n:
        if not escaped:
            i = next_byte(source, i, LT)
            if i == n:
                break
        c = source[i]
        if c == LT:
            if not escaped:
                if i + 3 < n and source[i + 1] == BANG and source[i + 2] == DASH and source[i + 3] == DASH:
                    escaped = True
                    i += 2  # the dashes may be those of an end, as in <!-->
                    continue
            elif not doubly and _is_tag(source, i + 1, _H_SCRIPT, 6):
                doubly = True
            if i + 1 < n and source[i + 1] == SLASH and _is_tag(source, i + 2, _H_SCRIPT, 6):
                if not doubly:
                    return i
                doubly = False
        elif c == DASH and escaped and i + 2 < n and source[i + 1] == DASH and source[i + 2] == GT:
            escaped = doubly = False
            i += 2
        i += 1
    return -1


@inner_kernel
def reference(source, i, reference_keys, reference_values):  # type: ignore[no-untyped-def]
    """Code points (second << 32 | first) of the character reference at i, which has an ampersand, and the position
    behind it; 0 where there is none (13.2.5.72-80)."""
    n = len(source)
    j = i + 1
    if j < n and source[j] == HASH:
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
        if j < n and source[j] == SEMICOLON:
            j += 1
        if value == 0 or value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
            value = np.int64(0xFFFD)
        elif 0x80 <= value <= 0x9F:
            value = _C1[value - 0x80]
        return value, j
    h = OFFSET
    value = np.int64(0)
    end = i
    while j < n and j - i <= 32:
        c = source[j]
        if not (48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == SEMICOLON):
            break
        h = (h ^ np.uint64(c)) * PRIME
        j += 1
        if c == SEMICOLON or j - i <= 7:  # a name without a semicolon has six letters at most
            found = value_of(reference_keys, reference_values, h)
            if found > 0:
                value, end = found, j
        if c == SEMICOLON:
            break
    return value, end
