"""WARC, WET and ARC bytes to one `Record` per record: the only source of rows.

fastwarc reads; warcio reads what fastwarc cannot: ARC files, and headers whose lines end in a bare line feed. Both
accept damaged files silently or give up on the rest, so lengths are checked here, and after damage the reader looks
for the next record that starts at a compression member (or a version line) and names the bytes in between. Every byte
of the file belongs to a record or to a `Gap`.
"""

import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fastwarc.warc import ArchiveIterator

from pipeline.errors import InputError

GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
VERSION_LINE = b"WARC/"
BARE_LINE_ENDS = re.compile(rb"WARC/[0-9.]+\n")  # fastwarc takes what follows such a header for one record
USUAL_HEADER_BYTES = 2048  # that is inflated first; a record's header is seldom longer
TRAILING_BYTES_MAX = 8  # two line ends belong behind a block; some writers put more
CARRIERS = ("response", "resource", "conversion")


@dataclass(slots=True)
class Record:
    """One record. `body` is the block (HTTP message or payload), None where it was not wanted or too large."""

    offset: int
    warc_type: str
    headers: dict[str, str]
    content_length: int
    body: bytes | None
    length: int = 0
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes [start, end) of the file that belong to no readable record, and why."""

    start: int
    end: int
    reason: str


@dataclass(slots=True)
class HttpMessage:
    """A parsed HTTP response; header names are lower case. The payload is `block` from `start` on."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    block: bytes = b""
    start: int = 0
    fault: str | None = None

    @property
    def payload(self) -> bytes:
        """A copy of the payload, or the block where it is all of it."""
        return self.block[self.start :]


def read_records(path: Path, max_record_bytes: int) -> Iterator[Record | Gap]:
    """Every record of a file in order, with the gaps between them; lengths sum to the length of the file.

    Bodies are read for response, resource and conversion records only. A file that is neither WARC nor ARC is one gap.
    Raises InputError when the file cannot be opened, OSError when its storage fails while it is read.
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
            yield from _with_lengths(_read_by_warcio(file, is_arc, max_record_bytes), size)
        else:
            with path.open("rb") as second:  # fastwarc reads ahead in the first
                for item in _with_lengths(_read_warc(file, size, max_record_bytes), size):
                    if isinstance(item, Record) and item.body is not None and item.fault is None:
                        _check_length(second, item)
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


def _with_lengths(items: Iterator[Record | Gap], size: int) -> Iterator[Record | Gap]:
    """A record reaches to the next item; several records in one compression member leave it to the last."""
    held: Record | None = None
    position = 0
    for item in items:
        start = item.start if isinstance(item, Gap) else item.offset
        if held is not None:
            held.length = start - held.offset
            yield held
            held = None
        elif start > position:
            yield Gap(position, start, "padding")
        if isinstance(item, Gap):
            yield item
            position = item.end
        else:
            held = item
            position = item.offset
    if held is not None:
        held.length = size - held.offset
        yield held
    elif position < size:
        yield Gap(position, size, "no_record")


def _read_warc(file: BinaryIO, size: int, max_record_bytes: int) -> Iterator[Record | Gap]:
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
            resume = _next_start(file, position + 1, size) if failed else size
            yield Gap(position, resume, "unreadable")
        else:
            # after garbage fastwarc can also end without an error: look behind the last record in any case
            end, resume = _judge(file, held, size, failed)
            yield held
            if resume > end:
                yield Gap(end, resume, "unreadable")
        position = resume


def _record(raw: Any, max_record_bytes: int) -> Record:
    warc_type = raw.record_type.name if hasattr(raw.record_type, "name") else str(raw.record_type)
    headers = {str(name).lower(): str(value) for name, value in raw.headers.items()}
    record = Record(raw.stream_pos, warc_type, headers, raw.content_length, None)
    if warc_type not in CARRIERS:
        return record
    if raw.content_length > max_record_bytes:
        record.fault = "record_too_large"
        return record
    record.body = raw.reader.read()
    if len(record.body) < raw.content_length:
        record.fault = "truncated_record"
    return record


def _check_length(file: BinaryIO, record: Record) -> None:
    """Mark a record whose Content-Length is not what lies between its header and its end.

    A compression member states its size in its last four bytes (gzip's ISIZE), so that only the header is inflated.
    Records that share a member, and zstd frames, are not checked.
    """
    if record.length == 0:
        return
    descriptor = file.fileno()
    for limit in (USUAL_HEADER_BYTES, 1 << 16):
        start = head = os.pread(descriptor, min(record.length, limit), record.offset)
        if head.startswith(GZIP_MAGIC):
            try:
                start = zlib.decompressobj(31).decompress(head, limit)
            except zlib.error:
                return
        header = re.search(rb"\r?\n\r?\n", start)
        if header is not None:
            break
    if header is None or not start.startswith(VERSION_LINE):
        return
    held = record.length
    if head is not start:
        held = int.from_bytes(os.pread(descriptor, 4, record.offset + record.length - 4), "little")
    rest = (held - header.end() - record.content_length) % 2**32
    if rest > TRAILING_BYTES_MAX:
        record.body, record.fault = None, "wrong_content_length"


def _judge(file: BinaryIO, record: Record, size: int, failed: bool) -> tuple[int, int]:
    """Where the last record that was read ends, and where reading goes on; marks the record if it is damaged."""
    file.seek(record.offset)
    head = file.read(4)
    if not head.startswith(GZIP_MAGIC):
        resume = _next_start(file, record.offset + 1, size) if failed else size
        return resume, resume
    file.seek(record.offset)
    inflate = zlib.decompressobj(31)
    inflated = consumed = 0
    header_end = -1
    start = b""
    try:
        while not inflate.eof and (chunk := file.read(1 << 16)):
            data = inflate.decompress(chunk)
            inflated += len(data)
            consumed += len(chunk)
            if header_end < 0:
                start += data
                header_end = start.find(b"\r\n\r\n")
    except zlib.error:
        record.body, record.fault = None, "corrupt_record"
        resume = _next_start(file, record.offset + 1, size)
        return resume, resume
    if not inflate.eof:
        record.fault = record.fault or "truncated_record"
        return size, size
    end = record.offset + consumed - len(inflate.unused_data)
    if header_end >= 0 and inflated < header_end + 4 + record.content_length:
        record.body, record.fault = None, "wrong_content_length"
    return end, _next_start(file, end, size)


def _next_start(file: BinaryIO, position: int, size: int) -> int:
    """The next offset at or after `position` where a record can start, else `size`."""
    overlap = 64
    while position < size:
        file.seek(position)
        block = file.read(1 << 20)
        for match in re.finditer(rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd|WARC/[01]\.", block):
            start = position + match.start()
            if match.group().startswith(VERSION_LINE):
                before = block[match.start() - 1 : match.start()] if match.start() else b"\n"
                if before == b"\n":
                    return start
            elif match.group() == ZSTD_MAGIC or _starts_a_member(file, start):
                return start
        if position + len(block) >= size:
            break
        position += max(1, len(block) - overlap)
    return size


def _starts_a_member(file: BinaryIO, offset: int) -> bool:
    file.seek(offset)
    try:
        return zlib.decompressobj(31).decompress(file.read(4096), 5) == VERSION_LINE
    except zlib.error:
        return False


def _read_by_warcio(file: BinaryIO, is_arc: bool, max_record_bytes: int) -> Iterator[Record | Gap]:
    from warcio.archiveiterator import ArchiveIterator as WarcioIterator
    from warcio.exceptions import ArchiveLoadFailed

    iterator = WarcioIterator(file, no_record_parse=True, arc2warc=True)
    try:
        for raw in iterator:
            headers = {name.lower(): value for name, value in raw.rec_headers.headers}
            if is_arc:
                headers.pop("warc-record-id", None)  # ARC has none: warcio makes one up, another each time
            declared = int(raw.length or 0)  # the header line counts what follows it in the ARC file, not the block
            record = Record(0, raw.rec_type, headers, declared, None)
            if raw.rec_type in CARRIERS and declared > max_record_bytes:
                record.fault = "record_too_large"
            elif raw.rec_type in CARRIERS:
                record.body = raw.raw_stream.read()
                record.fault = "truncated_record" if len(record.body) < declared else None
            record.offset = iterator.get_record_offset()  # skips what is left of the record: after the body
            yield record
    except (ArchiveLoadFailed, OSError, EOFError, ValueError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the storage failed, not the bytes
        yield Gap(file.tell(), file.seek(0, 2), "unreadable")


def parse_http(block: bytes, max_bytes: int) -> HttpMessage:
    """Split an HTTP response, undo chunked transfer and gzip or deflate, at most `max_bytes` of payload.

    `fault` names what could not be undone; the payload is then what was readable.
    """
    match = re.search(rb"\r?\n\r?\n", block)
    head, start = (block[: match.start()], match.end()) if match else (block, len(block))
    lines = head.splitlines()
    status = re.match(rb"HTTP/\S+\s+(\d{3})", lines[0]) if lines else None
    if status is None:
        return HttpMessage(0, fault="bad_http_header")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            headers.setdefault(name.strip().decode("latin-1").lower(), value.strip().decode("latin-1"))
    message = HttpMessage(int(status[1]), headers, block, start)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        message.block, message.start = _dechunk(message.payload), 0
    encoding = headers.get("content-encoding", "").lower().strip()
    if encoding in ("gzip", "x-gzip", "deflate") and message.start < len(message.block):
        _inflate(message, encoding, max_bytes)
    elif encoding not in ("", "identity", "utf-8", "none", "gzip", "x-gzip", "deflate"):
        message.fault = "unsupported_content_encoding"
    return message


def _dechunk(payload: bytes) -> bytes:
    """The payload without chunk sizes; Common Crawl keeps the header but stores it whole: then as it is."""
    parts: list[bytes] = []
    position = 0
    while match := re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,64}\r?\n").match(payload, position):
        length = int(match[1], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(payload[match.end() : match.end() + length])
        position = match.end() + length
        while payload[position : position + 1] in (b"\r", b"\n"):
            position += 1
    return b"".join(parts) if parts and position >= len(payload) else payload


def _inflate(message: HttpMessage, encoding: str, max_bytes: int) -> None:
    if encoding != "deflate" and not message.block.startswith(b"\x1f\x8b", message.start):
        return  # already decoded by the crawler
    for wbits in (47, -15):
        try:
            inflate = zlib.decompressobj(wbits)
            data = inflate.decompress(message.payload, max_bytes)
        except zlib.error:
            continue
        message.block, message.start = data, 0
        message.fault = "record_too_large" if inflate.unconsumed_tail else None
        return
    message.fault = "bad_content_encoding"
