"""Full storage stops the run with one message; nothing half-written is visible, and the same command resumes."""

import gc
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.errors import StorageError
from pipeline.operations.run import run
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from tests.outputs import digests

ROOT = Path(__file__).resolve().parents[2]
WET = ROOT / "samples" / "crawl-00004.warc.wet.gz"


def settings(output: Path) -> RunConfig:
    return RunConfig(inputs=(str(WET),), output=str(output))


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a run with room enough."""
    layout = run(settings(tmp_path_factory.mktemp("roomy") / "output"))
    return digests(layout.root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    gc.collect()  # a writer that could not write its end holds its file while the error is alive
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_fills_up_in_each_pass_is_named_and_the_run_resumes_when_it_has_grown(
    small_disk: Path, roomy: dict[str, str]
) -> None:
    output = small_disk / "output"
    stopped = []
    kilobytes = 100.0
    while True:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes:.0f}k", small_disk], check=True)
        try:
            run(settings(output))
            break
        except StorageError as error:
            message = str(error)
        assert "No space left on device; make room" in message
        stopped.append(Path(message.partition(":")[0]).relative_to(output).parent.as_posix())
        assert [path for path in output.rglob("*.tmp") if path.is_file()] == []
        visible = [path for path in output.rglob("*.parquet") if "main.partial" not in path.parts]
        assert sum(pq.read_table(path).num_rows for path in visible) >= len(visible) - 1  # each can be read to its end
        assert not (output / "selections" / "main").exists()
        kilobytes *= 1.25
    assert stopped[0] == "annotated"
    assert len(set(stopped)) >= 4
    assert any(place.startswith("selections/main.partial/") for place in stopped)
    assert digests(output) == roomy
    assert len(audit(Output(output), "main")) == 2


def test_a_limit_on_the_size_of_files_ends_the_command_with_code_one_and_one_message(
    roomy: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    command = [sys.executable, "-m", "pipeline", "run", "--input", str(WET), "--output", str(output)]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        command,
        preexec_fn=limited,  # noqa: PLW1509  # between fork and exec it only sets the limit
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"glotmill: {output}/annotated/.crawl-00004-")
    assert done.stderr.endswith(": cannot be written: File too large; make room and give the same command again\n")
    assert [path for path in output.rglob("*") if path.suffix in (".parquet", ".tmp")] == []
    run(settings(output))
    assert digests(output) == roomy
