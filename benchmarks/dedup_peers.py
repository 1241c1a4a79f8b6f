"""Ours beside datatrove's four MinHash stages, datasketch's LSH and rensa, on the same documents, 14 bands of 8 rows.

python -m benchmarks.dedup_peers [--documents 20000] [--words 400]

The documents are English words drawn at random; every fifth is an edited copy of an earlier one. Each system starts
from texts and ends with the documents that it would keep; CPU seconds of one process. Two tables: from texts, where
ours and datasketch get words from ICU (counted), datatrove from spaCy, which it calls for English, and rensa by
splitting at white space, as in its documentation; and from the same words for all, found beforehand, so that
signatures and LSH alone are compared. Needs `pip install rensa` and spaCy.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xxhash
from datasketch import MinHash, MinHashLSH
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig
from rensa import RMinHash, RMinHashLSH

from pipeline.dedup.components import components
from pipeline.dedup.lsh import link
from pipeline.dedup.minhash import SignatureScheme, sign_documents
from pipeline.dedup.shingles import normalise_words
from pipeline.dedup.verify import verify
from pipeline.text.words.segmenters import segmenter_for
from tests.planted import edited, vocabulary

SCHEME = SignatureScheme()
WordsOf = Callable[[str], list[str]]


def texts_of(documents: int, words: int) -> list[str]:
    """Texts of which every fifth was made from an earlier one."""
    rng = np.random.default_rng(0)
    known = vocabulary("eng_Latn")
    found: list[list[str]] = []
    for number in range(documents):
        drawn = [known[place] for place in rng.integers(0, len(known), words)]
        if number % 5 == 4:
            original = found[int(rng.integers(0, number) // 5 * 5)]
            drawn = edited(original, rng.uniform(0.6, 1), "scattered", drawn, rng)
        found.append(drawn)
    return [" ".join(one) for one in found]


def ours(texts: list[str], words_of: WordsOf, check: bool) -> int:
    """Documents kept."""
    signatures = sign_documents([words_of(text) for text in texts], SCHEME)
    edges = [link(np.ascontiguousarray(key)) for key in (*signatures.bands.T, signatures.exact)]
    roots = components(len(texts), np.concatenate([a for a, _ in edges]), np.concatenate([b for _, b in edges]))
    if check:
        roots = verify(roots, signatures.minima, signatures.has_shingles, signatures.exact)[0]
    return int(np.unique(roots).size)


class GivenWords:
    """In place of datatrove's tokenizer: words stand between spaces."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def with_datatrove(texts: list[str], given: bool) -> int:
    """Documents kept; all four stages, through their files."""
    config = MinhashConfig(num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(precision=64))
    if given:
        config.norm_config = TextNormConfig(**dict.fromkeys(vars(TextNormConfig()), False))
    with tempfile.TemporaryDirectory() as folder:
        signatures, pairs, removed = (str(Path(folder, name)) for name in ("signatures", "pairs", "removed"))
        documents = [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
        signing = MinhashDedupSignature(signatures, config, "eng")
        if given:
            signing.word_tokenizer = GivenWords()
        signing._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())  # xxhash 4 takes bytes only
        signing.run(iter(documents))
        for band in range(14):
            MinhashDedupBuckets(signatures, pairs, config=config).run(rank=band, world_size=14)
        MinhashDedupCluster(pairs, removed, config).run(world_size=1)
        return sum(1 for _ in MinhashDedupFilter(removed).run(iter(documents)))


def with_datasketch(texts: list[str], words_of: WordsOf) -> int:
    """Documents kept: those that meet no earlier one, as in datasketch's documentation."""
    index = MinHashLSH(num_perm=112, params=(14, 8))
    kept = 0
    for number, text in enumerate(texts):
        words = words_of(text)
        signed = MinHash(num_perm=112)
        signed.update_batch([" ".join(words[start : start + 5]).encode() for start in range(len(words) - 4)])
        if not index.query(signed):
            kept += 1
            index.insert(number, signed)
    return kept


def with_rensa(texts: list[str], words_of: WordsOf) -> int:
    """Documents kept: those that meet no earlier one."""
    index = RMinHashLSH(threshold=0.72, num_perm=112, num_bands=14)
    kept = 0
    for number, text in enumerate(texts):
        words = words_of(text)
        signed = RMinHash(num_perm=112, seed=1)
        signed.update([" ".join(words[start : start + 5]) for start in range(len(words) - 4)])
        if not index.query(signed):
            kept += 1
            index.insert(number, signed)
    return kept


def compare(texts: list[str], systems: list[tuple[str, Callable[[list[str]], int]]]) -> None:
    """Print CPU time and documents kept of each, and ratios to the first."""
    print("\n| system | CPU seconds | ms a document | to ours | kept |\n|---|--:|--:|--:|--:|")
    base = 0.0
    for name, run in systems:
        run(texts[:100])  # compiles, loads
        begin = time.process_time()
        kept = run(texts)
        seconds = time.process_time() - begin
        base = base or seconds
        per_document = seconds / len(texts) * 1000
        print(f"| {name} | {seconds:.1f} | {per_document:.2f} | {seconds / base:.1f} | {kept:,} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--words", type=int, default=400)
    arguments = parser.parse_args()
    texts = texts_of(arguments.documents, arguments.words)
    split = segmenter_for("eng_Latn", "icu")
    compare(
        texts,
        [
            ("Glotmill, not verified", lambda some: ours(some, split, check=False)),
            ("Glotmill, verified", lambda some: ours(some, split, check=True)),
            ("rensa, RMinHash and RMinHashLSH", lambda some: with_rensa(some, lambda text: text.lower().split())),
            (
                "datasketch, MinHash and MinHashLSH",
                lambda some: with_datasketch(some, lambda text: normalise_words(split(text))),
            ),
            ("datatrove, four stages", lambda some: with_datatrove(some, given=False)),
        ],
    )
    compare(
        [" ".join(normalise_words(split(text))) for text in texts],
        [
            ("Glotmill, not verified", lambda some: ours(some, str.split, check=False)),
            ("Glotmill, verified", lambda some: ours(some, str.split, check=True)),
            ("rensa, RMinHash and RMinHashLSH", lambda some: with_rensa(some, str.split)),
            ("datasketch, MinHash and MinHashLSH", lambda some: with_datasketch(some, str.split)),
            ("datatrove, four stages", lambda some: with_datatrove(some, given=True)),
        ],
    )
    print(f"{arguments.documents:,} documents of {arguments.words} words", file=sys.stderr)


if __name__ == "__main__":
    main()
