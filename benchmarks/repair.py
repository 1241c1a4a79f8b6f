"""How much time the scan of repair_encoding saves, and that it changes nothing.

python -m benchmarks.repair FILE_OR_FOLDER ...

Takes plain text (.txt, .txt.gz, udhr.jsonl.gz) and the text of the pages in .warc.gz; compares repair_encoding with
ftfy on pieces of 4,000 characters, and prints times by script. Fails where the two differ.
"""

import gzip
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import ftfy

from benchmarks.pages import texts_of_pages
from pipeline.text.language.scripts import measure_script
from pipeline.text.repair import _OPTIONS, _TOUCHED, repair_encoding

PIECE = 4000  # characters


def texts_of(path: Path) -> Iterator[str]:
    """Texts of a file."""
    if ".warc" not in path.name:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode("utf-8", "replace")
        udhr = path.name.endswith(".jsonl.gz")
        yield from ("\n".join(json.loads(line)["paragraphs"]) for line in text.splitlines()) if udhr else [text]
        return
    yield from texts_of_pages(path)


def milliseconds(call: Callable[[str], Any], text: str) -> tuple[float, Any]:
    """Shortest of three calls, and what it gave."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        result = call(text)
        best = min(best, 1000 * (time.perf_counter() - start))
    return best, result


def main(arguments: list[str]) -> None:
    """Print a line a script."""
    found = [path for name in arguments for path in ([Path(name)] if Path(name).is_file() else Path(name).rglob("*"))]
    files = sorted(path for path in found if path.name.endswith((".txt", ".txt.gz", ".warc.gz", "udhr.jsonl.gz")))
    rows: dict[str, list[tuple[float, float, bool, bool]]] = defaultdict(list)
    for path in files:
        for text in texts_of(path):
            for start in range(0, len(text), PIECE):
                piece = text[start : start + PIECE]
                ours, (repaired, changed) = milliseconds(repair_encoding, piece)
                theirs, expected = milliseconds(lambda one: ftfy.fix_text(one, _OPTIONS), piece)
                lossy = expected.count("\N{REPLACEMENT CHARACTER}") > piece.count("\N{REPLACEMENT CHARACTER}")
                if repaired != expected and not lossy:
                    raise SystemExit(f"{path}: repair_encoding differs from ftfy")
                if len(piece) == PIECE:
                    script = measure_script(piece)[0] or "none"
                    rows[script].append((ours, theirs, _TOUCHED.search(piece) is not None, changed))
    print("script  pieces  ftfy ms  ours ms (median, mean)  ratio  to ftfy  repaired")
    everything = [row for group in rows.values() for row in group]
    for script, group in [*sorted(rows.items()), ("all", everything)]:
        ours, theirs = [row[0] for row in group], [row[1] for row in group]
        mean = sum(ours) / len(group)
        called = sum(row[2] for row in group) / len(group)
        changed = sum(row[3] for row in group) / len(group)
        print(
            f"{script:6}  {len(group):6}  {sum(theirs) / len(group):7.3f}  {median(ours):10.3f}  {mean:10.3f}"
            f"  {sum(theirs) / sum(ours):5.0f}  {called:7.1%}  {changed:8.1%}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
