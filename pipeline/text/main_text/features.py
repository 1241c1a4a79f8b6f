"""Blocks to features: numbers about each block, its containers, its neighbours and its page that need no language.

Takes what the tokeniser gives and what the page declares; gives a matrix with a named column for each feature. Lengths
count a Han or Kana character as two and a half and the sign of a syllable as two, because they carry about as much as
so many letters. A *good* block reads like prose: long, few links, and a sentence end or the length of several, since
Thai marks none. A block's containers are its ancestors that hold more text than the block alone (wrappers of one block
say nothing), from the inside outwards. No feature names a word of a language; class names and tags are English in
every language's pages.

One kernel computes them all, with a part for each kind in the modules `own_features`, `match_features`,
`neighbour_features` and `container_features`. As calls of NumPy they cost a page of three blocks as much as a page of a
hundred, and more than everything else that is done to it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.blocks import Blocks
from pipeline.text.main_text.container_features import add_containers
from pipeline.text.main_text.feature_columns import LOGARITHM_COLUMNS, LOGARITHMS, NAMES, F
from pipeline.text.main_text.match_features import add_matches, add_repeats
from pipeline.text.main_text.metadata import Declared
from pipeline.text.main_text.neighbour_features import add_headings, add_neighbours, add_paths
from pipeline.text.main_text.own_features import add_own_features, character_count

HAN_KANA_EXTRA: Final = 1.5
SYLLABLE_EXTRA: Final = 1.0
GOOD_LENGTH: Final = 80.0
LONG_LENGTH: Final = 200.0


def effective_lengths(page: Blocks) -> NDArray[np.float64]:
    """Length of each block; characters that carry more count more. (n_blocks,) float64, above 0."""
    counts = page.blocks[:, b.COUNTS :]
    extra = HAN_KANA_EXTRA * counts[:, v.HAN_KANA] + SYLLABLE_EXTRA * counts[:, v.SYLLABLE]
    return np.asarray(page.blocks[:, b.END] - page.blocks[:, b.START] + extra)


def measure(page: Blocks, declared: Declared) -> NDArray[np.float32]:
    """Features of every block, (n_blocks, n_features) float32; columns are named by NAMES. Values are finite.

    >>> from pipeline.text.main_text import read_declared, tokenise
    >>> source = "<title>A day</title><h1>A day</h1><p>It was a day, and a long one.</p>"
    >>> page = tokenise(source)
    >>> matrix = measure(page, read_declared(source, page))
    >>> matrix.shape == (2, len(NAMES)), float(matrix[0, NAMES.index("title_match")])
    (True, 1.0)
    """
    n = len(page.blocks)
    texts = declared.title + declared.description + declared.body
    points = np.frombuffer(bytearray(texts, "utf-32-le"), np.uint32)
    columns = np.empty((len(NAMES), n), np.float32)
    logarithms = np.empty((len(LOGARITHMS), n))
    linked = np.empty(n)
    total = _measure(
        page.stream, page.blocks, page.nodes, page.paths, points, len(declared.title), len(declared.description),
        v.character_classes(), columns, logarithms, linked,
    )  # fmt: skip
    columns[LOGARITHM_COLUMNS] = np.log1p(logarithms, out=logarithms)
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
        counts = blocks[i, b.COUNTS :]
        extra = HAN_KANA_EXTRA * counts[v.HAN_KANA] + SYLLABLE_EXTRA * counts[v.SYLLABLE]
        length[i] = blocks[i, b.END] - blocks[i, b.START] + extra
        link_density[i] = blocks[i, b.LINK_CHARACTERS] / character_count(counts)
        linked[i] = length[i] * link_density[i]
        reads = counts[v.TERMINAL_MARK] > 0 or length[i] >= LONG_LENGTH
        good_length[i] = length[i] if length[i] >= GOOD_LENGTH and link_density[i] < 0.3 and reads else 0.0
        running[i + 1] = running[i] + length[i]
    add_own_features(blocks, nodes, length, link_density, linked, good_length, running, columns, logs)
    add_repeats(stream, blocks, columns)
    title_end, description_end = title_length, title_length + description_length
    likeness = add_matches(stream, blocks, points, title_end, description_end, character_class, running, columns, logs)
    add_neighbours(length, link_density, linked, good_length, running, columns, logs)
    add_headings(link_density, likeness, columns)
    add_paths(paths, blocks, length, linked, good_length, columns)
    add_containers(blocks, nodes, length, linked, good_length, running, columns, logs)
    return running[n]
