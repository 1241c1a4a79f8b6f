"""Main text of a page: tokenise (HTML to blocks), measure (blocks to features), trees (features to a probability),
assemble (kept blocks to text). One pass each, no document tree, no state: a page's text depends on the page alone.

The trees were trained by `pipeline/training/extractor_trees.py` on pages with reference text; `docs/extraction.md` has
what they reach and how to train them again.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.main_text import blocks as b
from pipeline.text.main_text.assembly import assemble, table_rows
from pipeline.text.main_text.blocks import Blocks, Utf8, as_utf8
from pipeline.text.main_text.feature_columns import NAMES
from pipeline.text.main_text.features import effective_lengths, measure
from pipeline.text.main_text.metadata import Declared, Metadata, read_declared
from pipeline.text.main_text.tokeniser import tokenise
from pipeline.text.main_text.trees import Forest

__all__ = [
    "MODEL", "Blocks", "Declared", "Forest", "Metadata", "Utf8", "as_utf8", "choose", "main_text", "read_declared",
    "tokenise",
]  # fmt: skip

MODEL: Final = Path(__file__).resolve().parents[2] / "models" / "extract" / "blocks.npz"
THRESHOLD: Final = 0.5  # probability from which a block is kept
MOST_JUDGED: Final = 5_000  # blocks; a page with more, which few have, is judged in bundles of neighbours


def main_text(html: str | Utf8, page: Blocks | None = None, declared: Declared | None = None) -> str | None:
    """The main text of a page, "" where it shows no text at all, None where no part of it reads like a main text.

    `page` and `declared` save their work where it was done before.

    >>> main_text("<p>")
    ''
    """
    page = page or tokenise(html)
    if len(page.blocks) == 0:
        page = tokenise(html, keep_noscript=True)
        if len(page.blocks) == 0:
            return ""
    size = -(-len(page.blocks) // MOST_JUDGED)
    matrix = measure(_bundled(page, size), declared or read_declared(html, page))
    forest = _forest()
    assert forest.names == NAMES, "the model was trained with other features"
    rows = table_rows(page)
    probabilities = np.repeat(forest.probabilities(matrix), size)[: len(page.blocks)]
    kept = choose(page, probabilities, rows)
    return assemble(page, kept, rows) or None


def choose(page: Blocks, probabilities: NDArray[np.float64], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which blocks are kept; (n_blocks,). All that is shown where the page has no link.

    The cells of a table's row are kept or left together.
    """
    if (rows >= 0).any():
        members = np.flatnonzero(rows >= 0)
        row, weights = rows[members], effective_lengths(page)[members]
        sums, lengths = np.bincount(row, probabilities[members] * weights), np.bincount(row, weights)
        probabilities = probabilities.copy()
        probabilities[members] = sums[row] / lengths[row]
    if not page.blocks[:, b.LINKS].any():  # a document of its own, not a part of a site
        kept = (page.blocks[:, b.FLAGS] & b.HIDDEN) == 0
    else:
        kept = probabilities >= THRESHOLD
    return np.asarray(kept)


def _bundled(page: Blocks, size: int) -> Blocks:
    """The page with every `size` neighbouring blocks made one, so that no page takes long to judge."""
    if size == 1:
        return page
    firsts = np.arange(0, len(page.blocks), size)
    lasts = np.minimum(firsts + size, len(page.blocks)) - 1
    blocks = np.add.reduceat(page.blocks, firsts, axis=0, dtype=np.int32)
    for column in (b.START, b.NODE, b.FLAGS, b.INLINE_GROUPS, b.FIRST_CLASS):
        blocks[:, column] = page.blocks[firsts, column]
    for column in (b.END, b.LAST_CLASS):
        blocks[:, column] = page.blocks[lasts, column]
    return replace(page, blocks=blocks)


@lru_cache(maxsize=1)
def _forest() -> Forest:
    return Forest.load(MODEL)
