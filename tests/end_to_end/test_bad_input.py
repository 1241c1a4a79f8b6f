"""Bad input is refused in one sentence before anything is written, and damage to an output is found."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.errors import AuditError
from pipeline.execution.commit import read_json
from pipeline.operations.run import run
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from tests.outputs import digests

ROOT = Path(__file__).resolve().parents[2]
WET = ROOT / "samples" / "crawl-00004.warc.wet.gz"
TRUNCATED = ROOT / "samples" / "broken" / "truncated.warc.gz"


def glotmill(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--input", "no/such.warc.gz"], ["no/such.warc.gz", "no such file"]),
        (["--input", "no/*.warc.gz"], ["no/*.warc.gz", "matches no file"]),
        (["--input", str(WET), "--set", "dedup.bnads=20"], ["dedup.bnads", "unknown key"]),
        (["--input", str(WET), "--set", "rules.word_count={min=3,max=2}"], ["rules.word_count", "empty int"]),
        (["--input", str(WET), "--set", "rules.wrod_count={min=3}"], ["rules.wrod_count", "no such metric"]),
        (["--input", str(WET), "--set", "lid.model=no/model.ftz"], ["no/model.ftz"]),
        (["no/recipe.toml"], ["no/recipe.toml", "no such file"]),
        (["--input", str(WET), "--workers", "2"], ["workers = 2", 'executor = "ray"']),
        ([], ["no inputs"]),
    ],
    ids=["path", "glob", "key", "interval", "metric", "model", "recipe", "workers", "nothing"],
)
def test_a_bad_setting_ends_with_code_two_and_one_message_and_no_output(
    arguments: list[str], named: list[str], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    done = glotmill("run", *arguments, "--output", str(output))
    assert done.returncode == 2, done.stderr
    assert [words for words in named if words not in done.stderr] == [], done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.count("glotmill: ") == 1
    assert not output.exists()


@pytest.mark.parametrize("command", ["audit", "explain", "select"])
def test_a_folder_without_a_run_is_refused(command: str, tmp_path: Path) -> None:
    document = ["https://a.example/"] if command == "explain" else []
    done = glotmill(command, str(tmp_path), *document)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"glotmill: {tmp_path}: no run.json there; give the output folder of a `glotmill run`\n"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    output = tmp_path_factory.mktemp("small") / "output"
    return RunConfig(inputs=(str(WET), str(TRUNCATED)), output=str(output))


@pytest.fixture(scope="module")
def small(config: RunConfig) -> Output:
    return run(config)


def test_a_shard_without_a_manifest_is_made_again_with_the_same_bytes(
    small: Output, config: RunConfig, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.root, copy)
    layout = Output(copy)
    shard = layout.shards()[0]
    layout.annotated_manifest(shard).unlink()
    layout.annotated(shard).write_bytes(b"half a file")
    run(config.model_copy(update={"output": str(copy)}))
    assert digests(copy) == digests(small.root)


def first_part(layout: Output) -> Path:
    files = read_json(layout.selection("main") / "manifest.json")["files"]
    path: str = next(iter(files.values()))[0]["path"]
    return layout.selection("main") / path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"), [(flip, "sha256 differs"), (Path.unlink, "missing")], ids=["flip", "delete"]
)
def test_the_audit_names_a_damaged_part(
    damage: Callable[[Path], None], message: str, small: Output, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.root, copy)
    part = first_part(Output(copy))
    damage(part)
    with pytest.raises(AuditError) as caught:
        audit(Output(copy), "main")
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"{part}: {message}")


def test_the_audit_command_ends_with_code_one_for_a_damaged_part(small: Output, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.root, copy)
    flip(first_part(Output(copy)))
    done = glotmill("audit", str(copy))
    assert done.returncode == 1
    assert "sha256 differs" in done.stderr
    assert "Traceback" not in done.stderr
