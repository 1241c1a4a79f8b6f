"""Blocks to features: numbers about each block, its containers, its neighbours and its page that need no language.

Takes what the tokeniser gives and what the page declares; gives a matrix with a named column for each feature. Lengths
count a Han or Kana character as two and a half and the sign of a syllable as two, because they carry about as much as
so many letters. A *good* block reads like prose: long, few links, and a sentence end or the length of several, since
Thai marks none. A block's containers are its ancestors that hold more text than the block alone (wrappers of one block
say nothing), from the inside outwards. No feature names a word of a language; class names and tags are English in
every language's pages.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels import kernel
from pipeline.text.main_text import tokeniser as t
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.metadata import Declared
from pipeline.text.main_text.tokeniser import Blocks

Column = NDArray[np.float32]
HAN_KANA_EXTRA: Final = 1.5
SYLLABLE_EXTRA: Final = 1.0
GOOD_LENGTH: Final = 80.0
LONG_LENGTH: Final = 200.0
CONTAINERS: Final = 3

# A rough order of block tags from the most to the least like running text.
_TAG_ORDER: Final = "p blockquote pre h1 h2 h3 h4 h5 h6 div article section main td th dd dt li figcaption caption"
_ANCESTORS: Final = (
    "li ul,ol,dl table article main,section nav,menu aside header,hgroup footer form,fieldset figure,figcaption "
    "blockquote button,details,dialog,option h1,h2,h3,h4,h5,h6 p"
)


def _tag_lookup(names: str) -> NDArray[np.float32]:
    order = np.zeros(len(v.TAG_NAMES), np.float32)
    for position, name in enumerate(names.split(), start=1):
        order[v.TAG[name]] = position
    return order


def _ancestor_bits() -> NDArray[np.int64]:
    bits = np.zeros(len(v.TAG_NAMES), np.int64)
    for bit, names in enumerate(_ANCESTORS.split()):
        for name in names.split(","):
            bits[v.TAG[name]] |= 1 << bit
    return bits


_ORDER: Final = _tag_lookup(_TAG_ORDER)
_BITS: Final = _ancestor_bits()
_IS_HEADING: Final = np.array([len(name) == 2 and name[0] == "h" and name[1].isdigit() for name in v.TAG_NAMES])
_HEADING_LEVEL: Final = np.array(
    [int(name[1]) if heading else 0 for name, heading in zip(v.TAG_NAMES, _IS_HEADING, strict=True)], np.float32
)
_GROUPS: Final = len(v.CLASS_WORDS)
_ANCESTOR_GROUPS: Final = len(_ANCESTORS.split())


def effective_lengths(page: Blocks) -> NDArray[np.float64]:
    """Length of each block; characters that carry more count more. (n_blocks,) float64, above 0."""
    counts = page.blocks[:, t.COUNTS :]
    extra = HAN_KANA_EXTRA * counts[:, v.HAN_KANA] + SYLLABLE_EXTRA * counts[:, v.SYLLABLE]
    return np.asarray(page.blocks[:, t.END] - page.blocks[:, t.START] + extra)


def measure(page: Blocks, declared: Declared) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Features of every block, (n_blocks, n_features) float32, and their names. Values are finite.

    >>> from pipeline.text.main_text.metadata import read_declared
    >>> source = "<title>A day</title><h1>A day</h1><p>It was a day, and a long one.</p>"
    >>> page = t.tokenise(source)
    >>> matrix, names = measure(page, read_declared(source, page))
    >>> matrix.shape == (2, len(names)), float(matrix[0, names.index("title_match")])
    (True, 1.0)
    """
    blocks, nodes = page.blocks, page.nodes
    n = len(blocks)
    counts = blocks[:, t.COUNTS :].astype(np.float64)
    characters = np.maximum(counts.sum(axis=1), 1)  # spaces left out
    length = effective_lengths(page)
    link_density = blocks[:, t.LINK_CHARACTERS] / characters
    linked = length * link_density
    terminals = counts[:, v.TERMINAL_MARK]
    good = (length >= GOOD_LENGTH) & (link_density < 0.3) & ((terminals > 0) | (length >= LONG_LENGTH))
    good_length = length * good
    node = np.ascontiguousarray(blocks[:, t.NODE])  # a column of one row has another layout, which is compiled anew
    tag = nodes[node, t.TAG]
    heading = _HEADING_LEVEL[tag]
    total, total_good = length.sum(), max(good_length.sum(), 1.0)
    position = np.arange(n)

    commas = np.ascontiguousarray(counts[:, v.COMMA])
    tree = _containers(nodes, node, length, linked, good_length, commas)
    containers, sums, scores, best, ancestors, ancestor_groups = tree
    path = _path_means(page.paths[node], length, linked, good_length)
    classes = v.character_classes()
    match, coverage = _title_matches(page.stream, blocks, _points(declared.title), classes)
    described = _shared_pairs(page.stream, blocks, _points(declared.description), classes)
    stated = _shared_pairs(page.stream, blocks, _points(declared.body), classes)
    repeats = _repeats(page.stream, blocks)
    words = np.maximum(blocks[:, t.WORDS], 1)

    columns: dict[str, Any] = {  # by block, or one number that holds for the page
        "length": np.log1p(length),
        "words": np.log1p(words),
        "word_length": characters / words,
        "link_density": link_density,
        "links": np.minimum(blocks[:, t.LINKS], 50),
        "unlinked_length": np.log1p(length - linked),
        "upper": counts[:, v.UPPER] / characters,
        "digits": counts[:, v.DIGIT] / characters,
        "commas": counts[:, v.COMMA] / characters,
        "comma_count": np.minimum(counts[:, v.COMMA], 50),
        "terminals": np.minimum(terminals, 50),
        "terminals_per_length": terminals / length,
        "symbols": counts[:, v.SYMBOL] / characters,
        "han_kana": counts[:, v.HAN_KANA] / characters,
        "bold": blocks[:, t.BOLD_CHARACTERS] / characters,
        "images": np.minimum(blocks[:, t.IMAGES], 20),
        "first_class": blocks[:, t.FIRST_CLASS],
        "last_class": blocks[:, t.LAST_CLASS],
        "after_break": blocks[:, t.FLAGS] & t.AFTER_BREAK,
        "hidden": blocks[:, t.FLAGS] & t.HIDDEN,
        "preformatted": blocks[:, t.FLAGS] & t.PREFORMATTED,
        "good": good,
        "repeats": repeats,
        "tag": _ORDER[tag],
        "heading": heading,
        "depth": nodes[node, t.DEPTH],
        "position": position / n,
        "first_blocks": np.minimum(position, 200),
        "last_blocks": np.minimum(n - 1 - position, 200),
        "offset": (np.cumsum(length) - length) / total,
        "page_blocks": np.log1p(n),
        "page_length": np.log1p(total),
        "page_good": np.log1p(good_length.sum()),
        "page_link_density": linked.sum() / total,
        "page_good_blocks": min(good.sum(), 200),
        "title_match": match,
        "title_coverage": coverage,
        "described": described,
        "description_best": described.max(),
        "stated": stated,
        "stated_length": np.log1p(len(declared.body)),
        "stated_share": (length * (stated > 0.5)).sum() / total,
    }
    _add_neighbours(columns, length, link_density, good, good_length, tag)
    _add_headings(columns, heading, link_density, match * coverage)
    for name, column in zip(("count", "length", "share", "link_density", "good"), path.T, strict=True):
        columns[f"path_{name}"] = column
    highest = max(scores.max(), 1e-9)
    for level in range(CONTAINERS):
        holder = containers[:, level]
        held, held_linked, held_good, held_count, held_goods = sums[holder].T
        columns[f"container{level}_share"] = held / total
        columns[f"container{level}_length"] = np.log1p(held)
        columns[f"container{level}_link_density"] = held_linked / np.maximum(held, 1)
        columns[f"container{level}_good"] = held_good / np.maximum(held, 1)
        columns[f"container{level}_good_share"] = held_good / total_good
        columns[f"container{level}_blocks"] = np.log1p(held_count)
        columns[f"container{level}_good_blocks"] = np.minimum(held_goods, 100)
        columns[f"container{level}_score"] = scores[holder] / highest
        columns[f"container{level}_own_share"] = length / np.maximum(held, 1)
    columns["container0_tag"] = _ORDER[nodes[containers[:, 0], t.TAG]]
    columns["container0_depth"] = nodes[containers[:, 0], t.DEPTH]
    columns["best_score"] = np.log1p(highest)
    columns["ancestor_score"] = best[0][node] / highest
    _add_best_container(columns, best[1][node], good, length)
    own = nodes[node, t.GROUPS] | blocks[:, t.INLINE_GROUPS]
    rows = np.empty((len(columns) + len(_BIT_NAMES), n), np.float32)
    for row, column in zip(rows, columns.values(), strict=False):
        row[:] = column
    k = len(columns)
    for size, bits in ((_GROUPS, own), (_GROUPS, ancestor_groups[node]), (_ANCESTOR_GROUPS, ancestors[node])):
        _spread_bits(bits.astype(np.int64), rows[k : k + size])
        k += size
    return rows.T, (*columns, *_BIT_NAMES)


_BIT_NAMES: Final = (
    *(f"own_{words.split()[0]}" for words in v.CLASS_WORDS),
    *(f"around_{words.split()[0]}" for words in v.CLASS_WORDS),
    *(f"in_{names.split(',')[0]}" for names in _ANCESTORS.split()),
)


def _points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(bytearray(text, "utf-32-le"), np.uint32)


def _add_neighbours(
    columns: dict[str, Any],
    length: NDArray[np.float64],
    link_density: NDArray[np.float64],
    good: NDArray[np.bool_],
    good_length: NDArray[np.float64],
    tag: NDArray[np.int32],
) -> None:
    n = len(length)
    beyond = {"length": 0, "link_density": 1, "tag": -1, "last_class": -1}  # what stands beyond the ends
    # Whole numbers: the trees were trained with neighbours' lengths and link densities rounded down.
    padded = {name: np.full(n + 4, value, np.int64) for name, value in beyond.items()}
    for name, values in padded.items():
        values[2:-2] = columns[name]
    for by in (-2, -1, 1, 2):
        for name, values in padded.items():
            columns[f"{'before' if by < 0 else 'after'}{abs(by)}_{name}"] = values[2 + by : 2 + by + n]
    position = np.arange(n)
    sums = np.zeros((3, n + 1))
    np.cumsum((length, length * link_density, good_length), axis=1, out=sums[:, 1:])
    for reach in (3, 8, 20):
        low, high = np.maximum(position - reach, 0), np.minimum(position + reach + 1, n)
        held, held_linked, held_good = sums[:, high] - sums[:, low]
        columns[f"window{reach}_length"] = np.log1p(held)
        columns[f"window{reach}_link_density"] = held_linked / held
        columns[f"window{reach}_good"] = held_good / held
    last_good = np.maximum.accumulate(np.where(good, position, -100))
    next_good = np.minimum.accumulate(np.where(good, position, n + 100)[::-1])[::-1]
    columns["since_good"] = np.minimum(position - last_good, 100)
    columns["until_good"] = np.minimum(next_good - position, 100)
    running = sums[0]
    columns["length_since_good"] = np.where(
        last_good >= 0, running[position] - running[np.maximum(last_good, 0) + 1], 1e4
    )
    columns["length_until_good"] = np.where(
        next_good < n, running[np.minimum(next_good, n - 1)] - running[position + 1], 1e4
    )


def _add_headings(
    columns: dict[str, Any], heading: Column, link_density: NDArray[np.float64], title: NDArray[np.float64]
) -> None:
    """Where the block stands to the heading before it, the next one, the first h1 and what repeats the title."""
    n = len(heading)
    position = np.arange(n)
    is_heading = heading > 0
    before = np.maximum.accumulate(np.where(is_heading, position, -1))
    after = np.minimum.accumulate(np.where(is_heading, position, n)[::-1])[::-1]
    columns["since_heading"] = np.where(before >= 0, np.minimum(position - before, 100), 101)
    columns["until_heading"] = np.where(after < n, np.minimum(after - position, 100), 101)
    columns["heading_level"] = np.where(before >= 0, heading[before], 7)
    columns["heading_link_density"] = np.where(before >= 0, link_density[before], -1)
    columns["headings_before"] = np.minimum(np.cumsum(is_heading), 100)
    first = int(np.argmax(heading == 1)) if (heading == 1).any() else -1
    columns["since_h1"] = np.clip(position - first, -200, 200) if first >= 0 else -201
    weighted = title * np.where(is_heading, 1.5, 1.0)
    likely = int(np.argmax(weighted)) if weighted.max() > 0.3 else -1
    columns["since_title"] = np.clip(position - likely, -200, 200) if likely >= 0 else -201
    columns["headings_since_title"] = (
        np.clip(columns["headings_before"] - columns["headings_before"][likely], -20, 50) if likely >= 0 else -21
    )


def _add_best_container(
    columns: dict[str, Any],
    inside: NDArray[np.bool_],
    good: NDArray[np.bool_],
    length: NDArray[np.float64],
) -> None:
    """Whether a block lies in the container with the highest score, and between its first and last good block."""
    n = len(inside)
    position = np.arange(n)
    columns["in_best"] = inside
    within = np.flatnonzero(inside & good)
    if len(within):
        first, last = within[0], within[-1]
        columns["since_first_good"] = np.clip(position - first, -100, 100)
        columns["until_last_good"] = np.clip(last - position, -100, 100)
        running = np.cumsum(length)
        columns["best_progress"] = np.clip((running - running[first]) / max(running[last] - running[first], 1.0), -1, 2)
    else:
        columns["since_first_good"] = columns["until_last_good"] = -101
        columns["best_progress"] = -2


@kernel
def _spread_bits(bits, rows):  # type: ignore[no-untyped-def]
    """Each bit to a row of its own."""
    for k in range(len(rows)):
        for i in range(len(bits)):
            rows[k, i] = (bits[i] >> k) & 1


@kernel
def _containers(nodes, node, length, linked, good_length, commas):  # type: ignore[no-untyped-def]
    """Containers of blocks, sums over the nodes' subtrees, readability-like scores and what the ancestors are."""
    n_nodes, n = len(nodes), len(node)
    sums = np.zeros((n_nodes, 5))  # length, linked, good length, blocks, good blocks
    for i in range(n):
        k = node[i]
        sums[k, 0] += length[i]
        sums[k, 1] += linked[i]
        sums[k, 2] += good_length[i]
        sums[k, 3] += 1
        sums[k, 4] += good_length[i] > 0
    for k in range(n_nodes - 1, 0, -1):  # a node comes after its parent
        sums[nodes[k, t.PARENT]] += sums[k]
    containers = np.zeros((n, CONTAINERS), np.int32)
    scores = np.zeros(n_nodes)
    for i in range(n):
        k = node[i]
        held = 1.0
        level = 0
        while level < CONTAINERS:
            while sums[k, 3] <= held and nodes[k, t.PARENT] >= 0:
                k = nodes[k, t.PARENT]
            containers[i, level] = k
            held = sums[k, 3]
            if good_length[i] > 0 and (level == 0 or containers[i, level - 1] != k):
                scores[k] += (1 + commas[i] + min(length[i] / 100, 3.0)) / (level + 1)
            level += 1
    best_node = 0
    for k in range(n_nodes):
        scores[k] *= 1 - sums[k, 1] / max(sums[k, 0], 1.0)
        if scores[k] > scores[best_node]:
            best_node = k
    highest = np.zeros(n_nodes)
    inside = np.zeros(n_nodes, np.bool_)
    ancestors = np.zeros(n_nodes, np.int64)
    groups = np.zeros(n_nodes, np.int64)
    for k in range(n_nodes):
        highest[k] = scores[k]
        inside[k] = k == best_node and scores[k] > 0
        ancestors[k] = _BITS[nodes[k, t.TAG]]
        parent = nodes[k, t.PARENT]
        if parent >= 0:
            highest[k] = max(highest[k], highest[parent])
            inside[k] |= inside[parent]
            ancestors[k] |= ancestors[parent]
            groups[k] = groups[parent] | nodes[parent, t.GROUPS]
    return containers, sums, scores, (highest, inside), ancestors, groups


@kernel
def _path_means(paths, length, linked, good_length):  # type: ignore[no-untyped-def]
    """Over blocks with the same path of tags and classes: log count, mean length, share of text, link density, good."""
    n = len(paths)
    order = np.argsort(paths)
    result = np.zeros((n, 5))
    total = max(length.sum(), 1.0)
    i = 0
    while i < n:
        j = i
        held = held_linked = held_good = 0.0
        while j < n and paths[order[j]] == paths[order[i]]:
            held += length[order[j]]
            held_linked += linked[order[j]]
            held_good += good_length[order[j]]
            j += 1
        for k in range(i, j):
            result[order[k], 0] = np.log1p(j - i)
            result[order[k], 1] = np.log1p(held / (j - i))
            result[order[k], 2] = held / total
            result[order[k], 3] = held_linked / max(held, 1.0)
            result[order[k], 4] = held_good / max(held, 1.0)
        i = j
    return result


@kernel
def _word_hashes(points, start, end, character_class, hashes):  # type: ignore[no-untyped-def]
    """Hashes of the words of a text, one a Han or Kana character; returns their number. ASCII letters in lower case."""
    count = 0
    h = t._OFFSET
    inside = False
    for i in range(start, end + 1):
        c = points[i] if i < end else np.uint32(32)
        k = character_class[c] if c < len(character_class) else np.uint8(v.HAN_KANA)
        wordlike = k <= v.UPPER or k in (v.DIGIT, v.SYLLABLE)
        if inside and not wordlike:
            hashes[count] = h
            count += 1
            h = t._OFFSET
            inside = False
        if k == v.HAN_KANA:
            hashes[count] = (t._OFFSET ^ np.uint64(c)) * t._PRIME
            count += 1
        elif wordlike:
            h = (h ^ np.uint64(t._lower(c))) * t._PRIME
            inside = True
    return count


@kernel
def _title_matches(stream, blocks, title, character_class):  # type: ignore[no-untyped-def]
    """Share of a block's words that the title has, and of the title's words that the block has; long blocks 0."""
    n = len(blocks)
    match, coverage = np.zeros(n), np.zeros(n)
    wanted = np.zeros(len(title) + 1, np.uint64)
    n_wanted = _word_hashes(title, 0, min(len(title), 400), character_class, wanted)
    if n_wanted == 0:
        return match, coverage
    found = np.zeros(401, np.uint64)
    seen = np.zeros(n_wanted, np.bool_)
    for i in range(n):
        start, end = blocks[i, t.START], blocks[i, t.END]
        if end - start > 400:
            continue
        n_found = _word_hashes(stream, start, end, character_class, found)
        shared = 0
        seen[:] = False
        for j in range(n_found):
            for k in range(n_wanted):
                if found[j] == wanted[k]:
                    shared += 1
                    seen[k] = True
                    break
        if n_found:
            match[i] = shared / n_found
            coverage[i] = seen.sum() / n_wanted
    return match, coverage


@kernel
def _shared_pairs(stream, blocks, text, character_class):  # type: ignore[no-untyped-def]
    """Share of a block's pairs of neighbouring words that another text has; of its one word where it has one."""
    n = len(blocks)
    result = np.zeros(n)
    words = np.zeros(len(text) + 1, np.uint64)
    n_words = _word_hashes(text, 0, len(text), character_class, words)
    if n_words == 0:
        return result
    size = 16
    while size < 4 * n_words:
        size *= 2
    table = np.zeros(size, np.uint64)
    mask = np.uint64(size - 1)
    for j in range(2 * n_words - 1):
        key = words[j // 2] if j % 2 == 0 else (words[j // 2] * t._PRIME) ^ words[j // 2 + 1]
        slot = (key >> np.uint64(7)) & mask
        while table[slot] != 0 and table[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = key
    longest = 1
    for i in range(n):
        longest = max(longest, blocks[i, t.END] - blocks[i, t.START] + 1)
    found = np.zeros(longest, np.uint64)
    for i in range(n):
        n_found = _word_hashes(stream, blocks[i, t.START], blocks[i, t.END], character_class, found)
        pairs = max(n_found - 1, 1)
        shared = 0
        for j in range(pairs):
            if n_found == 0:
                break
            key = found[0] if n_found == 1 else (found[j] * t._PRIME) ^ found[j + 1]
            slot = (key >> np.uint64(7)) & mask
            while table[slot] != 0 and table[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            shared += table[slot] == key
        result[i] = shared / pairs
    return result


@kernel
def _repeats(stream, blocks):  # type: ignore[no-untyped-def]
    """How many other blocks of the page have the same text, at most 20."""
    n = len(blocks)
    hashes = np.zeros(n, np.uint64)
    for i in range(n):
        h = t._OFFSET
        for k in range(blocks[i, t.START], blocks[i, t.END]):
            h = (h ^ np.uint64(stream[k])) * t._PRIME
        hashes[i] = h
    order = np.argsort(hashes)
    result = np.zeros(n)
    i = 0
    while i < n:
        j = i
        while j < n and hashes[order[j]] == hashes[order[i]]:
            j += 1
        for k in range(i, j):
            result[order[k]] = min(j - i - 1, 20)
        i = j
    return result
