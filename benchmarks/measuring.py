"""CPU seconds of functions and of whole process trees, and the tables that the benchmarks print."""

import ctypes
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PR_SET_CHILD_SUBREAPER = 36  # Linux: what a child leaves behind becomes ours, so that it is waited for and counted


def cpu(function: Callable[[], object]) -> float:
    """CPU seconds of this process while the function runs."""
    started = time.process_time()
    function()
    return time.process_time() - started


def cpu_and_elapsed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """CPU seconds, user and system, of a command and what came of it and was waited for; and seconds until it ended.

    Raises CalledProcessError after printing the end of its output.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, began = _cpu_of_children(), time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    elapsed = time.perf_counter() - began
    if done.returncode:
        print(done.stdout[-3000:], file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, list(command))
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return _cpu_of_children() - before, elapsed


def sampled_cpu_and_elapsed(command: Sequence[str]) -> tuple[float, float]:
    """As `cpu_and_elapsed`, for processes that are not waited for, as those of Ray: looked at every two seconds.

    What a process does after it was last looked at is lost. Raises CalledProcessError.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: dict[tuple[int, int], float] = {}
    while process.poll() is None:
        seen |= _cpu_of_descendants(os.getpid())
        with suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return sum(seen.values()), time.perf_counter() - began


def _cpu_of_descendants(pid: int) -> dict[tuple[int, int], float]:
    """CPU seconds of what a process has started and what that has started, by number and start of the process."""
    parents: dict[int, tuple[int, int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        parents[int(folder.name)] = (int(fields[1]), int(fields[19]), used)
    found: dict[tuple[int, int], float] = {}
    generation = {pid}
    while generation:
        generation = {number for number, (parent, _, _) in parents.items() if parent in generation}
        found |= {(number, parents[number][1]): parents[number][2] for number in generation}
    return found


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def glotmill(warcs: Sequence[Path], out: Path, *options: str) -> list[str]:
    """The command that runs the whole pipeline over files."""
    inputs = [part for warc in warcs for part in ("--input", str(warc))]
    return [sys.executable, "-m", "pipeline", "run", *inputs, "--output", str(out), *options]


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table in Markdown, the first column to the left."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}\n")
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("| " + " | ".join(cells) + " |")
    sys.stdout.flush()
