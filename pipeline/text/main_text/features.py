"""Blocks to features: numbers about each block, its containers, its neighbours and its page that need no language.

Takes what the tokeniser gives and what the page declares; gives a matrix with a named column for each feature. Lengths
count a Han or Kana character as two and a half and the sign of a syllable as two, because they carry about as much as
so many letters. A *good* block reads like prose: long, few links, and a sentence end or the length of several, since
Thai marks none. A block's containers are its ancestors that hold more text than the block alone (wrappers of one block
say nothing), from the inside outwards. No feature names a word of a language; class names and tags are English in
every language's pages.

One kernel computes them all, with a part for each kind below. As calls of NumPy they cost a page of three blocks as
much as a page of a hundred, and more than everything else that is done to it.
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import inner_kernel, kernel
from pipeline.text.main_text import tokeniser as t
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.metadata import Declared
from pipeline.text.main_text.tokeniser import Blocks

HAN_KANA_EXTRA: Final = 1.5
SYLLABLE_EXTRA: Final = 1.0
GOOD_LENGTH: Final = 80.0
LONG_LENGTH: Final = 200.0
CONTAINERS: Final = 3
REACHES: Final = (3, 8, 20)  # blocks on either side that a window takes in
LONGEST_TITLE: Final = 400  # code points; of a title, and of a block that may repeat it

# A rough order of block tags from the most to the least like running text.
_TAG_ORDER: Final = "p blockquote pre h1 h2 h3 h4 h5 h6 div article section main td th dd dt li figcaption caption"
_ANCESTORS: Final = (
    "li ul,ol,dl table article main,section nav,menu aside header,hgroup footer form,fieldset figure,figcaption "
    "blockquote button,details,dialog,option h1,h2,h3,h4,h5,h6 p"
)


def _numbers(names: tuple[str, ...]) -> Any:
    """An enumeration from 0, so that kernels say `F.length` where they mean the column of that name."""
    return IntEnum("Numbers", list(names), start=0)


# In the order of the columns. What a feature is stands where a kernel computes it.
NAMES: Final[tuple[str, ...]] = (
    # _add_own and _add_repeats
    *"length words word_length link_density links unlinked_length upper digits commas comma_count terminals".split(),
    *"terminals_per_length symbols han_kana bold images first_class last_class after_break hidden preformatted".split(),
    *"good repeats tag heading depth position first_blocks last_blocks offset".split(),
    # _add_own, but for page_link_density: measure
    *"page_blocks page_length page_good page_link_density page_good_blocks".split(),
    # _add_matches
    *"title_match title_coverage described description_best stated stated_length stated_share".split(),
    # _add_neighbours
    *(
        f"{place}_{name}"
        for place in ("before2", "before1", "after1", "after2")
        for name in ("length", "link_density", "tag", "last_class")
    ),
    *(f"window{reach}_{name}" for reach in REACHES for name in ("length", "link_density", "good")),
    *"since_good until_good length_since_good length_until_good".split(),
    # _add_headings
    *"since_heading until_heading heading_level heading_link_density headings_before".split(),
    *"since_h1 since_title headings_since_title".split(),
    # _add_paths
    *"path_count path_length path_share path_link_density path_good".split(),
    # _add_containers
    *(
        f"container{level}_{name}"
        for level in range(CONTAINERS)
        for name in "share length link_density good good_share blocks good_blocks score own_share".split()
    ),
    *"container0_tag container0_depth best_score ancestor_score".split(),
    # _add_best_container
    *"in_best since_first_good until_last_good best_progress".split(),
    # _spread_bits
    *(f"own_{words.split()[0]}" for words in v.CLASS_WORDS),
    *(f"around_{words.split()[0]}" for words in v.CLASS_WORDS),
    *(f"in_{names.split(',')[0]}" for names in _ANCESTORS.split()),
)
F: Final = _numbers(NAMES)
_OWN, _AROUND, _IN = (  # first of the columns that are bits: of a block's own classes, those around it, its ancestors
    next(k for k, name in enumerate(NAMES) if name.startswith(kind)) for kind in ("own_", "around_", "in_li")
)
# Features that are log(1 + x): kernels note x, NumPy takes the logarithms of all, whose last bit may be another's.
_LOGARITHMS: Final[tuple[str, ...]] = (
    *"length words unlinked_length page_blocks page_length page_good stated_length best_score".split(),
    *(f"window{reach}_length" for reach in REACHES),
    *(f"container{level}_{name}" for level in range(CONTAINERS) for name in ("length", "blocks")),
)
L: Final = _numbers(_LOGARITHMS)
_LOGARITHM_COLUMNS: Final = np.array([NAMES.index(name) for name in _LOGARITHMS])


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


def effective_lengths(page: Blocks) -> NDArray[np.float64]:
    """Length of each block; characters that carry more count more. (n_blocks,) float64, above 0."""
    counts = page.blocks[:, t.COUNTS :]
    extra = HAN_KANA_EXTRA * counts[:, v.HAN_KANA] + SYLLABLE_EXTRA * counts[:, v.SYLLABLE]
    return np.asarray(page.blocks[:, t.END] - page.blocks[:, t.START] + extra)


def measure(page: Blocks, declared: Declared) -> NDArray[np.float32]:
    """Features of every block, (n_blocks, n_features) float32; columns are named by NAMES. Values are finite.

    >>> from pipeline.text.main_text.metadata import read_declared
    >>> source = "<title>A day</title><h1>A day</h1><p>It was a day, and a long one.</p>"
    >>> page = t.tokenise(source)
    >>> matrix = measure(page, read_declared(source, page))
    >>> matrix.shape == (2, len(NAMES)), float(matrix[0, NAMES.index("title_match")])
    (True, 1.0)
    """
    n = len(page.blocks)
    texts = declared.title + declared.description + declared.body
    points = np.frombuffer(bytearray(texts, "utf-32-le"), np.uint32)
    columns = np.empty((len(NAMES), n), np.float32)
    logarithms = np.empty((len(_LOGARITHMS), n))
    linked = np.empty(n)
    total = _measure(
        page.stream, page.blocks, page.nodes, page.paths, points, len(declared.title), len(declared.description),
        v.character_classes(), columns, logarithms, linked,
    )  # fmt: skip
    columns[_LOGARITHM_COLUMNS] = np.log1p(logarithms, out=logarithms)
    columns[F.page_link_density] = linked.sum() / total  # NumPy's sum, whose last bit may be another than a loop's
    return columns.T


@kernel
def _measure(  # type: ignore[no-untyped-def]
    stream, blocks, nodes, paths, points, title_length, description_length, character_class, columns, logs, linked
):
    """Fill the columns and what the logarithms are taken of; `points` are title, description and body.

    Writes the linked part of each block's length to `linked` and returns the length of the page.
    """
    n = len(blocks)
    length, link_density, good_length, running = np.empty(n), np.empty(n), np.empty(n), np.empty(n + 1)
    running[0] = 0.0
    for i in range(n):
        counts = blocks[i, t.COUNTS :]
        extra = HAN_KANA_EXTRA * counts[v.HAN_KANA] + SYLLABLE_EXTRA * counts[v.SYLLABLE]
        length[i] = blocks[i, t.END] - blocks[i, t.START] + extra
        link_density[i] = blocks[i, t.LINK_CHARACTERS] / _characters(counts)
        linked[i] = length[i] * link_density[i]
        reads = counts[v.TERMINAL_MARK] > 0 or length[i] >= LONG_LENGTH
        good_length[i] = length[i] if length[i] >= GOOD_LENGTH and link_density[i] < 0.3 and reads else 0.0
        running[i + 1] = running[i] + length[i]
    _add_own(blocks, nodes, length, link_density, linked, good_length, running, columns, logs)
    _add_repeats(stream, blocks, columns)
    title_end, description_end = title_length, title_length + description_length
    likeness = _add_matches(stream, blocks, points, title_end, description_end, character_class, running, columns, logs)
    _add_neighbours(length, link_density, linked, good_length, running, columns, logs)
    _add_headings(link_density, likeness, columns)
    _add_paths(paths, blocks, length, linked, good_length, columns)
    _add_containers(blocks, nodes, length, linked, good_length, running, columns, logs)
    return running[n]


@inner_kernel
def _characters(counts):  # type: ignore[no-untyped-def]
    """Characters of a block, spaces left out; at least 1."""
    result = 0
    for k in range(v.CHARACTER_CLASSES):
        result += counts[k]
    return max(result, 1)


@inner_kernel
def _add_own(blocks, nodes, length, link_density, linked, good_length, running, columns, logs):  # type: ignore[no-untyped-def]
    """What a block is by itself, where on the page it stands, and what the page is as a whole."""
    n = len(blocks)
    total = running[n]
    page_good, good_blocks = 0.0, 0
    for i in range(n):
        block = blocks[i]
        counts = block[t.COUNTS :]
        characters, words = _characters(counts), max(block[t.WORDS], 1)
        tag = nodes[block[t.NODE], t.TAG]
        logs[L.length, i] = length[i]
        logs[L.words, i] = words
        columns[F.word_length, i] = characters / words
        columns[F.link_density, i] = link_density[i]
        columns[F.links, i] = min(block[t.LINKS], 50)
        logs[L.unlinked_length, i] = length[i] - linked[i]
        columns[F.upper, i] = counts[v.UPPER] / characters
        columns[F.digits, i] = counts[v.DIGIT] / characters
        columns[F.commas, i] = counts[v.COMMA] / characters
        columns[F.comma_count, i] = min(counts[v.COMMA], 50)
        columns[F.terminals, i] = min(counts[v.TERMINAL_MARK], 50)
        columns[F.terminals_per_length, i] = counts[v.TERMINAL_MARK] / length[i]
        columns[F.symbols, i] = counts[v.SYMBOL] / characters
        columns[F.han_kana, i] = counts[v.HAN_KANA] / characters
        columns[F.bold, i] = block[t.BOLD_CHARACTERS] / characters
        columns[F.images, i] = min(block[t.IMAGES], 20)
        columns[F.first_class, i] = block[t.FIRST_CLASS]
        columns[F.last_class, i] = block[t.LAST_CLASS]
        columns[F.after_break, i] = block[t.FLAGS] & t.AFTER_BREAK
        columns[F.hidden, i] = block[t.FLAGS] & t.HIDDEN
        columns[F.preformatted, i] = block[t.FLAGS] & t.PREFORMATTED
        columns[F.good, i] = good_length[i] > 0
        columns[F.tag, i] = _ORDER[tag]
        columns[F.heading, i] = _HEADING_LEVEL[tag]  # 1 to 6, 0 for what is none
        columns[F.depth, i] = nodes[block[t.NODE], t.DEPTH]
        columns[F.position, i] = i / n
        columns[F.first_blocks, i] = min(i, 200)
        columns[F.last_blocks, i] = min(n - 1 - i, 200)
        columns[F.offset, i] = running[i] / total
        page_good += good_length[i]
        good_blocks += good_length[i] > 0
    for i in range(n):
        logs[L.page_blocks, i] = n
        logs[L.page_length, i] = total
        logs[L.page_good, i] = page_good
        columns[F.page_good_blocks, i] = min(good_blocks, 200)


@kernel
def _add_repeats(stream, blocks, columns):  # type: ignore[no-untyped-def]
    """How many other blocks of the page have the same text, at most 20."""
    n = len(blocks)
    size = 16
    while size < 2 * n:
        size *= 2
    mask = np.uint64(size - 1)
    table, held = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    slots = np.empty(n, np.uint64)
    for i in range(n):
        h = t._OFFSET
        for k in range(blocks[i, t.START], blocks[i, t.END]):
            h = (h ^ np.uint64(stream[k])) * t._PRIME
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
    h = t._OFFSET
    inside = False
    i = start
    while i < end:
        c = np.int64(points[i])
        i += 1
        k = character_class[c] if c < len(character_class) else np.uint8(v.HAN_KANA)
        if k <= v.UPPER or k in (v.DIGIT, v.SYLLABLE):
            h = (h ^ np.uint64(t._lower(c))) * t._PRIME
            inside = True
            while i < end and 97 <= points[i] <= 122:  # most of what follows a letter is a small letter
                h = (h ^ np.uint64(points[i])) * t._PRIME
                i += 1
            continue
        if inside:
            hashes[count] = h
            count += 1
            h = t._OFFSET
            inside = False
        if k == v.HAN_KANA:
            hashes[count] = (t._OFFSET ^ np.uint64(c)) * t._PRIME
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
        key = words[j // 2] if j % 2 == 0 else (words[j // 2] * t._PRIME) ^ words[j // 2 + 1]
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
        key = words[0] if n_words == 1 else (words[j] * t._PRIME) ^ words[j + 1]
        shared += table[_slot(table, key)] == key
    return shared / pairs


@kernel
def _add_matches(  # type: ignore[no-untyped-def]
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
        longest = max(longest, blocks[i, t.END] - blocks[i, t.START])
    found = np.empty(longest + 1, np.uint64)
    seen = np.empty(LONGEST_TITLE + 1, np.bool_)
    likeness = np.zeros(n)
    best = held = 0.0
    for i in range(n):
        n_found = 0
        is_short = blocks[i, t.END] - blocks[i, t.START] <= LONGEST_TITLE
        if n_described or n_stated or (n_wanted and is_short):
            n_found = _word_hashes(stream, blocks[i, t.START], blocks[i, t.END], character_class, found)
        match = coverage = 0.0
        if n_wanted and is_short and n_found:
            shared = covered = 0
            for k in range(n_wanted):
                seen[k] = False
            for j in range(n_found):
                if not (marks >> (found[j] & np.uint64(63))) & np.uint64(1):
                    continue
                for k in range(n_wanted):
                    if found[j] == wanted[k]:
                        shared += 1
                        covered += not seen[k]
                        seen[k] = True
                        break
            match, coverage = shared / n_found, covered / n_wanted
        columns[F.title_match, i] = match  # share of the block's words that the title has
        columns[F.title_coverage, i] = coverage  # share of the title's words that the block has
        likeness[i] = match * coverage
        share = _shared_pairs(found, n_found, described) if n_described else 0.0
        columns[F.described, i] = share
        best = max(best, share)
        share = _shared_pairs(found, n_found, stated) if n_stated else 0.0
        columns[F.stated, i] = share
        if share > 0.5:
            held += running[i + 1] - running[i]
    for i in range(n):
        columns[F.description_best, i] = best
        logs[L.stated_length, i] = len(points) - description_end
        columns[F.stated_share, i] = held / running[n]
    return likeness


@kernel
def _add_neighbours(length, link_density, linked, good_length, running, columns, logs):  # type: ignore[no-untyped-def]
    """The two blocks on either side, sums over windows of blocks, and how far the nearest good blocks are."""
    n = len(length)
    # Whole numbers: the trees were trained with neighbours' lengths and link densities rounded down.
    whole_length, whole_density = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        whole_length[i], whole_density[i] = int(np.log1p(length[i])), int(link_density[i])
    for place in range(4):
        by = place - 2 if place < 2 else place - 1
        column = F.before2_length + place * (F.before1_length - F.before2_length)
        for i in range(n):
            is_there = 0 <= i + by < n
            k = i + by if is_there else i
            columns[column, i] = whole_length[k] if is_there else 0
            columns[column + 1, i] = whole_density[k] if is_there else 1
            columns[column + 2, i] = columns[F.tag, k] if is_there else -1
            columns[column + 3, i] = columns[F.last_class, k] if is_there else -1
    running_linked, running_good = np.zeros(n + 1), np.zeros(n + 1)
    for i in range(n):
        running_linked[i + 1] = running_linked[i] + linked[i]
        running_good[i + 1] = running_good[i] + good_length[i]
    for k in range(len(REACHES)):
        column = F.window3_length + k * (F.window8_length - F.window3_length)
        for i in range(n):
            low, high = max(i - REACHES[k], 0), min(i + REACHES[k] + 1, n)
            held = running[high] - running[low]
            logs[L.window3_length + k, i] = held
            columns[column + 1, i] = (running_linked[high] - running_linked[low]) / held
            columns[column + 2, i] = (running_good[high] - running_good[low]) / held
    nearest = -1  # good block, this one among them
    for i in range(n):
        if good_length[i] > 0:
            nearest = i
        columns[F.since_good, i] = min(i - nearest, 100) if nearest >= 0 else 100
        columns[F.length_since_good, i] = running[i] - running[nearest + 1] if nearest >= 0 else 1e4
    nearest = n
    for i in range(n - 1, -1, -1):
        if good_length[i] > 0:
            nearest = i
        columns[F.until_good, i] = min(nearest - i, 100) if nearest < n else 100
        columns[F.length_until_good, i] = running[nearest] - running[i + 1] if nearest < n else 1e4


@kernel
def _add_headings(link_density, likeness, columns):  # type: ignore[no-untyped-def]
    """Where the block stands to the heading before it, the next one, the first h1 and what repeats the title."""
    n = len(link_density)
    heading = columns[F.heading]
    before = first = likely = -1  # heading, this block among them; first h1; what repeats the title
    count, most = 0, 0.3
    for i in range(n):
        if heading[i] > 0:
            before = i
            count += 1
        columns[F.since_heading, i] = min(i - before, 100) if before >= 0 else 101
        columns[F.heading_level, i] = heading[before] if before >= 0 else 7
        columns[F.heading_link_density, i] = link_density[before] if before >= 0 else -1
        columns[F.headings_before, i] = min(count, 100)
        if first < 0 and heading[i] == 1:
            first = i
        weighted = likeness[i] * (1.5 if heading[i] > 0 else 1.0)
        if weighted > most:
            likely, most = i, weighted
    after = n
    for i in range(n - 1, -1, -1):
        if heading[i] > 0:
            after = i
        columns[F.until_heading, i] = min(after - i, 100) if after < n else 101
    for i in range(n):
        columns[F.since_h1, i] = min(max(i - first, -200), 200) if first >= 0 else -201
        columns[F.since_title, i] = min(max(i - likely, -200), 200) if likely >= 0 else -201
        between = columns[F.headings_before, i] - columns[F.headings_before, likely]
        columns[F.headings_since_title, i] = min(max(between, -20), 50) if likely >= 0 else -21


@kernel
def _add_paths(paths, blocks, length, linked, good_length, columns):  # type: ignore[no-untyped-def]
    """Over blocks with the same path of tags and classes: log count, mean length, share of text, link density, good."""
    n = len(blocks)
    path = np.empty(n, np.uint64)
    for i in range(n):
        path[i] = paths[blocks[i, t.NODE]]
    order = np.argsort(path)
    total = max(length.sum(), 1.0)
    i = 0
    while i < n:
        j = i
        held = held_linked = held_good = 0.0
        while j < n and path[order[j]] == path[order[i]]:
            held += length[order[j]]
            held_linked += linked[order[j]]
            held_good += good_length[order[j]]
            j += 1
        log_count, log_mean = np.log1p(j - i), np.log1p(held / (j - i))
        for k in range(i, j):
            columns[F.path_count, order[k]] = log_count
            columns[F.path_length, order[k]] = log_mean
            columns[F.path_share, order[k]] = held / total
            columns[F.path_link_density, order[k]] = held_linked / max(held, 1.0)
            columns[F.path_good, order[k]] = held_good / max(held, 1.0)
        i = j


@kernel
def _add_containers(blocks, nodes, length, linked, good_length, running, columns, logs):  # type: ignore[no-untyped-def]
    """Containers of blocks, sums over their subtrees, scores like Readability's, and what classes and tags are around.

    A good block gives its score to its containers, the less the farther out; links take theirs away.
    """
    n_nodes, n = len(nodes), len(blocks)
    total = running[n]
    held, held_linked, held_good = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes)  # by a node's subtree
    held_blocks, held_goods = np.zeros(n_nodes, np.int32), np.zeros(n_nodes, np.int32)
    total_good = 0.0
    for i in range(n):
        k = blocks[i, t.NODE]
        held[k] += length[i]
        held_linked[k] += linked[i]
        held_good[k] += good_length[i]
        held_blocks[k] += 1
        held_goods[k] += good_length[i] > 0
        total_good += good_length[i]
    for k in range(n_nodes - 1, 0, -1):  # a node comes after its parent
        parent = nodes[k, t.PARENT]
        held[parent] += held[k]
        held_linked[parent] += held_linked[k]
        held_good[parent] += held_good[k]
        held_blocks[parent] += held_blocks[k]
        held_goods[parent] += held_goods[k]
    containers = np.empty((CONTAINERS, n), np.int32)
    scores = np.zeros(n_nodes)
    for i in range(n):
        k = blocks[i, t.NODE]
        inner, most = -1, 1
        for level in range(CONTAINERS):
            while held_blocks[k] <= most and nodes[k, t.PARENT] >= 0:
                k = nodes[k, t.PARENT]
            containers[level, i] = k
            most = held_blocks[k]
            if good_length[i] > 0 and k != inner:
                commas = blocks[i, t.COUNTS + v.COMMA]
                scores[k] += (1 + commas + min(length[i] / 100, 3.0)) / (level + 1)
            inner = k
    best = 0  # node
    for k in range(n_nodes):
        scores[k] *= 1 - held_linked[k] / max(held[k], 1.0)
        if scores[k] > scores[best]:
            best = k
    highest = max(scores[best], 1e-9)
    for level in range(CONTAINERS):
        column = level * (F.container1_share - F.container0_share)
        log = level * (L.container1_length - L.container0_length)
        for i in range(n):
            k = containers[level, i]
            characters = max(held[k], 1.0)
            columns[F.container0_share + column, i] = held[k] / total
            logs[L.container0_length + log, i] = held[k]
            columns[F.container0_link_density + column, i] = held_linked[k] / characters
            columns[F.container0_good + column, i] = held_good[k] / characters
            columns[F.container0_good_share + column, i] = held_good[k] / max(total_good, 1.0)
            logs[L.container0_blocks + log, i] = held_blocks[k]
            columns[F.container0_good_blocks + column, i] = min(held_goods[k], 100)
            columns[F.container0_score + column, i] = scores[k] / highest
            columns[F.container0_own_share + column, i] = length[i] / characters
    above = np.zeros(n_nodes)  # highest score of a node and those around it
    inside = np.zeros(n_nodes, np.bool_)  # the best container
    ancestors, groups = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int64)
    for k in range(n_nodes):
        above[k] = scores[k]
        inside[k] = k == best and scores[k] > 0
        ancestors[k] = _BITS[nodes[k, t.TAG]]
        parent = nodes[k, t.PARENT]
        if parent >= 0:
            above[k] = max(above[k], above[parent])
            inside[k] |= inside[parent]
            ancestors[k] |= ancestors[parent]
            groups[k] = groups[parent] | nodes[parent, t.GROUPS]
    for i in range(n):
        k = blocks[i, t.NODE]
        columns[F.container0_tag, i] = _ORDER[nodes[containers[0, i], t.TAG]]
        columns[F.container0_depth, i] = nodes[containers[0, i], t.DEPTH]
        logs[L.best_score, i] = highest
        columns[F.ancestor_score, i] = above[k] / highest
        columns[F.in_best, i] = inside[k]
        _spread_bits(nodes[k, t.GROUPS] | blocks[i, t.INLINE_GROUPS], i, columns, _OWN, _AROUND)
        _spread_bits(groups[k], i, columns, _AROUND, _IN)
        _spread_bits(ancestors[k], i, columns, _IN, len(columns))
    _add_best_container(good_length, running, columns)


@inner_kernel
def _spread_bits(bits, block, columns, first, end):  # type: ignore[no-untyped-def]
    """A column for each bit."""
    for column in range(first, end):
        columns[column, block] = (bits >> (column - first)) & 1


@kernel
def _add_best_container(good_length, running, columns):  # type: ignore[no-untyped-def]
    """Where a block stands to the first and the last good block of the container with the highest score."""
    n = len(good_length)
    first = last = -1
    for i in range(n):
        if columns[F.in_best, i] and good_length[i] > 0:
            first = i if first < 0 else first
            last = i
    for i in range(n):
        columns[F.since_first_good, i] = min(max(i - first, -100), 100) if first >= 0 else -101
        columns[F.until_last_good, i] = min(max(last - i, -100), 100) if first >= 0 else -101
        progress = (running[i + 1] - running[first + 1]) / max(running[last + 1] - running[first + 1], 1.0)
        columns[F.best_progress, i] = min(max(progress, -1.0), 2.0) if first >= 0 else -2
