"""Documents that overlap with evaluation sets are reported and, if asked for, fail."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.reading import load_run_config
from pipeline.config.run_settings import EvaluationSet, RunConfig
from pipeline.dedup.shingles import normalise_words
from pipeline.errors import ConfigError
from pipeline.execution.commit import read_manifest
from pipeline.operations.explain import explain
from pipeline.operations.run import reselect
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from pipeline.passes.select.decontaminate import items_of
from pipeline.schema.manifests import ContaminationIndex
from pipeline.text.words.segmenters import segment_with_icu
from tests.outputs import over_some_files

LABELS = ("eng_Latn", "rus_Cyrl", "ara_Arab", "zho_Hani", "tha_Thai", "hin_Deva", "jpn_Jpan")


def words_of(text: str) -> list[str]:
    return normalise_words(segment_with_icu(text))


@pytest.fixture(scope="module")
def texts(demo: Output) -> dict[str, dict[str, Any]]:
    """Label and text of the documents of some files, by id."""
    columns = ["id", "label", "text", "url"]
    tables = [pq.read_table(demo.annotated(shard), columns=columns) for shard in demo.shards()[3:6]]
    return {row["id"]: row for row in pa.concat_tables(tables).to_pylist()}


@pytest.fixture(scope="module")
def items(demo: Output, texts: dict[str, dict[str, Any]]) -> dict[str, str]:
    """A line of 13 to 60 words of a kept document of each language."""
    kept = {row["id"] for row in read_decisions(demo, "main").to_pylist() if row["outcome"] == "kept"}
    found: dict[str, str] = {}
    for identity, row in sorted(texts.items()):
        if row["label"] in LABELS and row["label"] not in found and identity in kept:
            lines = [line for line in row["text"].splitlines() if 13 <= len(words_of(line)) <= 60]
            if lines:
                found[row["label"]] = max(lines, key=len)
    assert len(found) >= 5
    return found


def selected(demo: Output, config: RunConfig, root: Path, **settings: Any) -> Output:
    if not root.exists():
        over_some_files(demo, root, slice(3, 6))
    values = config.model_dump() | {"output": str(root)}
    values["dedup"] |= {"shard_group_size": 2}
    values["select"] |= {"decontaminate": settings}
    reselect(RunConfig.model_validate(values), Output(root), {})
    return Output(root)


def test_documents_with_a_line_of_an_evaluation_set_fail_in_every_script(
    demo: Output, demo_config: RunConfig, texts: dict[str, dict[str, Any]], items: dict[str, str], tmp_path: Path
) -> None:
    half = len(items) // 2
    lines = list(items.values())
    (tmp_path / "plain.txt").write_text("\n".join(lines[:half]), encoding="utf-8")
    rows = [{"question": line, "choices": {"text": ["yes", "no"]}} for line in lines[half:]]
    with gzip.open(tmp_path / "quiz.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    sets = [
        str(tmp_path / "plain.txt"),
        {"path": str(tmp_path / "quiz.jsonl.gz"), "fields": ["question", "choices"], "name": "quiz"},
    ]
    layout = selected(demo, demo_config, tmp_path / "out", files=sets)
    runs = {
        name: [" ".join(words) for words in map(words_of, part)]
        for name, part in (("plain.txt", lines[:half]), ("quiz", lines[half:]))
    }
    wanted: dict[str, set[str]] = {}
    for identity, row in texts.items():
        words = words_of(row["text"])
        grams = {" ".join(words[start : start + 13]) for start in range(len(words) - 12)}
        for name, of_set in runs.items():
            split = [run.split(" ") for run in of_set]
            if any(" ".join(run[start : start + 13]) in grams for run in split for start in range(len(run) - 12)):
                wanted.setdefault(identity, set()).add(name)
    decisions = {row["id"]: row for row in read_decisions(layout, "main").to_pylist()}
    found = {one: set(json.loads(row["evaluation_overlap"])) for one, row in decisions.items()}
    assert {one: sets for one, sets in found.items() if sets} == wanted
    assert {texts[one]["label"] for one in wanted} >= set(items)
    assert {one for one, row in decisions.items() if "evaluation_overlap" in row["rules_fired"]} == set(wanted)
    assert {decisions[one]["outcome"] for one in wanted} <= {"failed_rules", "already_read"}
    sets_of_index = read_manifest(layout.root / "contamination" / "index.json", ContaminationIndex).sets
    assert {name: sum(overlap.documents.values()) for name, overlap in sets_of_index.items()} == {
        name: sum(name in of_document for of_document in wanted.values()) for name in runs
    }
    one = sorted(wanted)[0]
    (rule,) = [rule for rule in explain(layout, "main", one)[0].rules if rule.metric == "evaluation_overlap"]
    assert (rule.fired, rule.max) == (True, 0.0)
    audit(layout, "main")


def test_overlap_can_be_reported_only_and_is_not_measured_again_for_another_limit(
    demo: Output, demo_config: RunConfig, items: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "plain.txt").write_text(next(iter(items.values())), encoding="utf-8")
    files = [str(tmp_path / "plain.txt")]
    layout = selected(demo, demo_config, tmp_path / "out", files=files, drop=False)
    written = (layout.root / "contamination" / "shard-group-00000.parquet").stat().st_mtime_ns
    entries = [file for files in layout.selection_manifest("main").files.values() for file in files]
    clean = [row for file in entries for row in pq.read_table(layout.selection("main") / file.path).to_pylist()]
    assert {row["evaluation_overlap"] == "{}" for row in clean} == {True, False}
    selected(demo, demo_config, tmp_path / "out", files=files, max_overlap=1.0)
    assert not any("evaluation_overlap" in row["rules_fired"] for row in read_decisions(layout, "main").to_pylist())
    assert (layout.root / "contamination" / "shard-group-00000.parquet").stat().st_mtime_ns == written


def test_evaluation_files_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "quiz.jsonl").write_text('{"question": "a"}\n{"prompt": "b"}\n')
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "quiz.parquet")
    (tmp_path / "empty.txt").write_text("\n")
    for path, fields, message in (
        ("quiz.jsonl", ("question",), "line 2: no field question; it has prompt"),
        ("quiz.parquet", ("question",), "no column question; it has text"),
        ("empty.txt", ("text",), "there is no text in text"),
        ("nowhere.txt", ("text",), "no such file"),
    ):
        with pytest.raises(ConfigError, match=message):
            items_of(EvaluationSet.model_validate({"path": str(tmp_path / path), "fields": fields}))
    assert items_of(EvaluationSet.model_validate(str(tmp_path / "quiz.parquet"))) == ["a"]


def test_evaluation_files_of_a_recipe_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('select.decontaminate = { files = ["a.txt", { path = "b.jsonl" }] }\n')
    sets = load_run_config(tmp_path / "own.toml").select.decontaminate
    assert sets is not None
    assert [(one.name, one.path) for one in sets.files] == [
        ("a.txt", str(tmp_path / "a.txt")),
        ("b.jsonl", str(tmp_path / "b.jsonl")),
    ]
