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

from pipeline.text.language.compressed_fasttext_kernels import (
    _SMALL,
    CENTROIDS,
    END,
    LONGEST_NGRAM,
    UNSET,
    decode_vectors,
    predict,
    slots_of_buckets,
    slots_of_words,
)

MAGIC: Final = 793712314  # FASTTEXT_FILEFORMAT_MAGIC_INT32
_KIND: Final = (MAGIC, 12, 1, 3, 1)  # version of the format, hierarchical softmax, supervised, no n-grams of words


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
            if kind != _KIND or not (header.minn > 0 and 0 < header.maxn <= LONGEST_NGRAM):
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
        nodes, scores = predict(
            np.frombuffer(b"".join(encoded), np.uint8), bounds, self.sizes, self.word_slots, self.word_bytes,
            self.word_bounds, self.bucket_bits, self.bucket_slots, self.rows, self.nodes, self.children, k,
            math.log(threshold + _SMALL),
        )  # fmt: skip
        counts = np.count_nonzero(nodes >= 0, axis=1).tolist()
        names = [[self.labels[node] for node in row[:n]] for row, n in zip(nodes.tolist(), counts, strict=True)]
        return names, [row[:n] for row, n in zip(scores.tolist(), counts, strict=True)]


class _Data:
    """Bytes that are read one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Numbers in a form of `struct`. Raises ValueError at the end."""
        try:
            values = struct.unpack_from(form, self.data, self.position)
        except struct.error as error:
            raise ValueError("ends too early") from error
        self.position += struct.calcsize(form)
        return values

    def array(self, dtype: type[np.generic], *shape: int) -> NDArray[Any]:
        """An array of a shape, aligned. Raises ValueError at the end."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if min(shape) < 0 or size > len(self.data) - self.position:
            raise ValueError(f"has no room for numbers of shape {shape}")
        values = np.frombuffer(self.data[self.position : self.position + size], dtype).reshape(shape)
        self.position += size
        return values

    def entries(self, count: int) -> tuple[list[bytes], list[int]]:
        """Words or labels, and where each one's count lies. Raises ValueError at the end."""
        names, ends = [], []
        for _ in range(count):
            end = self.data.index(b"\0", self.position)
            names.append(self.data[self.position : end])
            ends.append(end + 1)
            self.position = end + 1 + struct.calcsize("<qb")  # count and kind
        return names, ends


def _read(header: _Header, sizes: _Sizes, data: _Data) -> CompressedModel | None:
    """What follows the header and the sizes."""
    entries, ends = data.entries(sizes.entries)
    words, labels = entries[: sizes.words], entries[sizes.words :]
    label_counts = [int.from_bytes(data.data[end : end + 8], "little") for end in ends[sizes.words :]]
    kept = data.array(np.int32, sizes.kept, 2)  # bucket, and row after those of the words
    (is_compressed,) = data.numbers("<?")
    if not is_compressed or END not in words:
        return None
    rows = _read_compressed(data)
    (output_is_compressed,) = data.numbers("<?")
    if output_is_compressed:
        return None
    shape = data.numbers("<qq")
    output = data.array(np.float32, *shape)
    if (
        not 2 <= len(labels) == sizes.labels
        or max(label_counts) >= UNSET
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
        (header.minn, header.maxn, header.bucket, words.index(END)),
        slots_of_words(word_bytes, word_bounds, _slots_for(sizes.words)),
        word_bytes,
        word_bounds,
        np.packbits(has_row, bitorder="little"),
        slots_of_buckets(kept, sizes.words, _slots_for(len(kept))),
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
    vectors = np.empty((len(codes), dim), np.float32)
    decode_vectors(codes, data.array(np.float32, dim * CENTROIDS), width, vectors)
    return vectors


def _tree(counts: Sequence[int]) -> NDArray[np.int32]:
    """Huffman's tree over labels by falling count, as fastText builds it: children of the inner nodes, root last."""
    leaf, node = len(counts) - 1, len(counts)
    weights = [*counts, *[UNSET] * (len(counts) - 1)]
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
