"""Features of the containers of a block: what they hold, how they score, and which classes and tags are around.

A block's containers are its ancestors that hold more text than the block alone (wrappers of one block say nothing),
from the inside outwards.
"""

import numpy as np

from pipeline.kernels.compile import inner_kernel, kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.feature_columns import (
    ANCESTOR_BITS,
    CONTAINERS,
    FIRST_ANCESTOR,
    FIRST_AROUND,
    FIRST_OWN,
    ORDER,
    F,
    L,
)  # fmt: skip


@kernel
def add_containers(blocks, nodes, length, linked, good_length, running, columns, logs):  # type: ignore[no-untyped-def]
    """Containers of blocks, sums over their subtrees, scores like Readability's, and what classes and tags are around.

    A good block gives its score to its containers, the less the farther out; links take theirs away.
    """
    n_nodes, n = len(nodes), len(blocks)
    total = running[n]
    held, held_linked, held_good = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes)  # by a node's subtree
    held_blocks, held_goods = np.zeros(n_nodes, np.int32), np.zeros(n_nodes, np.int32)
    total_good = 0.0
    for i in range(n):
        k = blocks[i, b.NODE]
        held[k] += length[i]
        held_linked[k] += linked[i]
        held_good[k] += good_length[i]
        held_blocks[k] += 1
        held_goods[k] += good_length[i] > 0
        total_good += good_length[i]
    for k in range(n_nodes - 1, 0, -1):  # a node comes after its parent
        parent = nodes[k, b.PARENT]
        held[parent] += held[k]
        held_linked[parent] += held_linked[k]
        held_good[parent] += held_good[k]
        held_blocks[parent] += held_blocks[k]
        held_goods[parent] += held_goods[k]
    containers = np.empty((CONTAINERS, n), np.int32)
    scores = np.zeros(n_nodes)
    for i in range(n):
        k = blocks[i, b.NODE]
        inner, most = -1, 1
        for level in range(CONTAINERS):
            while held_blocks[k] <= most and nodes[k, b.PARENT] >= 0:
                k = nodes[k, b.PARENT]
            containers[level, i] = k
            most = held_blocks[k]
            if good_length[i] > 0 and k != inner:
                commas = blocks[i, b.COUNTS + v.COMMA]
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
        ancestors[k] = ANCESTOR_BITS[nodes[k, b.TAG]]
        parent = nodes[k, b.PARENT]
        if parent >= 0:
            above[k] = max(above[k], above[parent])
            inside[k] |= inside[parent]
            ancestors[k] |= ancestors[parent]
            groups[k] = groups[parent] | nodes[parent, b.GROUPS]
    for i in range(n):
        k = blocks[i, b.NODE]
        columns[F.container0_tag, i] = ORDER[nodes[containers[0, i], b.TAG]]
        columns[F.container0_depth, i] = nodes[containers[0, i], b.DEPTH]
        logs[L.best_score, i] = highest
        columns[F.ancestor_score, i] = above[k] / highest
        columns[F.in_best, i] = inside[k]
        _spread_bits(nodes[k, b.GROUPS] | blocks[i, b.INLINE_GROUPS], i, columns, FIRST_OWN, FIRST_AROUND)
        _spread_bits(groups[k], i, columns, FIRST_AROUND, FIRST_ANCESTOR)
        _spread_bits(ancestors[k], i, columns, FIRST_ANCESTOR, len(columns))
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
