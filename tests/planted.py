"""Planted near-duplicates: pairs of texts in many scripts with edits, their exact Jaccard similarity by brute force,
and the chance that deduplication finds them.

The words are those of the sentences in samples/truth.jsonl.gz, drawn at random, so that no two documents share a
shingle unless one was made from the other. Texts are joined and segmented again as pages are.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from pathlib import Path

import numpy as np

from pipeline.dedup.minhash import Signatures, SignatureScheme, sign_documents
from pipeline.dedup.shingles import normalise_words
from pipeline.dedup.verify import equal_bytes_needed
from pipeline.text.words.segmenters import segmenter_for

TRUTH = Path(__file__).parents[1] / "samples" / "truth.jsonl.gz"
LABELS = (
    "fra_Latn", "rus_Cyrl", "ell_Grek", "arb_Arab", "hin_Deva", "kor_Hang", "cmn_Hani", "jpn_Jpan", "tha_Thai",
    "khm_Khmr", "dzo_Tibt", "kat_Geor",
)  # fmt: skip
BETWEEN_WORDS = {"dzo_Tibt": "\N{TIBETAN MARK INTERSYLLABIC TSHEG}"} | dict.fromkeys(
    ("cmn_Hani", "jpn_Jpan", "tha_Thai", "khm_Khmr"), ""
)


@lru_cache
def vocabulary(label: str) -> tuple[str, ...]:
    """Different words of a language's sentences, without punctuation."""
    words: dict[str, None] = {}
    split = segmenter_for(label, "icu")
    with gzip.open(TRUTH, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["language"] == label and record["must_have"]:
                words.update(dict.fromkeys(word for word in split(record["must_have"]) if normalise_words([word])))
    return tuple(words)


def edited(words: list[str], jaccard: float, kind: str, drawn: list[str], rng: np.random.Generator) -> list[str]:
    """Words changed so that about that share of 5-word shingles stays; `drawn` are the words to put in."""
    count = len(words)
    if kind == "cut":
        return words[: max(5, round(jaccard * count))]
    shared = 2 * jaccard / (1 + jaccard)  # of the shingles of each side
    if kind == "scattered":
        chosen = rng.random(count) < 1 - shared**0.2
        return [new if change else old for old, new, change in zip(words, drawn, chosen, strict=True)]
    length = max(0, round((1 - shared) * (count - 4)) - 4)
    start = int(rng.integers(0, count - length + 1))
    return [*words[:start], *drawn[:length], *words[start + length :]]  # kind "block"


def pairs(label: str, count: int, seed: int, word_count: int = 250) -> Iterator[tuple[list[str], list[str]]]:
    """Words, as segmented from a text, of an original and its edited copy; similarities from 0 to 1."""
    rng = np.random.default_rng([seed, LABELS.index(label)])
    known = vocabulary(label)
    space = BETWEEN_WORDS.get(label, " ")
    split = segmenter_for(label, "icu")
    for number in range(count):
        draws = [[known[place] for place in rng.integers(0, len(known), word_count)] for _ in range(2)]
        kind = ("scattered", "block", "cut")[number % 3]
        jaccard = rng.uniform(0.5, 0.9) if number % 5 < 3 else rng.uniform(0.02, 1)  # most where the S-curve is steep
        copy = edited(draws[0], jaccard, kind, draws[1], rng)
        yield split(space.join(draws[0])), split(space.join(copy))


def exact_jaccard(one: list[str], other: list[str], size: int = 5) -> float:
    """Shared shingles / all shingles, of strings, without a hash."""
    sets = []
    for words in (one, other):
        kept = normalise_words(words)
        sets.append({tuple(kept[start : start + size]) for start in range(len(kept) - size + 1)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@dataclass(frozen=True)
class Planted:
    """n pairs: rows 2i and 2i + 1 of the signatures are a pair with similarity jaccard[i]."""

    labels: np.ndarray
    jaccard: np.ndarray
    signatures: Signatures


def planted(labels: Sequence[str], count: int, scheme: SignatureScheme, seed: int = 0) -> Planted:
    """`count` pairs of each label, signed."""
    found = [(label, *pair) for label in labels for pair in pairs(label, count, seed)]
    words = [side for _, one, other in found for side in (one, other)]
    return Planted(
        labels=np.array([label for label, _, _ in found]),
        jaccard=np.array([exact_jaccard(one, other, scheme.shingle_size) for _, one, other in found]),
        signatures=sign_documents(words, scheme),
    )


def _binomial(n: int, chance: float) -> np.ndarray:
    return np.array([comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(n + 1)])


@lru_cache(maxsize=4096)
def chance_found(jaccard: float, scheme: SignatureScheme, threshold: float) -> float:
    """Chance that a pair shares a band and its estimate reaches the threshold, exactly.

    The two are not independent: a shared band is `rows` equal minima. Equal bytes of a band are binomial with
    J + (1 - J) / 256; without the case that all its minima are equal (J**rows) they are those of a band not shared.
    """
    needed = equal_bytes_needed(threshold, scheme.minima_count)
    of_band = _binomial(scheme.rows, jaccard + (1 - jaccard) / 256)
    not_shared = of_band.copy()
    not_shared[-1] -= jaccard**scheme.rows
    any_band, no_band = np.ones(1), np.ones(1)
    for _ in range(scheme.bands):
        any_band, no_band = np.convolve(any_band, of_band), np.convolve(no_band, not_shared)
    return float(any_band[needed:].sum() - no_band[needed:].sum())


def expected_found(jaccard: np.ndarray, scheme: SignatureScheme, threshold: float) -> np.ndarray:
    """`chance_found` of each, read from a grid of 1,001 similarities."""
    grid = np.linspace(0, 1, 1001)
    return np.interp(jaccard, grid, [chance_found(float(one), scheme, threshold) for one in grid])
