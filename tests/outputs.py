"""What an output folder holds, for tests that compare two."""

import hashlib
import shutil
from pathlib import Path

from pipeline.execution.commit import read_json, write_json
from pipeline.output.output import Output


def digests(root: Path) -> dict[str, str]:
    """The sha256 of every file, by its path in the folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def copy_of_selection(output: Output, folder: Path) -> Path:
    """A copy of its selection, to write mixtures into."""
    source = output.selection("main")
    assert isinstance(source, Path)
    shutil.copytree(source, folder)
    return folder


def over_some_files(demo: Output, root: Path, inputs: slice) -> None:
    """Make `root` an output of which only annotate has run, over some of the demo's files."""
    root.mkdir(exist_ok=True)
    for name in ("annotated", "dropped"):
        (root / name).symlink_to(demo.root / name)
    plan = read_json(demo.run)
    del plan["shard_group_count"]  # fewer inputs: their manifests are read one by one
    write_json(root / "run.json", plan | {"inputs": plan["inputs"][inputs]})
