"""One worker and two, with Ray and without, and memory over a long file: the same real records over and over."""

import argparse
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, glotmill, print_table, sampled_cpu_and_elapsed
from benchmarks.pages import repeated, responses

NICE = ("nice", "-n", "15")  # as Ray's workers are, which otherwise wait for whatever else there is
RAY = ("--executor", "ray", "--workers")


def measure_workers(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Elapsed time and CPU of the whole command on two large shards.

    Inline and Ray with one worker run at the same time, a core each, so that what slows the machine slows both alike:
    run in turn, the same command differs by 15 % within minutes. One worker and two run alone.
    """
    shards = [repeated(files, folder / f"shard-{number}.warc.gz", options.megabytes * 1e6) for number in (0, 1)]
    pages = 2 * sum(1 for _ in responses(shards[0]))
    title = f"Two shards of {options.megabytes} MB, {pages:,} pages together"
    result: dict[str, Any] = {"pages": pages}

    def run(name: str, *how: str) -> list[str]:
        return glotmill(shards, folder / name, *how)

    together: dict[str, list[tuple[float, float]]] = defaultdict(list)
    alone: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(options.rounds):
        pair = {"inline": [*NICE, *run(f"{number}-inline")], "Ray, 1 worker": run(f"{number}-beside", *RAY, "1")}
        with ProcessPoolExecutor(len(pair), get_context("spawn")) as processes:  # each counts what comes of its own
            for name, found in zip(pair, processes.map(sampled_cpu_and_elapsed, pair.values()), strict=True):
                together[name].append(found)
        alone["Ray, 1 worker"].append(sampled_cpu_and_elapsed(run(f"{number}-one", *RAY, "1")))
        alone["Ray, 2 workers"].append(sampled_cpu_and_elapsed(run(f"{number}-two", *RAY, "2")))
    for how, rounds in {"at the same time": together, "alone": alone}.items():
        used, took = (
            {name: statistics.median(pair[which] for pair in pairs) for name, pairs in rounds.items()}
            for which in (0, 1)
        )
        first = next(iter(took))
        rows = [
            [name, f"{seconds:.0f}", f"{pages / seconds:.0f}", f"{seconds / took[first]:.3f}", f"{used[name]:.0f}"]
            for name, seconds in took.items()
        ]
        print_table(f"{title}, {how}", ["executor", "elapsed, s", "pages a second", f"times {first}", "CPU, s"], rows)
        result[how] = {"elapsed_s": took, "cpu_s": used}
    return result


def measure_memory(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Memory of annotate and its child over a file of many records, in ten parts of the time that it takes."""
    content = sum(1 for path in files for _ in responses(path))
    size = sum(path.stat().st_size for path in files) * options.records / content
    large = repeated(files, folder / "large.warc.gz", size)
    code = "import sys; from pathlib import Path; from benchmarks.steps import annotate; "
    code += "annotate(Path(sys.argv[1]), Path(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(large), str(folder / "memory")], cwd=ROOT)
    samples = []
    while process.poll() is None:
        samples.append((_memory(process.pid), sum(_memory(child) for child in _children(process.pid))))
        time.sleep(0.5)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "annotate")
    rows = []
    for part in range(10):
        of_part = samples[part * len(samples) // 10 : (part + 1) * len(samples) // 10] or samples[-1:]
        rows.append([str(10 * (part + 1)), *(str(max(pair[which] for pair in of_part)) for which in (0, 1))])
    title = f"Resident memory at most, {options.records:,} pages in one file of {size / 1e6:.0f} MB"
    print_table(title, ["% of the time", "worker, MB", "child, MB"], rows)
    return {"megabytes": [[int(cell) for cell in row[1:]] for row in rows]}


def _memory(pid: int) -> int:
    """Resident megabytes of a process, mapped files included; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
