"""How much boilerplate the pass boilerplate finds on real pages, and how much main text; for docs/deduplication.md.

    python -m benchmarks.boilerplate

Pages of the development data on sites with two pages or more, as three extractors leave them: ours, resiliparse, and
the whole page as WET files have it. A line of a page with a reference text is main text where it is a line of that, or
25 characters or more of it, letters and digits compared; else it is boilerplate. The manuals (help pages, handbooks,
ours only) have no reference: their menus are gone, and what repeats in them is code and headings, so whatever is found
there is counted as main text.
"""

import re
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig
from pipeline.operations.run import reselect, run
from pipeline.output.output import Output
from pipeline.passes.boilerplate.mark import RANGE_COLUMNS
from pipeline.schema.metrics import HOST_BOILERPLATE
from pipeline.text.main_text.extractors import extract
from pipeline.training.gold_pages import GOLD, GoldPage, load_pages
from tests.make_warc import conversion_record, record_id_of, warcinfo_record, write_records

MANUALS = "debdocs-dev"
MANY = 10  # pages of a large site
PART = 25  # letters and digits, from which on a line can be a part of a line of the reference
GRID = [(2, 0.0), (3, 0.0), (3, 0.05), (3, 0.1), (3, 0.2), (3, 0.5), (5, 0.1)]  # the smallest number comes first


def whole_page(page: GoldPage) -> str | None:
    """All text of a page, block by block."""
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(page.html, main_content=False, alt_texts=False)
    return text


EXTRACTORS = {
    "ours": lambda page: extract(page.html).text,
    "resiliparse": lambda page: extract(page.html, "resiliparse").text,
    "whole page": whole_page,
}


class Found(NamedTuple):
    """Characters of lines: all, and those found, of boilerplate and of main text."""

    boilerplate: int = 0
    main: int = 0
    boilerplate_found: int = 0
    main_found: int = 0


def squashed(text: str) -> str:
    """Letters and digits of a text.

    >>> squashed("A-b\\n1")
    'ab1'
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def measured(layout: Output) -> set[str]:
    """Ids of the documents whose host is large enough."""
    found = set()
    for shard in layout.shards():
        ids = pq.read_table(layout.annotated(shard), columns=["id"])["id"].to_pylist()
        marks = pq.read_table(layout.boilerplate(shard), columns=[HOST_BOILERPLATE])[HOST_BOILERPLATE]
        found |= {one for one, value in zip(ids, marks.to_pylist(), strict=True) if value is not None}
    return found


def judged(layout: Output, pages: dict[str, GoldPage]) -> Found:
    """What was found on some pages, which have a reference or are of the manuals."""
    total = [0, 0, 0, 0]
    for shard in layout.shards():
        texts = pq.read_table(layout.annotated(shard), columns=["id", "text"]).to_pylist()
        for row, marks in zip(texts, pq.read_table(layout.boilerplate(shard)).to_pylist(), strict=True):
            if row["id"] not in pages:
                continue
            page = pages[row["id"]]
            reference = (row["text"] if page.corpus == MANUALS else page.text) or ""
            lines, whole = {squashed(line) for line in reference.split("\n")}, squashed(reference)
            starts = set(marks[RANGE_COLUMNS[0]])
            place = 0
            for line in row["text"].split("\n"):
                letters = squashed(line)
                main = letters in lines or (len(letters) >= PART and letters in whole)
                total[main] += len(line)
                total[2 + main] += len(line) * (place in starts)
                place += len(line) + 1
    return Found(*total)


def main() -> None:
    """Print the table."""
    with_reference = [page for page in load_pages(GOLD) if page.text]
    print("| text | `min_documents` | fraction | boilerplate found | on large sites | precision | main text lost |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, read in EXTRACTORS.items():
        for kind in (name, "manuals") if name == "ours" else (name,):
            pages = load_pages((MANUALS,)) if kind == "manuals" else with_reference
            with tempfile.TemporaryDirectory() as folder:
                table(kind, {record_id_of(page.id): page for page in pages}, read, Path(folder))


def table(kind: str, pages: dict[str, GoldPage], read, folder: Path) -> None:  # type: ignore[no-untyped-def]
    """Run the pipeline over the texts of some pages, and print a row for each setting."""
    records = [warcinfo_record("pages")]
    for number, (record_id, page) in enumerate(pages.items()):
        if text := read(page):
            records.append(conversion_record(f"http://{page.site}/{number}", text, record_id))
    write_records(folder / "pages.warc.wet.gz", records)
    settings = {"inputs": [str(folder / "pages.warc.wet.gz")], "output": str(folder / "out"), "perplexity": False}
    layout = run(RunConfig.model_validate(settings | {"select": {"rules": False}}))
    of_large_sites: set[str] = set()
    for documents, fraction in GRID:
        lines = {"enabled": True, "min_documents": documents, "min_document_fraction": fraction}
        reselect(RunConfig.model_validate(settings | {"select": {"rules": False}, "boilerplate": lines}), layout, {})
        of_large_sites = of_large_sites or measured(layout)
        found = judged(layout, {one: page for one, page in pages.items() if one in of_large_sites})
        sites = Counter(page.site for page in pages.values())
        many = judged(layout, {one: page for one, page in pages.items() if sites[page.site] >= MANY})
        recalls = [f"{one.boilerplate_found / one.boilerplate:.3f}" if one.boilerplate else "" for one in (found, many)]
        of_all = found.boilerplate_found + found.main_found
        precision = f"{found.boilerplate_found / of_all:.4f}" if found.boilerplate and of_all else ""
        numbers = [*recalls, precision, f"{found.main_found / found.main:.4f}"]
        print(f"| {kind} | {documents} | {fraction:g} | {' | '.join(numbers)} |")


if __name__ == "__main__":
    main()
