"""Planted near-duplicates in twelve scripts, and the same clusters as datasketch and datatrove give."""

import struct
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import MinHash, MinHashLSH
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster
from datatrove.utils.hashing import HashConfig

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.components import components
from pipeline.dedup.lsh import estimate_jaccard, link
from pipeline.dedup.minhash import (
    SignatureScheme,
    band_digests,
    collision_probability,
    minima_bytes,
    sign,
    sign_documents,
)
from pipeline.dedup.shingles import normalise_words, shingle_hashes, word_hashes
from pipeline.dedup.verify import verify
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.execution.tasks import Executor
from pipeline.output.output import Output
from pipeline.passes.deduplicate.collate import signature_writer
from pipeline.passes.deduplicate.deduplicate import cluster_signatures
from tests.planted import LABELS, Planted, chance_found, expected_found, planted

SCHEME = SignatureScheme()
THRESHOLD = 0.65
ABC = "abcdefghijklmnop"


@pytest.fixture(scope="module")
def pairs() -> Planted:
    return planted(LABELS, 100, SCHEME)


def partition(bands: np.ndarray, exact: np.ndarray | None = None) -> np.ndarray:
    """Components of documents with an equal band or an equal exact hash."""
    keys = [*bands.T, *([] if exact is None else [exact])]
    edges = [link(np.ascontiguousarray(key)) for key in keys]
    return components(len(bands), np.concatenate([a for a, _ in edges]), np.concatenate([b for _, b in edges]))


def within_chance(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether so many hits are within 4 standard deviations of what their chances say, or .02."""
    spread = sqrt(float(np.sum(expected * (1 - expected)))) / len(found)
    return abs(float(np.mean(found)) - float(np.mean(expected))) <= max(0.02, 4 * spread)


def test_pairs_are_candidates_as_often_as_the_s_curve_says_at_every_similarity(pairs: Planted) -> None:
    bands = pairs.signatures.bands
    found = np.any(bands[0::2] == bands[1::2], axis=1)
    expected = collision_probability(pairs.jaccard, SCHEME)
    bins = np.minimum(pairs.jaccard // 0.05, 19)
    assert len(np.unique(bins)) == 20
    wrong = [number / 20 for number in range(20) if not within_chance(found[bins == number], expected[bins == number])]
    assert wrong == []


def test_pairs_end_in_one_cluster_as_often_as_s_curve_and_estimate_together_say(pairs: Planted) -> None:
    signatures = pairs.signatures
    roots = partition(signatures.bands, signatures.exact)
    assert len(np.unique(roots)) >= len(pairs.jaccard)  # no two pairs met
    centres, _ = verify(roots, signatures.minima, signatures.has_shingles, signatures.exact, THRESHOLD)
    found = centres[0::2] == centres[1::2]
    expected = expected_found(pairs.jaccard, SCHEME, THRESHOLD)
    bins = np.minimum(pairs.jaccard // 0.05, 19)
    wrong = [number / 20 for number in range(20) if not within_chance(found[bins == number], expected[bins == number])]
    assert wrong == []
    assert np.mean(pairs.jaccard[found] >= 0.6) >= 0.97


@pytest.mark.parametrize("label", LABELS)
def test_no_script_loses_pairs(label: str, pairs: Planted) -> None:
    here = np.flatnonzero(pairs.labels == label)
    bands, jaccard = pairs.signatures.bands, pairs.jaccard[here]
    assert within_chance(np.any(bands[2 * here] == bands[2 * here + 1], axis=1), collision_probability(jaccard, SCHEME))
    estimates = estimate_jaccard(pairs.signatures.minima[2 * here], pairs.signatures.minima[2 * here + 1])
    assert abs(float(np.mean(estimates - jaccard))) <= 0.015
    assert jaccard.min() < 0.3 < 0.9 < jaccard.max()


def test_the_chance_to_be_found_agrees_with_a_simulation() -> None:
    rng = np.random.default_rng(1)
    for jaccard in (0.55, 0.65, 0.75):
        same = rng.random((20_000, 14, 8)) < jaccard
        equal = same | (rng.random(same.shape) < 1 / 256)
        hits = same.all(axis=2).any(axis=1) & (equal.sum(axis=(1, 2)) >= 73)
        assert abs(hits.mean() - chance_found(jaccard, SCHEME, THRESHOLD)) < 0.015


# Two shingles that agree in the low byte of their hash do so under every permutation: one pair of 5 x 5 is worth
# .04.
@pytest.mark.parametrize(("shingles", "documents", "spread"), [(5, 400, 0.05), (100, 400, 0.02), (10_000, 60, 0.02)])
def test_unrelated_documents_resemble_each_other_by_nothing(shingles: int, documents: int, spread: float) -> None:
    rng = np.random.default_rng(shingles)
    minima = minima_bytes(
        np.stack([sign(rng.integers(0, 2**64, shingles, dtype=np.uint64), SCHEME) for _ in range(documents)])
    )
    estimates = estimate_jaccard(minima[0::2], minima[1::2])
    assert abs(float(np.mean(estimates))) <= 0.002
    assert float(np.quantile(np.abs(estimates), 0.95)) <= spread


def test_a_document_too_short_for_a_shingle_meets_only_its_exact_copy() -> None:
    short = ["boats", "came", "back", "early"]
    words = [short, [*short[:3], "late"], short, [], [], [*short, "today"], [*short, "tonight"]]
    signatures = sign_documents(words, SCHEME)
    roots = partition(signatures.bands, signatures.exact)
    centres, _ = verify(roots, signatures.minima, signatures.has_shingles, signatures.exact, THRESHOLD)
    assert centres.tolist() == [0, 1, 0, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def minima() -> np.ndarray:
    """Full minima of 600 documents in chains: each was made from the one before by changing a word in nine."""
    rng = np.random.default_rng(3)
    known = word_hashes(normalise_words([first + second + third for first in ABC for second in ABC for third in ABC]))
    rows, document = [], known[rng.integers(0, len(known), 120)]
    for number in range(600):
        chosen = rng.random(120) < (1 if number % 20 == 0 else 0.04)
        document = np.where(chosen, known[rng.integers(0, len(known), 120)], document)
        rows.append(sign(shingle_hashes(document), SCHEME))
    return np.stack(rows)


def ours(minima: np.ndarray) -> list[int]:
    return partition(band_digests(minima, SCHEME)).tolist()


def test_components_are_those_of_datasketch(minima: np.ndarray) -> None:
    index = MinHashLSH(num_perm=112, params=(14, 8))
    signed = [MinHash(num_perm=112, seed=1, hashvalues=row, scheme="affine64") for row in minima]
    for number, one in enumerate(signed):
        index.insert(number, one)
    edges = [(number, other) for number, one in enumerate(signed) for other in index.query(one)]
    a, b = np.array(edges, dtype=np.uint32).T
    theirs = components(len(minima), a, b).tolist()
    assert ours(minima) == theirs
    assert 40 < len(set(theirs)) < 400


def test_components_are_those_of_datatrove(minima: np.ndarray, tmp_path: Path) -> None:
    config = MinhashConfig(num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(precision=64))
    for band in range(14):
        rows = sorted(
            (*(row[band * 8 : band * 8 + 8] >> np.uint64(3)).tolist(), number)  # its hashes end below 2**61
            for number, row in enumerate(minima)
        )
        path = tmp_path / "signatures" / f"bucket_{band:03d}" / "00000.minhash.sig"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(struct.pack("<8QI", *row) for row in rows))
    buckets = MinhashDedupBuckets(str(tmp_path / "signatures"), str(tmp_path / "pairs"), config=config)
    for band in range(14):
        buckets.run(rank=band, world_size=14)
    cluster = MinhashDedupCluster(str(tmp_path / "pairs"), str(tmp_path / "removed"), config, save_cluster_id=True)
    cluster.run(world_size=1)
    written = np.fromfile(tmp_path / "removed" / "000000.clusters", "<u4").reshape(-1, 2)
    smallest: dict[int, int] = {}
    for document, number in written.tolist():
        smallest[number] = min(document, smallest.get(number, document))
    theirs = list(range(len(minima)))
    for document, number in written.tolist():
        theirs[document] = smallest[number]
    assert ours(minima) == theirs


class BackwardsExecutor(InlineExecutor):
    """Runs the last task first."""

    def run(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        for position, result, error in super().run(function, arguments[::-1], attempts):
            yield len(arguments) - 1 - position, result, error


@pytest.mark.parametrize(
    ("files", "large_group_rows", "executor"),
    [
        (1, 1, BackwardsExecutor()),
        (7, 1, InlineExecutor()),
        (7, 1_000_000, BackwardsExecutor()),
        (3, 500, InlineExecutor()),
    ],
)
def test_splitting_and_the_order_of_tasks_change_nothing(
    files: int, large_group_rows: int, executor: Executor, pairs: Planted, tmp_path: Path
) -> None:
    assert clusters(pairs, files, large_group_rows, executor, tmp_path / "cut").equals(
        clusters(pairs, 1, 1_000_000, InlineExecutor(), tmp_path / "whole")
    )


def clusters(pairs: Planted, files: int, large_group_rows: int, executor: Executor, folder: Path) -> pa.Table:
    """Rows of the clusters files over signatures in so many files, two groups; some records stand there twice."""
    layout = Output(folder)
    signatures = pairs.signatures
    total = len(signatures.exact)
    number = np.arange(total)
    record = np.where(number < total - 40, number, number - 300)  # of the same group
    columns: dict[str, Any] = {
        "id": [f"<urn:test:{one}>" for one in record],
        "id_hash": (record + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        "is_eligible": np.ones(total, bool),
        "exact_hash": signatures.exact,
        **{f"band_{band:02d}": signatures.bands[:, band] for band in range(14)},
        "minima": pa.array([row.tobytes() for row in signatures.minima], pa.binary(112)),
        "signed": signatures.has_shingles,
    }
    groups = {"one": slice(0, 900), "two": slice(900, total)}
    paths = []
    for part in range(files):
        paths.append(layout.signatures(part))
        layout.signatures(part).parent.mkdir(parents=True, exist_ok=True)
        tables = []
        for name, rows in groups.items():
            table = pa.table(columns).slice(rows.start, rows.stop - rows.start)
            cuts = [len(table) * one // files for one in (part, part + 1)]
            tables.append(
                table.slice(cuts[0], cuts[1] - cuts[0]).append_column("group", pa.repeat(name, cuts[1] - cuts[0]))
            )
        with signature_writer(Path(str(paths[-1])), tables[0].schema) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=100)
    config = RunConfig.model_validate({"dedup": {"large_group_rows": large_group_rows}})
    totals = {name: rows.stop - rows.start for name, rows in groups.items()}
    clustered = cluster_signatures(config.dedup, layout, executor, paths, totals, {})
    found = [pq.read_table(layout.clusters(task)) for task in range(len(clustered))]
    together = pa.concat_tables(found).sort_by("group")
    assert set(together["size"].to_pylist()) == {1, 2}
    assert sum(together["already_read"].to_pylist()) == 40
    return together
