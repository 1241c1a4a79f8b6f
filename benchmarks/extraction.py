"""Main-text extractors beside each other on real pages with reference text; prints the tables of docs/extraction.md.

    python -m benchmarks.extraction [--write] [--leave-language-out] [--cache FOLDER]

Ours is cross-validated: five folds by site, so that no page is read by trees that saw its site. With
`--leave-language-out` each language of DAnIEL is read by trees that saw no page in it. CPU time is the process's own,
of the whole way from a decoded string to text; ours is timed with the committed model. Texts of the other extractors
can be kept in a folder outside the repository, because trafilatura takes minutes.
"""

import argparse
import hashlib
import json
import random
import re
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.gold import snippet_counts, token_scores
from pipeline.text.main_text import choose
from pipeline.text.main_text.assembly import assemble, table_rows
from pipeline.text.main_text.extractors import extract
from pipeline.training.extractor_trees import Example, examples, train
from pipeline.training.gold_pages import GoldPage, load_kinds, load_pages

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "extraction.md"
FOLDS = 5
OURS = "glotmill"
Texts = dict[str, str]  # page id to text
STOP_LISTS = {
    "deu": "German", "ell": "Greek", "eng": "English", "fra": "French", "hun": "Hungarian", "ita": "Italian",
    "pol": "Polish", "por": "Portuguese", "rus": "Russian", "spa": "Spanish",
}  # fmt: skip


def _resiliparse(page: GoldPage) -> str | None:
    return extract(page.html, "resiliparse").text


def _trafilatura(**options: bool) -> Callable[[GoldPage], str | None]:
    def run(page: GoldPage) -> str | None:
        import trafilatura

        text: str | None = trafilatura.extract(page.html, include_comments=False, deduplicate=False, **options)
        return text

    return run


def _justext(page: GoldPage) -> str | None:
    import justext

    if stop_list := STOP_LISTS.get(page.language):
        paragraphs = justext.justext(page.html, justext.get_stoplist(stop_list))
    else:
        paragraphs = justext.justext(page.html, frozenset(), stopwords_low=0, stopwords_high=0)
    return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


OTHER_EXTRACTORS: dict[str, Callable[[GoldPage], str | None]] = {
    "trafilatura, precision": _trafilatura(favor_precision=True),
    "trafilatura, default": _trafilatura(),
    "trafilatura, fast": _trafilatura(fast=True),
    "resiliparse, main content": _resiliparse,
    "justext": _justext,
}


def run_other(name: str, pages: Sequence[GoldPage], cache: Path | None) -> tuple[Texts, float]:
    """Texts of another extractor, and CPU milliseconds a page."""
    key = hashlib.sha256("\n".join(page.id for page in pages).encode()).hexdigest()[:12]
    path = cache / f"{re.sub('[^a-z]+', '-', name)}-{key}.json" if cache else None
    if path and path.exists():
        texts, milliseconds = json.loads(path.read_text(encoding="utf-8"))
        return texts, milliseconds
    started = time.process_time()
    texts = {}
    for page in pages:
        try:
            texts[page.id] = OTHER_EXTRACTORS[name](page) or ""
        except Exception:  # a page that an extractor gives up on has no text
            texts[page.id] = ""
    milliseconds = 1000 * (time.process_time() - started) / len(pages)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps((texts, milliseconds)), encoding="utf-8")
    return texts, milliseconds


def by_site(example: Example) -> int:
    """The fold of a page: one for all pages of a site."""
    return zlib.crc32(example.page.site.encode()) % FOLDS


def read_unseen(known: Sequence[Example], group: Callable[[Example], object]) -> Texts:
    """Texts of pages, each read by trees trained on the other groups of pages."""
    texts: Texts = {}
    for held in sorted({group(example) for example in known}, key=str):
        if held is None:
            continue
        forest = train([example for example in known if group(example) != held])
        for example in known:
            if group(example) == held:
                rows = table_rows(example.blocks)
                kept = choose(example.blocks, forest.probabilities(example.matrix), rows)
                texts[example.page.id] = assemble(example.blocks, kept, rows)
    return texts


def milliseconds(pages: Sequence[GoldPage]) -> float:
    """CPU milliseconds a page of the committed extractor, its best of three rounds."""
    extract(pages[0].html, OURS)
    rounds = []
    for _ in range(3):
        started = time.process_time()
        for page in pages:
            extract(page.html, OURS)
        rounds.append(1000 * (time.process_time() - started) / len(pages))
    return min(rounds)


def full_scores(texts: Texts, pages: Sequence[GoldPage]) -> list[tuple[float, float, float]]:
    """Precision, recall and F1 of each page that has a whole reference."""
    return [token_scores(texts.get(page.id, ""), page.text) for page in pages if page.text is not None]


def snippet_score(texts: Texts, pages: Sequence[GoldPage]) -> tuple[float, int, int]:
    """F1, wanted snippets found and unwanted ones leaked, over all pages that have snippets."""
    counted = [snippet_counts(texts.get(page.id, ""), page) for page in pages if page.text is None]
    found, leaked = (sum(column) for column in zip(*counted, strict=True))
    wanted = sum(len(page.wanted) for page in pages if page.text is None)
    return 2 * found / (found + leaked + wanted), found, leaked


GROUPS: dict[str, Callable[[GoldPage], bool]] = {
    "modern, mostly English, human (aeb)": lambda page: page.corpus == "aeb",
    "modern, mostly English, tools' (np, readability)": lambda page: page.corpus in ("np", "readability"),
    **{f"DAnIEL {language}": (lambda page, language=language: page.corpus == "daniel" and page.language == language)  # type: ignore[misc]
       for language in ("ell", "eng", "pol", "rus", "zho")},
}  # fmt: skip


def tables(cache: Path | None, leave_language_out: bool) -> str:
    """All tables as Markdown."""
    pages, looked_at = load_pages(), load_kinds()
    known = examples(pages + looked_at)
    texts: dict[str, Texts] = {f"**{OURS}**, by site": read_unseen(known, by_site)}
    cost = {f"**{OURS}**, by site": milliseconds(pages)}
    for name in OTHER_EXTRACTORS:
        texts[name], cost[name] = run_other(name, pages, cache)
    kilobytes = sum(page.bytes for page in pages) / len(pages) / 1000
    wanted = sum(len(page.wanted) for page in pages)
    unwanted = sum(len(page.unwanted) for page in pages)
    lines = [
        f"{len(pages)} pages, {len({page.site for page in pages})} sites, {kilobytes:.0f} kB a page in the mean.",
        "",
        "| extractor | full F1 (precision / recall) | snippets F1 (found of "
        f"{wanted} / leaked of {unwanted}) | CPU ms a page | scaled to 143 kB |",
        "|---|---|---|---|---|",
    ]
    for name, found in texts.items():
        precision, recall, f1 = np.mean(full_scores(found, pages), axis=0)
        score, held, leaked = snippet_score(found, pages)
        lines.append(
            f"| {name} | {f1:.3f} ({precision:.3f} / {recall:.3f}) | {score:.3f} ({held} / {leaked}) | "
            f"{cost[name]:.1f} | {cost[name] * 143 / kilobytes:.1f} |"
        )
    lines += ["", "Mean full F1 by corpus and language:", "", "| pages | " + " | ".join(texts) + " |"]
    lines.append("|---" * (len(texts) + 1) + "|")
    for label, belongs in GROUPS.items():
        group = [page for page in pages if belongs(page)]
        values = [f"{np.mean(full_scores(found, group), axis=0)[2]:.3f}" for found in texts.values()]
        lines.append(f"| {label}, {len(group)} | " + " | ".join(values) + " |")
    lines += ["", _difference(texts, pages)]
    if leave_language_out:
        lines += ["", *_left_out(known, pages, texts["trafilatura, precision"])]
    lines += ["", *_kinds(looked_at, texts[f"**{OURS}**, by site"], cache)]
    return "\n".join(lines)


def _difference(texts: dict[str, Texts], pages: Sequence[GoldPage]) -> str:
    """Bootstrap intervals of the differences to the best mode of trafilatura, over pages."""
    ours = texts[f"**{OURS}**, by site"]
    full = [page for page in pages if page.text is not None]
    snippets = [page for page in pages if page.text is None]
    modes = [name for name in texts if name.startswith("trafilatura")]
    best_full = max(modes, key=lambda name: float(np.mean(full_scores(texts[name], full), axis=0)[2]))
    best_snippets = max(modes, key=lambda name: snippet_score(texts[name], snippets)[0])
    a, b = (np.array(full_scores(found, full))[:, 2] for found in (ours, texts[best_full]))
    generator = random.Random(1)
    means, scores = [], []
    for _ in range(1000):
        chosen = generator.choices(range(len(full)), k=len(full))
        means.append(float((a[chosen] - b[chosen]).mean()))
    counts = {
        name: np.array([(*snippet_counts(found.get(page.id, ""), page), len(page.wanted)) for page in snippets])
        for name, found in (("ours", ours), ("theirs", texts[best_snippets]))
    }
    for _ in range(1000):
        chosen = generator.choices(range(len(snippets)), k=len(snippets))
        f1 = {}
        for name, rows in counts.items():
            found_, leaked, wanted = rows[chosen].sum(axis=0)
            f1[name] = 2 * found_ / (found_ + leaked + wanted)
        scores.append(float(f1["ours"] - f1["theirs"]))
    low, high = np.quantile(means, (0.025, 0.975))
    low_s, high_s = np.quantile(scores, (0.025, 0.975))
    return (
        f"Difference to trafilatura's best mode, 95 % bootstrap interval over pages: full F1 {low:+.3f} to {high:+.3f} "
        f"({best_full}); snippets F1 {low_s:+.3f} to {high_s:+.3f} ({best_snippets})."
    )


def _left_out(known: Sequence[Example], pages: Sequence[GoldPage], other: Texts) -> list[str]:
    languages = ("ell", "eng", "pol", "rus", "zho")
    texts = read_unseen(known, lambda example: example.page.language if example.page.language in languages else None)
    lines = [
        "Trees that saw no page in the language:",
        "",
        "| language | full pages | glotmill | trafilatura, precision |",
    ]
    lines.append("|---|---|---|---|")
    for language in languages:
        group = [page for page in pages if page.language == language]
        ours, theirs = (np.mean(full_scores(found, group), axis=0)[2] for found in (texts, other))
        lines.append(f"| {language} | {len(full_scores(texts, group))} | {ours:.3f} | {theirs:.3f} |")
    return lines


def _kinds(pages: Sequence[GoldPage], ours: Texts, cache: Path | None) -> list[str]:
    """Pages that were looked at and have no main text, and others: who gives a text."""
    texts: dict[str, Texts] = {f"**{OURS}**, by site": {page.id: ours.get(page.id, "") for page in pages}}
    for name in OTHER_EXTRACTORS:
        texts[name] = run_other(name, pages, cache)[0]
    bare = [page.id for page in pages if page.text == ""]
    full = [page.id for page in pages if page.text is None]
    lines = [
        f"{len(bare)} pages without a main text (lists, log-in forms, errors) and {len(full)} with one, looked at by "
        "hand:",
        "",
        "| extractor | without: no text | without: mean characters | with: no text | with: mean characters |",
        "|---|---|---|---|---|",
    ]
    for name, found in texts.items():
        none, some = ([len(found[id_].strip()) for id_ in ids] for ids in (bare, full))
        lines.append(f"| {name} | {none.count(0)} | {np.mean(none):.0f} | {some.count(0)} | {np.mean(some):.0f} |")
    return lines


def main() -> None:
    """Print the tables; with --write, put them between the marks of docs/extraction.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--leave-language-out", action="store_true")
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    result = tables(options.cache, options.leave_language_out)
    print(result)
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, after = text.split("<!-- tables -->")[0], text.split("<!-- end of tables -->")[1]
        DOCUMENT.write_text(f"{before}<!-- tables -->\n{result}\n<!-- end of tables -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
