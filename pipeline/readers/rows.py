"""Records of an archive to rows: id, crawl, the HTTP message undone, and what is dropped without a look at its text."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.readers.contract import InputFile, Item, OtherRecord, ReadSettings, SourceRow, UnreadableRange
from pipeline.readers.http import parse_http
from pipeline.readers.records import DOCUMENT_RECORD_TYPES, Record
from pipeline.schema.drop_reasons import DropReason

HTML_TYPES = ("text/html", "application/xhtml+xml")
CRAWL_ID = re.compile(r"CC-MAIN-\d{4}-\d{2}(?:-\d{2})?")
IS_PART_OF = re.compile(rb"^isPartOf\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
WARCINFO_BYTES_MAX = 65_536


def rows_of(records: Iterable[Record | UnreadableRange], source: InputFile, settings: ReadSettings) -> Iterator[Item]:
    """The records of a file as items of the reader's contract, in order.

    The crawl is the one that a warcinfo record before them names, else the one in the file's name, else the settings'.
    """
    in_name = CRAWL_ID.search(source.name)
    dump = in_name[0] if in_name else settings.dump
    for ordinal, item in enumerate(records):
        if isinstance(item, UnreadableRange):
            yield item
            continue
        if item.warc_type == "warcinfo":
            dump = _is_part_of(source.path, item) or dump
        if item.warc_type in DOCUMENT_RECORD_TYPES:
            yield _row(item, ordinal, dump, source, settings)
        else:
            yield OtherRecord(item.warc_type, item.length)


def _is_part_of(path: Path, record: Record) -> str | None:
    """The crawl that a warcinfo record names."""
    from fastwarc.warc import ArchiveIterator

    try:
        with path.open("rb") as file:
            file.seek(record.offset)
            block = next(iter(ArchiveIterator(file, parse_http=False))).reader.read(WARCINFO_BYTES_MAX)
    except (OSError, StopIteration, ValueError):
        return None
    match = IS_PART_OF.search(block)
    return match[1].decode("ascii", "replace") if match else None


def _row(record: Record, ordinal: int, dump: str, source: InputFile, settings: ReadSettings) -> SourceRow:
    headers = record.headers
    content_type = headers.get("content-type", "")
    http_status = None
    payload: bytes | memoryview | None = record.body
    drop_reason = record.fault
    if drop_reason is None and record.warc_type == "response" and _is_http(content_type):
        message = parse_http(record.body or b"", settings.max_record_bytes)
        http_status = message.status or None
        content_type = message.headers.get("content-type", "")
        payload = memoryview(message.block)[message.start :]  # no copy
        drop_reason = message.fault if message.status in (0, 200) else DropReason.HTTP_STATUS
    if drop_reason is None and not _is_wanted_type(record, content_type):
        drop_reason = DropReason.NOT_HTML
    stated_id = headers.get("warc-record-id", "").strip().strip("<>")
    return SourceRow(
        id=_valid(f"<{stated_id}>" if stated_id else _made_id(source.name, record.offset, ordinal)),
        url=_valid(headers.get("warc-target-uri", "").strip().strip("<>")) or None,
        date=headers.get("warc-date"),
        dump=dump,
        file_path=source.name,
        warc_offset=record.offset,
        warc_length=record.length,
        warc_type=record.warc_type,
        http_status=http_status,
        truncated=headers.get("warc-truncated"),
        content_type=content_type,
        payload=payload if drop_reason is None else None,
        drop_reason=drop_reason,
    )


def _made_id(file_path: str, offset: int, ordinal: int) -> str:
    """An id for a record that states none: the same each time, and another for each item of a file."""
    return f"urn:glotmill:{hashlib.sha256(f'{file_path} {offset} {ordinal}'.encode()).hexdigest()}"


def _is_http(content_type: str) -> bool:
    return content_type.lower().startswith("application/http")


def _is_wanted_type(record: Record, content_type: str) -> bool:
    """Whether it is plain text (of a conversion) or HTML, as the crawler identified it, else as the server stated it.

    A payload of which neither says what it is may be wanted; `extract_text` looks at its bytes.
    """
    stated = content_type.partition(";")[0].strip().lower()
    if record.warc_type == "conversion":
        return stated in ("text/plain", "")
    identified = record.headers.get("warc-identified-payload-type", "").partition(";")[0].strip().lower()
    return (identified or stated) in HTML_TYPES or not (identified or stated)


def _valid(text: str) -> str:
    """Text that can be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
