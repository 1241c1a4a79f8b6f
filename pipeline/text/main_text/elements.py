"""The open elements: what a start tag ends without saying so, and which element an end tag ends.

Of tree construction in the HTML Living Standard (13.2.6) it follows what decides where text belongs. A level counts
open elements from the outermost, 0; the height of the stack is how many are open.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import inner_kernel
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.vocabulary import Tag

MAX_DEPTH: Final = 500  # browsers stop at 512

# Columns of the stack; NODE is the block element that an element is or lies in, GROUPS are those of the class names of
# the inline elements between the two.
TAG, NODE, KINDS, GROUPS = range(4)
STACK_COLUMNS: Final = 4
# Kinds of elements, bits of KINDS: what is counted, since it decides how the text inside is read.
LINK, BOLD, PREFORMATTED, SKIPPED, HIDDEN, FOREIGN = range(6)
KIND_COUNT: Final = 6


class OpenElements(NamedTuple):
    """The stack of open elements, what is counted of it, and how tags behave."""

    stack: NDArray[np.int64]  # (MAX_DEPTH + 2, STACK_COLUMNS)
    names: NDArray[np.int64]  # (MAX_DEPTH + 2,) hash of the tag's name
    opened: NDArray[np.int64]  # (n_tags,) how many elements of a tag are open
    depths: NDArray[np.int64]  # (KIND_COUNT,) how many elements of a kind are open
    behaviour: NDArray[np.int64]  # (n_tags,) bits of `vocabulary`


@inner_kernel
def push(tag, name, kinds, node, groups, height, elements):  # type: ignore[no-untyped-def]
    """Open an element; returns the new height of the stack."""
    stack = elements.stack
    stack[height, TAG] = tag
    stack[height, NODE] = node
    stack[height, KINDS] = kinds
    stack[height, GROUPS] = groups
    elements.names[height] = name
    elements.opened[tag] += 1
    for kind in range(KIND_COUNT):
        if kinds >> kind & 1:
            elements.depths[kind] += 1
    return height + 1


@inner_kernel
def pop_to(level, height, elements):  # type: ignore[no-untyped-def]
    """Take elements from the top of the stack down to `level`; returns the new height, which is `level`."""
    while height > level:
        height -= 1
        _uncount(height, elements)
    return height


@inner_kernel
def remove(level, height, elements):  # type: ignore[no-untyped-def]
    """Take one element out of the stack and leave those above it; returns the new height."""
    _uncount(level, elements)
    for i in range(level, height - 1):
        for column in range(STACK_COLUMNS):
            elements.stack[i, column] = elements.stack[i + 1, column]
    return height - 1


@inner_kernel
def _uncount(level, elements):  # type: ignore[no-untyped-def]
    """Count an element no longer."""
    elements.opened[elements.stack[level, TAG]] -= 1
    kinds = elements.stack[level, KINDS]
    for kind in range(KIND_COUNT):
        if kinds >> kind & 1:
            elements.depths[kind] -= 1


@inner_kernel
def imply_ends(tag, height, elements):  # type: ignore[no-untyped-def]
    """End what a start tag ends without saying so; returns the new height of the stack."""
    stack, opened, behaviour = elements.stack, elements.opened, elements.behaviour
    kind = behaviour[tag]
    if (opened[Tag.svg] or opened[Tag.math]) and kind & v.BREAKS_OUT:
        height = _end_foreign(height, elements)
    if kind & v.CLOSES_P and opened[Tag.p]:
        height = _end_paragraph(height, elements)
    if tag == Tag.li and opened[Tag.li]:
        height = _end_item(Tag.li, Tag.li, height, elements)
    elif tag == Tag.dd or tag == Tag.dt:
        height = _end_item(Tag.dd, Tag.dt, height, elements)
    elif kind & v.HEADING:
        if height and behaviour[stack[height - 1, TAG]] & v.HEADING:
            height = pop_to(height - 1, height, elements)
    elif kind & v.TABLE_PART and tag != Tag.table:
        if opened[Tag.table]:
            height = _end_table_parts(tag, height, elements)
    elif tag == Tag.table:
        height = _end_table(height, elements)
    elif tag == Tag.option or tag == Tag.optgroup:
        if height and stack[height - 1, TAG] == Tag.option:
            height = pop_to(height - 1, height, elements)
    elif tag == Tag.rt or tag == Tag.rp:
        if height:
            last = stack[height - 1, TAG]
            if last == Tag.rt or last == Tag.rp or last == Tag.rb:
                height = pop_to(height - 1, height, elements)
    elif tag == Tag.a and opened[Tag.a]:
        level = _level_in_scope(Tag.a, height, elements)
        if level >= 0:
            height = remove(level, height, elements)
    elif (tag == Tag.button and opened[Tag.button]) or (tag == Tag.select and opened[Tag.select]):
        level = _level_in_scope(tag, height, elements)
        if level >= 0:
            height = pop_to(level, height, elements)
    return height


@inner_kernel
def _level_in_scope(tag, height, elements):  # type: ignore[no-untyped-def]
    """Level of the innermost open element of a tag, -1 where an element that bounds a scope is nearer."""
    for level in range(height - 1, -1, -1):
        t = elements.stack[level, TAG]
        if t == tag:
            return level
        if elements.behaviour[t] & v.SCOPE:
            return -1
    return -1


@inner_kernel
def _end_foreign(height, elements):  # type: ignore[no-untyped-def]
    """End the outermost picture or formula."""
    for level in range(height):
        if elements.stack[level, TAG] == Tag.svg or elements.stack[level, TAG] == Tag.math:
            return pop_to(level, height, elements)
    return height


@inner_kernel
def _end_paragraph(height, elements):  # type: ignore[no-untyped-def]
    """End an open paragraph that is in button scope."""
    for level in range(height - 1, -1, -1):
        t = elements.stack[level, TAG]
        if t == Tag.p:
            return pop_to(level, height, elements)
        if elements.behaviour[t] & v.SCOPE or t == Tag.button:
            return height
    return height


@inner_kernel
def _end_item(tag, other, height, elements):  # type: ignore[no-untyped-def]
    """End an open item of a list, which has one of two tags, unless a special element is nearer."""
    for level in range(height - 1, -1, -1):
        t = elements.stack[level, TAG]
        if t == tag or t == other:
            return pop_to(level, height, elements)
        if elements.behaviour[t] & v.SPECIAL and t != Tag.address and t != Tag.div and t != Tag.p:
            return height
    return height


@inner_kernel
def _end_table_parts(tag, height, elements):  # type: ignore[no-untyped-def]
    """End the cells, rows and groups of rows that a part of the same table cannot stand in."""
    lowest = height
    for level in range(height - 1, -1, -1):
        t = elements.stack[level, TAG]
        if t == Tag.table or t == Tag.template:
            break
        if t == Tag.td or t == Tag.th or t == Tag.caption or t == Tag.colgroup:
            lowest = level
        elif t == Tag.tr and tag != Tag.td and tag != Tag.th:
            lowest = level
        elif (t == Tag.tbody or t == Tag.thead or t == Tag.tfoot) and tag != Tag.td and tag != Tag.th and tag != Tag.tr:
            lowest = level
    return pop_to(lowest, height, elements)


@inner_kernel
def _end_table(height, elements):  # type: ignore[no-untyped-def]
    """End the table that another one stands directly in, in a row of it for example and not in a cell."""
    if not height:
        return height
    last = elements.stack[height - 1, TAG]
    if not elements.behaviour[last] & v.TABLE_PART or last == Tag.td or last == Tag.th or last == Tag.caption:
        return height
    for level in range(height - 1, -1, -1):
        if elements.stack[level, TAG] == Tag.table:
            return pop_to(level, height, elements)
    return height


@inner_kernel
def level_of_end(tag, name, height, elements):  # type: ignore[no-untyped-def]
    """Level of the element that an end tag ends, -1 where it is to be ignored; `name` is the hash of its name."""
    kind = elements.behaviour[tag]
    for level in range(height - 1, -1, -1):
        t = elements.stack[level, TAG]
        behaviour = elements.behaviour[t]
        if t == tag and (tag != 0 or elements.names[level] == name):
            return level
        if kind & v.HEADING and behaviour & v.HEADING:
            return level
        if kind & v.TABLE_PART:
            if t == Tag.table or t == Tag.template:
                return -1
        elif behaviour & v.SCOPE:
            return -1
        elif tag == Tag.li and (t == Tag.ul or t == Tag.ol):
            return -1
        elif tag == Tag.p and t == Tag.button:
            return -1
        elif not kind & (v.BLOCK | v.FORMATTING) and behaviour & v.SPECIAL and not kind & v.SPECIAL:
            return -1
    return -1
