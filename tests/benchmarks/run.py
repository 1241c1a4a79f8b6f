"""make bench: CPU of Glotmill and of its peers on the same pages, in the same run.

python -m tests.benchmarks.run [--data FOLDER] [--files N] [--pages 200 600] [--rounds 3] [--only NAME ...] [--json F]

Every WARC of samples/ and of the data folder is cut to a few and to more pages; each command runs on both, one after
the other in every round, so that a busy machine is busy for all of them. A figure is CPU, user and system, of the whole
tree of processes; per page it is marginal, the slope between the two; what is left is the start. Medians of the rounds.

Sections: command (Glotmill and datatrove's recipe from WARC to clean documents), parts (single libraries on the same
pages in one process), profile (annotate by step, which adds up to the whole), shapes (tiny and huge pages, scripts),
memory (a large file made of the same records).
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.config import load_run_config
from pipeline.passes.annotate import StepClock, annotate_shard
from pipeline.stages.read_warc import Record, parse_http, read_records
from pipeline.text.decode import decode
from pipeline.text.repair import clean

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("GLOTMILL_BENCH_DATA", ROOT.parent / "shared" / "data" / "warc"))
LIMIT = 16 * 2**20  # bytes of a record
SECTIONS = ("command", "parts", "profile", "shapes", "memory")


def main() -> None:
    """Parse, run the sections asked for, print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of more WARC files")
    parser.add_argument("--files", type=int, default=0, help="only the largest so many files; 0: all")
    parser.add_argument("--pages", type=int, nargs=2, default=(200, 600), help="pages that the slope is taken between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--megabytes", type=int, default=200, help="size of the file for memory")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    files = sorted([*(ROOT / "samples").glob("crawl-*.warc.gz"), *options.data.glob("*.warc.gz")], key=_size)[::-1]
    files = files[: options.files or None]
    print(f"{date.today()}, {_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before", flush=True)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for section in options.only:
            figures[section] = globals()[f"measure_{section}"](files, options, Path(folder))
    print(f"load {os.getloadavg()[0]:.1f} after")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


# ---- command ---------------------------------------------------------------------------------------------


def measure_command(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """CPU of whole commands: marginal per page, start, pages a second and core, and how many times datatrove's."""
    commands: dict[str, Callable[[Path, Path], list[str]]] = {
        "Glotmill": lambda warc, out: _glotmill(warc, out, perplexity=True),
        "Glotmill, no perplexity": lambda warc, out: _glotmill(warc, out, perplexity=False),
        "datatrove, FineWeb2": lambda warc, out: [
            sys.executable, "-m", "tests.benchmarks.datatrove_recipe", str(warc), str(out),
        ],
    }  # fmt: skip
    few, many = options.pages
    inputs = {path: [cut(path, count, folder) for count in (few, many)] for path in files}
    for path in files[:1]:  # kernels, block lists and tokenizers: made once a machine
        for name, command in commands.items():
            _cpu_of(command(inputs[path][0][0], folder / f"warm-{name}"))
    seconds: dict[tuple[Path, str, int], list[float]] = defaultdict(list)
    for number in range(options.rounds):
        for path in files:
            for name, command in commands.items():
                for warc, pages in inputs[path]:
                    out = folder / f"{number}-{warc.stem}-{name}"
                    seconds[path, name, pages].append(_cpu_of(command(warc, out)))
    rows, result = [], {}
    for path in files:
        (_, low), (warc, high) = inputs[path]
        costs = {
            name: [
                (b - a) / (high - low) for a, b in zip(seconds[path, name, low], seconds[path, name, high], strict=True)
            ]
            for name in commands
        }
        for name in commands:
            per_page = statistics.median(costs[name])
            start = statistics.median(seconds[path, name, low]) - per_page * low
            whole = statistics.median(seconds[path, name, high]) / high
            times = statistics.median(costs["datatrove, FineWeb2"]) / per_page
            rows.append(
                [path.name, f"{_kilobytes(warc, high):.0f}", name, f"{1e3 * per_page:.1f}", f"{1 / per_page:.0f}",
                 f"{times:.1f}", f"{start:.1f}", f"{1e3 * whole:.1f}"]
            )  # fmt: skip
            result[f"{path.name} {name}"] = {"ms_a_page": 1e3 * per_page, "start_s": start, "times_less": times}
    _table(
        f"Whole commands, {few} and {many} pages, median of {options.rounds} rounds",
        ["file", "kB a page", "what", "ms a page", "pages/s", "times less", "start s", "ms a page, whole command"],
        rows,
    )
    return result


def _glotmill(warc: Path, out: Path, perplexity: bool) -> list[str]:
    switch = f"perplexity={str(perplexity).lower()}"
    return [sys.executable, "-m", "pipeline", "run", "--input", str(warc), "--output", str(out), "--set", switch]


def _cpu_of(command: list[str]) -> float:
    """CPU of a command and of all that it waited for; raises CalledProcessError with its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        print(done.stdout[-3000:], file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# ---- parts -----------------------------------------------------------------------------------------------


def measure_parts(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Single steps, ours and of other libraries, on the same pages in one process; the fastest of the rounds."""
    result = {}
    for path in files:
        warc, pages = cut(path, options.pages[1], folder)
        best: dict[str, float] = {}
        for _ in range(options.rounds):
            for name, seconds in _parts(warc):
                best[name] = min(best.get(name, seconds), seconds)
        rows = [[name, f"{1e3 * seconds / pages:.3f}"] for name, seconds in best.items()]
        _table(f"Parts, {path.name}, {pages} pages of {_kilobytes(warc, pages):.0f} kB", ["step", "ms a page"], rows)
        result[path.name] = {name: 1e3 * seconds / pages for name, seconds in best.items()}
    return result


def _parts(warc: Path) -> Iterator[tuple[str, float]]:
    import datasketch
    import trafilatura
    from fastwarc.warc import ArchiveIterator
    from resiliparse.extract.html2text import extract_plain_text
    from warcio.archiveiterator import ArchiveIterator as WarcioIterator

    from pipeline.dedup.minhash import SignatureScheme, sign_many
    from pipeline.dedup.shingles import NormalWords
    from pipeline.text.extract import extract
    from pipeline.text.lid import LanguageIdentifier
    from pipeline.text.metrics import WordLists, measure
    from pipeline.text.segment import segment_with_icu
    from pipeline.text.view import TextView

    def fastwarc() -> None:
        with warc.open("rb") as file:
            for record in ArchiveIterator(file):
                record.reader.read()

    def warcio() -> None:
        with warc.open("rb") as file:
            for record in WarcioIterator(file):
                record.content_stream().read()

    yield "fastwarc: read", _cpu(fastwarc)
    yield "warcio: read", _cpu(warcio)
    yield "Glotmill: read, lengths checked", _cpu(lambda: list(read_records(warc, LIMIT)))
    pages = list(html_of(warc))
    yield "resiliparse: main text", _cpu(lambda: [extract_plain_text(page, main_content=True) for page in pages])
    yield "Glotmill: main text", _cpu(lambda: [extract(page) for page in pages])
    yield (
        "trafilatura: precision",
        _cpu(lambda: [trafilatura.extract(page, favor_precision=True, include_comments=False) for page in pages]),
    )
    texts = [text for page in pages if (text := clean(extract(page)[0] or "").strip())]
    identifier = LanguageIdentifier()
    identifier.identify(texts[:1])
    yield "Glotmill: language (lid.176, 2,000 characters)", _cpu(lambda: identifier.identify(texts))
    yield "Glotmill: words (ICU)", _cpu(lambda: [segment_with_icu(text) for text in texts])
    if tokenizer := _spacy():
        yield "spaCy: words", _cpu(lambda: [tokenizer(text) for text in texts])
    words = [segment_with_icu(text) for text in texts]
    lists = WordLists(frozenset({"the", "of", "and"}))
    measure(TextView.from_words(texts[0], words[0]), lists)
    yield (
        "Glotmill: all metrics, words given",
        _cpu(lambda: [measure(TextView.from_words(*one), lists) for one in zip(texts, words, strict=True)]),
    )
    scheme = SignatureScheme()
    hashes = [NormalWords.of(one).hashes() for one in words]
    sign_many(hashes[0], [0, len(hashes[0])], scheme)
    yield (
        "Glotmill: normalise and hash words",
        _cpu(lambda: [NormalWords.of(one).hashes() for one in words]),
    )
    yield (
        "Glotmill: MinHash of 112, words hashed",
        _cpu(lambda: [sign_many(one, [0, len(one)], scheme) for one in hashes]),
    )
    shingles = [[" ".join(one[i : i + 5]) for i in range(len(one) - 4)] for one in map(list, words)]
    encoded = [[one.encode() for one in many] for many in shingles]

    def sketch() -> None:
        for many in encoded:
            datasketch.MinHash(num_perm=112).update_batch(many)

    yield "datasketch: MinHash of 112, shingles given", _cpu(sketch)
    try:
        from rensa import RMinHash
    except ImportError:
        return

    def rensa() -> None:
        for many in shingles:
            RMinHash(num_perm=112, seed=1).update(many)

    yield "rensa: MinHash of 112, shingles given", _cpu(rensa)


def _spacy() -> Any:
    try:
        import spacy
    except ImportError:
        return None
    nlp = spacy.blank("en")
    nlp.max_length = LIMIT
    return nlp.tokenizer


def _cpu(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


# ---- profile ---------------------------------------------------------------------------------------------


def measure_profile(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """annotate by step, its child apart; the sum is the whole. Medians of the rounds, models and kernels loaded."""
    result = {}
    for path in files:
        warc, pages = cut(path, options.pages[1], folder)
        rounds: dict[str, list[float]] = defaultdict(list)
        for number in range(options.rounds + 1):
            for step, seconds in _annotate(warc, folder / f"profile-{warc.stem}-{number}").items():
                if number:  # the first loads
                    rounds[step].append(seconds)
        steps = {step: 1e3 * statistics.median(values) / pages for step, values in rounds.items()}
        rows = [[step, f"{value:.2f}", f"{100 * value / sum(steps.values()):.0f}"] for step, value in steps.items()]
        rows.append(["sum", f"{sum(steps.values()):.2f}", "100"])
        _table(f"annotate by step, {path.name}, {pages} pages", ["step", "ms a page", "%"], rows)
        result[path.name] = steps
    return result


def _annotate(warc: Path, out: Path) -> dict[str, float]:
    """CPU seconds of annotate by step, with the child that extracts as one of them."""
    config = load_run_config(None, {"inputs": [str(warc)]})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = StepClock()
    annotate_shard(config, str(warc), out, clock)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"child that extracts": child, **clock.seconds}


# ---- shapes ----------------------------------------------------------------------------------------------

SHAPES = {  # label of the texts, bytes of text a page, pages
    "Latin": ("deu_Latn", 20_000, 60),
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


def measure_shapes(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """annotate on pages of one kind, made of the texts of the files; per page and per kilobyte of it."""
    texts = _texts_by_label(files, folder)
    rows, result = [], {}
    latin = None
    for name, (label, size, count) in SHAPES.items():
        if label not in texts:
            print(f"{name}: no text in {label}")
            continue
        warc = folder / f"shape-{name.replace(' ', '-')}.warc.gz"
        kilobytes = write_pages(warc, texts[label], size, count) / 1e3
        costs = []
        for number in range(options.rounds + 1):
            steps = _annotate(warc, folder / f"{warc.stem}-{number}")
            costs.append(sum(steps.values()) - steps["start"])
        seconds = statistics.median(costs[1:])
        latin = latin or seconds / kilobytes
        ratio = seconds / kilobytes / latin
        numbers = (kilobytes / count, 1e3 * seconds / count, 1e3 * seconds / kilobytes, ratio)
        rows.append([name, *(f"{number:.3g}" for number in numbers)])
        result[name] = {"ms_a_page": 1e3 * seconds / count, "times_latin_a_kilobyte": ratio}
    _table("annotate by shape of page", ["pages", "kB a page", "ms a page", "ms a kB", "times Latin a kB"], rows)
    return result


def _texts_by_label(files: Sequence[Path], folder: Path) -> dict[str, list[str]]:
    import pyarrow.parquet as pq

    found: dict[str, list[str]] = defaultdict(list)
    for path in files:
        _annotate(path, folder / "texts")
    for file in sorted((folder / "texts" / "annotated").glob("*.parquet")):
        table = pq.read_table(file, columns=["label", "text"])
        for label, text in zip(table["label"].to_pylist(), table["text"].to_pylist(), strict=True):
            found[label].append(text)
    return found


def write_pages(path: Path, texts: Sequence[str], size: int, count: int) -> int:
    """A WARC of pages of paragraphs with `size` bytes of text each, lines taken in turn; returns bytes of HTML."""
    from tests.make_warc import Page, write_warc

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


# ---- memory ----------------------------------------------------------------------------------------------


def measure_memory(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Memory of annotate and its child on a large file: real records over and over, ten moments of it."""
    large = folder / "large.warc.gz"
    with large.open("wb") as file:
        while file.tell() < options.megabytes * 1e6:
            for path in files:
                file.write(path.read_bytes())
    code = "import sys; from tests.benchmarks.run import _annotate; from pathlib import Path; "
    code += "_annotate(Path(sys.argv[1]), Path(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(large), str(folder / "memory")], cwd=ROOT)
    samples = []
    while process.poll() is None:
        samples.append((_memory(process.pid), sum(_memory(child) for child in _children(process.pid))))
        time.sleep(0.5)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "annotate")
    step = max(1, len(samples) // 10)
    rows = []
    for i in range(0, len(samples), step):
        worker, child = (max(pair[which] for pair in samples[i : i + step]) for which in (0, 1))
        rows.append([str(100 * i // len(samples)), str(worker), str(child)])
    _table(f"Resident memory, file of {_size(large) / 1e6:.0f} MB", ["% of the time", "worker MB", "child MB"], rows)
    return {"megabytes": samples[::step]}


def _memory(pid: int) -> int:
    """Resident megabytes of a process, 0 when it is gone."""
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


# ---- pages -----------------------------------------------------------------------------------------------


def responses(path: Path) -> Iterator[Record]:
    """Responses with a body."""
    for record in read_records(path, LIMIT):
        if isinstance(record, Record) and record.warc_type == "response" and record.body:
            yield record


def html_of(path: Path) -> Iterator[str]:
    """Decoded pages."""
    for record in responses(path):
        message = parse_http(record.body or b"", LIMIT)
        page, _, _ = decode(message.payload, message.headers.get("content-type", ""))
        if page:
            yield page


def cut(path: Path, pages: int, folder: Path) -> tuple[Path, int]:
    """The records of a file up to a number of responses, taken over again where it has fewer; and their number."""
    target = folder / f"{path.name.partition('.')[0]}-{pages}.warc.gz"
    if not target.exists():
        ends = [record.offset + record.length for record in responses(path)]
        data = path.read_bytes()
        with target.open("wb") as file:
            for _ in range(pages // len(ends)):
                file.write(data[: ends[-1]])
            if rest := pages % len(ends):
                file.write(data[: ends[rest - 1]])
    return target, pages


def _kilobytes(warc: Path, pages: int) -> float:
    return sum(len(record.body or b"") for record in responses(warc)) / pages / 1e3


def _size(path: Path) -> int:
    return path.stat().st_size


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}\n")
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("| " + " | ".join(cells) + " |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
