"""Workers of a real Ray that are killed (SIGKILL) while they annotate leave no trace in the output."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.operations.run import run
from tests.outputs import digests

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
INPUTS = tuple(str(SAMPLES / name) for name in ("crawl-00003.warc.zst", "crawl-00004.warc.wet.gz"))


def descendants(pid: int) -> list[int]:
    """Processes that this one has started, directly or not."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, children.read_text().split()):
                found += [child, *descendants(child)]
        except OSError:
            continue  # it has ended
    return found


def busy_workers() -> list[int]:
    """Ray workers of this process that run a task of ours."""
    workers = []
    for pid in descendants(os.getpid()):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::_guarded"):
                workers.append(pid)
        except OSError:
            continue
    return workers


@pytest.mark.slow
@pytest.mark.full
def test_workers_killed_while_they_write_a_shard_are_replaced_and_the_files_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    run(RunConfig(inputs=INPUTS, output=str(tmp_path / "inline")))
    output = tmp_path / "ray"
    killed: list[int] = []
    over = threading.Event()

    def kill_two_in_the_act() -> None:
        while len(killed) < 2 and not over.is_set():
            if list((output / "annotated").glob(".*.parquet.*.tmp")):
                for pid in busy_workers()[: 2 - len(killed)]:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.02)

    killer = threading.Thread(target=kill_two_in_the_act)
    killer.start()
    try:
        run(RunConfig(inputs=INPUTS, output=str(output), executor="ray", workers=2))
    finally:
        over.set()
        killer.join()
    assert len(set(killed)) == 2
    assert digests(output) == digests(tmp_path / "inline")
