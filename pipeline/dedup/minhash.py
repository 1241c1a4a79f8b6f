"""From shingle hashes to MinHash signatures, band digests and exact hashes.

A signature is bands * rows minima. Each shingle is mixed once (MurmurHash3's finalizer), then permuted by a_k
* h + b_k modulo 2**64 with a_k odd, which is a bijection; minimum k is the smallest image. It is bit for bit
the `affine64` scheme of datasketch 2.0 (MIT licence; issue 212 there explains why it replaced the modulus of
a Mersenne prime), so a signature can be checked with a tool that is not ours. Limit: such permutations are
2-universal, not proven min-wise independent; the statistics are measured in the tests.

The constants come from NumPy's legacy `RandomState`, whose stream is frozen by NumPy's policy (NEP 19), and
from the seed. Signatures are a file format: golden vectors in the tests freeze the scheme, and
`SignatureScheme.name` is stored beside the data, so that different schemes are never compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.dedup.shingles import (
    NormalWords,
    UInt64Array,
    chain64,
    mix64,
    shingle_at,
)
from pipeline.errors import ConfigError
from pipeline.kernels.compile import kernel
from pipeline.registry import check_name, load

UNITS = "dedup.units"  # the package, a module a unit
EMPTY_MINIMUM = np.uint64(2**64 - 1)  # a minimum over no shingle, as in datasketch


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """Everything that a signature depends on. Raises ConfigError if a value is out of range.

    `bands` of `rows` minima (each 1 or more, at most 65,536 minima together), `shingle_size` units (1 or more),
    `shingle_unit`, a module of `units/` such as word or character, `seed` of the permutations (0 to 2**32 - 1). The
    default is FineWeb2's 14 x 8 over 5 words (reference arXiv:2506.20920).

    >>> SignatureScheme().name
    'affine64-14x8-s5-seed1-v1'
    """

    bands: int = 14
    rows: int = 8
    shingle_size: int = 5
    seed: int = 1
    shingle_unit: str = "word"

    def __post_init__(self) -> None:
        check_name(UNITS, self.shingle_unit, "shingle_unit")
        for key in ("bands", "rows", "shingle_size"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} = {getattr(self, key)}: must be at least 1")
        if self.minima_count > 65_536:
            raise ConfigError(f"bands * rows = {self.minima_count}: must be at most 65536")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed = {self.seed}: must lie in 0 to 2**32 - 1")

    @property
    def minima_count(self) -> int:
        """Number of minima in a signature, bands * rows."""
        return self.bands * self.rows

    @property
    def name(self) -> str:
        """Identity of the scheme in files; v1 stands for the word normalisation and the hash formulas."""
        letter: str = load(UNITS, self.shingle_unit, "shingle_unit").LETTER
        return f"affine64-{self.bands}x{self.rows}-{letter}{self.shingle_size}-seed{self.seed}-v1"


@dataclass(frozen=True, slots=True, eq=False)
class Signatures:
    """What deduplication stores of n documents: 232 bytes each with the default scheme.

    bands: (n, bands) uint64, 0 is null. exact: (n,) uint64, 0 is null. minima: (n, bands * rows) uint8, the
    low bytes. has_shingles: (n,) bool; where it is False, bands are null and minima mean nothing.
    """

    bands: UInt64Array
    exact: UInt64Array
    minima: npt.NDArray[np.uint8]
    has_shingles: npt.NDArray[np.bool_]


@lru_cache(maxsize=16)
def permutations(scheme: SignatureScheme) -> tuple[UInt64Array, UInt64Array]:
    """Give the constants (a, b), each (bands * rows,) uint64 and read-only, a odd.

    Source: datasketch 2.0, `MinHash._init_permutations`, scheme "affine64": the same draws in the same order.
    """
    generator = np.random.RandomState(scheme.seed)
    halves = generator.randint(0, 2**63, scheme.minima_count, dtype=np.uint64)
    a = halves * np.uint64(2) + np.uint64(1)
    b = generator.randint(0, 2**64, scheme.minima_count, dtype=np.uint64)
    a.flags.writeable = False
    b.flags.writeable = False
    return a, b


@kernel
def _lower(minima: UInt64Array, shingle: np.uint64, a: UInt64Array, b: UInt64Array) -> None:
    mixed = mix64(shingle)
    for k in range(a.shape[0]):
        minima[k] = min(minima[k], a[k] * mixed + b[k])  # wraps modulo 2**64 on purpose


@kernel
def _sign_kernel(shingles: UInt64Array, a: UInt64Array, b: UInt64Array, minima: UInt64Array) -> None:
    for position in range(shingles.shape[0]):
        _lower(minima, shingles[position], a, b)


@kernel
def _sign_many_kernel(
    hashes: UInt64Array,
    offsets: npt.NDArray[np.int64],
    shingle_size: int,
    a: UInt64Array,
    b: UInt64Array,
    minima: UInt64Array,
) -> None:
    for document in range(minima.shape[0]):
        of_document = minima[document]
        for start in range(offsets[document], offsets[document + 1] - shingle_size + 1):
            _lower(of_document, shingle_at(hashes, start, shingle_size), a, b)


def sign(shingles: npt.ArrayLike, scheme: SignatureScheme) -> UInt64Array:
    """Give the minima of one document: (n_shingles,) uint64 -> (bands * rows,) uint64.

    Order and repeats of shingles do not matter; no shingle gives 2**64 - 1 throughout. Equal to
    `datasketch.MinHash(num_perm=bands * rows, seed=seed, scheme="affine64", hashfunc=identity)`.
    """
    a, b = permutations(scheme)
    minima = np.full(scheme.minima_count, EMPTY_MINIMUM, dtype=np.uint64)
    _sign_kernel(np.ascontiguousarray(shingles, dtype=np.uint64), a, b, minima)
    return minima


def sign_many(flat_word_hashes: npt.ArrayLike, offsets: npt.ArrayLike, scheme: SignatureScheme) -> UInt64Array:
    """Give the minima of n documents at once: (n, bands * rows) uint64.

    `flat_word_hashes` (n_words,) uint64 are the word hashes of all documents end to end; document i has those
    from offsets[i] to offsets[i + 1], offsets (n + 1,) int64. No shingle crosses from one document into the
    next.

    Raises ValueError if the offsets do not ascend from 0 or more to at most n_words.
    """
    hashes = np.ascontiguousarray(flat_word_hashes, dtype=np.uint64)
    bounds = np.ascontiguousarray(offsets, dtype=np.int64)
    if bounds.size == 0 or bounds[0] < 0 or bounds[-1] > hashes.size or np.any(np.diff(bounds) < 0):
        raise ValueError("offsets must ascend from 0 or more to at most the number of words")
    a, b = permutations(scheme)
    minima = np.full((bounds.size - 1, scheme.minima_count), EMPTY_MINIMUM, dtype=np.uint64)
    _sign_many_kernel(hashes, bounds, scheme.shingle_size, a, b, minima)
    return minima


@kernel
def _band_kernel(minima: UInt64Array, bands: int, rows: int, out: UInt64Array) -> None:
    for document in range(minima.shape[0]):
        empty = True
        for k in range(bands * rows):
            if minima[document, k] != EMPTY_MINIMUM:
                empty = False
                break
        for band in range(bands):
            digest = np.uint64(0)
            if not empty:
                digest = mix64(np.uint64(band + 1))
                for row in range(rows):
                    digest = chain64(digest, minima[document, band * rows + row])
                if digest == np.uint64(0):
                    digest = np.uint64(1)
            out[document, band] = digest


def band_digests(minima: UInt64Array, scheme: SignatureScheme) -> UInt64Array:
    """Give one 64-bit key a band: (n, bands * rows) uint64 -> (n, bands) uint64.

    With m the minima of the rows of band j: d_0 = mix64(j + 1), d_(i+1) = mix64(d_i * 0x9E3779B97F4A7C15 +
    m_i), modulo 2**64 (mix64: shingles.py). 0 is null: a document without shingle has it in each band, a true
    0 is stored as 1.

    Raises ValueError if the minima are not those of the scheme.
    """
    values = _checked_minima(minima, scheme)
    out = np.empty((values.shape[0], scheme.bands), dtype=np.uint64)
    _band_kernel(values, scheme.bands, scheme.rows, out)
    return out


def minima_bytes(minima: UInt64Array) -> npt.NDArray[np.uint8]:
    """The low byte of each minimum, uint8 in the same shape: enough to verify candidate pairs (`lsh.estimate_jaccard`).

    It is the low byte because the top byte of a minimum over many shingles is nearly always 0.
    """
    return (np.asarray(minima, dtype=np.uint64) & np.uint64(0xFF)).astype(np.uint8)


def collision_probability(jaccard: npt.ArrayLike, scheme: SignatureScheme) -> npt.NDArray[np.float64]:
    """Chance that two documents share a band, 1 - (1 - J**rows)**bands; same shape as `jaccard`, in [0, 1].

    Source: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.2 (the S-curve).

    >>> round(float(collision_probability(0.75, SignatureScheme())), 3)
    0.772
    """
    similarity = np.asarray(jaccard, dtype=np.float64)
    chance: npt.NDArray[np.float64] = np.asarray(1 - (1 - similarity**scheme.rows) ** scheme.bands)
    return chance


@lru_cache
def bands_and_rows(threshold: float, minima_count: int = 112) -> tuple[int, int]:
    """Bands and rows, at most `minima_count` minima, of least error for a threshold of the Jaccard similarity.

    The error is the area below the S-curve left of the threshold and above it right of it, with equal weights: the
    choice of `datasketch.MinHashLSH(threshold=..., num_perm=...)`. `threshold` in [0, 1].

    >>> bands_and_rows(0.8)
    (9, 12)
    """
    from datasketch import MinHashLSH  # a second to import, and seldom asked for

    index = MinHashLSH(threshold=threshold, num_perm=minima_count)
    return int(index.b), int(index.r)


def sign_documents(words_per_document: Iterable[Iterable[str]], scheme: SignatureScheme) -> Signatures:
    """Sign n documents that are given as words, not yet normalised: all that their deduplication needs.

    Each item is the words of one document, or `Words` of several. Items are taken one after the other, so that an
    iterator can make them as they are needed.

    A document with fewer units than a shingle has null bands and only its exact hash; a document without words has
    neither, and is a cluster of its own.

    >>> sign_documents([["One", "two"], []], SignatureScheme()).has_shingles.tolist()
    [False, False]
    """
    hash_units = load(UNITS, scheme.shingle_unit, "shingle_unit").hash_units
    hashes: list[UInt64Array] = []
    exact: list[int] = []
    counts: list[int] = []
    for words in words_per_document:
        normal = NormalWords.of(words)
        exact += normal.exact_hashes()
        of_texts, counts_of_texts = hash_units(normal)
        hashes.append(of_texts)
        counts += counts_of_texts.tolist()
    offsets = np.cumsum([0, *counts])
    minima = sign_many(np.concatenate(hashes) if hashes else np.empty(0, dtype=np.uint64), offsets, scheme)
    return Signatures(
        bands=band_digests(minima, scheme),
        exact=np.array(exact, dtype=np.uint64),
        minima=minima_bytes(minima),
        has_shingles=np.diff(offsets) >= scheme.shingle_size,
    )


def _checked_minima(minima: UInt64Array, scheme: SignatureScheme) -> UInt64Array:
    values = np.ascontiguousarray(minima, dtype=np.uint64)
    if values.ndim != 2 or values.shape[1] != scheme.minima_count:
        raise ValueError(f"minima of shape {values.shape}, but {scheme.name} has (n, {scheme.minima_count})")
    return values
