"""Features of a block by itself, of where on the page it stands, and of the page as a whole."""

from pipeline.kernels.compile import inner_kernel
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text import vocabulary as v
from pipeline.text.main_text.feature_columns import HEADING_LEVEL, ORDER, F, L


@inner_kernel
def character_count(counts):  # type: ignore[no-untyped-def]
    """Characters of a block, spaces left out; at least 1."""
    result = 0
    for k in range(v.CHARACTER_CLASSES):
        result += counts[k]
    return max(result, 1)


@inner_kernel
def add_own_features(blocks, nodes, length, link_density, linked, good_length, running, columns, logs):  # type: ignore[no-untyped-def]
    """What a block is by itself, where on the page it stands, and what the page is as a whole."""
    n = len(blocks)
    total = running[n]
    page_good, good_blocks = 0.0, 0
    for i in range(n):
        block = blocks[i]
        counts = block[b.COUNTS :]
        characters, words = character_count(counts), max(block[b.WORDS], 1)
        tag = nodes[block[b.NODE], b.TAG]
        logs[L.length, i] = length[i]
        logs[L.words, i] = words
        columns[F.word_length, i] = characters / words
        columns[F.link_density, i] = link_density[i]
        columns[F.links, i] = min(block[b.LINKS], 50)
        logs[L.unlinked_length, i] = length[i] - linked[i]
        columns[F.upper, i] = counts[v.UPPER] / characters
        columns[F.digits, i] = counts[v.DIGIT] / characters
        columns[F.commas, i] = counts[v.COMMA] / characters
        columns[F.comma_count, i] = min(counts[v.COMMA], 50)
        columns[F.terminals, i] = min(counts[v.TERMINAL_MARK], 50)
        columns[F.terminals_per_length, i] = counts[v.TERMINAL_MARK] / length[i]
        columns[F.symbols, i] = counts[v.SYMBOL] / characters
        columns[F.han_kana, i] = counts[v.HAN_KANA] / characters
        columns[F.bold, i] = block[b.BOLD_CHARACTERS] / characters
        columns[F.images, i] = min(block[b.IMAGES], 20)
        columns[F.first_class, i] = block[b.FIRST_CLASS]
        columns[F.last_class, i] = block[b.LAST_CLASS]
        columns[F.after_break, i] = block[b.FLAGS] & b.AFTER_BREAK
        columns[F.hidden, i] = block[b.FLAGS] & b.HIDDEN
        columns[F.preformatted, i] = block[b.FLAGS] & b.PREFORMATTED
        columns[F.good, i] = good_length[i] > 0
        columns[F.tag, i] = ORDER[tag]
        columns[F.heading, i] = HEADING_LEVEL[tag]  # 1 to 6, 0 for what is none
        columns[F.depth, i] = nodes[block[b.NODE], b.DEPTH]
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
