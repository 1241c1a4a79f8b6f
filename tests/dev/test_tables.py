"""The tables of labels, scripts and word boundaries are what the scripts in dev/ derive with the extra `tables`."""

import importlib
import unicodedata
from pathlib import Path
from types import ModuleType

import pytest

from dev.tables import ranges, write_or_check


def script(name: str, *libraries: str) -> ModuleType:
    for library in libraries:
        pytest.importorskip(library, reason="the extra `tables` is not installed")
    return importlib.import_module(f"dev.make_{name}")


def test_the_table_of_language_labels_is_what_its_script_derives() -> None:
    assert script("language_labels", "langcodes").main(["--check"]) == 0


def test_the_table_of_scripts_is_what_its_script_derives() -> None:
    module = script("script_ranges", "fontTools")
    if unicodedata.unidata_version != module.UNICODE:
        pytest.skip(f"this Python has Unicode {unicodedata.unidata_version}")
    assert module.main(["--check"]) == 0


@pytest.mark.slow
def test_the_table_of_word_boundaries_is_what_icu_answers() -> None:
    assert script("word_break", "unicodedataplus").main(["--check"]) == 0


def test_runs_of_code_points_end_where_the_name_changes_or_a_code_point_is_missing() -> None:
    rows = ranges([(0x41, "Latn"), (0x42, "Latn"), (0x44, "Latn"), (0x45, "Grek"), (0x1F600, "Grek")])
    assert list(rows) == ["0041\t0042\tLatn", "0044\t0044\tLatn", "0045\t0045\tGrek", "1F600\t1F600\tGrek"]
    assert list(ranges([])) == []


def test_a_check_shows_each_line_that_differs_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.tsv"
    table.write_text("a\nb\n")
    assert write_or_check("", table, lambda: "a\nc\n", ["--check"]) == 1
    assert capsys.readouterr().out.splitlines()[3:] == ["-b", "+c", "table.tsv: differs"]
    assert table.read_text() == "a\nb\n"
    assert write_or_check("", table, lambda: "a\nc\n", []) == 0
    assert write_or_check("", table, lambda: "a\nc\n", ["--check"]) == 0
    assert table.read_text() == "a\nc\n"
