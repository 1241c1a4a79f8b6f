"""Little WARC files from pages, byte for byte the same each time; used by the tests and by
samples/make_samples.py.

Records are put together by hand rather than with a WARC library, so that a test can also write what a
library refuses
to write: a wrong Content-Length, a body cut short, a header that lies. One member (gzip) or frame (zstd)
holds a record.
"""

import base64
import hashlib
import uuid
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

DATE = "2026-11-10T00:00:00Z"
REASONS = {
    200: "OK",
    301: "Moved Permanently",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
}
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """What a crawler fetched: `html` is the body as sent; None for content_type leaves that header out."""

    url: str
    html: bytes
    status: int = 200
    content_type: str | None = "text/html; charset=utf-8"
    record_id: str | None = None
    date: str = DATE
    headers: Headers = ()  # further HTTP headers; a Content-Length here replaces the true one
    warc_headers: Headers = ()  # further WARC headers, such as WARC-Truncated


def record_id_of(*parts: str) -> str:
    """The record id for a name: a uuid5, hence always the same.

    >>> record_id_of("a")
    '<urn:uuid:e1407479-3136-56c0-9908-bb02fb0339e2>'
    """
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, ' '.join(parts))}>"


def page_record_id(page: Page) -> str:
    """The id of the page's response record: its own, or one made from URL and date."""
    return page.record_id or record_id_of(page.url, page.date)


def record(kind: str, headers: Headers, block: bytes) -> bytes:
    """One WARC record, not compressed."""
    lines = ["WARC/1.0", f"WARC-Type: {kind}", *(f"{name}: {value}" for name, value in headers)]
    lines.append(f"Content-Length: {len(block)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def digest(data: bytes) -> str:
    """A digest as WARC writes it: sha1 in base 32."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def warcinfo_record(filename: str, part_of: str = "GLOTMILL-TEST", date: str = DATE) -> bytes:
    """The record that opens a file."""
    block = f"isPartOf: {part_of}\r\npublisher: Glotmill\r\n"
    block += "software: make_warc.py\r\nformat: WARC File Format 1.0\r\n"
    headers = [
        ("WARC-Date", date),
        ("WARC-Record-ID", record_id_of("warcinfo", filename)),
        ("Content-Type", "application/warc-fields"),
        ("WARC-Filename", filename),
    ]
    return record("warcinfo", headers, block.encode())


def http_block(page: Page) -> bytes:
    """Status line, headers and body of the response."""
    names = {name.lower() for name, _ in page.headers}
    lines = [f"HTTP/1.1 {page.status} {REASONS.get(page.status, 'Status')}"]
    if page.content_type is not None:
        lines.append(f"Content-Type: {page.content_type}")
    if not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(page.html)}")
    lines += [f"{name}: {value}" for name, value in page.headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + page.html


def response_record(page: Page) -> bytes:
    """The response record of a page."""
    block = http_block(page)
    headers = [
        ("WARC-Date", page.date),
        ("WARC-Record-ID", page_record_id(page)),
        ("WARC-Target-URI", page.url),
        ("Content-Type", "application/http; msgtype=response"),
        ("WARC-Payload-Digest", digest(page.html)),
        ("WARC-Block-Digest", digest(block)),
        *page.warc_headers,
    ]
    return record("response", headers, block)


def request_record(page: Page) -> bytes:
    """The request that a crawler would have sent for the page."""
    host, _, path = page.url.partition("://")[2].partition("/")
    block = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: glotmill-samples\r\n\r\n".encode()
    headers = [
        ("WARC-Date", page.date),
        ("WARC-Record-ID", record_id_of("request", page_record_id(page))),
        ("WARC-Target-URI", page.url),
        ("Content-Type", "application/http; msgtype=request"),
        ("WARC-Concurrent-To", page_record_id(page)),
    ]
    return record("request", headers, block)


def metadata_record(page: Page) -> bytes:
    """The metadata record that Common Crawl writes after each response."""
    headers = [
        ("WARC-Date", page.date),
        ("WARC-Record-ID", record_id_of("metadata", page_record_id(page))),
        ("WARC-Target-URI", page.url),
        ("Content-Type", "application/warc-fields"),
        ("WARC-Concurrent-To", page_record_id(page)),
    ]
    return record("metadata", headers, b"fetchTimeMs: 42\r\n")


def revisit_record(page: Page, date: str) -> bytes:
    """A later visit that found the page unchanged: no body."""
    headers = [
        ("WARC-Date", date),
        ("WARC-Record-ID", record_id_of("revisit", page.url, date)),
        ("WARC-Target-URI", page.url),
        ("WARC-Refers-To", page_record_id(page)),
        ("WARC-Profile", "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"),
        ("WARC-Payload-Digest", digest(page.html)),
        ("Content-Type", "application/http; msgtype=response"),
    ]
    return record("revisit", headers, b"HTTP/1.1 304 Not Modified\r\n\r\n")


def conversion_record(url: str, text: str, record_id: str, language: str = "", date: str = DATE) -> bytes:
    """A WET record: the text of a page."""
    block = text.encode()
    headers = [
        ("WARC-Target-URI", url),
        ("WARC-Date", date),
        ("WARC-Record-ID", record_id),
        ("WARC-Refers-To", record_id_of(url, date)),
        ("WARC-Block-Digest", digest(block)),
        ("Content-Type", "text/plain"),
    ]
    if language:
        headers.append(("WARC-Identified-Content-Language", language))
    return record("conversion", headers, block)


def compress(data: bytes, suffix: str) -> bytes:
    """The record as one gzip member (mtime 0) or zstd frame, by the last suffix of the file; others stay
    as they are."""
    if suffix == ".gz":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()
    return zstandard.ZstdCompressor(level=19).compress(data) if suffix == ".zst" else data


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write records to a .warc, .warc.gz or .warc.zst file."""
    path.write_bytes(b"".join(compress(data, path.suffix) for data in records))


def write_warc(path: Path, pages: Iterable[Page]) -> None:
    """Write a warcinfo record and the response record of each page."""
    write_records(path, [warcinfo_record(path.name), *(response_record(page) for page in pages)])
