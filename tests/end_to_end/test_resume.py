"""What a second run does: nothing, the passes that a changed setting concerns, or a refusal."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError
from pipeline.execution.commit import read_json
from pipeline.operations.run import run

WET = str(Path(__file__).resolve().parents[2] / "samples" / "crawl-00004.warc.wet.gz")


def glotmill(*arguments: object) -> str:
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def times(folder: Path, pattern: str) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.glob(pattern))}


def test_a_setting_of_annotate_is_refused_with_the_difference_unless_forced(tmp_path: Path) -> None:
    first = RunConfig(inputs=(WET,), output=str(tmp_path / "out"))
    run(first)
    other = RunConfig(inputs=(WET,), output=str(tmp_path / "out"), lid={"min_score": 0.3})
    before = times(tmp_path / "out", "**/*")
    with pytest.raises(ConfigError, match=r"settings\.lid\.min_score: 0\.2 -> 0\.3"):
        run(other)
    assert times(tmp_path / "out", "**/*") == before
    layout = run(other, force=True)
    assert times(tmp_path / "out", "annotated/*") != {key: before[key] for key in before if "/annotated/" in key}
    assert read_json(layout.run)["config"]["lid"]["min_score"] == 0.3


def test_a_setting_of_select_leaves_annotate_and_deduplicate_alone(tmp_path: Path) -> None:
    run(RunConfig(inputs=(WET,), output=str(tmp_path / "out")))
    before = {
        folder: times(tmp_path / "out", f"{folder}/*.parquet") for folder in ("annotated", "document_index", "clusters")
    }
    written = times(tmp_path / "out", "selections/main/decisions/*")
    run(RunConfig(inputs=(WET,), output=str(tmp_path / "out"), select={"keep": ["newest"]}))
    assert {folder: times(tmp_path / "out", f"{folder}/*.parquet") for folder in before} == before
    assert times(tmp_path / "out", "selections/main/decisions/*") != written


def test_gc_deletes_what_was_replaced_or_left_behind_and_nothing_else(tmp_path: Path) -> None:
    config = RunConfig(inputs=(WET,), output=str(tmp_path / "out"))
    layout = run(config)
    before = times(tmp_path / "out", "**/*")
    run(config.model_copy(update={"select": config.select.model_copy(update={"keep": ("newest",)})}))
    run(config)  # main is as it was, main~1 is the other one
    (tmp_path / "out" / "selections" / "strict.partial" / "clean").mkdir(parents=True)
    (tmp_path / "out" / "annotated" / ".a.parquet.17.tmp").write_bytes(b"half")
    said = glotmill("gc", layout.root, "--dry-run")
    assert "main~1: replaced" in said
    assert "strict.partial" in said
    assert "tmp" in said
    assert glotmill("gc", layout.root).replace("freed", "would be freed") == said
    assert set(times(tmp_path / "out", "**/*")) == set(before)
    assert glotmill("gc", layout.root) == "0.0 MB freed\n"


def test_the_same_run_again_writes_no_data(tmp_path: Path) -> None:
    config = RunConfig(inputs=(WET,), output=str(tmp_path / "out"))
    run(config)
    before = times(tmp_path / "out", "**/*.parquet")
    run(config)
    assert times(tmp_path / "out", "**/*.parquet") == before
