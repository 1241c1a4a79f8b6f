"""README.md and the how-tos: a `glotmill` command that is shown with its output prints that, on the demo's output."""

import shutil
from pathlib import Path

import pytest

from pipeline.output.output import Output
from tests.shown import blocks_of, differences, run_glotmill, shown_output

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = [
    pytest.param(command, lines, id=f"{page.stem}: {command}")
    for page in PAGES
    if page.stem != "tutorial"  # its commands build on each other, and have a test of their own
    for block in blocks_of(page.read_text(encoding="utf-8"))
    if block.lines[0].startswith("$ glotmill ")
    for command, lines in shown_output(block)
    if lines
]


@pytest.fixture
def output(demo: Output, tmp_path: Path) -> Path:
    """A copy of the demo's output, into which commands may write."""
    assert isinstance(demo.root, Path)
    return Path(shutil.copytree(demo.root, tmp_path / "demo-output"))


@pytest.mark.parametrize(("command", "lines"), SHOWN)
def test_a_command_prints_what_the_page_shows(
    command: str, lines: list[str], output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    printed = run_glotmill(command.replace("demo-output", str(output)), monkeypatch)
    # the demo of the tests was given its inputs by whole paths
    assert differences(lines, printed.replace(str(output), "demo-output").replace(f"{ROOT}/", "")) == []


def test_the_readme_explains_a_page_and_tries_a_threshold() -> None:
    commands = [str(parameters.values[0]).split()[1] for parameters in SHOWN]
    assert {"explain", "select", "remove"} <= set(commands)
