"""Ray and the inline executor write the same bytes, on a Ray of our own and as a job on a cluster."""

import hashlib
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError
from pipeline.execution.executors import make_executor
from pipeline.operations.run import run

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
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
        run(RunConfig.model_validate(settings | {"boilerplate": {"enabled": True, "remove": True}}))
    inline, remote = digests(tmp_path / "inline"), digests(tmp_path / "ray")
    assert len(inline) >= 20
    assert sorted(remote) == sorted(inline)
    assert {name for name in inline if inline[name] != remote[name]} == set()


def test_an_address_where_no_cluster_answers_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(
        ConfigError, match=r"(?s)^RAY_ADDRESS=127\.0\.0\.1:\d+: cannot join .*refused\n.*RAY_AUTH_MODE=token"
    ):
        make_executor("ray", 1, 2**28)


@pytest.mark.full
@pytest.mark.slow
def test_a_task_killed_for_memory_is_tried_again_three_times_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")  # every worker is one too many
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    executor = make_executor("ray", 1, 2**26)
    try:
        with caplog.at_level(logging.WARNING, "pipeline.execution.executors.ray"):
            results = list(executor.run(time.sleep, [60], attempts=3))
    finally:
        executor.close()
    assert [(position, result) for position, result, _ in results] == [(0, None)]
    assert str(results[0][2]).startswith("OutOfMemoryError: ")
    assert re.findall(r"attempt (\d) of 3: OutOfMemoryError", caplog.text) == ["1", "2"]


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, dict[str, str]]]:
    """`ray start --head` with a token, apart from any other Ray here; gives the dashboard's address and environment."""
    pytest.importorskip("ray")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {
        "PYTHONPATH": str(ROOT),  # of this checkout, for the job and its workers
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # Ray wants short paths
        head, address = start_head(Path(folder), environment)
        try:
            yield address, environment
        finally:
            head.terminate()
            try:
                head.wait(timeout=60)
            finally:
                os.killpg(head.pid, signal.SIGKILL) if head.poll() is None else None


def start_head(folder: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """The process and the address of its dashboard; tried three times, as a port that was free can be taken by now."""
    for attempt in range(3):
        dashboard, agent, client, metrics = free_ports(4)
        options = f"""--head --block --port=0 --num-cpus=2 --object-store-memory=100000000 --temp-dir={folder}
            --dashboard-host=127.0.0.1 --dashboard-port={dashboard} --dashboard-agent-listen-port={agent}
            --ray-client-server-port={client} --metrics-export-port={metrics}"""
        log = folder / f"start-{attempt}.log"
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options.split()]
        with log.open("w") as output:
            head = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + 60
        while head.poll() is None and time.monotonic() < deadline:
            if "Ray runtime started" in log.read_text():
                return head, f"http://127.0.0.1:{dashboard}"
            time.sleep(0.2)
        if head.poll() is None:
            os.killpg(head.pid, signal.SIGKILL)
            head.wait()
    raise AssertionError(f"Ray's head did not start: {log.read_text()}")


def submit(address: str, environment: dict[str, str], *entrypoint: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", address, "--", *entrypoint]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


@pytest.mark.full
@pytest.mark.slow
def test_a_submitted_job_writes_the_same_files_as_inline(cluster: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    address, environment = cluster
    inputs = [str(SAMPLES / name) for name in NAMES]
    run(RunConfig.model_validate({"inputs": tuple(inputs), "output": str(tmp_path / "inline")}))
    config = tmp_path / "run.toml"
    config.write_text(f"inputs = {inputs}\n")
    options = ["--executor", "ray", "--output", str(tmp_path / "job")]
    result = submit(address, environment, sys.executable, "-m", "pipeline", "run", str(config), *options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "annotate 3/3" in result.stdout  # the job's log shows progress
    inline, remote = digests(tmp_path / "inline"), digests(tmp_path / "job")
    assert len(inline) >= 20
    assert sorted(remote) == sorted(inline)
    assert {name for name in inline if inline[name] != remote[name]} == set()


@pytest.mark.full
def test_a_job_whose_input_is_missing_fails_and_says_so(cluster: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    address, environment = cluster
    arguments = ["run", "default", "--input", "/no/such.warc.gz", "--executor", "ray", "--output", str(tmp_path)]
    result = submit(address, environment, sys.executable, "-m", "pipeline", *arguments)
    assert result.returncode == 1
    assert "glotmill: /no/such.warc.gz: no such file" in result.stdout
