"""Each recipe on one sample file and three texts whose outcomes are known."""

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.config.reading import load_run_config
from pipeline.operations.run import run
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from tests.make_warc import conversion_record, record_id_of, write_records

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "crawl-00000.warc.gz"
PARAGRAPH = (
    "Der Ausschuss trifft sich in der nächsten Woche wieder, um die Pläne für den neuen Bahnhof zu besprechen. Die "
    "Sitzung ist öffentlich, und alle Bürger der Stadt können daran teilnehmen und ihre Fragen stellen. Nach einer "
    "kurzen Einführung wird der Leiter des Bauamts über die Kosten und den Zeitplan berichten, danach folgt eine "
    "Aussprache. Wer nicht kommen kann, findet das Protokoll später auf der Seite der Verwaltung, zusammen mit allen "
    "Unterlagen, die bis dahin vorliegen. Eine Entscheidung soll erst im Herbst fallen, wenn das Gutachten da ist."
)
TEXTS = {
    "footer": f"{PARAGRAPH}\nStartseite\nKontakt",
    "other footer": f"{PARAGRAPH}\nvar a = 1; document.write(a)\nImpressum\n\nNach oben",
    "address": PARAGRAPH.replace("Die Sitzung", "Fragen an rat@stadt.de. Die Sitzung").replace("Herbst", "Winter"),
}
IDS = {name: record_id_of("recipes", name) for name in TEXTS}


@dataclass(frozen=True)
class Outcome:
    """What a recipe made of the sample file and the three texts, by record id."""

    annotated: dict[str, dict[str, Any]]
    dropped: dict[str, dict[str, Any]]
    outcomes: dict[str, dict[str, Any]]
    clean: dict[str, str]


def outcome_of(recipe: str, folder: Path) -> Outcome:
    made = folder / "made.warc.wet.gz"
    write_records(made, [conversion_record(f"https://stadt.example/{n}", text, IDS[n]) for n, text in TEXTS.items()])
    inputs = [str(ROOT / "samples" / SAMPLE), str(made)]
    layout = run(
        load_run_config(ROOT / "recipes" / f"{recipe}.toml", {"inputs": inputs, "output": str(folder / recipe)})
    )

    def rows(paths: list[Path]) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for path in paths for row in pq.read_table(path).to_pylist()}

    def clean(layout: Output) -> dict[str, str]:
        return {name: row["text"] for name, row in rows(list(layout.selection(recipe).glob("clean/*/*"))).items()}

    shards = layout.shards()
    return Outcome(
        annotated=rows([layout.annotated(one) for one in shards]),
        dropped=rows([layout.dropped(one) for one in shards]),
        outcomes={row["id"]: row for row in read_decisions(layout, recipe).to_pylist()},
        clean=clean(layout),
    )


@pytest.fixture(scope="module")
def truth() -> list[dict[str, Any]]:
    with gzip.open(ROOT / "samples" / "truth.jsonl.gz", "rt", encoding="utf-8") as file:
        return [one for one in map(json.loads, file) if one["file"] == SAMPLE]


@pytest.fixture(scope="module")
def fineweb2(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome_of("fineweb2", tmp_path_factory.mktemp("fineweb2"))


@pytest.fixture(scope="module")
def culturax(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome_of("culturax", tmp_path_factory.mktemp("culturax"))


def test_fineweb2_gives_english_to_its_gate_and_culturax_keeps_it(
    truth: list[dict[str, Any]], fineweb2: Outcome, culturax: Outcome
) -> None:
    english = [one["record_id"] for one in truth if one["language"] == "eng_Latn" and one["kind"] == "article"]
    assert len(english) >= 7
    gated = [fineweb2.dropped[one] for one in english]
    assert {(row["drop_reason"], row["label"]) for row in gated} == {("language_gate", "eng_Latn")}
    assert min(row["language_score"] for row in gated) > 0.65
    assert [culturax.outcomes[one]["outcome"] for one in english] == ["kept"] * len(english)


def test_fineweb2_repairs_what_it_writes_and_culturax_repairs_nothing(
    truth: list[dict[str, Any]], fineweb2: Outcome, culturax: Outcome
) -> None:
    damaged = [one["record_id"] for one in truth if one["kind"] == "mojibake"]
    assert len(damaged) == 3
    mark = "\N{LATIN CAPITAL LETTER A WITH TILDE}"  # what UTF-8 read as windows-1252 is full of
    for one in damaged:
        assert mark not in fineweb2.annotated[one]["text"]
        assert mark in culturax.annotated[one]["text"]
        # both measured the damaged text, so that the metrics are the same
        for metric in ("mean_word_length", "segment_count", "special_character_fraction"):
            assert fineweb2.annotated[one][metric] == culturax.annotated[one][metric]


def test_texts_that_differ_in_footer_and_script_are_one_for_culturax(fineweb2: Outcome, culturax: Outcome) -> None:
    clusters = {culturax.outcomes[IDS[one]]["minhash_cluster_id"] for one in ("footer", "other footer")}
    assert len(clusters) == 1
    assert Counter(culturax.outcomes[IDS[one]]["outcome"] for one in ("footer", "other footer")) == {
        "kept": 1,
        "duplicate": 1,
    }
    assert culturax.clean[IDS["footer"]] == PARAGRAPH
    assert culturax.annotated[IDS["footer"]]["exact_hash"] == culturax.annotated[IDS["other footer"]]["exact_hash"]
    assert fineweb2.annotated[IDS["footer"]]["exact_hash"] != fineweb2.annotated[IDS["other footer"]]["exact_hash"]


def test_fineweb2_masks_the_address_and_culturax_leaves_it(fineweb2: Outcome, culturax: Outcome) -> None:
    assert culturax.annotated[IDS["address"]]["edit_texts"] == []
    assert fineweb2.annotated[IDS["address"]]["edit_texts"] == ["email@example.com"]
    assert not any("@stadt.de" in text for text in fineweb2.clean.values())


@pytest.mark.parametrize("recipe", ["fineweb2", "culturax"])
def test_copies_are_kept_once_and_keyword_pages_never(
    recipe: str, truth: list[dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    outcome: Outcome = request.getfixturevalue(recipe)
    kept = Counter(row["minhash_cluster_id"] for row in outcome.outcomes.values() if row["outcome"] == "kept")
    assert len(kept) > 180
    assert max(kept.values()) == 1
    junk = [one["record_id"] for one in truth if str(one["note"]).startswith(("keywords", "short", "links"))]
    assert len(junk) >= 3
    assert {outcome.outcomes[one]["outcome"] for one in junk if one in outcome.outcomes} == {"failed_rules"}
