"""Text of the source to the stream, block by block: white space, references, counts of what stands in a block."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import inlined_kernel, inner_kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text import elements as e
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.scanning import AMP, LT, code_point, is_space, reference

LARGEST_INDENT: Final = 80  # spaces in front of preformatted text

# How far the tokeniser is, as an array of int64: rows that the tables have, height of the stack of open elements, ends
# of the stream and of the blocks before; then of the block that is being filled its columns, and whether white space
# was read since its last character, how far its first line is indented, whether a line break led to it.
_FIELDS: Final = (
    "block_count node_count span_count height position start node flags words link_characters links bold_characters "
    "images inline_groups first_class last_class space indent after_break"
)
State: Final = v.enumeration(_FIELDS.split())
STATE_FIELDS: Final = len(State)


class CharacterTables(NamedTuple):
    """Classes of characters, and a hash table of character references, both of `vocabulary`."""

    classes: NDArray[np.uint8]
    reference_keys: NDArray[np.uint64]
    reference_values: NDArray[np.int64]


class Text(NamedTuple):
    """What text is written to, and the counts of the block that is being filled."""

    stream: NDArray[np.uint32]
    blocks: NDArray[np.int32]
    counts: NDArray[np.int32]  # (CHARACTER_CLASSES,)


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


@inlined_kernel
def add_text(source, start, state, elements, characters, text):  # type: ignore[no-untyped-def]
    """Write the characters from `start` to the next `<` to the stream; one at `start` itself is a character.

    Returns the position of that `<`, the length of the source where there is none.
    """
    n = len(source)
    stream, counts, depths = text.stream, text.counts, elements.depths
    position = state[State.position]
    is_begun = position > state[State.start]
    space = state[State.space] > 0
    pending = np.int64(0)  # the second character of a reference to two
    i = start
    while pending or (i < n and (source[i] != LT or i == start)):
        if pending:
            c = pending
            pending = np.int64(0)
        else:
            c = np.int64(source[i])  # signed: Numba compares unsigned with signed numbers as floats
            if c == AMP:
                value, end = reference(source, i, characters.reference_keys, characters.reference_values)
                if value:
                    c = value & 0xFFFFFFFF
                    pending = value >> 32
                    i = end
                else:
                    i += 1
            elif c < 0x80:
                i += 1
            else:
                c, i = code_point(source, i)
        kind = int(characters.classes[c]) if c < len(characters.classes) else v.HAN_KANA
        if c >= 0x80 and _is_mojibake(c, np.int64(stream[position - 1]) if is_begun and not space else 0):
            kind = v.OTHER
        elif kind == v.SPACE:
            if depths[e.PREFORMATTED] and c != 13:
                if is_begun:
                    stream[position] = c
                    position += 1
                    state[State.words] += 1
                elif c == 10:
                    state[State.indent] = 0
                else:
                    state[State.indent] += 1
            else:
                space = True
                if not depths[e.PREFORMATTED] and not pending:
                    while i < n and is_space(source[i]):  # more of it, as in indented source
                        i += 1
            continue
        elif kind == v.INVISIBLE and (c == 0xAD or c == 0xFEFF or not is_begun):
            continue
        if not is_begun:
            position = _begin_block(kind, position, state, elements, text)
            is_begun = True
        elif space:
            stream[position] = 32
            position += 1
            state[State.words] += 1
        space = False
        stream[position] = c
        position += 1
        counts[kind] += 1
        more = 0
        while not pending and i < n and 97 <= source[i] <= 122:  # most of what follows a letter is a small letter
            stream[position] = source[i]
            position += 1
            i += 1
            more += 1
        if more:
            counts[v.LETTER] += more
            kind = v.LETTER
        state[State.last_class] = kind
        if depths[e.LINK]:
            state[State.link_characters] += 1 + more
        if depths[e.BOLD]:
            state[State.bold_characters] += 1 + more
    state[State.position] = position
    state[State.space] = space
    return i


@inlined_kernel
def _begin_block(kind, position, state, elements, text):  # type: ignore[no-untyped-def]
    """Begin a block with a character of a class; returns where in the stream it stands, behind its indent."""
    height, depths = state[State.height], elements.depths
    state[State.node] = elements.stack[height - 1, e.NODE] if height else 0
    state[State.inline_groups] = elements.stack[height - 1, e.GROUPS] if height else 0
    state[State.flags] = (
        (b.AFTER_BREAK if state[State.after_break] else 0)
        | (b.HIDDEN if depths[e.HIDDEN] else 0)
        | (b.PREFORMATTED if depths[e.PREFORMATTED] else 0)
    )
    state[State.after_break] = 0
    state[State.words] = 1
    state[State.link_characters] = state[State.bold_characters] = 0
    state[State.first_class] = kind
    text.counts[:] = 0
    if depths[e.PREFORMATTED]:
        for _ in range(min(state[State.indent], LARGEST_INDENT)):
            text.stream[position] = 32
            position += 1
    state[State.indent] = 0
    if depths[e.LINK] and state[State.links] == 0:
        state[State.links] = 1
    return position


@inlined_kernel
def end_block(state, text):  # type: ignore[no-untyped-def]
    """End the block that is being filled: a row of the block table, where it has any character."""
    if state[State.position] > state[State.start]:
        row = text.blocks[state[State.block_count]]
        row[b.START], row[b.END], row[b.NODE] = state[State.start], state[State.position], state[State.node]
        row[b.FLAGS], row[b.WORDS], row[b.LINKS] = state[State.flags], state[State.words], state[State.links]
        row[b.LINK_CHARACTERS], row[b.BOLD_CHARACTERS] = state[State.link_characters], state[State.bold_characters]
        row[b.IMAGES], row[b.INLINE_GROUPS] = state[State.images], state[State.inline_groups]
        row[b.FIRST_CLASS], row[b.LAST_CLASS] = state[State.first_class], state[State.last_class]
        for kind in range(v.CHARACTER_CLASSES):
            row[b.COUNTS + kind] = text.counts[kind]
        state[State.block_count] += 1
        state[State.start] = state[State.position]
        state[State.links] = state[State.images] = 0
    state[State.space] = state[State.indent] = 0
