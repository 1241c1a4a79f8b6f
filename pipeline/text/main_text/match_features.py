"""Features of a block's words: which blocks have the same text, and what the page declares in the same words."""

from typing import Final

import numpy as np

from pipeline.kernels.compile import inner_kernel, kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.feature_columns import F, L
from pipeline.text.main_text.hashes import OFFSET, PRIME, lower

LONGEST_TITLE: Final = 400  # code points; of a title, and of a block that may repeat it


@kernel
def add_repeats(stream, blocks, columns):  # type: ignore[no-untyped-def]
    """How many other blocks of the page have the same text, at most 20."""
    n = len(blocks)
    size = 16
    while size < 2 * n:
        size *= 2
    mask = np.uint64(size - 1)
    table, held = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    slots = np.empty(n, np.uint64)
    for i in range(n):
        h = OFFSET
        for k in range(blocks[i, b.START], blocks[i, b.END]):
            h = (h ^ np.uint64(stream[k])) * PRIME
        slot = (h >> np.uint64(7)) & mask
        while held[slot] and table[slot] != h:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = h
        held[slot] += 1
        slots[i] = slot
    for i in range(n):
        columns[F.repeats, i] = min(held[slots[i]] - 1, 20)


@inner_kernel
def _word_hashes(points, start, end, character_class, hashes):  # type: ignore[no-untyped-def]
    """Hashes of the words of a text, one a Han or Kana character; returns their number. ASCII letters in lower case."""
    count = 0
    h = OFFSET
    inside = False
    i = start
    while i < end:
        c = np.int64(points[i])
        i += 1
        k = character_class[c] if c < len(character_class) else np.uint8(v.HAN_KANA)
        if k <= v.UPPER or k in (v.DIGIT, v.SYLLABLE):
            h = (h ^ np.uint64(lower(c))) * PRIME
            inside = True
            while i < end and 97 <= points[i] <= 122:  # most of what follows a letter is a small letter
                h = (h ^ np.uint64(points[i])) * PRIME
                i += 1
            continue
        if inside:
            hashes[count] = h
            count += 1
            h = OFFSET
            inside = False
        if k == v.HAN_KANA:
            hashes[count] = (OFFSET ^ np.uint64(c)) * PRIME
            count += 1
    if inside:
        hashes[count] = h
        count += 1
    return count


@kernel
def _pair_table(points, character_class):  # type: ignore[no-untyped-def]
    """Hash set of the words of a text and of its pairs of neighbouring words, and how many words there are."""
    words = np.zeros(len(points) + 1, np.uint64)
    n_words = _word_hashes(points, 0, len(points), character_class, words)
    size = 16
    while size < 4 * n_words:
        size *= 2
    table = np.zeros(size, np.uint64)
    for j in range(2 * n_words - 1):
        key = words[j // 2] if j % 2 == 0 else (words[j // 2] * PRIME) ^ words[j // 2 + 1]
        table[_slot(table, key)] = key
    return table, n_words


@inner_kernel
def _slot(table, key):  # type: ignore[no-untyped-def]
    """Where a hash set has the key, or room for it."""
    mask = np.uint64(len(table) - 1)
    slot = (key >> np.uint64(7)) & mask
    while table[slot] != 0 and table[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@inner_kernel
def _shared_pairs(words, n_words, table):  # type: ignore[no-untyped-def]
    """Share of the pairs of neighbouring words that the table has; of the one word where there is one."""
    if n_words == 0:
        return 0.0
    pairs = max(n_words - 1, 1)
    shared = 0
    for j in range(pairs):
        key = words[0] if n_words == 1 else (words[j] * PRIME) ^ words[j + 1]
        shared += table[_slot(table, key)] == key
    return shared / pairs


@kernel
def add_matches(  # type: ignore[no-untyped-def]
    stream, blocks, points, title_end, description_end, character_class, running, columns, logs
):
    """Words that a block shares with what the page declares; returns how like the title each block is, 0 to 1."""
    n = len(blocks)
    wanted = np.zeros(LONGEST_TITLE + 1, np.uint64)
    n_wanted = _word_hashes(points, 0, min(title_end, LONGEST_TITLE), character_class, wanted)
    marks = np.uint64(0)  # a bit for the last six bits of each word's hash: most words of a page have none of them
    for k in range(n_wanted):
        marks |= np.uint64(1) << (wanted[k] & np.uint64(63))
    described, n_described = _pair_table(points[title_end:description_end], character_class)
    stated, n_stated = _pair_table(points[description_end:], character_class)
    longest = 0
    for i in range(n):
        longest = max(longest, blocks[i, b.END] - blocks[i, b.START])
    words = np.empty(longest + 1, np.uint64)
    seen = np.empty(LONGEST_TITLE + 1, np.bool_)
    likeness = np.zeros(n)
    best = held = 0.0
    for i in range(n):
        n_words = 0
        is_short = blocks[i, b.END] - blocks[i, b.START] <= LONGEST_TITLE
        if n_described or n_stated or (n_wanted and is_short):
            n_words = _word_hashes(stream, blocks[i, b.START], blocks[i, b.END], character_class, words)
        match = coverage = 0.0
        if n_wanted and is_short and n_words:
            shared = covered = 0
            for k in range(n_wanted):
                seen[k] = False
            for j in range(n_words):
                if not (marks >> (words[j] & np.uint64(63))) & np.uint64(1):
                    continue
                for k in range(n_wanted):
                    if words[j] == wanted[k]:
                        shared += 1
                        covered += not seen[k]
                        seen[k] = True
                        break
            match, coverage = shared / n_words, covered / n_wanted
        columns[F.title_match, i] = match  # share of the block's words that the title has
        columns[F.title_coverage, i] = coverage  # share of the title's words that the block has
        likeness[i] = match * coverage
        share = _shared_pairs(words, n_words, described) if n_described else 0.0
        columns[F.described, i] = share
        best = max(best, share)
        share = _shared_pairs(words, n_words, stated) if n_stated else 0.0
        columns[F.stated, i] = share
        if share > 0.5:
            held += running[i + 1] - running[i]
    for i in range(n):
        columns[F.description_best, i] = best
        logs[L.stated_length, i] = len(points) - description_end
        columns[F.stated_share, i] = held / running[n]
    return likeness
