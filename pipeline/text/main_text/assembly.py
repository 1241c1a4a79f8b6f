"""Chosen blocks to text: a line a block, list items marked, the cells of a table's row on one line."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text.blocks import Blocks
from pipeline.text.main_text.vocabulary import TAG

CELL_SEPARATOR: Final = " | "
ITEM_MARK: Final = "- "
LONGEST_CELL: Final = 300  # code points; a cell with more is a column of a layout, not a figure of a table
_TD, _TH, _ROW, _ITEM = TAG["td"], TAG["th"], TAG["tr"], TAG["li"]


def table_rows(page: Blocks) -> NDArray[np.int32]:
    """The row of a data table that a block is a cell of, as a node number; -1 for other blocks. (n_blocks,)

    A data row has several cells, each one block that is not long; other tables arrange the page.
    """
    result: NDArray[np.int32] = _table_rows(page.nodes, page.blocks)
    return result


@kernel
def _table_rows(nodes, blocks):  # type: ignore[no-untyped-def]
    cell = np.full(len(nodes), -1, np.int32)  # the cell that a node is, or lies in
    for k in range(1, len(nodes)):  # a node comes after its parent
        tag = nodes[k, b.TAG]
        cell[k] = k if tag == _TD or tag == _TH else cell[nodes[k, b.PARENT]]  # noqa: SIM109  compiled
    held = np.zeros(len(nodes), np.int32)  # blocks of a row or cell
    arranges = np.zeros(len(nodes), np.bool_)
    rows = np.full(len(blocks), -1, np.int32)
    for i in range(len(blocks)):
        own = cell[blocks[i, b.NODE]]
        if own < 0 or nodes[nodes[own, b.PARENT], b.TAG] != _ROW:
            continue
        row = nodes[own, b.PARENT]
        rows[i] = row
        held[row] += 1
        held[own] += 1
        if held[own] > 1 or blocks[i, b.END] - blocks[i, b.START] > LONGEST_CELL:
            arranges[row] = True
    for i in range(len(blocks)):
        if rows[i] >= 0 and (arranges[rows[i]] or held[rows[i]] < 2):
            rows[i] = -1
    return rows


def assemble(page: Blocks, kept: NDArray[np.bool_], rows: NDArray[np.int32]) -> str:
    """The text of the kept blocks in the order of the page; `rows` as from `table_rows`.

    >>> from pipeline.text.main_text import tokenise
    >>> page = tokenise("<ul><li>a<li>b</ul><table><tr><td>1<td>2<tr><td>3<td>4</table>")
    >>> print(assemble(page, np.ones(6, bool), table_rows(page)))
    - a
    - b
    1 | 2
    3 | 4
    """
    text = page.stream.tobytes().decode("utf-32-le")
    tags, parents = page.nodes[:, b.TAG].tolist(), page.nodes[:, b.PARENT].tolist()
    starts, ends = page.blocks[:, b.START].tolist(), page.blocks[:, b.END].tolist()
    holders, row_of = page.blocks[:, b.NODE].tolist(), rows.tolist()
    lines: list[str] = []
    row_before = item_before = -1
    for block in np.flatnonzero(kept).tolist():
        line = text[starts[block] : ends[block]].rstrip(" \n\t")
        row = row_of[block]
        if row >= 0 and row == row_before:
            lines[-1] += CELL_SEPARATOR + line
            continue
        row_before = row
        item = holders[block]
        if tags[item] != _ITEM:  # <li><p>: the paragraph begins the item
            item = parents[item]
        if item >= 0 and tags[item] == _ITEM:
            if item != item_before:
                line = ITEM_MARK + line
            item_before = item
        lines.append(line)
    return "\n".join(lines)
