"""Records of an input as rows, HTTP undone, and rows as tables of so many at a time."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.config.run_settings import RunConfig
from pipeline.passes.annotate.accounts import RecordAccounts
from pipeline.readers.contract import DOCUMENT_RECORD_TYPES, Record, UnreadableRange
from pipeline.readers.http import HttpMessage, parse_http
from pipeline.readers.warc import read_records
from pipeline.schema.columns import PAYLOAD, RECORD, schema
from pipeline.schema.manifests import UnreadableBytes
from pipeline.stages.block_urls import block_reason
from pipeline.stages.extract_text import HTML_TYPES

BATCH_RECORDS = 256
BATCH_BYTES = 32 * 2**20
CRAWL_ID = re.compile(r"CC-MAIN-\d{4}-\d{2}(?:-\d{2})?")
IS_PART_OF = re.compile(rb"^isPartOf\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
SOURCE = schema(RECORD, PAYLOAD).append(pa.field("drop_reason", pa.string()))


@dataclass(frozen=True)
class Source:
    """An input by the name that rows carry, and where its bytes lie now."""

    file_path: str
    local: Path


def batches(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[pa.Table, pa.Table]]:
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


def source_rows(config: RunConfig, source: Source, accounts: RecordAccounts) -> Iterator[dict[str, Any]]:
    file_path = source.file_path
    in_path = CRAWL_ID.search(file_path)
    dump = in_path[0] if in_path else config.read.dump
    for ordinal, item in enumerate(read_records(source.local, config.read.max_record_bytes)):
        if isinstance(item, UnreadableRange):
            accounts.unreadable_ranges.append(UnreadableBytes(start=item.start, end=item.end, reason=item.reason))
            continue
        accounts.types[item.warc_type] += 1
        accounts.record_bytes += item.length
        if item.warc_type == "warcinfo" and (part := _is_part_of(source.local, item)):
            dump = part
        if item.warc_type in DOCUMENT_RECORD_TYPES:
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
