"""Answers of a compressed fastText classifier with hierarchical softmax, as lid.176.ftz is, by one kernel.

Labels and scores are those of fastText's own predict, to the sixth decimal, for a fifth of its time. Formats and
formulas are those of fastText 0.9 (`src/fasttext.cc`, `dictionary.cc`, `quantmatrix.cc`, `productquantizer.cc`,
`loss.cc`). Weakness: models of other kinds are left to fastText.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import kernel

MAGIC: Final = 793712314  # FASTTEXT_FILEFORMAT_MAGIC_INT32
_KIND: Final = (MAGIC, 12, 1, 3, 1)  # version of the format, hierarchical softmax, supervised, no n-grams of words
_NGRAM_MAX: Final = 20  # characters
_LABEL: Final = np.frombuffer(b"__label__", np.uint8)
_END: Final = b"</s>"  # what fastText reads a line break as; each text ends with it
_CENTROIDS: Final = 256  # of a product quantiser, for each part of a vector
_UNSET: Final = 10**15  # the count of a node of the tree that has none yet
_SMALL: Final = 1e-5  # added before a logarithm is taken

_FNV_OFFSET: Final = np.uint32(2166136261)
_FNV_PRIME: Final = np.uint32(16777619)
_LESS_THAN: Final = np.uint8(ord("<"))
_GREATER_THAN: Final = np.uint8(ord(">"))


class _Header(NamedTuple):
    """What begins the file, with fastText's names."""

    magic: int
    version: int
    dim: int
    ws: int
    epoch: int
    min_count: int
    neg: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    lr_update_rate: int
    t: float


class _Sizes(NamedTuple):
    """What begins the dictionary."""

    entries: int
    words: int
    labels: int
    tokens: int
    kept: int  # buckets that are left; -1 where none was taken away


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """A model in memory; its methods are named and behave as fastText's."""

    labels: list[str]
    sizes: tuple[int, int, int, int]  # characters of the shortest and longest n-gram, buckets, row of _END
    word_slots: NDArray[np.int32]  # (a power of 2,): row; open addressing by hash; -1 is free
    word_bytes: NDArray[np.uint8]  # all words in UTF-8
    word_bounds: NDArray[np.int64]  # (words + 1,)
    bucket_bits: NDArray[np.uint8]  # (buckets / 8,): whether the n-grams of a bucket have a row
    bucket_slots: NDArray[np.int32]  # (2, a power of 2): bucket, row; open addressing by bucket; -1 is free
    rows: NDArray[np.float32]  # (words and buckets that were kept, dim)
    nodes: NDArray[np.float32]  # (labels - 1, dim): inner nodes of the tree of labels, the last is the root
    children: NDArray[np.int32]  # (labels - 1, 2): left and right; a label, or an inner node after all labels

    @classmethod
    def read(cls, path: Path) -> "CompressedModel | None":
        """The model in a file, None for one of another kind. Raises ValueError for a damaged one, OSError."""
        with path.open("rb") as file:
            data = _Data(file.read(struct.calcsize("<ii12id")))
            header = _Header(*data.numbers("<ii12id"))
            kind = (header.magic, header.version, header.loss, header.model, header.word_ngrams)
            if kind != _KIND or not (header.minn > 0 and 0 < header.maxn <= _NGRAM_MAX):
                return None
            sizes = _Sizes(*_Data(file.read(struct.calcsize("<iiiqq"))).numbers("<iiiqq"))
            if sizes.kept < 0:
                return None  # not compressed, and much longer
            return _read(header, sizes, _Data(file.read()))

    def get_labels(self) -> list[str]:
        """Labels as the file has them, frequent ones first."""
        return self.labels

    def predict(self, texts: Sequence[str], k: int, threshold: float) -> tuple[list[list[str]], list[list[float]]]:
        """At most `k` labels of each text and their scores, falling, down to `threshold`; in [0, 1.00001].

        A text is one line without lone surrogates; as for fastText, it ends where a word is `</s>`.
        """
        encoded = [text.encode() for text in texts]
        bounds = np.cumsum([0, *map(len, encoded)])
        found, scores = _predict(
            np.frombuffer(b"".join(encoded), np.uint8), bounds, self.sizes, self.word_slots, self.word_bytes,
            self.word_bounds, self.bucket_bits, self.bucket_slots, self.rows, self.nodes, self.children, k,
            math.log(threshold + _SMALL),
        )  # fmt: skip
        counts = np.count_nonzero(found >= 0, axis=1).tolist()
        names = [[self.labels[one] for one in row[:n]] for row, n in zip(found.tolist(), counts, strict=True)]
        return names, [row[:n] for row, n in zip(scores.tolist(), counts, strict=True)]


class _Data:
    """Bytes that are read one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Numbers in a form of `struct`. Raises ValueError at the end."""
        try:
            found = struct.unpack_from(form, self.data, self.position)
        except struct.error as error:
            raise ValueError("ends too early") from error
        self.position += struct.calcsize(form)
        return found

    def array(self, dtype: type[np.generic], *shape: int) -> NDArray[Any]:
        """An array of a shape, aligned. Raises ValueError at the end."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if min(shape) < 0 or size > len(self.data) - self.position:
            raise ValueError(f"has no room for numbers of shape {shape}")
        found = np.frombuffer(self.data[self.position : self.position + size], dtype).reshape(shape)
        self.position += size
        return found

    def entries(self, count: int) -> tuple[list[bytes], list[int]]:
        """Words or labels, and where each one's count lies. Raises ValueError at the end."""
        found, places = [], []
        for _ in range(count):
            end = self.data.index(b"\0", self.position)
            found.append(self.data[self.position : end])
            places.append(end + 1)
            self.position = end + 1 + struct.calcsize("<qb")  # count and kind
        return found, places


def _read(header: _Header, sizes: _Sizes, data: _Data) -> CompressedModel | None:
    """What follows the header and the sizes."""
    entries, places = data.entries(sizes.entries)
    words, labels = entries[: sizes.words], entries[sizes.words :]
    label_counts = [int.from_bytes(data.data[place : place + 8], "little") for place in places[sizes.words :]]
    kept = data.array(np.int32, sizes.kept, 2)  # bucket, and row after those of the words
    (is_compressed,) = data.numbers("<?")
    if not is_compressed or _END not in words:
        return None
    rows = _read_compressed(data)
    (output_is_compressed,) = data.numbers("<?")
    if output_is_compressed:
        return None
    shape = data.numbers("<qq")
    output = data.array(np.float32, *shape)
    if (
        not 2 <= len(labels) == sizes.labels
        or max(label_counts) >= _UNSET
        or header.bucket < 1
        or not (sizes.labels, rows.shape[1]) == shape == (sizes.labels, header.dim)
        or len(rows) < sizes.words
        or (len(kept) and not _are_within(kept, (header.bucket, len(rows) - sizes.words)))
    ):
        raise ValueError("has parts that do not agree")
    word_bytes, word_bounds = np.frombuffer(b"".join(words), np.uint8), np.cumsum([0, *map(len, words)])
    has_row = np.zeros(header.bucket, np.bool_)
    has_row[kept[:, 0]] = True
    return CompressedModel(
        [label.decode() for label in labels],
        (header.minn, header.maxn, header.bucket, words.index(_END)),
        _slots_of_words(word_bytes, word_bounds, _slots_for(sizes.words)),
        word_bytes,
        word_bounds,
        np.packbits(has_row, bitorder="little"),
        _slots_of_buckets(kept, sizes.words, _slots_for(len(kept))),
        rows,
        output[: sizes.labels - 1],
        _tree(label_counts),
    )


def _are_within(pairs: NDArray[np.int32], ends: tuple[int, int]) -> bool:
    return bool(pairs.min() >= 0 and (pairs.max(axis=0) < ends).all())


def _slots_for(count: int) -> int:
    """A power of 2 that is 2 to 4 times a count."""
    return 2 << count.bit_length()


def _read_compressed(data: _Data) -> NDArray[np.float32]:
    """Rows of a product-quantised matrix; (rows, dim) float32."""
    has_norms, row_count, dim, code_count = data.numbers("<?qqi")
    if row_count <= 0 or code_count % row_count:
        raise ValueError(f"has {code_count} codes for {row_count} rows")
    codes = data.array(np.uint8, row_count, code_count // row_count)
    rows = _read_quantised(data, codes, dim)
    if has_norms:
        norms = data.array(np.uint8, row_count, 1)
        rows *= _read_quantised(data, norms, 1)
    return rows


def _read_quantised(data: _Data, codes: NDArray[np.uint8], dim: int) -> NDArray[np.float32]:
    """Vectors from their codes and the centroids that come next in the file."""
    own_dim, parts, width, _ = data.numbers("<4i")
    if own_dim != dim or codes.shape[1] != parts or width <= 0 or -(-dim // width) != parts:
        raise ValueError(f"has {codes.shape[1]} codes for vectors of {dim} numbers")
    found = np.empty((len(codes), dim), np.float32)
    _decode(codes, data.array(np.float32, dim * _CENTROIDS), width, found)
    return found


def _tree(counts: Sequence[int]) -> NDArray[np.int32]:
    """Huffman's tree over labels by falling count, as fastText builds it: children of the inner nodes, root last."""
    leaf, node = len(counts) - 1, len(counts)
    weights = [*counts, *[_UNSET] * (len(counts) - 1)]
    children = []
    for inner in range(len(counts), len(weights)):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        weights[inner] = weights[pair[0]] + weights[pair[1]]
        children.append(pair)
    return np.array(children, np.int32)


@kernel
def _decode(codes: NDArray[np.uint8], centroids: NDArray[np.float32], width: int, vectors: NDArray[np.float32]) -> None:
    """Vectors of product-quantised codes, `width` numbers a code; the last code may have fewer."""
    dim = vectors.shape[1]
    for row in range(len(codes)):
        for part in range(codes.shape[1]):
            first = part * width
            last = min(first + width, dim)
            centroid = first * _CENTROIDS + np.int64(codes[row, part]) * (last - first)
            for place in range(first, last):
                vectors[row, place] = centroids[centroid + place - first]


@kernel
def _next_hash(value: np.uint32, byte: np.uint8) -> np.uint32:
    """fastText's 32-bit FNV-1a, which takes bytes for signed numbers."""
    return np.uint32((value ^ np.uint32(np.int8(byte))) * _FNV_PRIME)


@kernel
def _free_slot(keys: NDArray[np.int32], wanted: int) -> int:
    slot = wanted & (len(keys) - 1)
    while keys[slot] >= 0:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@kernel
def _slots_of_words(data: NDArray[np.uint8], bounds: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    slots = np.full(size, -1, np.int32)
    for word in range(len(bounds) - 1):
        value = _FNV_OFFSET
        for byte in data[bounds[word] : bounds[word + 1]]:
            value = _next_hash(value, byte)
        slots[_free_slot(slots, np.int64(value))] = word
    return slots


@kernel
def _slots_of_buckets(kept: NDArray[np.int32], first_row: int, size: int) -> NDArray[np.int32]:
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
        value = _next_hash(value, byte)
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
            value = _next_hash(value, token[position])
            position += 1
            while position < len(token) and _is_inside(token[position]):
                value = _next_hash(value, token[position])
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
        for place in range(len(hidden)):
            hidden[place] += rows[row, place]
    scale = np.float32(1.0 / len(listed))
    for place in range(len(hidden)):
        hidden[place] *= scale


@kernel
def _log(value: np.float32) -> np.float32:
    return np.float32(math.log(np.float64(value) + _SMALL))


@kernel
def _find_labels(
    hidden: NDArray[np.float32],
    nodes: NDArray[np.float32],
    children: NDArray[np.int32],
    least: np.float32,
    found: NDArray[np.int32],
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
        if score < least or (count == len(found) and score < scores[count - 1]):
            continue
        if node < first_inner:
            place = min(count, len(found) - 1)
            count = place + 1
            while place > 0 and scores[place - 1] < score:
                found[place], scores[place] = found[place - 1], scores[place - 1]
                place -= 1
            found[place], scores[place] = node, score
            continue
        node -= first_inner
        dot = np.float32(0)
        for place in range(len(hidden)):
            dot += hidden[place] * nodes[node, place]
        right = np.float32(1.0 / (1.0 + np.float64(np.float32(math.exp(-dot)))))
        stack[depth], reached[depth] = children[node, 1], score + _log(right)
        stack[depth + 1], reached[depth + 1] = children[node, 0], score + _log(np.float32(1) - right)
        depth += 2
    for place in range(count):
        scores[place] = np.float32(math.exp(scores[place]))


@kernel
def _predict(
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
    found = np.full((len(bounds) - 1, k), -1, np.int32)
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
            if row != end and (row >= 0 or not _begins(word, _LABEL)):
                token[length] = _GREATER_THAN
                count = _list_ngrams(token[: length + 1], sizes, bucket_bits, listed, count)
        _sum_rows(listed[:count], bucket_slots, rows, hidden)
        _find_labels(hidden, nodes, children, np.float32(least), found[text], scores[text])
    return found, scores
