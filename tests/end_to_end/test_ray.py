"""Ray and the inline executor write the same bytes."""

import hashlib
from pathlib import Path

import pytest

from pipeline.config import RunConfig
from pipeline.plan import run

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
NAMES = ("crawl-00003.warc.zst", "crawl-00004.warc.wet.gz", "broken/truncated.warc.gz")


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_ray_with_two_workers_and_inline_write_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    inputs = tuple(str(SAMPLES / name) for name in NAMES)
    for executor, workers in (("inline", 1), ("ray", 2)):
        settings = {"inputs": inputs, "output": str(tmp_path / executor), "executor": executor, "workers": workers}
        run(RunConfig.model_validate(settings))
    inline, remote = digests(tmp_path / "inline"), digests(tmp_path / "ray")
    assert len(inline) >= 20
    assert sorted(remote) == sorted(inline)
    assert {name for name in inline if inline[name] != remote[name]} == set()
