"""annotate: one input file in, one Parquet of documents out, one of dropped records, one manifest.

Every measurement is made here, in one pass; nothing is decided but what costs too much to measure.
"""

import gc
import hashlib
import logging
import re
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it
import pyarrow.parquet as pq

from pipeline.config.run_settings import LANGUAGE_CONFIGS, RunConfig, fingerprint
from pipeline.errors import BusyError
from pipeline.execution.commit import (
    committed,
    create_json,
    finished,
    names_full_storage,
    read_json,
    sha256_of,
    write_json,
)
from pipeline.execution.sandbox.parent import WatchedChild, kept_child
from pipeline.execution.storage import Location, ObjectPath, local_copy, locate
from pipeline.readers.warc import CARRIERS, Gap, HttpMessage, Record, parse_http, read_records
from pipeline.schema.columns import ANNOTATED, DROPPED, MEASURED, PAYLOAD, RECORD, schema
from pipeline.stages.block_urls import block_reason
from pipeline.stages.contract import Stage, apply
from pipeline.stages.extract_text import HTML_TYPES, ExtractText
from pipeline.stages.identify_language import IdentifyLanguage
from pipeline.stages.measure_quality import MeasureQuality
from pipeline.stages.score_perplexity import ScorePerplexity
from pipeline.text.language.identifiers import resolve_model
from pipeline.text.main_text import MODEL as EXTRACTION_MODEL
from pipeline.text.main_text import Utf8
from pipeline.text.main_text.extractors import Extraction

logger = logging.getLogger(__name__)

FORMAT = 2
LIBRARIES = [
    "fastwarc",
    "resiliparse",
    "ftfy",
    "icu4py",
    "fasttext-numpy2-wheel",
    "kenlm",
    "sentencepiece",
    "pyarrow",
    "faust-cchardet",
    "datatrove",
]
# Those of the word tokenizers that segmenter = "datatrove" may load, as far as they are installed.
TOKENIZERS = [
    "spacy",
    "SudachiPy",
    "sudachidict-core",
    "jieba",
    "pyvi",
    "pythainlp",
    "indic-nlp-library",
    "kiwipiepy",
    "kiwipiepy-model",
    "khmer-nltk",
    "laonlp",
    "botok",
    "pyidaungsu-numpy2",
    "stanza",
]
BATCH_RECORDS = 256
BATCH_BYTES = 32 * 2**20
CRAWL_ID = re.compile(r"CC-MAIN-\d{4}-\d{2}(?:-\d{2})?")
IS_PART_OF = re.compile(rb"^isPartOf\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
SOURCE = schema(RECORD, PAYLOAD).append(pa.field("drop_reason", pa.string()))


def shard_name(file_path: str) -> str:
    """A file name for a shard's outputs: stem and a hash of the whole path, so that equal stems differ.

    >>> shard_name("a/CC-MAIN-1.warc.gz")
    'CC-MAIN-1-36a65274'
    """
    stem = re.sub(r"(\.warc|\.wet|\.arc|\.gz|\.zst)+$", "", Path(file_path).name)
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", stem)[:80]
    return f"{safe}-{hashlib.sha256(file_path.encode()).hexdigest()[:8]}"


def annotate_state(config: RunConfig) -> dict[str, Any]:
    """Settings, word lists, models and library versions that annotate reads; a change of any makes it run again."""
    folder = Path(config.language_configs) if config.language_configs else LANGUAGE_CONFIGS
    models = Path(__file__).resolve().parents[2] / "models"
    files = sorted(folder.glob("*_words/*.txt")) + sorted(
        (Path(config.models) if config.models else models).rglob("*.*")
    )
    files.append(EXTRACTION_MODEL)
    digests = {
        path.name + path.parent.name: _digest(path, path.stat().st_mtime_ns) for path in files if path.suffix != ".md"
    }
    gate = [config.lid.gate.model] if config.lid.gate else []
    digests |= {f"lid {name}": _model_digest(name) for name in (config.lid.model, *gate)}
    versions = _versions()
    if config.segmenter == "datatrove":
        versions = versions | {name: version(name) for name in TOKENIZERS if any(distributions(name=name))}
    return {"format": FORMAT, "settings": config.annotate_settings(), "files": digests, "versions": versions}


@cache
def _digest(path: Path, _changed: int) -> str:
    """The sha256 of a word list or model, made once for each state of it, not once a shard."""
    return sha256_of(path)


@cache
def _model_digest(name: str) -> str:
    path, known = resolve_model(name)
    return known or sha256_of(path)


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


class StepClock:
    """CPU seconds by step, which add up to all that this process and its child used since the clock was made.

    They stand in no manifest, because the same inputs give the same bytes; `make bench` prints them.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, step: str) -> None:
        """Book what passed since the last call to a step."""
        now = time.process_time()
        self.book(step, now - self._last)
        self._last = now

    def book(self, step: str, seconds: float) -> None:
        """Book what another process has used."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds


def annotate_shard(
    config: RunConfig, file_path: str, output: Location, clock: StepClock | None = None
) -> dict[str, Any]:
    """Annotate one file; returns its manifest. Does nothing where a manifest with the same fingerprint exists.

    Any number of processes may do this at once for one file: they write the same bytes, and the first to create the
    manifest has made the shard. A local file that changed its size is read again; what a URL names is taken not to
    change.
    """
    source = locate(file_path)
    manifest_path = output / "annotated" / f"{shard_name(file_path)}.json"
    size = None if isinstance(source, ObjectPath) else source.stat().st_size
    key = fingerprint([annotate_state(config), file_path, size])
    if (manifest := finished(manifest_path, key)) is not None:
        return manifest
    manifest_path.unlink(missing_ok=True)  # of other settings: the data beside it are about to be replaced
    with local_copy(source) as local:
        manifest = {"fingerprint": key, **_annotate(config, file_path, local, output, clock or StepClock())}
    if not create_json(manifest_path, manifest) and finished(manifest_path, key) is None:
        raise BusyError(f"{manifest_path}: another run with other settings has just made it; end that run first")
    return manifest


def _annotate(config: RunConfig, file_path: str, local: Path, output: Location, clock: StepClock) -> dict[str, Any]:
    shard = shard_name(file_path)
    books = _Books()
    child = kept_child(config.extract.extractor, config.extract.cpu_seconds, config.extract.memory_bytes)
    used = child.cpu_used()
    clock.lap("start")
    annotated = output / "annotated" / f"{shard}.parquet"
    dropped = output / "dropped" / f"{shard}.parquet"
    with (
        committed(annotated) as documents_path,
        committed(dropped) as dropped_path,
    ):
        with (
            pq.ParquetWriter(documents_path, ANNOTATED, compression="zstd", write_page_index=True) as documents,
            pq.ParquetWriter(dropped_path, DROPPED, compression="zstd") as losses,
        ):
            verdicts = _Verdicts(output / "quarantine" / f"{shard}.json", child)
            stages: list[Stage] = [
                ExtractText(config, verdicts.extract),
                IdentifyLanguage(config),
                MeasureQuality(config),
                ScorePerplexity(config),
            ]
            _run(config, _Source(file_path, local), stages, books, documents, losses, clock)
        clock.lap("write_files")
        digests = {"annotated": sha256_of(documents_path), "dropped": sha256_of(dropped_path)}
    clock.lap("checksums")
    clock.book("child that extracts", child.cpu_used() - used)
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in clock.seconds.items())
    logger.info("annotate %s: %d documents, CPU seconds by step: %s", shard, books.documents, steps)
    return {
        "shard": shard,
        "file_path": file_path,
        "file_bytes": local.stat().st_size,
        "records_by_type": dict(sorted(books.types.items())),
        "record_bytes": books.record_bytes,
        "gaps": books.gaps,
        "documents": books.documents,
        "dropped": dict(sorted(books.reasons.items())),
        "rows_by_label": dict(sorted(books.labels.items())),
        "characters": books.characters,
        "runs": books.runs,
        "sha256": digests,
    }


@dataclass(frozen=True)
class _Source:
    """An input by the name that rows carry, and where its bytes lie now."""

    file_path: str
    local: Path


class _Books:
    """What was read and where it went; audit balances it."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.record_bytes = self.documents = self.characters = 0
        self.gaps: list[dict[str, Any]] = []
        self.runs: list[int] = []


class _Verdicts:
    """Records that killed two fresh children: the verdict is written before going on and replayed afterwards."""

    def __init__(self, path: Location, child: WatchedChild) -> None:
        self.path = path
        self.child = child
        self.known: dict[str, str] = read_json(path) if path.exists() else {}

    def extract(self, pages: Iterable[Utf8]) -> Iterator[Extraction]:
        waiting: deque[tuple[Utf8, str | None]] = deque()  # a page and what is known of it, while the child reads ahead
        answers = self.child.extract(self._unknown(pages, waiting))
        for answer in answers:
            yield from _replayed(waiting)
            page, _ = waiting.popleft()
            if answer.fault in ("cpu_limit", "memory_limit", "killed"):
                self.known[_key(page)] = answer.fault
                write_json(self.path, self.known)
            yield answer
        yield from _replayed(waiting)

    def _unknown(self, pages: Iterable[Utf8], waiting: deque[tuple[Utf8, str | None]]) -> Iterator[Utf8]:
        for page in pages:
            fault = self.known.get(_key(page)) if self.known else None
            waiting.append((page, fault))
            if fault is None:
                yield page


def _replayed(waiting: deque[tuple[Utf8, str | None]]) -> Iterator[Extraction]:
    """The verdicts of the pages that come before the next one without."""
    while waiting and waiting[0][1] is not None:
        yield Extraction(fault=waiting.popleft()[1])


def _key(page: Utf8) -> str:
    return hashlib.sha256(page).hexdigest()


def _run(
    config: RunConfig,
    source: _Source,
    stages: list[Stage],
    books: _Books,
    documents: pq.ParquetWriter,
    losses: pq.ParquetWriter,
    clock: StepClock,
) -> None:
    segment: list[pa.Table] = []
    lost: list[pa.Table] = []
    rows = size = 0
    for kept, gone in _batches(_source_rows(config, source, books)):
        _lose(gone, lost, books)
        clock.lap("read_warc")
        for stage in stages:
            kept = apply(stage, kept)
            if stage.name == "extract_text":
                kept = kept.drop_columns(list(PAYLOAD))  # before rows are parted, which copies them
            kept, gone = _part(kept)
            _lose(gone, lost, books)
            clock.lap(stage.name)
        kept = kept.drop_columns(list(MEASURED))
        segment.append(kept)
        _freeze_loaded()
        rows += kept.num_rows
        size += kept.nbytes
        if rows >= config.execution.segment_records or size >= config.execution.segment_bytes:
            _flush(segment, lost, books, documents, losses)
            rows = size = 0
        clock.lap("write_files")
    _flush(segment, lost, books, documents, losses)


@cache
def _freeze_loaded() -> None:
    """Spare the garbage collector what a process has loaded by the end of its first batch: it is there to stay."""
    gc.freeze()


def _part(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Kept and dropped rows."""
    reasons = table["drop_reason"]
    if reasons.null_count == table.num_rows:
        return table, table.slice(0, 0)
    is_kept = reasons.is_null()
    return table.filter(is_kept), table.filter(pa.compute.invert(is_kept))


def _lose(gone: pa.Table, lost: list[pa.Table], books: _Books) -> None:
    if not gone.num_rows:
        return
    books.reasons.update(gone["drop_reason"].to_pylist())
    columns = [
        gone[field.name] if field.name in gone.column_names else pa.nulls(gone.num_rows, field.type)
        for field in DROPPED
    ]
    lost.append(pa.table(columns, schema=DROPPED))


def _flush(
    segment: list[pa.Table],
    lost: list[pa.Table],
    books: _Books,
    documents: pq.ParquetWriter,
    losses: pq.ParquetWriter,
) -> None:
    if lost:
        with names_full_storage(losses.where):
            losses.write_table(pa.concat_tables(lost).sort_by("warc_offset"))
        lost.clear()
    rows = pa.concat_tables(segment).select(ANNOTATED.names) if segment else None
    segment.clear()
    if rows is None or not rows.num_rows:
        return
    order = [
        ("group", "ascending"),
        ("label", "ascending"),
        ("warc_offset", "ascending"),
        ("id", "ascending"),
    ]
    rows = rows.sort_by(order).cast(ANNOTATED)
    books.documents += rows.num_rows
    books.labels.update(rows["label"].to_pylist())
    books.characters += sum(rows["character_count"].to_pylist())
    books.runs.append(rows.num_rows)
    with names_full_storage(documents.where):
        documents.write_table(rows, row_group_size=10_000)


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Kept and dropped rows, so many at once."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row["payload"] or b"")
        if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
            tables, batch, size = _tables(batch), [], 0
            yield tables
    if batch:
        yield _tables(batch)


def _tables(batch: list[dict[str, Any]]) -> tuple[pa.Table, pa.Table]:
    kept = [row for row in batch if row["drop_reason"] is None]
    gone = [row for row in batch if row["drop_reason"] is not None]
    payloads = pa.chunked_array([_as_it_lies(row.pop("payload")) for row in kept], pa.large_binary())
    place = SOURCE.get_field_index("payload")
    table = pa.Table.from_pylist(kept, schema=SOURCE.remove(place)).add_column(place, SOURCE.field(place), payloads)
    return table, pa.Table.from_pylist(gone, schema=SOURCE)


def _as_it_lies(payload: bytes | memoryview | None) -> pa.Array:
    """A column of one row, which holds the bytes themselves: copies of all pages of a batch are 32 MB."""
    if payload is None:
        return pa.nulls(1, pa.large_binary())
    bounds = np.array([0, len(payload)], np.int64)
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(bounds), pa.py_buffer(payload)])


def _source_rows(config: RunConfig, source: _Source, books: _Books) -> Iterator[dict[str, Any]]:
    file_path = source.file_path
    in_path = CRAWL_ID.search(file_path)
    dump = in_path[0] if in_path else config.read.dump
    for ordinal, item in enumerate(read_records(source.local, config.read.max_record_bytes)):
        if isinstance(item, Gap):
            books.gaps.append({"start": item.start, "end": item.end, "reason": item.reason})
            continue
        books.types[item.warc_type] += 1
        books.record_bytes += item.length
        if item.warc_type == "warcinfo" and (part := _is_part_of(source.local, item)):
            dump = part
        if item.warc_type in CARRIERS:
            yield _source_row(config, file_path, dump, ordinal, item)


def _is_part_of(path: Path, record: Record) -> str | None:
    """The crawl that a warcinfo record names."""
    from fastwarc.warc import ArchiveIterator

    try:
        with path.open("rb") as file:
            file.seek(record.offset)
            block = next(iter(ArchiveIterator(file, parse_http=False))).reader.read(65_536)
    except (OSError, StopIteration, ValueError):
        return None
    match = IS_PART_OF.search(block)
    return match[1].decode("ascii", "replace") if match else None


def _source_row(config: RunConfig, file_path: str, dump: str, ordinal: int, record: Record) -> dict[str, Any]:
    headers = record.headers
    stated = headers.get("warc-record-id", "").strip().strip("<>")
    row: dict[str, Any] = {
        "id": _valid(f"<{stated}>" if stated else _made_id(file_path, record.offset, ordinal)),
        "url": _valid(headers.get("warc-target-uri", "").strip().strip("<>")) or None,
        "date": headers.get("warc-date"),
        "dump": dump,
        "file_path": file_path,
        "warc_offset": record.offset,
        "warc_length": record.length,
        "warc_type": record.warc_type,
        "http_status": None,
        "truncated": headers.get("warc-truncated"),
        "content_type": headers.get("content-type", ""),
        "payload": record.body,
        "drop_reason": record.fault,
    }
    if record.fault is None and record.body is not None:
        _open_payload(config, row, record)
    if row["drop_reason"] is not None:
        row["payload"] = None
    return row


def _made_id(file_path: str, offset: int, ordinal: int) -> str:
    return f"urn:glotmill:{hashlib.sha256(f'{file_path} {offset} {ordinal}'.encode()).hexdigest()}"


def _open_payload(config: RunConfig, row: dict[str, Any], record: Record) -> None:
    """Undo HTTP, then the cheap gates: status, type, URL."""
    kind = row["content_type"]
    if record.warc_type == "response" and kind.lower().startswith("application/http"):
        message: HttpMessage = parse_http(record.body or b"", config.read.max_record_bytes)
        row["http_status"] = message.status or None
        row["content_type"] = kind = message.headers.get("content-type", "")
        row["payload"] = memoryview(message.block)[message.start :]  # no copy
        row["drop_reason"] = message.fault if message.status in (0, 200) else "http_status"
    if row["drop_reason"] is None and not _wanted_type(record, kind):
        row["drop_reason"] = "not_html"
    if row["drop_reason"] is None and config.read.block_urls and row["url"]:
        row["drop_reason"] = block_reason(row["url"])


def _wanted_type(record: Record, kind: str) -> bool:
    stated = kind.partition(";")[0].strip().lower()
    if record.warc_type == "conversion":
        return stated in ("text/plain", "")
    identified = record.headers.get("warc-identified-payload-type", "").partition(";")[0].strip().lower()
    return (identified or stated) in HTML_TYPES or not (identified or stated)


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
