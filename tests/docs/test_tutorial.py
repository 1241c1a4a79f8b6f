"""docs/tutorial.md: every command and every piece of Python in it runs, in order, and prints what the page shows."""

from pathlib import Path
from typing import Any

import pytest

from tests.shown import Block, blocks_of, differences, run_glotmill, run_python, shown_output

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
OUTPUT = "demo-output"


def test_the_page_shows_commands_and_python_with_their_output() -> None:
    blocks = blocks_of(PAGE.read_text(encoding="utf-8"))
    assert {block.language for block in blocks} == {"sh", "console", "python", "text"}
    for block, following in zip(blocks, [*blocks[1:], Block("", ())], strict=True):
        assert block.language != "python" or following.language == "text"
        assert block.language != "console" or all(shown for _, shown in shown_output(block))


def test_everything_in_the_tutorial_prints_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    output = str(tmp_path / OUTPUT)
    names: dict[str, Any] = {}
    wrong: dict[str, list[str]] = {}
    printed = ""
    for block in blocks_of(PAGE.read_text(encoding="utf-8")):
        if block.language == "console":
            for command, shown in shown_output(block):
                printed = run_glotmill(command.replace(OUTPUT, output), monkeypatch).replace(output, OUTPUT)
                wrong[command] = differences(shown, printed)
        elif block.language == "python":
            source = "\n".join(block.lines)
            printed = run_python(source.replace(OUTPUT, output), names, PAGE).replace(output, OUTPUT)
        elif block.language == "text":
            wrong[block.lines[0]] = differences(list(block.lines), printed)
    assert "\n".join(line for lines in wrong.values() for line in lines) == ""


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a", "b"], "a\nc\n"),
        (["a"], "a\nb\n"),
        (["a", "b"], "b\na\n"),
        (["a", "...", "d"], "a\nb\nc\n"),
        (["a bc ..."], "a b\n"),
        (["a"], ""),
    ],
)
def test_a_page_that_shows_something_else_is_noticed(shown: list[str], printed: str) -> None:
    assert len(differences(shown, printed)) >= 1


@pytest.mark.parametrize(
    ("shown", "printed"),
    [(["a", "...", "d"], "a\nb\nc\nd\n"), (["..."], "a\nb\n"), (["a ...", "b"], "a b c\nb  \n"), (["a", ""], "\na\n")],
)
def test_a_page_may_leave_lines_out_and_cut_them(shown: list[str], printed: str) -> None:
    assert differences(shown, printed) == []
