"""Main text of a page: tokenise (HTML to blocks), measure (blocks to features), trees (features to a probability),
assemble (kept blocks to text). One pass each, no document tree, no state: a page's text depends on the page alone.

The trees were trained by `scripts/train_extractor.py` on pages with reference text; `docs/extraction.md` has what they
reach and how to train them again.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.main_text.assembly import assemble, table_rows
from pipeline.text.main_text.features import effective_lengths, measure
from pipeline.text.main_text.metadata import Metadata, page_title, read_metadata
from pipeline.text.main_text.tokeniser import Blocks, tokenise
from pipeline.text.main_text.trees import Forest

__all__ = ["MODEL", "Blocks", "Forest", "Metadata", "main_text", "read_metadata", "tokenise"]

MODEL: Final = Path(__file__).resolve().parents[2] / "models" / "extract" / "blocks.npz"
THRESHOLD: Final = 0.5  # probability from which a block is kept


def main_text(html: str, page: Blocks | None = None) -> str | None:
    """The main text of a page, "" where it shows no text at all, None where no part of it reads like a main text.

    `page` saves the work where the page was tokenised before.

    >>> main_text("<p>")
    ''
    """
    page = page or tokenise(html)
    if len(page.blocks) == 0:
        page = tokenise(html, keep_noscript=True)
        if len(page.blocks) == 0:
            return ""
    matrix, names = block_features(html, page)
    forest = _forest()
    assert forest.names == names, "the model was trained with other features"
    rows = table_rows(page)
    kept = choose(page, forest.probabilities(matrix), rows)
    return assemble(page, kept, rows) or None


def block_features(html: str, page: Blocks) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Features of a page's blocks, and their names; there must be a block."""
    return measure(page, page_title(html, page))


def choose(page: Blocks, probabilities: NDArray[np.float64], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which blocks are kept; (n_blocks,). The cells of a table's row are kept or left together."""
    if (rows >= 0).any():
        members = np.flatnonzero(rows >= 0)
        _, row = np.unique(rows[members], return_inverse=True)
        weights = effective_lengths(page)[members]
        means = np.bincount(row, probabilities[members] * weights) / np.bincount(row, weights)
        probabilities = probabilities.copy()
        probabilities[members] = means[row]
    return probabilities >= THRESHOLD


@lru_cache(maxsize=1)
def _forest() -> Forest:
    return Forest.load(MODEL)
