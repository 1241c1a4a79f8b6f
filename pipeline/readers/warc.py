"""WARC, WET and ARC bytes to one `Record` per record: the only source of rows.

fastwarc reads; warcio reads what fastwarc cannot: ARC files, and headers whose lines end in a bare line feed. Both
accept damaged files silently or give up on the rest, so lengths are checked here, and after damage the reader looks
for the next record that starts at a compression member (or a version line) and names the bytes in between. Every byte
of the file belongs to a record or to a `UnreadableRange`.
"""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastwarc.warc import ArchiveIterator

from pipeline.errors import InputError
from pipeline.readers.arc import read_by_warcio
from pipeline.readers.contract import DOCUMENT_RECORD_TYPES, Record, UnreadableRange
from pipeline.readers.damage import GZIP_MAGIC, check_length, judge, next_start

BARE_LINE_ENDS = re.compile(rb"WARC/[0-9.]+\n")  # fastwarc takes what follows such a header for one record


def read_records(path: Path, max_record_bytes: int) -> Iterator[Record | UnreadableRange]:
    """Every record of a file in order, with the unreadable ranges between them; lengths sum to the length of the file.

    Bodies are read for response, resource and conversion records only. A file that is neither WARC nor ARC is one
    unreadable range. Raises InputError when the file cannot be opened, OSError when its storage fails while it is read.
    """
    try:
        size = path.stat().st_size
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    with file:
        if size == 0:
            return
        head = _head(file)
        is_arc = head.startswith(b"filedesc://")
        if is_arc or BARE_LINE_ENDS.match(head):
            yield from _with_lengths(read_by_warcio(file, is_arc, max_record_bytes), size)
        else:
            with path.open("rb") as second:  # fastwarc reads ahead in the first
                for item in _with_lengths(_read_warc(file, size, max_record_bytes), size):
                    if isinstance(item, Record) and item.body is not None and item.fault is None:
                        check_length(second, item)
                    yield item


def _head(file: BinaryIO) -> bytes:
    """The first bytes of the first record, as far as they can be had."""
    head = file.read(512)
    file.seek(0)
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(31).decompress(head, 64)
        except zlib.error:
            return b""
    return head


def _with_lengths(items: Iterator[Record | UnreadableRange], size: int) -> Iterator[Record | UnreadableRange]:
    """A record reaches to the next item; several records in one compression member leave it to the last."""
    held: Record | None = None
    position = 0
    for item in items:
        start = item.start if isinstance(item, UnreadableRange) else item.offset
        if held is not None:
            held.length = start - held.offset
            yield held
            held = None
        elif start > position:
            yield UnreadableRange(position, start, "padding")
        if isinstance(item, UnreadableRange):
            yield item
            position = item.end
        else:
            held = item
            position = item.offset
    if held is not None:
        held.length = size - held.offset
        yield held
    elif position < size:
        yield UnreadableRange(position, size, "no_record")


def _read_warc(file: BinaryIO, size: int, max_record_bytes: int) -> Iterator[Record | UnreadableRange]:
    position = 0
    while position < size:
        file.seek(position)
        held: Record | None = None
        failed = False
        try:
            for raw in ArchiveIterator(file, parse_http=False):
                if held is not None:
                    yield held
                held = _record(raw, max_record_bytes)
        except (OSError, ValueError, EOFError, MemoryError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the storage failed, not the bytes: another attempt may read what this one would lose
            failed = True
        if held is None:
            resume = next_start(file, position + 1, size) if failed else size
            yield UnreadableRange(position, resume, "unreadable")
        else:
            # after garbage fastwarc can also end without an error: look behind the last record in any case
            end, resume = judge(file, held, size, failed)
            yield held
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
        record.fault = "record_too_large"
        return record
    record.body = raw.reader.read()
    if len(record.body) < raw.content_length:
        record.fault = "truncated_record"
    return record
