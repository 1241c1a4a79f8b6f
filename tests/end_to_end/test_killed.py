"""A run that is killed (SIGKILL) at any moment and started again ends with the files of a run that never was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.output.output import Output
from pipeline.passes.audit import audit
from tests.outputs import digests

ROOT = Path(__file__).resolve().parents[2]
INPUTS = [ROOT / "samples" / "broken" / name for name in ("truncated.warc.gz", "corrupt-member.warc.gz")]
# just before: data without manifest, a manifest, the second shard's, signatures, the cluster index, a part in clean/,
# the manifest of a selection, its folder becoming visible, the card
MOMENTS = [
    "os.rename:annotated/truncated",
    "os.link:annotated/truncated",
    "os.link:annotated/corrupt",
    "os.rename:document_index/index.json",
    "os.rename:signatures/shard-group",
    "os.rename:clusters/index.json",
    "os.rename:clean/eng_Latn",
    "os.rename:selections/main",
    "os.rename:main/README.md",
]


class Runs:
    """Runs in forks of a warm process; see tests/killed_runs.py."""

    def __init__(self, folder: Path) -> None:
        self.undisturbed = folder / "undisturbed"
        command = [sys.executable, str(ROOT / "tests" / "killed_runs.py"), json.dumps(self.config(self.undisturbed))]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.server = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def config(self, output: Path, **more: Any) -> dict[str, Any]:
        return {"inputs": [str(path) for path in INPUTS], "output": str(output), **more}

    def run(self, output: Path, moment: str = "never", **more: Any) -> tuple[int, int]:
        """Exit code of a run that is killed at a moment, and how often it changed its folder."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps({"config": self.config(output, **more), "moment": moment}) + "\n")
        self.server.stdin.flush()
        code, changes = json.loads(self.server.stdout.readline())
        return code, changes


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    one = Runs(tmp_path_factory.mktemp("killed"))
    yield one
    assert one.server.stdin is not None
    one.server.stdin.close()
    assert one.server.wait(30) == 0


def test_a_run_killed_at_each_commit_in_turn_ends_with_the_same_files(runs: Runs, tmp_path: Path) -> None:
    output = tmp_path / "output"
    for moment in MOMENTS:
        assert runs.run(output, moment)[0] == -signal.SIGKILL, f"{moment} was not reached"
    assert runs.run(output)[0] == 0
    assert len(digests(output)) >= 20
    assert digests(output) == digests(runs.undisturbed)
    assert audit(Output(output), "main")[0].startswith("2 shards: ")


@pytest.mark.parametrize("moment", ["os.link:annotated/truncated", "os.rename:clusters/index.json"])
def test_files_that_a_killed_run_of_other_settings_left_are_not_taken_for_those_of_the_old_ones(
    moment: str, runs: Runs, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    shutil.copytree(runs.undisturbed, output)
    assert runs.run(output, moment, dedup={"shingle_size": 2})[0] == -signal.SIGKILL
    assert digests(output) != digests(runs.undisturbed)
    assert runs.run(output)[0] == 0
    assert digests(output) == digests(runs.undisturbed)


@pytest.mark.slow
@pytest.mark.full
def test_a_run_killed_before_any_change_of_its_folder_ends_with_the_same_files(runs: Runs, tmp_path: Path) -> None:
    output = tmp_path / "output"
    changes = runs.run(output)[1]
    assert changes >= 80
    wrong = []
    for moment in range(1, changes + 1):
        shutil.rmtree(output)
        assert runs.run(output, str(moment))[0] == -signal.SIGKILL
        if runs.run(output)[0] != 0 or digests(output) != digests(runs.undisturbed):
            wrong.append(moment)
    assert wrong == []


@pytest.mark.slow
@pytest.mark.full
def test_a_run_killed_at_any_time_ends_with_the_same_files(runs: Runs, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "run", "--output", str(tmp_path / "output")]
    command += [part for path in INPUTS for part in ("--input", str(path))]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": ROOT}
    began = time.monotonic()
    assert subprocess.run(command, **quiet, check=False).returncode == 0
    seconds = time.monotonic() - began
    for step in range(1, 25):
        shutil.rmtree(tmp_path / "output", ignore_errors=True)
        with subprocess.Popen(command, **quiet) as process:
            time.sleep(seconds * step / 25)
            process.kill()
        assert runs.run(tmp_path / "output")[0] == 0
        assert digests(tmp_path / "output") == digests(runs.undisturbed), f"killed after {step} of 25 parts"
