"""Where a record ends and the next can start, whatever its header says.

fastwarc passes over a wrong Content-Length and over garbage between members without a word, so lengths are checked
against the file, and after damage the next start is sought byte by byte.
"""

import os
import re
import zlib
from typing import BinaryIO

from pipeline.readers.first_bytes import GZIP_MAGIC
from pipeline.readers.records import Record
from pipeline.schema.drop_reasons import DropReason

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
VERSION_LINE = b"WARC/"
USUAL_HEADER_BYTES = 2048  # that is inflated first; a record's header is seldom longer
TRAILING_BYTES_MAX = 8  # two line ends belong behind a block; some writers put more


def check_length(file: BinaryIO, record: Record) -> None:
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
        record.body, record.fault = None, DropReason.WRONG_CONTENT_LENGTH


def judge(file: BinaryIO, record: Record, size: int, failed: bool) -> tuple[int, int]:
    """Where the last record that was read ends, and where reading goes on; marks the record if it is damaged."""
    file.seek(record.offset)
    head = file.read(4)
    if not head.startswith(GZIP_MAGIC):
        resume = next_start(file, record.offset + 1, size) if failed else size
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
        record.body, record.fault = None, DropReason.CORRUPT_RECORD
        resume = next_start(file, record.offset + 1, size)
        return resume, resume
    if not inflate.eof:
        record.fault = record.fault or DropReason.TRUNCATED_RECORD
        return size, size
    end = record.offset + consumed - len(inflate.unused_data)
    if header_end >= 0 and inflated < header_end + 4 + record.content_length:
        record.body, record.fault = None, DropReason.WRONG_CONTENT_LENGTH
    return end, next_start(file, end, size)


def next_start(file: BinaryIO, position: int, size: int) -> int:
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
