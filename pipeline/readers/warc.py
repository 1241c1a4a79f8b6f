"""WARC files, WET files among them: compressed by record with gzip or zstd, as a whole, or not at all.

A WET file is a WARC file whose records are of type "conversion" and hold plain text. Nothing at its start says so, and
records of both kinds may stand in one file, so one reader takes both and rows.py looks at the type of each record.

fastwarc reads; warcio reads files whose header lines end in a bare line feed, which fastwarc cannot. Both accept
damaged files silently or give up on the rest, so lengths are checked here, and after damage the reader looks for the
next record that starts at a compression member (or a version line) and names the bytes in between.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastwarc.warc import ArchiveIterator

from pipeline.readers.contract import InputFile, Item, Reader, ReadSettings, UnreadableRange
from pipeline.readers.damage import VERSION_LINE, ZSTD_MAGIC, check_length, judge, next_start
from pipeline.readers.first_bytes import first_bytes
from pipeline.readers.records import DOCUMENT_RECORD_TYPES, Record, with_lengths
from pipeline.readers.rows import rows_of
from pipeline.readers.warcio_records import read_by_warcio
from pipeline.schema.drop_reasons import DropReason

BARE_LINE_ENDS = re.compile(rb"WARC/[0-9.]+\n")  # fastwarc takes what follows such a header for one record


def recognises(head: bytes, name: str) -> bool:
    """Whether a file begins with a WARC record; one that is compressed with zstd is known by its name."""
    return head.startswith(VERSION_LINE) or (head.startswith(ZSTD_MAGIC) and name.endswith((".warc.zst", ".wet.zst")))


def read(source: InputFile, settings: ReadSettings) -> Iterator[Item]:
    """The items of a WARC or WET file; see contract.py."""
    return rows_of(read_records(source.path, settings.max_record_bytes), source, settings)


READER = Reader(recognises, read)


def read_records(path: Path, max_record_bytes: int) -> Iterator[Record | UnreadableRange]:
    """Every record of a file in order, with the unreadable ranges between them; lengths sum to the length of the file.

    Bodies are read for response, resource and conversion records only. A file that is no WARC file is one unreadable
    range. Raises OSError when the file cannot be opened or its storage fails while it is read.
    """
    size = path.stat().st_size
    if size == 0:
        return
    head = first_bytes(path)
    with path.open("rb") as file:
        if BARE_LINE_ENDS.match(head):
            yield from with_lengths(read_by_warcio(file, max_record_bytes), size)
            return
        with path.open("rb") as second:  # fastwarc reads ahead in the first
            for item in with_lengths(_read_by_fastwarc(file, size, max_record_bytes), size):
                if isinstance(item, Record) and item.body is not None and item.fault is None:
                    check_length(second, item)
                yield item


def _read_by_fastwarc(file: BinaryIO, size: int, max_record_bytes: int) -> Iterator[Record | UnreadableRange]:
    position = 0
    while position < size:
        file.seek(position)
        last: Record | None = None  # what follows it decides whether it is damaged
        failed = False
        try:
            for raw in ArchiveIterator(file, parse_http=False):
                if last is not None:
                    yield last
                last = _record(raw, max_record_bytes)
        except (OSError, ValueError, EOFError, MemoryError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the storage failed, not the bytes: another attempt may read what this one would lose
            failed = True
        if last is None:
            resume = next_start(file, position + 1, size) if failed else size
            yield UnreadableRange(position, resume, "unreadable")
        else:
            # after garbage fastwarc can also end without an error: look behind the last record in any case
            end, resume = judge(file, last, size, failed)
            yield last
            if resume > end:
                yield UnreadableRange(end, resume, "unreadable")
        position = resume


def _record(raw: Any, max_record_bytes: int) -> Record:
    warc_type = raw.record_type.name if hasattr(raw.record_type, "name") else str(raw.record_type)
    headers = {str(name).lower(): str(value) for name, value in raw.headers.items()}
    record = Record(raw.stream_pos, warc_type, headers, raw.content_length, None)
    if warc_type not in DOCUMENT_RECORD_TYPES:
        return record
    if raw.content_length > max_record_bytes:
        record.fault = DropReason.RECORD_TOO_LARGE
        return record
    record.body = raw.reader.read()
    if len(record.body) < raw.content_length:
        record.fault = DropReason.TRUNCATED_RECORD
    return record
