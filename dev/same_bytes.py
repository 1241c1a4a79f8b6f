"""Does the working tree write the same bytes as a commit? `make same-bytes BASE=<commit>`, a gate for refactorings.

It takes a commit, runs the commands of SCENARIOS with its code and with that of the working tree, in this Python
environment, and compares every file that they write and what they print. Nothing is recorded: both run now, so that
another version of a library or another processor changes both alike. Outputs hold absolute paths, therefore each tree
is renamed to the same place, `build/same-bytes/checkout`, while it runs. What the samples do not exercise is not seen:
object stores, Ray, other extractors.

It exits with 0 if all is the same, with 1 if something differs or a command fails, with 2 if it was called wrongly.
"""

import argparse
import fcntl
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

ROOT: Final = Path(__file__).resolve().parents[1]
WORK: Final = ROOT / "build" / "same-bytes"
CHECKOUT: Final = WORK / "checkout"
MARKER: Final = WORK / "checkout-is"  # the name of the tree that stands at CHECKOUT, for the call after a killed one
COMPILING_MODULES: Final = ("pipeline.warm_up", "pipeline.kernels.warm_up", "pipeline.kernels.compile")
CACHE: Final = ".cache"  # of a tree: its hashed block lists
LINES_SHOWN: Final = 20
CHECKSUM: Final = re.compile(r"[0-9a-f]{32,64}")
ONLY_CHECKSUMS: Final = "only checksums of what else differs, first at"
PAGE: Final = "https://portal.example/pl/sect.debian-internals-17"


@dataclass(frozen=True)
class Scenario:
    """Commands of `python -m pipeline` that belong together; `needs` names the scenarios whose outputs they read."""

    name: str
    commands: tuple[str, ...]
    needs: tuple[str, ...] = ()


# What the commands print is compared, too: none of them prints a time to stdout (progress goes to stderr).
# `{earlier}` is the option of `run` for an earlier output, as the tree calls it: --index or --baseline.
SCENARIOS: Final = (
    Scenario(
        "demo",
        (
            "plan recipes/demo.toml",
            "run recipes/demo.toml --output out/demo",
            f"explain out/demo {PAGE}",
            "audit out/demo",
            "config show tur_Latn",
            "config show rus_Cyrl --output out/demo",
        ),
    ),
    Scenario("fineweb2", ("run fineweb2 --input 'samples/*.warc.*' --output out/fineweb2",)),
    Scenario(
        "culturax",
        (
            "run culturax --input 'samples/*.warc.*' --output out/culturax",
            "config show deu_Latn --output out/culturax --selection culturax",
        ),
    ),
    Scenario(
        "select",
        (
            "select out/demo --selection strict --set rules.word_count.min=300",
            "select out/demo --selection without_boilerplate --set 'boilerplate={enabled=true,remove=true}'",
            f"explain out/demo {PAGE} --selection without_boilerplate",
            "audit out/demo --selection without_boilerplate",
        ),
        needs=("demo",),
    ),
    Scenario(
        "earlier",
        (
            "run default --input samples/crawl-00000.warc.gz --input samples/crawl-00001.warc.gz --output out/first",
            "run default --input samples/crawl-00002.warc.gz --input samples/crawl-00003.warc.zst --output out/second "
            "{earlier} out/first",
            "run default --input samples/crawl-00004.warc.wet.gz --output out/third {earlier} out/first "
            "{earlier} out/second",
            "audit out/third",
        ),
    ),
    Scenario(
        "remove",
        (
            "remove out/first --domains wiki.example --dry-run",
            "remove out/first --domains wiki.example",
            "remove out/first --urls https://mirror1.example/en/apt-21 --keep-another",  # its copy takes the place
            "remove out/first --urls https://handbuch.example/dz/tabs-177-853.html --purge",
            "audit out/first",
        ),
        needs=("earlier",),
    ),
    Scenario(
        "mix",
        (
            "mix out/demo --name even --weights txt360 --token-budget 1e6 --language eng_Latn=1 --language zho_Hani=0",
            "mix out/demo --name sharp --temperature 3.3 --materialize out/sharp --shards 4",
        ),
        needs=("demo",),
    ),
)


@dataclass(frozen=True)
class Difference:
    """A place in two files, a key or a line, and what each has there; None if that one has no such place."""

    place: str
    base: str | None
    tree: str | None

    def __str__(self) -> str:
        if self.base is None or self.tree is None:
            return (
                f"{self.place}: only in {'tree' if self.base is None else 'base'}, {cut(self.base or self.tree or '')}"
            )
        return f"{self.place}: {both(self.base, self.tree)}"

    def is_of_checksums(self) -> bool:
        """Whether it only follows from a difference elsewhere."""
        ours, theirs = (value and CHECKSUM.sub("", value) for value in (self.base, self.tree))
        return ours == theirs


class UsageError(Exception):
    """The gate was called wrongly."""


class CommandFailed(Exception):
    """A command ended with an exit code that is not 0."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both trees and compare them; the exit code."""
    parser = argparse.ArgumentParser(description="Compare what a commit and the working tree write, byte for byte.")
    parser.add_argument("--base", default="", help="the commit")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="scenarios to run, and those they need")
    parser.add_argument("--keep", action="store_true", help="keep outputs that are the same, too")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        scenarios = chosen(options.only)
        commit = commit_of(options.base)
        with only_one_call():
            put_back()
            export(commit, WORK / commit)
            copy_working_tree(WORK / "tree")
            print(f"base is {commit[:12]}, scenarios: {' '.join(one.name for one in scenarios)}", flush=True)
            base = outputs_of(WORK / commit, WORK / "out-base", scenarios)
            tree = outputs_of(WORK / "tree", WORK / "out-tree", scenarios)
            code = report(base, tree, sum(len(one.commands) for one in scenarios))
            if code == 0 and not options.keep:
                shutil.rmtree(base)
                shutil.rmtree(tree)
    except UsageError as error:
        print(f"same_bytes: {error}", file=sys.stderr)
        return 2
    except CommandFailed as error:
        print(f"same_bytes: {error}", file=sys.stderr)
        return 1
    print(f"{time.monotonic() - started:.0f} s")
    return code


def report(base: Path, tree: Path, commands: int) -> int:
    """Print what differs; the exit code."""
    files = len(files_of(tree))
    found = differences(base, tree)
    if not found:
        print(f"same bytes: {files} files of {commands} commands")
        return 0
    for line in found[:LINES_SHOWN]:
        print(line)
    if len(found) > LINES_SHOWN:
        print(f"... and {len(found) - LINES_SHOWN} more files that differ")
    print(
        f"NOT the same bytes: {len(found)} of {files} files of {commands} commands differ; outputs are {base}, {tree}"
    )
    return 1


def chosen(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of these names and all that they need, in their order; all if no name is given."""
    known = {one.name: one for one in SCENARIOS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"no scenario {', '.join(unknown)}; there are {', '.join(known)}")
    wanted = set(names or known)
    for one in reversed(SCENARIOS):  # what is needed stands before what needs it
        if one.name in wanted:
            wanted |= set(one.needs)
    return [one for one in SCENARIOS if one.name in wanted]


def commit_of(name: str) -> str:
    """The full hash of a commit."""
    if not name:
        raise UsageError("say which commit to compare with: make same-bytes BASE=<commit>")
    command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        raise UsageError(f"no commit {name} in {ROOT}")
    return found.stdout.strip()


@contextmanager
def only_one_call() -> Iterator[None]:
    """Nobody else renames the trees meanwhile; the system lets go when a process ends, however it ends."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another call works in {WORK}; wait for it, or end it") from None
        yield


def export(commit: str, folder: Path) -> None:
    """The files of a commit, once: a folder that exists keeps its compiled kernels."""
    if folder.exists():
        return
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    new = empty(WORK / "new")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(new, filter="data")
    new.rename(folder)


def copy_working_tree(folder: Path) -> None:
    """The files of the working tree that git knows or would add, with their bytecode, kernels and times.

    What an earlier copy compiled comes along where the working tree has none, or an older one.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    new = empty(WORK / "new")
    for name in filter(None, listed):
        if (ROOT / name).is_file():  # not one that was deleted
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, new / name)
    modules = {Path(name).parent for name in listed if name.endswith(".py")}
    for source in (ROOT, folder):
        for cached in (path for one in modules for path in (source / one / "__pycache__").glob("*")):
            target = new / cached.relative_to(source)
            if not target.exists() or target.stat().st_mtime_ns < cached.stat().st_mtime_ns:
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(cached, target)
    if (folder / CACHE).exists():
        (folder / CACHE).rename(new / CACHE)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def empty(folder: Path) -> Path:
    """Make it a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def at_checkout(tree: Path) -> Iterator[None]:
    """The tree stands at CHECKOUT meanwhile."""
    MARKER.write_text(tree.name)
    tree.rename(CHECKOUT)
    try:
        yield
    finally:
        put_back()


def put_back() -> None:
    """The tree at CHECKOUT goes back to where it was; one of a killed call, too."""
    if CHECKOUT.exists():
        CHECKOUT.rename(WORK / MARKER.read_text())
    MARKER.unlink(missing_ok=True)


def outputs_of(tree: Path, outputs: Path, scenarios: Sequence[Scenario]) -> Path:
    """Run the scenarios with the code of a tree; the folder of all that they wrote is moved to `outputs`."""
    with at_checkout(tree):
        check_import()
        if not kernels_are_fresh(CHECKOUT):
            print(f"{outputs.name}: compiling its kernels", flush=True)
            run_python(compiling_command(CHECKOUT))
        started = time.monotonic()
        out = empty(CHECKOUT / "out")
        (out / "stdout").mkdir()
        number = 0
        earlier = option_for_earlier_output()
        for scenario in scenarios:
            for command in scenario.commands:
                number += 1
                arguments = shlex.split(command.replace("{earlier}", earlier))
                printed = run_python(["-m", "pipeline", *arguments])
                (out / "stdout" / f"{number:02}-{scenario.name}-{arguments[0]}.txt").write_bytes(printed)
        shutil.rmtree(outputs, ignore_errors=True)
        out.rename(outputs)
    print(f"{outputs.name}: {number} commands, {time.monotonic() - started:.0f} s", flush=True)
    return outputs


def run_python(arguments: Sequence[str], folder: Path = CHECKOUT) -> bytes:
    """What Python prints to stdout with the code at CHECKOUT."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment(), capture_output=True)
    if done.returncode:
        tail = b"\n".join(done.stderr.splitlines()[-15:]).decode(errors="replace")
        which = "base" if MARKER.read_text() != "tree" else "tree"
        raise CommandFailed(f"{which}: exit code {done.returncode} of python {shlex.join(arguments)}\n{tail}")
    return done.stdout


def environment() -> dict[str, str]:
    """Ours, but code and caches are those of the tree, and what is printed depends on no terminal."""
    left_out = ("NUMBA_CACHE_DIR", "PYTHONDONTWRITEBYTECODE", "PYTHONSAFEPATH", "FORCE_COLOR")
    ours = {name: value for name, value in os.environ.items() if name not in left_out}
    caches = {name: str(CHECKOUT / CACHE) for name in ("GLOTMILL_CACHE", "XDG_CACHE_HOME")}
    return ours | caches | {"PYTHONPATH": str(CHECKOUT), "COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1"}


def check_import() -> None:
    """PYTHONPATH goes before the editable install; asked in another folder, as Python looks into its own first."""
    path = run_python(["-c", "import pipeline; print(pipeline.__file__)"], WORK).decode().strip()
    if not Path(path).is_relative_to(CHECKOUT):
        raise CommandFailed(f"pipeline is imported from {path}, not from {CHECKOUT}")


def option_for_earlier_output() -> str:
    """What `run` calls it."""
    told = run_python(["-m", "pipeline", "run", "--help"])
    return "--baseline" if b"--baseline" in told else "--index"


def kernels_are_fresh(tree: Path) -> bool:
    """Whether a compiled library is of the sources as they are: its index (JSON, in __pycache__) has their sha256."""
    return any(
        index_is_fresh(path) for path in (tree / "pipeline").rglob("*.json") if path.parent.name == "__pycache__"
    )


def index_is_fresh(path: Path) -> bool:
    try:
        index = json.loads(path.read_bytes())
        files = index["sources"] | index["library"]
        return all(hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == files[name] for name in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # damaged, or of another form: compile


def compiling_command(tree: Path) -> list[str]:
    """Arguments of Python that compile the kernels: those of the tree's Makefile, else a module that is known to."""
    rule = r"^\$\(VENV\)/\.(?:warm|kernels):.*\n(?:\t.*\n)*?\t.*/python (-m .*)"
    recipe = re.search(rule, (tree / "Makefile").read_text(), re.MULTILINE)
    if recipe:
        return shlex.split(recipe[1])
    for module in COMPILING_MODULES:
        if (tree / module.replace(".", "/")).with_suffix(".py").exists():
            return ["-m", module]
    raise CommandFailed(f"neither the Makefile nor COMPILING_MODULES of {__file__} says how to compile the kernels")


def differences(base: Path, tree: Path) -> list[str]:
    """A line for each file that differs between two folders: its path and what differs first.

    Files that differ in nothing but checksums of others stand last.
    """
    ours, theirs = files_of(base), files_of(tree)
    found = []
    for name in sorted(ours | theirs):
        if name not in theirs:
            found.append(f"{name}: only in base")
        elif name not in ours:
            found.append(f"{name}: only in tree")
        elif Path(name).name == "run.lock":
            continue  # while it is held it names process and machine
        elif (base / name).read_bytes() != (tree / name).read_bytes():
            found.append(f"{name}: {reason(base / name, tree / name)}")
    return sorted(found, key=lambda line: ONLY_CHECKSUMS in line)


def files_of(folder: Path) -> set[str]:
    """Paths of all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def reason(base: Path, tree: Path) -> str:
    """The first difference of two files whose bytes differ."""
    try:
        if base.suffix == ".parquet":
            return parquet_difference(pq.ParquetFile(base), pq.ParquetFile(tree))
        if base.suffix == ".json":
            values = (json.loads(path.read_bytes()) for path in (base, tree))
            return first(json_differences(*values)) or "the same values, other order of keys or spacing"
    except (pa.ArrowException, ValueError):
        pass  # one of them is not what its name says: as bytes
    return text_difference(base.read_bytes(), tree.read_bytes())


def first(found: Iterable[Difference]) -> str | None:
    """The first difference that is not only one of checksums, else the first of those; None if there is none."""
    found = list(found)
    for one in found:
        if not one.is_of_checksums():
            return str(one)
    return f"{ONLY_CHECKSUMS} {found[0]}" if found else None


def json_differences(base: Any, tree: Any, path: str = "") -> Iterator[Difference]:
    """Values that differ, by the path of keys that leads there."""
    if isinstance(base, dict) and isinstance(tree, dict):
        ours, theirs = ({f"{path}.{key}" if path else key: one[key] for key in one} for one in (base, tree))
    elif isinstance(base, list) and isinstance(tree, list):
        ours, theirs = ({f"{path}[{place}]": value for place, value in enumerate(one)} for one in (base, tree))
    else:
        if repr(base) != repr(tree):  # 1 is not 1.0
            yield Difference(path or "all of it", repr(base), repr(tree))
        return
    for key in ours | theirs:
        if key in ours and key in theirs:
            yield from json_differences(ours[key], theirs[key], key)
        else:
            yield Difference(key, *(repr(one[key]) if key in one else None for one in (ours, theirs)))


def parquet_difference(base: pq.ParquetFile, tree: pq.ParquetFile) -> str:
    """The first difference of schema, number of rows or values."""
    if not base.schema_arrow.equals(tree.schema_arrow):
        lines = (str(file.schema_arrow.remove_metadata()).encode() for file in (base, tree))
        return f"schema, {text_difference(*lines)}"
    if base.metadata.num_rows != tree.metadata.num_rows:
        return f"rows: base {base.metadata.num_rows}, tree {tree.metadata.num_rows}"
    for name in base.schema_arrow.names:
        values = (file.read(columns=[name]).column(0).to_pylist() for file in (base, tree))
        for row, (ours, theirs) in enumerate(zip(*values, strict=True)):
            if repr(ours) != repr(theirs):  # NaN is NaN, and -0.0 is not 0.0
                return f"column {name}, row {row}: {both(repr(ours), repr(theirs))}"
    return "the same schema and values, metadata or encoding only"


def text_difference(base: bytes, tree: bytes) -> str:
    """The first line that differs, or the first byte of what is no text."""
    try:
        lines = [content.decode().split("\n") for content in (base, tree)]
    except UnicodeDecodeError:
        place = len(os.path.commonprefix([base, tree]))
        return f"byte {place} differs; base has {len(base)} bytes, tree {len(tree)}"
    pairs = enumerate(zip_longest(*lines), 1)
    found = (
        Difference(f"line {number}", *(None if one is None else repr(one) for one in pair))
        for number, pair in pairs
        if pair[0] != pair[1]
    )
    return first(found) or "the same text"


def both(base: str, tree: str) -> str:
    """Two values, long ones from shortly before where they part."""
    start = max(0, len(os.path.commonprefix([base, tree])) - 20)
    return f"base {cut(base, start)}, tree {cut(tree, start)}"


def cut(text: str, start: int = 0, length: int = 60) -> str:
    """A part of a text.

    >>> cut("0123456789", 2, 4)
    '...2345...'
    """
    start = 0 if len(text) <= length else start
    return "..." * (start > 0) + text[start : start + length] + "..." * (start + length < len(text))


if __name__ == "__main__":
    sys.exit(main())
