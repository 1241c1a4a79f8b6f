"""HTML to blocks of text in one compiled pass, without a document tree.

Takes a page as UTF-8, of which only what is shown is ever decoded; gives the text that a reader would see, cut into
blocks at block elements and line breaks, with counts per block, and a light tree of the block elements. Tags,
attributes, comments, raw text and character references are read as the HTML Living Standard says (13.2.5); of tree
construction (13.2.6) it follows what decides where text belongs: implied end tags, scopes, formatting elements that
end across blocks, scripts within comments within scripts, foreign content. It does not move misplaced text out of
tables, nor reopen formatting elements. Tests hold its text against lexbor's on real pages.

The loop over the page is here, with what a start tag and an end tag do; the modules that it calls read tags (`tags`),
keep the open elements (`elements`), write text (`block_text`), and find where other parts of the source end
(`scanning`). What the loop calls in one place is inlined: called as functions, these parts make extraction 16 % slower.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import inlined_kernel, inner_kernel, kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text import elements as e
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.block_text import STATE_FIELDS, CharacterTables, State, Text, add_text, end_block
from pipeline.text.main_text.blocks import Blocks, Utf8, as_utf8
from pipeline.text.main_text.hashes import OFFSET, PRIME
from pipeline.text.main_text.scanning import (
    BANG,
    DASH,
    GT,
    LT,
    QUESTION,
    SLASH,
    after_byte,
    after_comment,
    next_byte,
    raw_end,
    script_end,
)  # fmt: skip
from pipeline.text.main_text.tags import TAG_FIELDS, Field, NameTables, read_tag
from pipeline.text.main_text.vocabulary import Tag


class Tree(NamedTuple):
    """The tables of block elements and of places where metadata stand."""

    nodes: NDArray[np.int32]
    paths: NDArray[np.uint64]
    spans: NDArray[np.int32]


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


@kernel
def _tokenise(  # type: ignore[no-untyped-def]
    source, keep_noscript, tag_keys, tag_numbers, behaviour, reference_keys, reference_values, word_keys, word_groups,
    character_classes,
):  # fmt: skip
    """Stream, blocks, nodes, paths and spans of a page, as `Blocks` has them."""
    n = len(source)
    most = 2  # rows: a tag begins a node and ends a block at most
    for k in range(n):
        most += source[k] == LT
    names = NameTables(tag_keys, tag_numbers, word_keys, word_groups)
    characters = CharacterTables(character_classes, reference_keys, reference_values)
    # What is not written to takes no memory. Tables that grow would be counted references to with each character.
    text = Text(
        np.empty(n + 2, np.uint32), np.empty((most, b.BLOCK_COLUMNS), np.int32), np.zeros(v.CHARACTER_CLASSES, np.int32)
    )
    tree = Tree(
        np.empty((most, b.NODE_COLUMNS), np.int32), np.empty(most, np.uint64),
        np.empty((b.MAX_SPANS, b.SPAN_COLUMNS), np.int32),
    )  # fmt: skip
    elements = e.OpenElements(
        np.zeros((e.MAX_DEPTH + 2, e.STACK_COLUMNS), np.int64), np.zeros(e.MAX_DEPTH + 2, np.int64),
        np.zeros(len(behaviour), np.int64), np.zeros(e.KIND_COUNT, np.int64), behaviour,
    )  # fmt: skip
    state, tag = np.zeros(STATE_FIELDS, np.int64), np.zeros(TAG_FIELDS, np.int64)
    state[State.node_count] = 1
    tree.nodes[0, b.PARENT] = -1
    tree.nodes[0, b.TAG] = tree.nodes[0, b.GROUPS] = tree.nodes[0, b.DEPTH] = 0
    tree.paths[0] = OFFSET
    i = 0
    while i < n:
        if source[i] == LT and i + 1 < n:
            after = source[i + 1]
            is_end = after == SLASH
            letter = source[i + 2] if is_end and i + 2 < n else after
            if 65 <= letter <= 90 or 97 <= letter <= 122:
                end = read_tag(source, i + 2 if is_end else i + 1, is_end, names, tag)
                if end >= n:
                    break  # a tag that does not end is dropped
                if is_end:
                    breaks = _end_element(tag, state, elements)
                    i = end + 1
                else:
                    i, breaks = _start_element(source, i, end + 1, keep_noscript, tag, state, elements, tree)
                if breaks:
                    end_block(state, text)
                continue
            if is_end or after == BANG or after == QUESTION:
                i = _after_other_markup(source, i)
                continue
        if elements.depths[e.SKIPPED]:
            i = next_byte(source, i + 1, LT)
        else:
            i = add_text(source, i, state, elements, characters, text)
    end_block(state, text)
    n_nodes = state[State.node_count]
    stream, blocks = text.stream[: state[State.position]], text.blocks[: state[State.block_count]]
    return stream, blocks, tree.nodes[:n_nodes], tree.paths[:n_nodes], tree.spans[: state[State.span_count]]


@inner_kernel
def _after_other_markup(source, i):  # type: ignore[no-untyped-def]
    """Position behind a comment, a declaration, an instruction or a `</` that no name follows, which begins at i."""
    n = len(source)
    if source[i + 1] == BANG and i + 3 < n and source[i + 2] == DASH and source[i + 3] == DASH:
        return after_comment(source, i + 4)
    if source[i + 1] == SLASH and i + 2 >= n:
        return n
    return after_byte(source, i + 1, GT)


@inlined_kernel
def _end_element(tag, state, elements):  # type: ignore[no-untyped-def]
    """What an end tag does to the open elements; returns whether the block of text ends with it."""
    number, height = tag[Field.number], state[State.height]
    kind = elements.behaviour[number]
    if elements.depths[e.FOREIGN] and (number == Tag.br or number == Tag.p):
        height = e.imply_ends(number, height, elements)
    breaks = False
    if number == Tag.br:
        breaks = True
        state[State.after_break] = 1
    elif number == Tag.p and not elements.opened[Tag.p]:
        breaks = True
    elif elements.opened[number]:
        level = e.level_of_end(number, tag[Field.name], height, elements)
        if level >= 0:
            if number == Tag.form or (kind & v.FORMATTING and not kind & v.BLOCK):
                breaks = number == Tag.form
                for k in range(level, height - 1):
                    elements.names[k] = elements.names[k + 1]
                height = e.remove(level, height, elements)
            else:
                breaks = kind & v.BLOCK > 0
                height = e.pop_to(level, height, elements)
    state[State.height] = height
    return breaks


@inlined_kernel
def _start_element(source, start, end, keep_noscript, tag, state, elements, tree):  # type: ignore[no-untyped-def]
    """What a start tag, from `start` to `end`, does to the open elements.

    Returns the position to read on at, which is behind raw text where the tag begins it, and whether the block of text
    ends with the tag.
    """
    number = tag[Field.number]
    kind = elements.behaviour[number]
    if number == Tag.meta:
        _note_span(b.SPAN_META, start, end, state, tree)
    elif number == Tag.html:
        _note_span(b.SPAN_HTML, start, end, state, tree)
    elif number == Tag.link:
        _note_span(b.SPAN_LINK, start, end, state, tree)
    elif number == Tag.time:
        _note_span(b.SPAN_TIME, start, end, state, tree)
    is_foreign = elements.depths[e.FOREIGN] > 0
    if kind & v.RAW and not (is_foreign and (number == Tag.title or number == Tag.style)):
        return _after_raw_text(source, start, end, tag, state, tree), number == Tag.textarea
    if kind & v.UNSHOWN:
        return end, number == Tag.body
    ends_select = number == Tag.select and elements.opened[Tag.select] > 0  # and opens none
    state[State.height] = e.imply_ends(number, state[State.height], elements)
    breaks = kind & v.BLOCK > 0
    if number == Tag.br:
        breaks = True
        state[State.after_break] = 1
    elif number == Tag.img:
        state[State.images] += 1
    is_foreign = elements.depths[e.FOREIGN] > 0 or number == Tag.svg or number == Tag.math
    is_empty = kind & v.VOID or ends_select or (tag[Field.ends_itself] and is_foreign)
    if not is_empty and state[State.height] < e.MAX_DEPTH:
        _open_element(keep_noscript, tag, state, elements, tree)
    return end, breaks


@inlined_kernel
def _open_element(keep_noscript, tag, state, elements, tree):  # type: ignore[no-untyped-def]
    """Put an element on the stack of open ones, a block element also into the tree."""
    number, groups, height = tag[Field.number], tag[Field.groups], state[State.height]
    kind = elements.behaviour[number]
    kinds = 0
    if number == Tag.a and tag[Field.has_href]:
        kinds |= 1 << e.LINK
    if kind & v.BOLD:
        kinds |= 1 << e.BOLD
    if number == Tag.pre or number == Tag.listing or number == Tag.xmp or number == Tag.plaintext:
        kinds |= 1 << e.PREFORMATTED
    if kind & (v.SKIP | v.RAW) and not (number == Tag.noscript and keep_noscript):
        kinds |= 1 << e.SKIPPED
    if tag[Field.is_hidden]:
        kinds |= 1 << e.HIDDEN
    if number == Tag.svg or number == Tag.math:
        kinds |= 1 << e.FOREIGN
    parent = elements.stack[height - 1, e.NODE] if height else 0
    groups |= elements.stack[height - 1, e.GROUPS] if height else 0
    node = parent
    if kind & v.BLOCK:
        node = state[State.node_count]
        tree.nodes[node, b.PARENT] = parent
        tree.nodes[node, b.TAG] = number
        tree.nodes[node, b.GROUPS] = groups
        tree.nodes[node, b.DEPTH] = tree.nodes[parent, b.DEPTH] + 1
        path = (tree.paths[parent] ^ np.uint64(number)) * PRIME
        tree.paths[node] = (path ^ np.uint64(tag[Field.shape])) * PRIME
        state[State.node_count] += 1
        groups = 0
    state[State.height] = e.push(number, tag[Field.name], kinds, node, groups, height, elements)
    if number == Tag.a and tag[Field.has_href] and elements.depths[e.SKIPPED] == 0:
        state[State.links] += 1


@inlined_kernel
def _after_raw_text(source, start, end, tag, state, tree):  # type: ignore[no-untyped-def]
    """Position behind the raw text of an element whose start tag lies from `start` to `end`; a title, and a script
    that is JSON-LD, are noted."""
    number = tag[Field.number]
    if number == Tag.script:
        text_end = script_end(source, end)
    else:
        text_end = raw_end(source, end, np.uint64(tag[Field.name]), tag[Field.name_length])
    if number == Tag.title:
        _note_span(b.SPAN_TITLE, end, text_end if text_end >= 0 else end, state, tree)
    elif number == Tag.script and state[State.span_count] < b.MAX_SPANS and _is_json(source, start, end):
        _note_span(b.SPAN_JSON, end, text_end if text_end >= 0 else end, state, tree)
    if text_end >= 0:
        return after_byte(source, text_end, GT)
    return len(source) if number == Tag.script or number == Tag.style else end


@inner_kernel
def _is_json(source, start, end):  # type: ignore[no-untyped-def]
    """Whether a script's start tag has type="application/ld+json"."""
    for k in range(start, end - 6):
        if source[k] == 108 and source[k + 1] == 100 and source[k + 2] == 43:  # ld+
            return True
    return False


@inner_kernel
def _note_span(kind, start, end, state, tree):  # type: ignore[no-untyped-def]
    """Note where something stands that metadata are read from, while there is room."""
    row = state[State.span_count]
    if row < b.MAX_SPANS:
        tree.spans[row, 0], tree.spans[row, 1], tree.spans[row, 2] = kind, start, end
        state[State.span_count] += 1
