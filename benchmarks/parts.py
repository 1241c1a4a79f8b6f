"""Single steps of ours and of other libraries on the same pages, in one process."""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import cpu, print_table
from benchmarks.pages import LIMIT, cuts, html_of, kilobytes_a_page
from benchmarks.steps import read
from pipeline.readers.warc import read_records
from pipeline.text.repair import clean

TYPICAL = 4_300  # bytes of text, for figures that peers publish a document


def measure(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Single steps, ours and of other libraries, on the same pages in one process; the fastest of the rounds."""
    result: dict[str, dict[str, float]] = {}
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    names: list[str] = []
    pages = options.pages[1]
    for file, (warc,) in cuts(files, [pages], folder).items():
        best: dict[str, float] = {}
        for _ in range(options.rounds):
            for name, seconds in _parts(warc):
                best[name] = min(best.get(name, seconds), seconds)
        names.append(f"{file}, {kilobytes_a_page(warc):.0f} kB")
        result[file] = {name: 1e3 * seconds / pages for name, seconds in best.items()}
        for name, milliseconds in result[file].items():
            rows[name][names[-1]] = f"{milliseconds:.3f}"
    table = [[step, *(found.get(name, "") for name in names)] for step, found in rows.items()]
    title = f"Parts, ms a page, {pages} pages of each file, fastest of {options.rounds} rounds"
    print_table(title, ["step", *names], table)
    return result


def _parts(warc: Path) -> Iterator[tuple[str, float]]:
    import datasketch
    import trafilatura
    from resiliparse.extract.html2text import extract_plain_text
    from warcio.archiveiterator import ArchiveIterator as WarcioIterator

    from pipeline.dedup.minhash import SignatureScheme, sign_many
    from pipeline.dedup.shingles import NormalWords
    from pipeline.text.language.fasttext_models import load_by_fasttext
    from pipeline.text.language.identifiers import EMBEDDED, LanguageIdentifier, resolve_model
    from pipeline.text.main_text.extractors import extract
    from pipeline.text.metrics.contract import WordLists, measure
    from pipeline.text.metrics.view import TextView
    from pipeline.text.words.segmenters import segment_with_icu

    def warcio() -> None:
        with warc.open("rb") as file:
            for record in WarcioIterator(file):
                record.content_stream().read()

    yield "fastwarc: read", cpu(lambda: read(warc))
    yield "warcio: read", cpu(warcio)
    yield "Glotmill: read, lengths checked", cpu(lambda: list(read_records(warc, LIMIT)))
    pages = list(html_of(warc))
    extract(pages[0])
    yield "resiliparse: main text", cpu(lambda: [extract_plain_text(page, main_content=True) for page in pages])
    yield "Glotmill: main text", cpu(lambda: [extract(page) for page in pages])
    yield (
        "trafilatura: precision",
        cpu(lambda: [trafilatura.extract(page, favor_precision=True, include_comments=False) for page in pages]),
    )
    texts = [text for page in pages if (text := clean(extract(page)[0] or "").strip())]
    identifier = LanguageIdentifier()
    identifier.identify(texts[:1])
    yield "Glotmill: language and script (lid.176, 2,000 characters)", cpu(lambda: identifier.identify(texts))
    fasttext = load_by_fasttext(resolve_model(EMBEDDED)[0])
    lines = [" ".join(text[:2000].split()) for text in texts]
    yield "fastText: language (lid.176, 2,000 characters)", cpu(lambda: fasttext.predict(lines, k=10, threshold=0.01))
    yield "Glotmill: words (ICU)", cpu(lambda: [segment_with_icu(text) for text in texts])
    if tokenizer := _spacy():
        yield "spaCy: words", cpu(lambda: [tokenizer(text) for text in texts])
    words = [segment_with_icu(text) for text in texts]
    lists = WordLists(frozenset({"the", "of", "and"}))
    measure(TextView.from_words(texts[0], words[0]), lists)
    yield (
        "Glotmill: all metrics, words given",
        cpu(lambda: [measure(TextView.from_words(*one), lists) for one in zip(texts, words, strict=True)]),
    )
    typical = [text.encode()[:TYPICAL].decode(errors="ignore") for text in texts if len(text.encode()) >= TYPICAL]
    if typical:
        seconds = cpu(lambda: [measure(TextView.from_words(one, segment_with_icu(one)), lists) for one in typical])
        yield "Glotmill: words and all metrics, 4.3 kB of text", seconds / len(typical) * len(pages)
    scheme = SignatureScheme()
    hashes = [NormalWords.of(one).hashes() for one in words]
    sign_many(hashes[0], [0, len(hashes[0])], scheme)
    yield (
        "Glotmill: normalise and hash words",
        cpu(lambda: [NormalWords.of(one).hashes() for one in words]),
    )
    yield (
        "Glotmill: MinHash of 112, words hashed",
        cpu(lambda: [sign_many(one, [0, len(one)], scheme) for one in hashes]),
    )
    shingles = [[" ".join(one[i : i + 5]) for i in range(len(one) - 4)] for one in map(list, words)]
    encoded = [[one.encode() for one in many] for many in shingles]

    def sketch() -> None:
        for many in encoded:
            datasketch.MinHash(num_perm=112).update_batch(many)

    yield "datasketch: MinHash of 112, shingles given", cpu(sketch)
    try:
        from rensa import RMinHash
    except ImportError:
        return

    def rensa() -> None:
        for many in shingles:
            RMinHash(num_perm=112, seed=1).update(many)

    yield "rensa: MinHash of 112, shingles given", cpu(rensa)


def _spacy() -> Any:
    try:
        import spacy
    except ImportError:
        return None
    nlp = spacy.blank("en")
    nlp.max_length = LIMIT
    return nlp.tokenizer
