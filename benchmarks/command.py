"""Whole commands, Glotmill and datatrove's recipe, from a WARC to clean documents."""

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import cpu_and_elapsed, glotmill, print_table
from benchmarks.pages import cuts, kilobytes_a_page

PEER = "datatrove, FineWeb2"
COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "Glotmill, no perplexity": lambda warc, out: glotmill([warc], out, "--set", "perplexity=false"),
    "Glotmill": lambda warc, out: glotmill([warc], out),
    PEER: lambda warc, out: [sys.executable, "-m", "benchmarks.datatrove_recipe", str(warc), str(out)],
}


def nemo_curator(python: Path) -> Callable[[Path, Path], list[str]]:
    """The chain of NeMo Curator, run by an interpreter that has it."""
    return lambda warc, out: [str(python), "-m", "benchmarks.nemo_curator_chain", str(warc), str(out)]


def measure(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """CPU of whole commands: marginal per page, start, pages a second and core, and how many times datatrove's."""
    few, many = options.pages
    commands = COMMANDS | ({"NeMo Curator, CPU stages": nemo_curator(options.nemo)} if options.nemo else {})
    inputs = cuts(files, (few, many), folder)
    for command in commands.values():  # kernels, block lists and tokenizers: made once a machine
        cpu_and_elapsed(command(next(iter(inputs.values()))[0], folder / f"warm-{command}"))
    seconds: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for number in range(options.rounds):
        for name, warcs in inputs.items():
            for what, command in commands.items():
                for pages, warc in zip((few, many), warcs, strict=True):
                    out = folder / f"{number}-{warc.stem}-{what}"
                    seconds[name, what, pages].append(cpu_and_elapsed(command(warc, out))[0])
    rows, result = [], {}
    for name, (_, warc) in inputs.items():
        per_page = {}
        for what in commands:
            pairs = zip(seconds[name, what, few], seconds[name, what, many], strict=True)
            per_page[what] = statistics.median((b - a) / (many - few) for a, b in pairs)
        whole_of_peer = statistics.median(seconds[name, PEER, few]) / few
        for what, cost in per_page.items():
            start = statistics.median(seconds[name, what, few]) - cost * few
            whole = statistics.median(seconds[name, what, few]) / few
            times, whole_times = per_page[PEER] / cost, whole_of_peer / whole
            rows.append(
                [name, f"{kilobytes_a_page(warc):.0f}", what, f"{1e3 * cost:.1f}", f"{1 / cost:.0f}", f"{times:.1f}",
                 f"{start:.1f}", f"{1e3 * whole:.1f}", f"{whole_times:.1f}"]
            )  # fmt: skip
            result[f"{name}, {what}"] = {
                "ms_a_page": 1e3 * cost, "times_less": times, "start_s": start, "times_less_whole": whole_times,
            }  # fmt: skip
    print_table(
        f"Whole commands, slope between {few} and {many} pages, median of {options.rounds} rounds",
        ["file", "kB a page", "what", "ms a page", "pages a second and core", "times less", "start, s",
         f"ms a page, {few} with start", "times less"],
        rows,
    )  # fmt: skip
    return result
