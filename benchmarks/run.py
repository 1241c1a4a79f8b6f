"""make bench: CPU of Glotmill and of its peers on the same pages, in the same run.

python -m benchmarks.run [--data FOLDER] [--files N] [--pages 200 600] [--rounds 3] [--only NAME ...]
                                [--match NAME] [--records N] [--megabytes N] [--nemo PYTHON] [--json F]

Every WARC of samples/ and in the data folder that has FEWEST_PAGES responses is cut to a few and to more pages; each
command runs on both, one after the other in every round, so that a busy machine is busy for all of them. A figure is
CPU, user and system, of the whole tree of processes; per page it is marginal, the slope between the two; what is left
is the start. Medians of the rounds.

Sections: command (Glotmill and datatrove's recipe from WARC to clean documents), parts (single libraries on the same
pages in one process), profile (annotate by step, which adds up to the whole), shapes (tiny and huge pages, scripts),
memory (a file of 100,000 pages), workers (Ray with one worker and with two beside none, shards of 1 GB). The last two
take an hour and more with two cores.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import command, parts, shapes, steps, workers
from benchmarks.measuring import ROOT, processor
from benchmarks.pages import responses

DATA = Path(os.environ.get("GLOTMILL_BENCH_DATA", ROOT.parent / "shared" / "data"))
FEWEST_PAGES = 50  # responses of a file; with fewer the same page would be measured over and over
SECTIONS: dict[str, Callable[[Sequence[Path], argparse.Namespace, Path], dict[str, Any]]] = {
    "command": command.measure,
    "parts": parts.measure,
    "profile": steps.measure,
    "shapes": shapes.measure,
    "memory": workers.measure_memory,
    "workers": workers.measure_workers,
}


def main() -> None:
    """Parse, run the sections asked for, print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder in which more WARC files lie")
    parser.add_argument("--files", type=int, default=0, help="only the largest so many files; 0: all")
    parser.add_argument("--match", default="", help="only files with this in their name")
    parser.add_argument("--pages", type=int, nargs=2, default=(200, 600), help="pages that the slope is taken between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=["command", "parts", "profile", "shapes"])
    parser.add_argument("--records", type=int, default=100_000, help="pages of the file for memory")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of each of the two files for workers")
    parser.add_argument("--nemo", type=Path, help="interpreter of an environment with nemo-curator[text-cpu]")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    found = [*(ROOT / "samples").glob("crawl-*.warc.*"), *options.data.rglob("*.warc.gz")]
    found = sorted((path for path in found if options.match in path.name), key=_size, reverse=True)
    files = [path for path in found if len(list(islice(responses(path), FEWEST_PAGES))) == FEWEST_PAGES]
    files = files[: options.files or None]
    if not files:
        sys.exit(
            f"samples/ and {options.data}: no file with {FEWEST_PAGES} responses and {options.match!r} in its name"
        )

    print(f"{date.today()}, {processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before", flush=True)
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for section in options.only:
            figures[section] = SECTIONS[section](files, options, Path(folder))
    print(f"load {os.getloadavg()[0]:.1f} after")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _size(path: Path) -> int:
    return path.stat().st_size


if __name__ == "__main__":
    main()
