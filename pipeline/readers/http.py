"""HTTP messages as crawlers keep them: header and payload parted, transfer and content encodings undone."""

import re
import zlib
from dataclasses import dataclass, field

from pipeline.schema.drop_reasons import DropReason


@dataclass(slots=True)
class HttpMessage:
    """A parsed HTTP response; header names are lower case. The payload is `block` from `start` on."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    block: bytes = b""
    start: int = 0
    fault: DropReason | None = None

    @property
    def payload(self) -> bytes:
        """A copy of the payload, or the block where it is all of it."""
        return self.block[self.start :]


def parse_http(block: bytes, max_bytes: int) -> HttpMessage:
    """Split an HTTP response, undo chunked transfer and gzip or deflate, at most `max_bytes` of payload.

    `fault` names what could not be undone; the payload is then what was readable.
    """
    match = re.search(rb"\r?\n\r?\n", block)
    head, start = (block[: match.start()], match.end()) if match else (block, len(block))
    lines = head.splitlines()
    status = re.match(rb"HTTP/\S+\s+(\d{3})", lines[0]) if lines else None
    if status is None:
        return HttpMessage(0, fault=DropReason.BAD_HTTP_HEADER)
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
        message.fault = DropReason.UNSUPPORTED_CONTENT_ENCODING
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
        message.fault = DropReason.RECORD_TOO_LARGE if inflate.unconsumed_tail else None
        return
    message.fault = DropReason.BAD_CONTENT_ENCODING
