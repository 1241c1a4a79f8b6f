"""`glotmill mix` as a user gives it."""

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.cli.main import main
from pipeline.execution.commit import read_json
from pipeline.output.output import Output

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def output(demo: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mix` needs of the demo's output."""
    folder = tmp_path_factory.mktemp("command") / "output"
    assert isinstance(demo.root, Path)
    shutil.copytree(demo.selection("main"), folder / "selections" / "main")
    shutil.copy(demo.run, folder / "run.json")
    return folder


@pytest.fixture
def mix(output: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command in this process and gives its exit code."""

    def run(*options: str) -> int:
        monkeypatch.setattr(sys, "argv", ["glotmill", "mix", str(output), *options])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


def test_a_budget_an_override_and_files(
    mix: Callable[..., int], output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--name", "even", "--weights", "txt360", "--token-budget", "400000", "--max-epochs", "3"]
    files = tmp_path / "files"
    assert mix(*options, "--language", "fra_Latn=0.5", "--materialize", str(files), "--shards", "2") == 0
    shown = capsys.readouterr().out
    made = read_json(output / "selections" / "main" / "mixtures" / "even.json")
    assert made["settings"] == {
        "name": "even",
        "weights": "txt360",
        "max_repeats": 10,
        "temperature": None,
        "token_budget": 400_000.0,
        "max_epochs": 3.0,
        "languages": {"fra_Latn": 0.5},
        "tokenizer": None,
    }
    assert made["total"]["tokens"] == pytest.approx(400_000, rel=0.02)
    assert made["totals"]["fra_Latn"]["epochs"] == 0.5
    rows = sum(pq.read_metadata(files / one["path"]).num_rows for one in read_json(files / "manifest.json")["files"])
    assert rows == made["total"]["repeated_documents"]
    assert f"{rows} " in shown
    assert "fra_Latn" in shown
    assert f"{files}: 2 files" in shown
    assert (output / "run.lock").read_text() == ""


def test_what_is_not_said_is_as_the_run_had_it(mix: Callable[..., int], output: Path) -> None:
    assert mix("--name", "again") == 0
    mixtures = output / "selections" / "main" / "mixtures"
    again, default = read_json(mixtures / "again.json"), read_json(mixtures / "default.json")
    assert again | {"name": "default", "settings": default["settings"]} == default


def test_mistakes_are_one_line_and_exit_code_2(
    mix: Callable[..., int], output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, message in (
        (["--language", "fra_Latn"], "glotmill: --language fra_Latn: must be LABEL=EPOCHS, such as tur_Latn=2.0\n"),
        (["--shards", "3"], "glotmill: --shards: is of --materialize FOLDER only\n"),
        (["--materialize", "http://there.example/x"], "http://there.example/x: cannot be written"),
    ):
        assert mix(*options) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1
    assert not (output / "selections" / "main" / "mixtures" / "mix.json").exists()


def test_the_example_of_the_documentation_has_its_figures(mix: Callable[..., int], output: Path) -> None:
    page = (ROOT / "docs" / "mixtures.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith("$ glotmill mix demo-output"))
    assert mix(*shlex.split(line)[4:]) == 0
    made = read_json(output / "selections" / "main" / "mixtures" / "even.json")
    columns = ("clean_documents", "clean_tokens", "documents", "repeated_documents", "tokens")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in page.splitlines() if row.startswith("| ")]
    shown = {row[0]: row[1:] for row in rows if row[0] in made["totals"] or row[0] == "all 32"}
    assert len(shown) == 7
    for label, cells in shown.items():
        total = made["total"] if label == "all 32" else made["totals"][label]
        assert cells[:5] == [f"{total[name]:,}" for name in columns], label
        if label != "all 32":
            assert cells[5:] == [f"{total['epochs']:g}", f"up to {total['most_copies']}"]
    french = [one for one in made["entries"] if one["file"] == "clean/fra_Latn/part-00000.parquet"]
    names = ("first_row", "rows", "repeats", "characters", "tokens")
    assert all([f"{one[name]:,}" for name in names] in rows for one in french)
    for kind in ("none", "fineweb2", "txt360", "default"):
        assert mix("--name", kind, "--weights", kind) == 0
        total = read_json(output / "selections" / "main" / "mixtures" / f"{kind}.json")["total"]
        assert f"{total['repeated_documents']:,}" == next(row[2] for row in rows if row[0] == f"`{kind}`")
