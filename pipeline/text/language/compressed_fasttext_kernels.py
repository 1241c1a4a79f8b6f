"""The compiled loops of a compressed fastText model: hashes of n-grams, sums of rows, the tree of labels."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import kernel

LONGEST_NGRAM: Final = 20  # characters
LABEL_PREFIX: Final = np.frombuffer(b"__label__", np.uint8)
END: Final = b"</s>"  # what fastText reads a line break as; each text ends with it
UNSET: Final = 10**15  # the count of a node of the tree that has none yet
CENTROIDS: Final = 256  # of a product quantiser, for each part of a vector
_SMALL: Final = 1e-5  # added before a logarithm is taken
_FNV_OFFSET: Final = np.uint32(2166136261)
_FNV_PRIME: Final = np.uint32(16777619)
_LESS_THAN: Final = np.uint8(ord("<"))
_GREATER_THAN: Final = np.uint8(ord(">"))


@kernel
def decode_vectors(
    codes: NDArray[np.uint8], centroids: NDArray[np.float32], width: int, vectors: NDArray[np.float32]
) -> None:
    """Vectors of product-quantised codes, `width` numbers a code; the last code may have fewer."""
    dim = vectors.shape[1]
    for row in range(len(codes)):
        for part in range(codes.shape[1]):
            first = part * width
            last = min(first + width, dim)
            centroid = first * CENTROIDS + np.int64(codes[row, part]) * (last - first)
            for column in range(first, last):
                vectors[row, column] = centroids[centroid + column - first]


@kernel
def next_hash(value: np.uint32, byte: np.uint8) -> np.uint32:
    """fastText's 32-bit FNV-1a, which takes bytes for signed numbers."""
    return np.uint32((value ^ np.uint32(np.int8(byte))) * _FNV_PRIME)


@kernel
def _free_slot(keys: NDArray[np.int32], wanted: int) -> int:
    slot = wanted & (len(keys) - 1)
    while keys[slot] >= 0:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@kernel
def slots_of_words(data: NDArray[np.uint8], bounds: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    """A hash table (size,) of word numbers, -1 where it is free, from words that lie end to end in `data`."""
    slots = np.full(size, -1, np.int32)
    for word in range(len(bounds) - 1):
        value = _FNV_OFFSET
        for byte in data[bounds[word] : bounds[word + 1]]:
            value = next_hash(value, byte)
        slots[_free_slot(slots, np.int64(value))] = word
    return slots


@kernel
def slots_of_buckets(kept: NDArray[np.int32], first_row: int, size: int) -> NDArray[np.int32]:
    """A hash table (2, size): buckets of n-grams that were kept, -1 where it is free, and the row of each."""
    slots = np.full((2, size), -1, np.int32)
    for pair in range(len(kept)):
        slot = _free_slot(slots[0], np.int64(kept[pair, 0]))
        slots[0, slot], slots[1, slot] = kept[pair, 0], first_row + kept[pair, 1]
    return slots


@kernel
def _is_space(byte: np.uint8) -> bool:
    return bool(byte == 32 or 9 <= byte <= 13 or byte == 0)


@kernel
def _is_inside(byte: np.uint8) -> bool:
    """Whether a byte of UTF-8 goes on with a character."""
    return bool(byte & 0xC0 == 0x80)


@kernel
def _begins(token: NDArray[np.uint8], start: NDArray[np.uint8]) -> bool:
    same = 0
    while same < len(start) and same < len(token) and token[same] == start[same]:
        same += 1
    return same == len(start)


@kernel
def _row_of_word(
    token: NDArray[np.uint8], slots: NDArray[np.int32], words: NDArray[np.uint8], bounds: NDArray[np.int64]
) -> np.int64:
    """Row of a word, -1 where it has none."""
    value = _FNV_OFFSET
    for byte in token:
        value = next_hash(value, byte)
    slot = np.int64(value) & (len(slots) - 1)
    while slots[slot] >= 0:
        word = np.int64(slots[slot])
        if bounds[word + 1] - bounds[word] == len(token) and _begins(words[bounds[word] :], token):
            return word
        slot = (slot + 1) & (len(slots) - 1)
    return np.int64(-1)


@kernel
def _list_ngrams(
    token: NDArray[np.uint8],
    sizes: tuple[int, int, int, int],
    bits: NDArray[np.uint8],
    listed: NDArray[np.int32],
    count: int,
) -> int:
    """Append -1 - bucket of each n-gram of a token that has a row; how many are listed then."""
    shortest, longest, buckets, _ = sizes
    inverse = 1.0 / buckets
    for start in range(len(token)):
        if _is_inside(token[start]):
            continue
        value = _FNV_OFFSET
        position, n = start, 1
        while position < len(token) and n <= longest:
            value = next_hash(value, token[position])
            position += 1
            while position < len(token) and _is_inside(token[position]):
                value = next_hash(value, token[position])
                position += 1
            if n >= shortest and not (n == 1 and (start == 0 or position == len(token))):
                # value % buckets without a division, off by one bucket's width at most before it is mended
                bucket = np.int64(value) - np.int64(np.float64(value) * inverse) * buckets
                bucket += buckets if bucket < 0 else 0
                bucket -= buckets if bucket >= buckets else 0
                listed[count] = -1 - bucket
                count += (bits[bucket >> 3] >> (bucket & 7)) & 1  # no branch: it would be guessed wrong too often
            n += 1
    return count


@kernel
def _sum_rows(
    listed: NDArray[np.int32], slots: NDArray[np.int32], rows: NDArray[np.float32], hidden: NDArray[np.float32]
) -> None:
    """The mean of the rows that are listed, themselves or as -1 - bucket; in order, as the sum is of float32."""
    for entry in range(len(listed)):
        bucket = -1 - np.int64(listed[entry])
        if bucket >= 0:
            slot = bucket & (slots.shape[1] - 1)
            while slots[0, slot] != bucket:
                slot = (slot + 1) & (slots.shape[1] - 1)
            listed[entry] = slots[1, slot]
    hidden[:] = 0
    for row in listed:
        for column in range(len(hidden)):
            hidden[column] += rows[row, column]
    scale = np.float32(1.0 / len(listed))
    for column in range(len(hidden)):
        hidden[column] *= scale


@kernel
def _log(value: np.float32) -> np.float32:
    return np.float32(math.log(np.float64(value) + _SMALL))


@kernel
def _find_labels(
    hidden: NDArray[np.float32],
    nodes: NDArray[np.float32],
    children: NDArray[np.int32],
    least: np.float32,
    best_nodes: NDArray[np.int32],
    scores: NDArray[np.float32],
) -> None:
    """The best labels and their scores, whose logarithms are `least` or more, into `found` and `scores`."""
    count = 0
    first_inner = len(nodes) + 1
    stack, reached = np.empty(first_inner, np.int32), np.empty(first_inner, np.float32)
    stack[0], reached[0] = first_inner + len(nodes) - 1, 0
    depth = 1
    while depth:
        depth -= 1
        node, score = np.int64(stack[depth]), reached[depth]
        if score < least or (count == len(best_nodes) and score < scores[count - 1]):
            continue
        if node < first_inner:
            rank = min(count, len(best_nodes) - 1)
            count = rank + 1
            while rank > 0 and scores[rank - 1] < score:
                best_nodes[rank], scores[rank] = best_nodes[rank - 1], scores[rank - 1]
                rank -= 1
            best_nodes[rank], scores[rank] = node, score
            continue
        node -= first_inner
        dot = np.float32(0)
        for column in range(len(hidden)):
            dot += hidden[column] * nodes[node, column]
        right = np.float32(1.0 / (1.0 + np.float64(np.float32(math.exp(-dot)))))
        stack[depth], reached[depth] = children[node, 1], score + _log(right)
        stack[depth + 1], reached[depth + 1] = children[node, 0], score + _log(np.float32(1) - right)
        depth += 2
    for rank in range(count):
        scores[rank] = np.float32(math.exp(scores[rank]))


@kernel
def predict(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    sizes: tuple[int, int, int, int],
    word_slots: NDArray[np.int32],
    word_bytes: NDArray[np.uint8],
    word_bounds: NDArray[np.int64],
    bucket_bits: NDArray[np.uint8],
    bucket_slots: NDArray[np.int32],
    rows: NDArray[np.float32],
    nodes: NDArray[np.float32],
    children: NDArray[np.int32],
    k: int,
    least: float,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Numbers of the labels of each text and their scores, falling; (texts, k), -1 and 0 where there are fewer."""
    end = sizes[3]
    nodes_found = np.full((len(bounds) - 1, k), -1, np.int32)
    scores = np.zeros((len(bounds) - 1, k), np.float32)
    hidden = np.empty(rows.shape[1], np.float32)
    longest = 0
    for text in range(len(bounds) - 1):
        longest = max(longest, bounds[text + 1] - bounds[text])
    token = np.empty(longest + 2, np.uint8)
    # Each byte, and the space after a word, begins at most as many n-grams as there are sizes; each word has a row.
    listed = np.empty((sizes[1] + 3) * (longest + 2), np.int32)
    token[0] = _LESS_THAN
    for text in range(len(bounds) - 1):
        position, last = bounds[text], bounds[text + 1]
        count = 0
        row = -1
        while row != end:
            while position < last and _is_space(data[position]):
                position += 1
            length = 1
            while position < last and not _is_space(data[position]):
                token[length] = data[position]
                position, length = position + 1, length + 1
            word = token[1:length]
            row = end if length == 1 else _row_of_word(word, word_slots, word_bytes, word_bounds)
            if row >= 0:
                listed[count] = row
                count += 1
            if row != end and (row >= 0 or not _begins(word, LABEL_PREFIX)):
                token[length] = _GREATER_THAN
                count = _list_ngrams(token[: length + 1], sizes, bucket_bits, listed, count)
        _sum_rows(listed[:count], bucket_slots, rows, hidden)
        _find_labels(hidden, nodes, children, np.float32(least), nodes_found[text], scores[text])
    return nodes_found, scores
