"""`glotmill mix` as a user gives it."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.cli import main
from pipeline.execution.manifests import read_json
from pipeline.passes.layout import Layout


@pytest.fixture(scope="module")
def output(demo: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    made = read_json(output / "selections" / "main" / "mixes" / "even.json")
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
    mixes = output / "selections" / "main" / "mixes"
    again, default = read_json(mixes / "again.json"), read_json(mixes / "default.json")
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
    assert not (output / "selections" / "main" / "mixes" / "mix.json").exists()
