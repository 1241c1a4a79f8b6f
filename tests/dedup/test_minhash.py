"""Signatures against datasketch, plain Python integers and golden vectors; the estimate's statistics."""

from math import sqrt

import numpy as np
import pytest
import xxhash
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup.lsh import estimate_jaccard
from pipeline.dedup.minhash import (
    SignatureScheme,
    band_digests,
    collision_probability,
    minima_bytes,
    permutations,
    sign,
    sign_documents,
    sign_many,
)
from pipeline.dedup.shingles import normalise_words, shingle_hashes, word_hashes
from pipeline.errors import ConfigError
from pipeline.registry import names_of
from pipeline.text.words.words import Words

KERNEL = settings(deadline=None)  # the first example may compile a kernel
MASK = 2**64 - 1
SCHEME = SignatureScheme()
FOX = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]

uint64s = st.integers(0, MASK)


def plain_mix64(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


def plain_minima(shingles: list[int], scheme: SignatureScheme) -> list[int]:
    a, b = permutations(scheme)
    constants = list(zip(a.tolist(), b.tolist(), strict=True))
    return [min((((k * plain_mix64(shingle) + c) % 2**64) for shingle in shingles), default=MASK) for k, c in constants]


def plain_digest(minima: list[int], band: int) -> int:
    state = plain_mix64(band + 1)
    for minimum in minima:
        state = plain_mix64((state * 0x9E3779B97F4A7C15 + minimum) & MASK)
    return state or 1


def random_shingles(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def pair_with_jaccard(seed: int, union: int, shared: int) -> tuple[np.ndarray, np.ndarray]:
    shingles = random_shingles(seed, union)
    middle = shared + (union - shared) // 2
    return shingles[:middle], np.concatenate((shingles[:shared], shingles[middle:]))


@settings(max_examples=40, deadline=None)
@given(st.lists(uint64s, max_size=30), st.integers(0, 2**32 - 1))
def test_minima_are_bit_identical_to_datasketch(shingles, seed):
    scheme = SignatureScheme(seed=seed)
    oracle = MinHash(num_perm=112, seed=seed, scheme="affine64", hashfunc=lambda value: value)
    oracle.update_batch(shingles)
    assert np.array_equal(sign(np.array(shingles, dtype=np.uint64), scheme), oracle.hashvalues)


@settings(max_examples=40, deadline=None)
@given(st.lists(uint64s, max_size=10))
def test_minima_and_digests_equal_plain_python_integers(shingles):
    scheme = SignatureScheme(bands=3, rows=4, seed=7)
    minima = sign(np.array(shingles, dtype=np.uint64), scheme)
    expected = plain_minima(shingles, scheme)
    assert minima.tolist() == expected
    digests = [plain_digest(expected[4 * band : 4 * band + 4], band) if shingles else 0 for band in range(3)]
    assert band_digests(minima[None], scheme)[0].tolist() == digests


def test_the_scheme_is_frozen_by_golden_vectors():
    a, b = permutations(SCHEME)
    assert a[:3].tolist() == [15385396165118722519, 8128538942144784529, 4219918138050323]
    assert b[:3].tolist() == [17203349865520957581, 12854026314996063860, 1217488311597731462]
    assert xxhash.xxh64_hexdigest(a.tobytes() + b.tobytes()) == "323cdf8994f0f1cc"
    minima = sign(shingle_hashes(word_hashes(normalise_words(FOX))), SCHEME)
    assert minima[:2].tolist() == [1163213830248007602, 1639137069516070279]
    assert xxhash.xxh64_hexdigest(minima.tobytes()) == "a63883294351f439"
    signatures = sign_documents([FOX], SCHEME)
    assert [hex(digest) for digest in signatures.bands[0].tolist()] == [
        "0xa9de7ed649f4eb87",
        "0x706d253cf3798d5f",
        "0x34766877ff8a9e0d",
        "0xbafb7ccc961228a9",
        "0x995b2819a3911ffe",
        "0x7b538b3353ef596e",
        "0xdcfb557c5c5798c",
        "0x65750f93e01fd8c2",
        "0x75d625d6b87f1da7",
        "0xb82640438f9206d9",
        "0x1abecd45f7944f22",
        "0xbf0f5ed1ce4dc314",
        "0xb0be215eaca35ec3",
        "0x22551bd4c541f930",
    ]
    assert signatures.minima[0, :8].tolist() == [178, 135, 79, 233, 173, 148, 63, 49]
    assert signatures.exact.tolist() == [6144221730223242619]


def test_every_multiplier_is_odd_and_none_repeats():
    a, b = permutations(SignatureScheme(bands=64, rows=64))
    assert np.all(a % 2 == 1)
    assert np.unique(a).size == np.unique(b).size == 4096


def test_constants_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        permutations(SCHEME)[0][0] = 1


@KERNEL
@given(st.lists(uint64s, min_size=1, max_size=20), st.randoms())
def test_a_signature_ignores_order_and_repeats(shingles, random):
    shuffled = shingles + shingles[: len(shingles) // 2]
    random.shuffle(shuffled)
    first = sign(np.array(shingles, dtype=np.uint64), SCHEME)
    assert np.array_equal(first, sign(np.array(shuffled, dtype=np.uint64), SCHEME))


@KERNEL
@given(st.lists(st.lists(uint64s, max_size=12), max_size=6), st.integers(1, 6))
def test_the_batch_kernel_signs_each_document_as_alone(documents, shingle_size):
    scheme = SignatureScheme(bands=2, rows=3, shingle_size=shingle_size)
    flat = np.array([word for words in documents for word in words], dtype=np.uint64)
    offsets = np.cumsum([0, *map(len, documents)])
    together = sign_many(flat, offsets, scheme)
    assert together.shape == (len(documents), 6)
    for row, words in zip(together, documents, strict=True):
        alone = sign(shingle_hashes(np.array(words, dtype=np.uint64), shingle_size), scheme)
        assert np.array_equal(row, alone)


@pytest.mark.parametrize("offsets", [[], [0, 4], [-1, 2], [0, 2, 1]])
def test_offsets_outside_of_the_words_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets"):
        sign_many(np.zeros(3, dtype=np.uint64), offsets, SCHEME)


def test_short_and_empty_documents_have_null_bands():
    signatures = sign_documents([[], ["!"], ["One", "two"], FOX, ["one", ".", "TWO"]], SCHEME)
    assert signatures.has_shingles.tolist() == [False, False, False, True, False]
    assert not signatures.bands[[0, 1, 2, 4]].any()
    assert signatures.bands[3].all()
    assert signatures.exact[:2].tolist() == [0, 0]
    assert signatures.exact[2] == signatures.exact[4] != 0


def test_no_documents_give_empty_arrays_of_the_right_shape():
    signatures = sign_documents([], SCHEME)
    assert signatures.bands.shape == (0, 14)
    assert signatures.minima.shape == (0, 112)
    assert signatures.exact.shape == signatures.has_shingles.shape == (0,)
    assert (signatures.bands.dtype, signatures.exact.dtype) == (np.uint64, np.uint64)
    assert (signatures.minima.dtype, signatures.has_shingles.dtype) == (np.uint8, np.bool_)


def test_signing_in_two_parts_gives_the_same_signatures():
    documents = [[f"w{i * j % 17}" for j in range(i)] for i in range(12)]
    whole = sign_documents(documents, SCHEME)
    parts = [sign_documents(documents[:5], SCHEME), sign_documents(documents[5:], SCHEME)]
    for field in ("bands", "exact", "minima", "has_shingles"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        assert np.array_equal(joined, getattr(whole, field))


@pytest.mark.parametrize("unit", names_of("dedup.units"))
def test_documents_whose_words_lie_end_to_end_have_the_signatures_of_each(unit):
    documents = [FOX, [], ["\u039f\u03a3", "12"], ["!"], FOX[:3], [*FOX, "e\u0301"]]
    scheme = SignatureScheme(shingle_unit=unit)
    joined = Words.joined([Words.of(words) for words in documents])
    together = sign_documents([joined.texts(0, 2), joined.texts(2, 2), joined.texts(2, 6)], scheme)
    alone = sign_documents(documents, scheme)
    for field in ("bands", "exact", "minima", "has_shingles"):
        assert np.array_equal(getattr(together, field), getattr(alone, field))


def test_the_same_minima_in_another_band_have_another_digest():
    digests = band_digests(np.full((1, 112), 5, dtype=np.uint64), SCHEME)
    assert np.unique(digests).size == 14


def test_a_digest_depends_on_each_of_its_rows_and_on_no_other():
    minima = sign(random_shingles(1, 50), SCHEME)
    before = band_digests(minima[None], SCHEME)[0]
    for k in (0, 7, 8, 111):
        changed = minima.copy()
        changed[k] += np.uint64(1)
        differs = band_digests(changed[None], SCHEME)[0] != before
        assert np.flatnonzero(differs).tolist() == [k // 8]


def test_minima_of_another_scheme_are_refused():
    with pytest.raises(ValueError, match="affine64-14x8"):
        band_digests(np.zeros((1, 96), dtype=np.uint64), SCHEME)


def test_low_bytes_are_spread_where_top_bytes_are_not():
    minima = np.stack([sign(random_shingles(seed, 2000), SCHEME) for seed in range(200)])
    counts = np.bincount(minima_bytes(minima).ravel(), minlength=256)
    chi_square = float(np.sum((counts - counts.mean()) ** 2) / counts.mean())
    assert abs(chi_square - 255) <= 4 * sqrt(2 * 255)
    # the top byte of a minimum of 2,000 is above 0 with probability (255/256) ** 2000 = 0.0004
    assert np.mean(minima >= 2**56) < 0.001


@pytest.mark.parametrize("shared", [0, 60, 150, 225, 270, 300])
def test_the_jaccard_estimate_is_unbiased_with_the_expected_spread(shared):
    union, pairs = 300, 400
    jaccard = shared / union
    estimates, byte_estimates = [], []
    for seed in range(pairs):
        one, other = (sign(shingles, SCHEME) for shingles in pair_with_jaccard(seed, union, shared))
        estimates.append(np.mean(one == other))
        byte_estimates.append(estimate_jaccard(minima_bytes(one), minima_bytes(other)))
    spread = sqrt(jaccard * (1 - jaccard) / 112)
    equal = jaccard + (1 - jaccard) / 256
    byte_spread = sqrt(equal * (1 - equal) / 112) / (1 - 1 / 256)
    for values, expected in ((estimates, spread), (byte_estimates, byte_spread)):
        assert abs(np.mean(values) - jaccard) <= 4 * expected / sqrt(pairs)
        assert np.std(values) == pytest.approx(expected, rel=0.2, abs=1e-12)


def test_documents_collide_as_often_as_the_s_curve_says():
    pairs, union, shared = 400, 200, 150
    hits = 0
    for seed in range(pairs):
        minima = np.stack([sign(s, SCHEME) for s in pair_with_jaccard(seed, union, shared)])
        bands = band_digests(minima, SCHEME)
        hits += bool(np.any(bands[0] == bands[1]))
    chance = float(collision_probability(shared / union, SCHEME))
    assert abs(hits / pairs - chance) <= 4 * sqrt(chance * (1 - chance) / pairs)


def test_the_s_curve_has_the_values_published_for_fourteen_by_eight():
    curve = collision_probability([0, 0.5, 0.6, 0.7, 0.72, 0.75, 0.8, 0.85, 1], SCHEME)
    assert np.round(curve, 3).tolist() == [0, 0.053, 0.211, 0.565, 0.65, 0.772, 0.924, 0.988, 1]


def test_a_scheme_is_named_by_everything_it_depends_on():
    assert SCHEME.name == "affine64-14x8-s5-seed1-v1"
    assert SignatureScheme(20, 5, 13, 42).name == "affine64-20x5-s13-seed42-v1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bands": 0}, "bands = 0"),
        ({"rows": -1}, "rows = -1"),
        ({"shingle_size": 0}, "shingle_size = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 2**32}, "seed = 4294967296"),
        ({"bands": 1000, "rows": 1000}, "1000000"),
    ],
)
def test_an_impossible_scheme_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SignatureScheme(**settings)
