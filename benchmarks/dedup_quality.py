"""Recall and precision of deduplication on planted near-duplicates, against brute force: docs/deduplication.md.

python -m benchmarks.dedup_quality [--pairs 5000] [--groups 40]

`--pairs` texts of each language are edited to a known similarity (tests/planted.py); `--groups` originals of each get
five copies, and every pair of them all is compared. 5,000 pairs of twelve languages take two to five minutes.
Fails where a bin's recall differs by more than .02 and three standard errors from what the parameters say.
"""

import argparse
import sys
from collections import defaultdict
from itertools import combinations

import numpy as np

from pipeline.dedup.components import components
from pipeline.dedup.lsh import link
from pipeline.dedup.minhash import SignatureScheme, collision_probability, sign_documents
from pipeline.dedup.shingles import normalise_words
from pipeline.dedup.verify import verify
from pipeline.text.words.segmenters import segmenter_for
from tests.planted import BETWEEN_WORDS, LABELS, edited, expected_found, planted, vocabulary

SCHEME = SignatureScheme()
THRESHOLD = 0.65


def centres_of(words: list[list[str]], check: bool) -> np.ndarray:
    """The centre of each document, given as words."""
    signatures = sign_documents(words, SCHEME)
    edges = [link(np.ascontiguousarray(key)) for key in (*signatures.bands.T, signatures.exact)]
    roots = components(len(words), np.concatenate([a for a, _ in edges]), np.concatenate([b for _, b in edges]))
    if not check:
        return np.asarray(roots)
    return verify(roots, signatures.minima, signatures.has_shingles, signatures.exact, THRESHOLD)[0]


def by_similarity(count: int) -> bool:
    """Print recall by bins of exact similarity and by language; whether every bin is as expected."""
    jaccard, candidate, found, labels = [], [], [], []
    for label in LABELS:
        one = planted([label], count, SCHEME, seed=1)
        bands = one.signatures.bands
        shared = np.any(bands[0::2] == bands[1::2], axis=1)
        roots = np.arange(2 * count, dtype=np.uint32)
        roots[1::2] -= shared.astype(np.uint32)
        signatures = one.signatures
        centres, _ = verify(roots, signatures.minima, signatures.has_shingles, signatures.exact, THRESHOLD)
        jaccard.append(one.jaccard)
        candidate.append(shared)
        found.append(centres[0::2] == centres[1::2])
        labels += [label] * count
    exact, shared, kept = np.concatenate(jaccard), np.concatenate(candidate), np.concatenate(found)
    curve, checked = collision_probability(exact, SCHEME), expected_found(exact, SCHEME, THRESHOLD)
    print("| Jaccard | pairs | candidates | S(J) | in one cluster | expected | standard error |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    good = True
    for number in range(20):
        here = np.minimum(exact // 0.05, 19) == number
        total = int(here.sum())
        errors = [float(np.sqrt(np.sum(one[here] * (1 - one[here])))) / total for one in (curve, checked)]
        values = [float(one[here].mean()) for one in (shared, curve, kept, checked)]
        print(
            f"| {number / 20:.2f} to {(number + 1) / 20:.2f} | {total:,} | "
            + " | ".join(f"{value:.3f}" for value in values)
            + f" | {max(errors):.3f} |"
        )
        for measured, expected, error in ((values[0], values[1], errors[0]), (values[2], values[3], errors[1])):
            good &= abs(measured - expected) <= max(0.02, 3 * error)
    print(f"\nPrecision: of {int(kept.sum()):,} pairs in one cluster {np.mean(exact[kept] >= 0.6):.4f} have J >= .6; ")
    print(f"of {int(shared.sum()):,} candidates {np.mean(exact[shared] >= 0.6):.4f}.\n")
    print("| language | recall, J >= .8 | expected | precision, J >= .6 |\n|---|--:|--:|--:|")
    names = np.array(labels)
    for label in LABELS:
        here, alike = names == label, (names == label) & (exact >= 0.8)
        precision = np.mean(exact[here & kept] >= 0.6)
        print(f"| {label} | {kept[alike].mean():.3f} | {checked[alike].mean():.3f} | {precision:.4f} |")
    return good


def all_pairs(groups: int) -> None:
    """Print recall and precision of whole clusters: every pair of all documents by brute force."""
    counts = {check: [0, 0, 0] for check in (True, False)}  # pairs in one cluster, of these alike, not found
    similar = 0
    for label in LABELS:
        rng = np.random.default_rng([7, LABELS.index(label)])
        known, split = vocabulary(label), segmenter_for(label, "icu")
        words = []
        for _ in range(groups):
            texts = [[known[place] for place in rng.integers(0, len(known), 250)]]
            for kind in ("scattered", "block", "cut", "scattered", "block"):
                drawn = [known[place] for place in rng.integers(0, len(known), 250)]
                texts.append(edited(texts[0], rng.uniform(0.3, 1), kind, drawn, rng))
            words += [split(BETWEEN_WORDS.get(label, " ").join(text)) for text in texts]
        sets = []
        for one in words:
            kept = normalise_words(one)
            sets.append({tuple(kept[start : start + 5]) for start in range(len(kept) - 4)})
        holders = defaultdict(list)
        for number, one in enumerate(sets):
            for shingle in one:
                holders[shingle].append(number)
        meets = {pair for numbers in holders.values() for pair in combinations(numbers, 2)}
        jaccard = {pair: len(sets[pair[0]] & sets[pair[1]]) / len(sets[pair[0]] | sets[pair[1]]) for pair in meets}
        similar += sum(value >= 0.8 for value in jaccard.values())
        for check, sums in counts.items():
            centres = centres_of(words, check)
            members = defaultdict(list)
            for number, centre in enumerate(centres.tolist()):
                members[centre].append(number)
            together = {pair for one in members.values() for pair in combinations(one, 2)}
            sums[0] += len(together)
            sums[1] += sum(jaccard.get(pair, 0) >= 0.6 for pair in together)
            sums[2] += sum(value >= 0.8 and pair not in together for pair, value in jaccard.items())
    print("\n| clusters | pairs in one cluster | precision, J >= .6 | recall, J >= .8 |\n|---|--:|--:|--:|")
    for check, (together, right, missed) in counts.items():
        name = "verified" if check else "not verified"
        print(f"| {name} | {together:,} | {right / together:.4f} | {1 - missed / similar:.4f} |")


def main() -> None:
    """Print every table; exit code 1 if a bin is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--groups", type=int, default=40)
    arguments = parser.parse_args()
    good = by_similarity(arguments.pairs)
    all_pairs(arguments.groups)
    if not good:
        sys.exit("a bin's recall is not what the parameters say")


if __name__ == "__main__":
    main()
