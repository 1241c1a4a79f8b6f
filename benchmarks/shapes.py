"""annotate on pages of one kind: languages, tiny pages, a huge one."""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.measuring import print_table
from benchmarks.steps import annotate
from tests.make_warc import Page, write_warc

LATIN = "Latin"
SHAPES = {  # label of the texts, bytes of text a page, pages
    LATIN: ("deu_Latn", 20_000, 60),
    "Cyrillic": ("rus_Cyrl", 20_000, 60),
    "Arabic": ("ara_Arab", 20_000, 60),
    "Thai": ("tha_Thai", 20_000, 60),
    "Chinese": ("zho_Hani", 20_000, 60),
    "Japanese": ("jpn_Jpan", 20_000, 60),
    "Korean": ("kor_Hang", 20_000, 60),
    "Khmer": ("khm_Khmr", 20_000, 60),
    "tiny pages": ("deu_Latn", 300, 600),
    "a page of 5 MB": ("deu_Latn", 5_000_000, 1),
}


def measure(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """annotate on pages of one kind, made of the texts of the files; per page and per kilobyte of it."""
    texts = _texts_by_label(files, folder)
    warcs: dict[str, Path] = {}
    kilobytes: dict[str, float] = {}
    for name, (label, size, count) in SHAPES.items():
        if label not in texts:
            print(f"{name}: no text in {label}")
            continue
        warcs[name] = folder / f"shape-{name.replace(' ', '-')}.warc.gz"
        kilobytes[name] = write_pages(warcs[name], texts[label], size, count) / 1e3
    costs: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds + 1):  # the first loads models and tables
        for name, warc in warcs.items():
            steps = annotate(warc, folder / f"{warc.stem}-{number}")
            costs[name].append(sum(steps.values()) - steps["start"])
    rows, result = [], {}
    first = next(iter(costs), LATIN)  # Latin, or whatever the files have
    for name, seconds in costs.items():
        count = SHAPES[name][2]
        each = 1e3 * statistics.median(seconds[1:]) / count
        pairs = zip(seconds[1:], costs[first][1:], strict=True)
        ratio = statistics.median(one / latin for one, latin in pairs) * kilobytes[first] / kilobytes[name]
        numbers = (kilobytes[name] / count, each, each * count / kilobytes[name], ratio)
        rows.append([name, *(f"{number:.3g}" for number in numbers)])
        result[name] = {"ms_a_page": each, "times_first_a_kilobyte": ratio}
    header = ["pages", "kB a page", "ms a page", "ms a kB", f"times {first} a kB"]
    print_table("annotate by shape of page", header, rows)
    return result


def _texts_by_label(files: Sequence[Path], folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in files:
        annotate(path, folder / "texts")
    for file in sorted((folder / "texts" / "annotated").glob("*.parquet")):
        table = pq.read_table(file, columns=["label", "text"])
        for label, text in zip(table["label"].to_pylist(), table["text"].to_pylist(), strict=True):
            found[label].append(text)
    return found


def write_pages(path: Path, texts: Sequence[str], size: int, count: int) -> int:
    """A WARC of pages of paragraphs with `size` bytes of text each, lines taken in turn; returns bytes of HTML."""
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    written, position, pages = 0, 0, []
    for number in range(count):
        body, length = [], 0
        while length < size:
            line = lines[position % len(lines)]
            body.append(f"<p>{line.replace('&', '&amp;').replace('<', '&lt;')}</p>")
            length += len(line.encode())
            position += 1
        html = f"<html><head><title>{number}</title></head><body><article>{''.join(body)}</article></body></html>"
        pages.append(Page(f"https://example.org/{number}", html.encode()))
        written += len(html.encode())
    write_warc(path, pages)
    return written
