"""A shard that fails every attempt is set aside by name; the run says so and goes on only when it is told to."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config.run_settings import DedupConfig, RunConfig
from pipeline.errors import AuditError, MissingError, PipelineError
from pipeline.execution.commit import read_json, read_manifest
from pipeline.execution.progress import Progress
from pipeline.operations.run import reselect, run
from pipeline.output.layout import shard_name
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from pipeline.schema.manifests import ShardManifest
from tests.outputs import digests

ROOT = Path(__file__).resolve().parents[2]
WET = ROOT / "samples" / "crawl-00004.warc.wet.gz"
SMALL = ROOT / "samples" / "broken" / "truncated.warc.gz"
UNREADABLE = Path("/sys/class/net/lo/speed")  # a regular file of 4,096 bytes; every read of it fails with EINVAL


def settings(inputs: list[Path], output: Path) -> RunConfig:
    return RunConfig(inputs=tuple(str(path) for path in inputs), output=str(output))


def removing(*paths: Path) -> Progress:
    """Deletes files once annotate has begun: after the plan has seen them, before their tasks do."""

    def tell(what: str, done: int, total: int) -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    return tell


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "inputs"
    folder.mkdir()
    names = [folder / "a.warc.gz", folder / "b.warc.wet.gz", folder / "c.warc.gz"]
    for source, name in zip((SMALL, WET, SMALL), names, strict=True):
        shutil.copy(source, name)
    return names


@pytest.fixture
def ended(inputs: list[Path], tmp_path: Path) -> tuple[RunConfig, Output]:
    """A run that lost its third input while it annotated."""
    config = settings(inputs, tmp_path / "output")
    with pytest.raises(MissingError):
        run(config, progress=removing(inputs[2]))
    return config, Output(tmp_path / "output")


def test_a_vanished_input_is_quarantined_by_name_after_three_attempts_and_the_others_are_annotated(
    ended: tuple[RunConfig, Output], inputs: list[Path]
) -> None:
    layout = ended[1]
    shards = [shard_name(str(path)) for path in inputs]
    assert layout.shards() == shards[:2]
    assert layout.missing() == shards[2:]
    assert not (layout.root / "selections").exists()
    record = read_json(layout.quarantined(shards[2]))
    assert (record["shard"], record["file_path"], record["attempts"]) == (shards[2], str(inputs[2]), 3)
    assert record["error"].startswith("FileNotFoundError: ")
    assert record["versions"]["fastwarc"] > "2"
    assert audit(layout) == [
        f"2 shards: bytes and records agree, {sum(manifest.documents for manifest in layout.manifests())} documents",
        f"missing: {shards[2]}, quarantined ({record['error']})",
    ]


def test_with_accept_missing_the_clean_text_is_that_of_a_run_without_the_shard_and_the_card_names_it(
    ended: tuple[RunConfig, Output], inputs: list[Path], tmp_path: Path
) -> None:
    config, layout = ended
    shard = shard_name(str(inputs[2]))
    before = layout.quarantined(shard).stat().st_mtime_ns
    shutil.copy(SMALL, inputs[2])  # with the flag it is not tried again, though it could be read now
    run(config, accept_missing=True)
    run(settings(inputs[:2], tmp_path / "without"))
    folders = [root / "selections" / "main" / "clean" for root in (layout.root, tmp_path / "without")]
    assert len(digests(folders[0])) >= 20
    assert digests(folders[0]) == digests(folders[1])
    assert layout.quarantined(shard).stat().st_mtime_ns == before
    assert read_json(layout.run)["accept_missing"] is True
    assert read_json(layout.selection("main") / "manifest.json")["missing"] == [shard]
    card = (layout.selection("main") / "README.md").read_text(encoding="utf-8")
    assert f"These of the 3 files could not be read and are not in it:\n\n- `{inputs[2]}`\n" in card
    complete = (tmp_path / "without" / "selections" / "main" / "README.md").read_text(encoding="utf-8")
    assert "could not be read" not in complete


def test_a_later_run_tries_the_shard_again_and_ends_as_if_nothing_had_been(
    ended: tuple[RunConfig, Output], inputs: list[Path], tmp_path: Path
) -> None:
    config, layout = ended
    run(config, accept_missing=True)
    shutil.copy(SMALL, inputs[2])
    run(config)
    undisturbed = run(config.model_copy(update={"output": str(tmp_path / "undisturbed")}))
    assert layout.missing() == []
    again = digests(layout.root)
    before = {name: again.pop(name) for name in list(again) if name.startswith("selections/main~1/")}
    assert len(before) >= 20  # what was selected without the shard
    assert again == digests(undisturbed.root)


def test_select_needs_the_flag_too(ended: tuple[RunConfig, Output]) -> None:
    config, layout = ended
    with pytest.raises(MissingError, match="1 of 3 shards are quarantined:\n  c-"):
        reselect(config, layout, {})
    reselect(config, layout, {}, accept_missing=True)
    assert audit(layout, "main")[1].startswith("missing: c-")


def test_more_quarantined_shards_than_allowed_end_the_run(inputs: list[Path], tmp_path: Path) -> None:
    config = settings(inputs, tmp_path / "output")
    with pytest.raises(PipelineError, match="too many shards failed: 2, and at most 1 may:\n  a-.*\n  c-") as caught:
        run(config, progress=removing(inputs[0], inputs[2]))
    assert not isinstance(caught.value, MissingError)


def test_a_lone_shard_that_fails_ends_the_run(inputs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="too many shards failed: 1, and at most 0 may"):
        run(settings(inputs[:1], tmp_path / "output"), progress=removing(inputs[0]))


def test_an_output_path_that_is_taken_quarantines_its_shard_only(inputs: list[Path], tmp_path: Path) -> None:
    config = settings(inputs, tmp_path / "output")
    layout = Output(tmp_path / "output")
    shard = shard_name(str(inputs[0]))
    (layout.annotated(shard) / "in the way").mkdir(parents=True)
    with pytest.raises(MissingError, match="IsADirectoryError"):
        run(config)
    assert layout.missing() == [shard]
    assert [path.name for path in layout.root.rglob(".*")] == []


def test_the_audit_wants_to_know_why_a_shard_is_missing(ended: tuple[RunConfig, Output]) -> None:
    layout = ended[1]
    layout.quarantined(layout.missing()[0]).unlink()
    with pytest.raises(AuditError, match="does not say why"):
        audit(layout)


def test_the_audit_misses_a_manifest(ended: tuple[RunConfig, Output]) -> None:
    layout = ended[1]
    layout.annotated_manifest(layout.shards()[0]).unlink()
    with pytest.raises(AuditError, match=r"annotated/a-\w+.json: missing"):
        audit(layout)


def test_a_run_that_was_interrupted_in_annotate_is_refused_by_select_and_audit(
    inputs: list[Path], tmp_path: Path
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    config = settings(inputs, tmp_path / "output")
    layout = Output(tmp_path / "output")
    with pytest.raises(KeyboardInterrupt):
        run(config, progress=interrupt)
    assert layout.shards() == [shard_name(str(path)) for path in inputs[:2]]
    with pytest.raises(PipelineError, match="1 shards are not annotated yet, such as c-"):
        reselect(config, layout, {}, accept_missing=True)
    with pytest.raises(AuditError, match=r"c-\w+: neither annotated nor quarantined"):
        audit(layout)


def test_manifests_of_batches_say_what_those_of_shards_say(ended: tuple[RunConfig, Output], tmp_path: Path) -> None:
    config, layout = ended
    small = config.model_copy(update={"dedup": DedupConfig(shard_group_size=1)})
    for one in (config, small):
        run(one, accept_missing=True)
        assert layout.manifests() == [
            read_manifest(layout.annotated_manifest(shard), ShardManifest) for shard in layout.shards()
        ]
        assert len(layout.manifests()) == 2


@pytest.mark.skipif(not UNREADABLE.exists(), reason="this system has no such file")
def test_a_file_that_cannot_be_read_ends_the_command_with_code_three_until_it_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "bad.warc.gz").symlink_to(UNREADABLE)
    output = str(tmp_path / "output")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def glotmill(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False, env=environment
        )

    first = glotmill("run", "--input", "bad.warc.gz", "--input", str(SMALL), "--output", output)
    assert first.returncode == 3, first.stderr
    assert "bad.warc.gz: cannot be read: Invalid argument" in first.stderr
    assert "--accept-missing" in first.stderr
    assert glotmill("select", output).returncode == 3
    accepted = glotmill("select", output, "--accept-missing")
    assert accepted.returncode == 0, accepted.stderr
    assert "Missing" in accepted.stdout
    manifest = json.loads((tmp_path / "output" / "selections" / "main" / "manifest.json").read_text())
    assert manifest["missing"] == [shard_name("bad.warc.gz")]
