"""Features of what is around a block: its neighbours, the headings, and the blocks with the same path of tags."""

import numpy as np

from pipeline.kernels.compile import kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text.feature_columns import REACHES, F, L


@kernel
def add_neighbours(length, link_density, linked, good_length, running, columns, logs):  # type: ignore[no-untyped-def]
    """The two blocks on either side, sums over windows of blocks, and how far the nearest good blocks are."""
    n = len(length)
    # Whole numbers: the trees were trained with neighbours' lengths and link densities rounded down.
    whole_length, whole_density = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        whole_length[i], whole_density[i] = int(np.log1p(length[i])), int(link_density[i])
    for neighbour in range(4):
        by = neighbour - 2 if neighbour < 2 else neighbour - 1
        column = F.before2_length + neighbour * (F.before1_length - F.before2_length)
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
def add_headings(link_density, likeness, columns):  # type: ignore[no-untyped-def]
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
def add_paths(paths, blocks, length, linked, good_length, columns):  # type: ignore[no-untyped-def]
    """Over blocks with the same path of tags and classes: log count, mean length, share of text, link density, good."""
    n = len(blocks)
    path = np.empty(n, np.uint64)
    for i in range(n):
        path[i] = paths[blocks[i, b.NODE]]
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
