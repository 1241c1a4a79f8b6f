"""Two processes that work on one output folder at the same time never spoil it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import read_json
from pipeline.operations.run import run
from tests.outputs import digests

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "samples" / "broken" / "truncated.warc.gz"

ANNOTATE = """
import json, sys
from pathlib import Path
from pipeline.config.run_settings import RunConfig
import msgspec
from pipeline.output.layout import Layout
from pipeline.passes.annotate.shard import AnnotateTask, annotate_shard
from pipeline.plan import STAGES
source, warm, output = sys.argv[1:]
annotate_shard(AnnotateTask(RunConfig(), STAGES, source, Layout(Path(warm))))
print("ready", flush=True)
sys.stdin.readline()
tasks = [AnnotateTask(RunConfig(), STAGES, source, Layout(Path(output) / str(number))) for number in range(3)]
print(json.dumps([msgspec.to_builtins(annotate_shard(task)) for task in tasks]))
"""

CREATE = """
import sys
from pathlib import Path
from pipeline.execution.commit import create_json
print("ready", flush=True)
sys.stdin.readline()
print(sum(create_json(Path(sys.argv[1]) / f"{number}.json", {"by": sys.argv[2]}) for number in range(300)))
"""


def start(*command: str) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *command], text=True, env=environment, **pipes)


def let_go(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Start all at once when all are ready; what each printed."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), told
    return [out for out, _ in told]


def test_a_second_run_names_the_first_and_leaves_its_files_alone(tmp_path: Path) -> None:
    output = tmp_path / "both"
    told: list[tuple[int, str]] = []

    def start_another(what: str, done: int, total: int) -> None:
        if done and not told:
            process = start("-m", "pipeline", "run", "--input", str(SMALL), "--output", str(output))
            told.append((process.wait(60), process.communicate()[1]))

    run(RunConfig(inputs=(str(SMALL),), output=str(output)), progress=start_another)
    message = f"glotmill: {output}: another run works there (process {os.getpid()} on {socket.gethostname()}); "
    assert told == [(1, message + "wait for it, or end it\n")]
    run(RunConfig(inputs=(str(SMALL),), output=str(tmp_path / "alone")))
    assert len(digests(output)) >= 10
    assert digests(output) == digests(tmp_path / "alone")


def test_a_shard_that_two_workers_annotate_at_once_has_one_manifest_and_its_bytes(tmp_path: Path) -> None:
    arguments = [(str(SMALL), str(tmp_path / f"warm-{one}"), str(tmp_path / "both")) for one in "ab"]
    first, second = let_go([start("-c", ANNOTATE, *one) for one in arguments])
    assert json.loads(first) == json.loads(second)
    alone = digests(tmp_path / "warm-a")
    assert len(alone) == 3
    for number in range(3):
        assert digests(tmp_path / "both" / str(number)) == alone


def test_a_manifest_is_created_by_exactly_one_of_several_processes(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    won = [int(out) for out in let_go([start("-c", CREATE, str(tmp_path), name) for name in names])]
    paths = sorted(tmp_path.iterdir())
    assert (len(paths), sum(won)) == (300, 300)
    makers = [read_json(path)["by"] for path in paths]
    assert [makers.count(name) for name in names] == won
