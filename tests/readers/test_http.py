"""HTTP messages: header and payload parted, transfer and content encodings undone."""

import gzip

import pytest

from pipeline.readers.http import parse_http

LIMIT = 2**20


def test_http_parts_are_undone() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    packed = gzip.compress(b"<p>hello</p>", mtime=0)
    chunks = b"%x\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\n\r\n" % (9, packed[:9], len(packed) - 9, packed[9:])
    message = parse_http(head + chunks, LIMIT)
    assert (message.status, message.payload, message.fault) == (200, b"<p>hello</p>", None)


@pytest.mark.parametrize(
    ("block", "status", "payload", "fault"),
    [
        (b"HTTP/1.1 200 OK\n\nx", 200, b"x", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<p>as it is", 200, b"<p>as it is", None),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n<p>plain", 200, b"<p>plain", None),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nx", 200, b"x", "unsupported_content_encoding"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8bxyz",
            200,
            b"\x1f\x8bxyz",
            "bad_content_encoding",
        ),
        (b"not http at all", 0, b"", "bad_http_header"),
        (b"", 0, b"", "bad_http_header"),
    ],
)
def test_an_http_message_has_status_payload_and_fault(
    block: bytes, status: int, payload: bytes, fault: str | None
) -> None:
    message = parse_http(block, LIMIT)
    assert (message.status, message.payload, message.fault) == (status, payload, fault)


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    message = parse_http(head + gzip.compress(b"x" * 10**6), 1000)
    assert (len(message.payload), message.fault) == (1000, "record_too_large")
