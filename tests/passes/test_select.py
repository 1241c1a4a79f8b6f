"""select over outputs that build on each other agrees with the obvious version, document by document."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.execution.storage import matching
from pipeline.operations.remove.remove import remove
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from tests.worlds import GROUPS, Document, MadeOutput, Outcome, expected, sizes_over, write

SEEDS = (46, 124, 129, 17, 5)
POLICIES = [
    ("longest", "first_seen"),
    ("first_seen",),
    ("lowest_perplexity", "newest", "longest"),
    ("newest", "best_language_score"),
]


def made_up(seed: int) -> list[MadeOutput]:
    """One to three outputs that have ids, clusters, URLs and take_downs in common."""
    random = np.random.default_rng(seed)
    ids = int(random.integers(20, 200))  # few: much is read twice
    shortest, lowest = (5, 0.2) if random.random() < 0.5 else (20, 0.5)

    def some(*values: Any) -> Any:
        return values[random.integers(len(values))]

    def document() -> Document:
        return Document(
            id=f"<urn:{random.integers(ids)}>",
            label=some(*GROUPS),
            url=some(
                f"https://a{random.integers(4)}.example/{random.integers(6)}", f"https://b{random.integers(9)}.example/"
            ),
            words=some(0, 0, *range(ids // 10)),
            bands=(some(0, 0, 0, 1, 2, 3), some(0, 0, 0, 0, 4, 5)),
            word_count=some(shortest, 20, 20),
            language_score=some(lowest, 0.5, 0.5, 0.9),
            character_count=int(random.integers(1, 5)),
            perplexity=some(None, 1.0, 2.0),
            date=some(None, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            empty=bool(random.random() < 0.1),
        )

    def take_down() -> tuple[str, str, bool]:
        kind = some("id", "url", "domain")
        words = {"id": f"<urn:{random.integers(ids)}>", "url": f"https://a{random.integers(4)}.example/3"}
        return kind, words.get(kind, f"a{random.integers(4)}.example"), some(False, True)

    return [
        MadeOutput(
            shards=[[document() for _ in range(random.integers(0, 14))] for _ in range(random.integers(1, 5))],
            take_downs=[take_down() for _ in range(some(0, 1, 4))],
            keep=some(*POLICIES),
            rules=some(True, True, False),
            keep_before_rules=some(False, False, True),
            url_duplicates=some(True, True, False),
        )
        for _ in range(random.integers(1, 4))
    ]


FACTS = ("outcome", "kept_document", "minhash_cluster_id", "minhash_cluster_size", "kept_by_baseline")
CUTS: list[dict[str, Any]] = [
    {},
    {"shard_group_size": 1, "large_group_rows": 1, "collate_files": 2},
    {"shard_group_size": 2},
]


def decided(layout: Output) -> list[tuple[Any, ...]]:
    """(id, facts) of every document, in the order of the plan; those of one id in any."""
    return sorted(
        (tuple(row[name] for name in ("id", *FACTS)) for row in read_decisions(layout, "main").to_pylist()), key=str
    )


def size_updates(layout: Output) -> list[dict[str, Any]]:
    """Earlier documents whose cluster has grown."""
    files = matching(layout.cluster_size_updates(0).parent, "*.parquet")
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def wanted(output: MadeOutput, told: list[Outcome]) -> list[tuple[Any, ...]]:
    pairs = zip(output.documents, told, strict=True)
    return sorted(
        ((one.id, v.outcome, v.kept_document, v.cluster, v.size, v.kept_by_baseline) for one, v in pairs), key=str
    )


def in_turn(outputs: list[MadeOutput], folder: Path, seed: int) -> list[Output]:
    """Each output over those before it, cut in one way or another."""
    layouts: list[Output] = []
    for number, output in enumerate(outputs):
        roots = [folder / f"output-{n}" for n in range(number + 1)]
        layouts.append(write(roots[-1], output, roots[:-1], **CUTS[(seed + number) % len(CUTS)]))
    return layouts


@pytest.mark.parametrize("seed", SEEDS)
def test_outcomes_kept_documents_and_sizes_are_those_of_the_obvious_version(seed: int, tmp_path: Path) -> None:
    outputs = made_up(seed)
    outcomes = expected(outputs)
    for number, layout in enumerate(in_turn(outputs, tmp_path, seed)):
        assert decided(layout) == wanted(outputs[number], outcomes[number])
        audit(layout, "main")
        before, after = sizes_over(outputs[:number]), sizes_over(outputs[: number + 1])
        changed = {key: after[key] for key in before if after[key] != before[key]}
        assert {(row["group"], row["id"]): row["size"] for row in size_updates(layout)} == changed
        assert len(size_updates(layout)) == len(changed)


@pytest.mark.parametrize("seed", SEEDS[1:4:2])
def test_an_output_over_itself_finds_nothing_new(seed: int, tmp_path: Path) -> None:
    once = made_up(seed)[:1]
    again = MadeOutput([list(shard) for shard in once[0].shards])
    layouts = in_turn([*once, again], tmp_path, seed)
    assert {row[1] for row in decided(layouts[1])} <= {"already_read", "removed"}
    assert size_updates(layouts[1]) == []
    assert layouts[1].selection_manifest("main").files == {}


@pytest.mark.parametrize("seed", SEEDS[1:4:2])
def test_documents_taken_out_afterwards_leave_what_a_selection_without_them_has(seed: int, tmp_path: Path) -> None:
    outputs = made_up(seed)
    take_downs, outputs[-1].take_downs = outputs[-1].take_downs, []
    layout = in_turn(outputs, tmp_path, seed)[-1]
    for kind, word, keep_another in take_downs:
        remove(layout, {kind: [word]}, keep_another=keep_another)
    outputs[-1].take_downs = take_downs
    assert decided(layout) == wanted(outputs[-1], expected(outputs)[-1])


def test_a_run_of_which_no_record_gave_a_document_has_an_empty_selection(tmp_path: Path) -> None:
    layout = write(tmp_path / "output", MadeOutput([[], []]))
    assert decided(layout) == []
    assert layout.selection_manifest("main").files == {}
