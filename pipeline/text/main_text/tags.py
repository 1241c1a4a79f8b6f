"""A tag as it stands in the source: its name, and what its attributes say about the element (13.2.5.8-40).

Of attributes only those are looked at that say what the element is for, whether it is shown, and whether it is a link.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import inlined_kernel, inner_kernel
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.hashes import OFFSET, PRIME, hash_lower, lower, value_of
from pipeline.text.main_text.scanning import APOSTROPHE, EQUALS, GT, QUOTE, SEMICOLON, SLASH, after_byte, is_space

# A tag, as an array of int64: hash and length of its name, its number in `vocabulary`, bits of the groups of its class
# words, hash of the letters of its classes; whether it hides the element, ends with a slash, has an address.
_FIELDS: Final = "name name_length number groups shape is_hidden ends_itself has_href"
Field: Final = v.enumeration(_FIELDS.split())
TAG_FIELDS: Final = len(Field)

_KNOWN: Final = ("class", "id", "role", "itemprop", "style", "hidden", "aria-hidden", "href")  # attributes
_CLASS, _ID, _ROLE, _ITEMPROP, _STYLE, _HIDDEN, _ARIA_HIDDEN, _HREF = (np.uint64(v.fnv1a(name)) for name in _KNOWN)
_LONGEST_KNOWN: Final = max(map(len, _KNOWN))
_MAY_BE_KNOWN: Final = np.zeros((256, _LONGEST_KNOWN + 1), np.bool_)  # by first byte and length of the name
for _name in _KNOWN:
    _MAY_BE_KNOWN[[ord(_name[0]), ord(_name[0].upper())], len(_name)] = True
_ENDS_NAME: Final = np.array([chr(byte) in "=>/ \t\n\f\r" for byte in range(256)])
_DISPLAY_NONE, _TRUE = np.uint64(v.fnv1a("display:none")), np.uint64(v.fnv1a("true"))


class NameTables(NamedTuple):
    """Hash tables of `vocabulary`: tags to their numbers, words of class names to the bits of their groups."""

    tag_keys: NDArray[np.uint64]
    tag_numbers: NDArray[np.int64]
    word_keys: NDArray[np.uint64]
    word_groups: NDArray[np.int64]


@inlined_kernel
def read_tag(source, start, is_end, names, tag):  # type: ignore[no-untyped-def]
    """Read the tag whose name is at `start` into `tag`, for an end tag without its attributes.

    Returns the position of the `>` that ends it, the length of the source where none does.
    """
    n = len(source)
    i = start
    name = OFFSET
    while i < n and source[i] != GT and source[i] != SLASH and not is_space(source[i]):
        name = (name ^ np.uint64(lower(source[i]))) * PRIME
        i += 1
    tag[Field.name] = np.int64(name)
    tag[Field.name_length] = i - start
    tag[Field.number] = max(np.int64(0), value_of(names.tag_keys, names.tag_numbers, name))
    tag[Field.groups] = tag[Field.shape] = tag[Field.is_hidden] = tag[Field.has_href] = 0
    ends_itself = False
    while i < n and source[i] != GT:
        if is_space(source[i]) or source[i] == SLASH:
            ends_itself = source[i] == SLASH
            i += 1
            continue
        ends_itself = False
        name_start = i
        i += 1
        while i < n and not _ENDS_NAME[source[i]]:
            i += 1
        name_length = i - name_start
        while i < n and is_space(source[i]):
            i += 1
        value_start = value_end = i
        if i < n and source[i] == EQUALS:
            i += 1
            while i < n and is_space(source[i]):
                i += 1
            if i < n and (source[i] == QUOTE or source[i] == APOSTROPHE):
                value_start = i + 1
                i = after_byte(source, i + 1, source[i])
                value_end = i - 1
            else:
                value_start = i
                while i < n and source[i] != GT and not is_space(source[i]):
                    i += 1
                value_end = i
        if not is_end and name_length <= _LONGEST_KNOWN and _MAY_BE_KNOWN[source[name_start], name_length]:
            attribute = hash_lower(source, name_start, name_start + name_length)
            _read_attribute(source, attribute, value_start, value_end, names, tag)
    tag[Field.ends_itself] = ends_itself
    return i


@inlined_kernel
def _read_attribute(source, attribute, start, end, names, tag):  # type: ignore[no-untyped-def]
    """Note what an attribute says whose value lies from `start` to `end`; `attribute` is the hash of its name."""
    if attribute == _CLASS or attribute == _ID:
        groups, letters = _class_groups(source, start, end, names.word_keys, names.word_groups)
        tag[Field.groups] |= groups
        if attribute == _CLASS:
            tag[Field.shape] = np.int64(letters)
    elif attribute == _ROLE or attribute == _ITEMPROP:
        tag[Field.groups] |= _class_groups(source, start, end, names.word_keys, names.word_groups)[0]
    elif attribute == _STYLE:
        tag[Field.is_hidden] |= _hides(source, start, end)
    elif attribute == _HIDDEN:
        tag[Field.is_hidden] = 1
    elif attribute == _ARIA_HIDDEN:
        tag[Field.is_hidden] |= hash_lower(source, start, end) == _TRUE
    elif attribute == _HREF:
        tag[Field.has_href] = 1


@inner_kernel
def _class_groups(source, start, end, word_keys, word_groups):  # type: ignore[no-untyped-def]
    """Bits of the groups that the words of a class or id belong to, and a hash of its letters."""
    groups = np.int64(0)
    h = shape = OFFSET
    length = 0
    lower_before = False
    for i in range(start, end + 1):
        c = source[i] if i < end else 32
        is_upper = 65 <= c <= 90
        is_letter = is_upper or 97 <= c <= 122
        if length and (not is_letter or (is_upper and lower_before)):
            if length > 1:
                bits = value_of(word_keys, word_groups, h)
                if bits > 0:
                    groups |= bits
            h = OFFSET
            length = 0
        if is_letter:
            h = (h ^ np.uint64(lower(c))) * PRIME
            length += 1
            shape = (shape ^ np.uint64(c)) * PRIME
        lower_before = bool(is_letter and not is_upper)
    return groups, shape


@inner_kernel
def _hides(source, start, end):  # type: ignore[no-untyped-def]
    """Whether a style says display: none."""
    n = 0
    h = OFFSET
    for i in range(start, end + 1):
        c = source[i] if i < end else SEMICOLON
        if c == SEMICOLON:
            if n == 12 and h == _DISPLAY_NONE:
                return True
            h = OFFSET
            n = 0
        elif not is_space(c) and n <= 12:
            h = (h ^ np.uint64(lower(c))) * PRIME
            n += 1
    return False
