"""What a second run does: nothing, the passes that a changed setting concerns, or a refusal."""

from pathlib import Path

import pytest

from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from pipeline.execution.manifests import read_json
from pipeline.plan import run

WET = str(Path(__file__).resolve().parents[2] / "samples" / "crawl-00004.warc.wet.gz")


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
    before = {folder: times(tmp_path / "out", f"{folder}/*.parquet") for folder in ("annotated", "lookup", "clusters")}
    written = times(tmp_path / "out", "selections/main/decisions/*")
    run(RunConfig(inputs=(WET,), output=str(tmp_path / "out"), select={"keep": ["newest"]}))
    assert {folder: times(tmp_path / "out", f"{folder}/*.parquet") for folder in before} == before
    assert times(tmp_path / "out", "selections/main/decisions/*") != written


def test_the_same_run_again_writes_no_data(tmp_path: Path) -> None:
    config = RunConfig(inputs=(WET,), output=str(tmp_path / "out"))
    run(config)
    before = times(tmp_path / "out", "**/*.parquet")
    run(config)
    assert times(tmp_path / "out", "**/*.parquet") == before
