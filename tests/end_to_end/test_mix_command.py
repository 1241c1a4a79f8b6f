"""`glotmill mix` as a user gives it."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from pipeline.cli.main import main
from pipeline.execution.commit import read_manifest
from pipeline.output.mixtures import mixture_path
from pipeline.output.output import Output
from pipeline.schema.manifests import MaterializedMixture, MixtureManifest, MixtureSettings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def output(demo: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mix` needs of the demo's output."""
    folder = tmp_path_factory.mktemp("command") / "output"
    assert isinstance(demo.root, Path)
    shutil.copytree(demo.selection("main"), folder / "selections" / "main")
    shutil.copy(demo.run, folder / "run.json")
    return folder


def mixture_of(output: Path, name: str) -> MixtureManifest:
    return read_manifest(mixture_path(output / "selections" / "main", name), MixtureManifest)


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
    mixture = mixture_of(output, "even")
    assert mixture.settings == MixtureSettings(
        name="even",
        weights="txt360",
        max_repeats=10,
        temperature=None,
        token_budget=400_000.0,
        max_epochs=3.0,
        languages={"fra_Latn": 0.5},
        tokenizer=None,
        updates=[],
    )
    assert mixture.total.tokens == pytest.approx(400_000, rel=0.02)
    assert mixture.totals["fra_Latn"].epochs == 0.5
    written = read_manifest(files / "manifest.json", MaterializedMixture)
    rows = sum(pq.read_metadata(files / file.path).num_rows for file in written.files)
    assert rows == mixture.total.repeated_documents
    assert f"{rows} " in shown
    assert "fra_Latn" in shown
    assert f"{files}: 2 files" in shown
    assert (output / "run.lock").read_text() == ""


def test_what_is_not_said_is_as_the_run_had_it(mix: Callable[..., int], output: Path) -> None:
    assert mix("--name", "again") == 0
    again, default = mixture_of(output, "again"), mixture_of(output, "default")
    assert msgspec.structs.replace(again, name="default", settings=default.settings) == default
    assert msgspec.structs.replace(again.settings, name="default") == default.settings


def test_mistakes_are_one_line_and_exit_code_2(
    mix: Callable[..., int], output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, message in (
        (["--language", "fra_Latn"], "glotmill: --language fra_Latn: must be LABEL=EPOCHS, such as tur_Latn=2.0\n"),
        (
            ["--shards", "3"],
            "glotmill: --shards is the number of files of --materialize: give --materialize FOLDER, too\n",
        ),
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
    mixture = mixture_of(output, "even")
    columns = ("clean_documents", "clean_tokens", "documents", "repeated_documents", "tokens")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in page.splitlines() if row.startswith("| ")]
    shown = {row[0]: row[1:] for row in rows if row[0] in mixture.totals or row[0] == "all 32"}
    assert len(shown) == 7
    for label, cells in shown.items():
        total = mixture.total if label == "all 32" else mixture.totals[label]
        assert cells[:5] == [f"{getattr(total, name):,}" for name in columns], label
        if label != "all 32":
            language = mixture.totals[label]
            assert cells[5:] == [f"{language.epochs:g}", f"up to {language.most_copies}"]
    french = [entry for entry in mixture.entries if entry.file == "clean/fra_Latn/part-00000.parquet"]
    names = ("first_row", "rows", "repeats", "characters", "tokens")
    assert len(french) == 3
    (shown_entry,) = [json.loads(line) for line in page.splitlines() if line.startswith('{"file": ')]
    assert shown_entry == msgspec.to_builtins(french[0])
    assert all([f"{getattr(entry, name):,}" for name in names] in rows for entry in french)
    for kind in ("none", "fineweb2", "txt360", "default"):
        assert mix("--name", kind, "--weights", kind) == 0
        total = mixture_of(output, kind).total
        assert f"{total.repeated_documents:,}" == next(row[2] for row in rows if row[0] == f"`{kind}`")
