"""What the tokeniser makes of a page: a stream of characters, the blocks in it, the block elements around them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.main_text import vocabulary as v

# Columns of the block table.
START, END, NODE, FLAGS, WORDS, LINK_CHARACTERS, LINKS, BOLD_CHARACTERS, IMAGES, INLINE_GROUPS = range(10)
FIRST_CLASS, LAST_CLASS, COUNTS = 10, 11, 12  # COUNTS: a column for each class of character
BLOCK_COLUMNS: Final = COUNTS + v.CHARACTER_CLASSES
# Flags of a block.
AFTER_BREAK, HIDDEN, PREFORMATTED = 1, 2, 4
# Columns of the node table.
PARENT, TAG, GROUPS, DEPTH = range(4)
NODE_COLUMNS: Final = 4
# Spans of the source that metadata are read from.
SPAN_META, SPAN_HTML, SPAN_LINK, SPAN_TIME, SPAN_TITLE, SPAN_JSON = range(6)
SPAN_COLUMNS: Final = 3  # kind, start, end
MAX_SPANS: Final = 400

Utf8 = bytes | memoryview  # of a page; a memoryview where the page lies in memory that two processes share


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A page's text, its blocks, the block elements around them, and where metadata stand in the source.

    A block whose flags include HIDDEN is not shown by a browser.
    """

    stream: NDArray[np.uint32]  # code points of all blocks, one after another
    blocks: NDArray[np.int32]  # (n_blocks, BLOCK_COLUMNS)
    nodes: NDArray[np.int32]  # (n_nodes, NODE_COLUMNS); node 0 is the document
    paths: NDArray[np.uint64]  # (n_nodes,) hash of tags and classes from the root
    spans: NDArray[np.int32]  # (n_spans, SPAN_COLUMNS) kind, and the bytes of the source from start to end

    def text(self, block: int) -> str:
        """The text of one block."""
        start, end = self.blocks[block, START], self.blocks[block, END]
        return self.stream[start:end].tobytes().decode("utf-32-le")


def as_utf8(html: str | Utf8) -> Utf8:
    """A page as the tokeniser reads it; bytes must be valid UTF-8. Raises UnicodeEncodeError on a lone surrogate."""
    return html.encode() if isinstance(html, str) else html
