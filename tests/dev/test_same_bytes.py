"""The gate for refactorings sees each kind of difference, and none where there is none."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dev.same_bytes import SCENARIOS, UsageError, chosen, differences, main

TABLE = pa.table({"id": ["a", "b"], "score": [0.5, float("nan")]})


def write(path: Path, content: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        pq.write_table(content, path, **options)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def compared(folder: Path, name: str, base: Any, tree: Any) -> list[str]:
    write(folder / "base" / name, base)
    write(folder / "tree" / name, tree)
    return differences(folder / "base", folder / "tree")


def test_equal_folders_have_no_difference_whatever_their_locks_say(tmp_path: Path) -> None:
    for root in (tmp_path / "base", tmp_path / "tree"):
        write(root / "run.json", {"bands": 14})
        write(root / "clean" / "part-0.parquet", TABLE)
        write(root / "run.lock", f"process of {root.name}")
    assert differences(tmp_path / "base", tmp_path / "tree") == []


def test_a_file_of_one_folder_is_told_with_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "base" / "deep" / "run.lock", "")
    write(tmp_path / "tree" / "a.txt", "")
    assert differences(tmp_path / "base", tmp_path / "tree") == ["a.txt: only in tree", "deep/run.lock: only in base"]


@pytest.mark.parametrize(
    ("base", "tree", "told"),
    [
        ({"a": [1, {"b": 0.5}]}, {"a": [1, {"b": 0.25}]}, "a[1].b: base 0.5, tree 0.25"),
        ({"a": 1, "old": 2}, {"a": 1, "new": 2}, "old: only in base, 2"),
        ({"a": [1]}, {"a": [1, 2]}, "a[1]: only in tree, 2"),
        ({"a": 1}, {"a": 1.0}, "a: base 1, tree 1.0"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "the same values, other order of keys or spacing"),
        ([], 5, "all of it: base [], tree 5"),
        ("{no", "{yes", "line 1: base '{no', tree '{yes'"),
    ],
)
def test_json_is_told_by_the_first_key_that_differs(tmp_path: Path, base: Any, tree: Any, told: str) -> None:
    assert compared(tmp_path, "run.json", base, tree) == [f"run.json: {told}"]


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (TABLE.rename_columns(["id", "value"]), "schema, line 2: base 'score: double', tree 'value: double'"),
        (TABLE.slice(0, 1), "rows: base 2, tree 1"),
        (TABLE.set_column(0, "id", [["a", "c"]]), "column id, row 1: base 'b', tree 'c'"),
        (TABLE.set_column(1, "score", [[0.5, -0.0]]), "column score, row 1: base nan, tree -0.0"),
        (
            TABLE.replace_schema_metadata({"made": "by hand"}),
            "the same schema and values, metadata or encoding only",
        ),
    ],
)
def test_parquet_is_told_by_schema_then_rows_then_values(tmp_path: Path, tree: pa.Table, told: str) -> None:
    assert compared(tmp_path, "x.parquet", TABLE, tree) == [f"x.parquet: {told}"]


def test_another_compression_of_the_same_values_is_a_difference(tmp_path: Path) -> None:
    write(tmp_path / "base" / "x.parquet", TABLE)
    write(tmp_path / "tree" / "x.parquet", TABLE, compression="zstd")
    (line,) = differences(tmp_path / "base", tmp_path / "tree")
    assert line.endswith("metadata or encoding only")


@pytest.mark.parametrize(
    ("base", "tree", "told"),
    [
        ("a\nb\n", "a\nc\n", "line 2: base 'b', tree 'c'"),
        ("a\nb", "a\nb\n", "line 3: only in tree, ''"),
        (f"{'x' * 500}1", f"{'x' * 500}2", f"line 1: base ...{'x' * 20}1', tree ...{'x' * 20}2'"),
        (b"\xff\x00", b"\xff\x01\x02", "byte 1 differs; base has 2 bytes, tree 3"),
    ],
)
def test_text_is_told_by_line_and_bytes_by_place(tmp_path: Path, base: Any, tree: Any, told: str) -> None:
    assert compared(tmp_path, "page.html", base, tree) == [f"page.html: {told}"]


def test_what_only_follows_from_another_difference_stands_last(tmp_path: Path) -> None:
    ours, theirs = "a" * 64, "b" * 64
    compared(tmp_path, "card.md", f"documents\n`{ours}`", f"documents\n`{theirs}`")
    found = compared(tmp_path, "run.json", {"sha256": ours, "bands": 14}, {"sha256": theirs, "bands": 15})
    assert [line[:70] for line in found] == [
        "run.json: bands: base 14, tree 15",
        "card.md: only checksums of what else differs, first at line 2: base '`",
    ]


def test_a_scenario_brings_those_that_it_needs() -> None:
    assert [one.name for one in chosen(["remove"])] == ["earlier", "remove"]
    assert chosen([]) == list(SCENARIOS)
    with pytest.raises(UsageError, match="no scenario demos; there are demo, "):
        chosen(["demos"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "same_bytes: say which commit"), (["--base", "no-such-commit"], "same_bytes: no commit no-such-commit in ")],
)
def test_a_wrong_call_ends_with_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(message)
