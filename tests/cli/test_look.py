"""audit and explain on the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.errors import InputError
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from tests.outputs import over_some_files


def test_audit_refuses_a_selection_that_is_not_there_and_names_those_that_are(demo: Output) -> None:
    result = CliRunner().invoke(app, ["audit", str(demo.root), "--selection", "nope"])
    assert isinstance(result.exception, InputError)
    assert "no selection nope (there: main)" in str(result.exception)


@pytest.mark.parametrize("selection", [[], ["--selection", "main"]])
def test_audit_checks_the_selection_of_the_run(selection: list[str], demo: Output) -> None:
    result = CliRunner().invoke(app, ["audit", str(demo.root), *selection], catch_exceptions=False)
    documents = sum(manifest.documents for manifest in demo.manifests())
    assert f"selection main: each of {documents} documents has exactly one outcome" in result.stdout
    assert result.stdout.endswith("the accounts agree\n")


def test_audit_says_where_there_is_no_selection_yet(demo: Output, tmp_path: Path) -> None:
    over_some_files(demo, tmp_path, slice(3, 6))
    result = CliRunner().invoke(app, ["audit", str(tmp_path)], catch_exceptions=False)
    assert result.stdout.splitlines()[1:] == [
        "selection main: not made yet, so it was not checked",
        "the accounts agree",
    ]


def test_explain_follows_a_duplicate_to_the_kept_document_of_its_cluster(demo: Output) -> None:
    rows = read_decisions(demo, "main").to_pylist()
    row = next(row for row in rows if row["outcome"] == "duplicate" and row["kept_document"])
    lines = CliRunner().invoke(app, ["explain", str(demo.root), row["id"]], catch_exceptions=False).stdout.splitlines()
    assert lines[0].startswith(f"{row['id']}  http")
    assert lines[-2:] == [f"  kept document of the cluster: {row['kept_document']}", "  outcome: duplicate"]
