"""Chosen blocks to text: a line a block, list items marked, the cells of a table's row on one line."""

import numpy as np
from numpy.typing import NDArray

from pipeline.text.main_text import tokeniser as t
from pipeline.text.main_text.tokeniser import Blocks
from pipeline.text.main_text.vocabulary import TAG

CELL_SEPARATOR = " | "
ITEM_MARK = "- "
LONGEST_CELL = 300  # code points; a cell with more is a column of a layout, not a figure of a table
_CELLS = (TAG["td"], TAG["th"])
_ROW, _ITEM = TAG["tr"], TAG["li"]


def table_rows(page: Blocks) -> NDArray[np.int32]:
    """The row of a data table that a block is a cell of, as a node number; -1 for other blocks. (n_blocks,)

    A data row has several cells, each one block that is not long; other tables arrange the page.
    """
    nodes, blocks = page.nodes, page.blocks
    rows = [-1] * len(blocks)
    if not np.isin(nodes[:, t.TAG], _CELLS).any():
        return np.array(rows, np.int32)
    tags, parents = nodes[:, t.TAG].tolist(), nodes[:, t.PARENT].tolist()
    held: dict[int, list[int]] = {}
    cells: dict[int, int] = {}
    for block, node in enumerate(blocks[:, t.NODE].tolist()):
        while node > 0 and tags[node] not in _CELLS:
            node = parents[node]
        if node <= 0:
            continue
        row = parents[node]
        if tags[row] == _ROW:
            held.setdefault(row, []).append(block)
            cells[node] = cells.get(node, 0) + 1
            if cells[node] > 1:
                held[row].append(-1)  # a cell of several blocks
    lengths = (blocks[:, t.END] - blocks[:, t.START]).tolist()
    for row, members in held.items():
        if len(members) > 1 and -1 not in members and max(lengths[block] for block in members) <= LONGEST_CELL:
            for block in members:
                rows[block] = row
    return np.array(rows, np.int32)


def assemble(page: Blocks, kept: NDArray[np.bool_], rows: NDArray[np.int32]) -> str:
    """The text of the kept blocks in the order of the page; `rows` as from `table_rows`.

    >>> page = t.tokenise("<ul><li>a<li>b</ul><table><tr><td>1<td>2<tr><td>3<td>4</table>")
    >>> print(assemble(page, np.ones(6, bool), table_rows(page)))
    - a
    - b
    1 | 2
    3 | 4
    """
    text = page.stream.tobytes().decode("utf-32-le")
    tags, parents = page.nodes[:, t.TAG].tolist(), page.nodes[:, t.PARENT].tolist()
    starts, ends = page.blocks[:, t.START].tolist(), page.blocks[:, t.END].tolist()
    holders, row_of = page.blocks[:, t.NODE].tolist(), rows.tolist()
    lines: list[str] = []
    row_before = item_before = -1
    for block in np.flatnonzero(kept).tolist():
        line = text[starts[block] : ends[block]].rstrip()
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
