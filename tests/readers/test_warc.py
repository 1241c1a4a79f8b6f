"""Whole and damaged WARC files: every byte is accounted for and every readable record survives."""

import errno
import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.readers.http import parse_http
from pipeline.readers.records import Record
from pipeline.readers.warc import read_records
from tests import make_warc as mw
from tests.archive_items import Items, checked, responses, unreadable_ranges, written

LIMIT = 2**20
EDGE = Path(__file__).resolve().parents[3] / "shared" / "data" / "warc_edge"
PAGES = [mw.Page(f"https://{name}.example/", f"<p>{name}</p>".encode() * 40) for name in "abcde"]
RECORDS = [mw.warcinfo_record("x"), *(mw.response_record(page) for page in PAGES)]
MEMBERS = [mw.compress(data, ".gz") for data in RECORDS]
URLS = [page.url for page in PAGES]


def read(path: Path, limit: int = LIMIT) -> Items:
    """Items of a file whose lengths are checked to fill it without holes or overlaps."""
    return checked(read_records(path, limit), path)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_whole_file_gives_its_records_with_their_bodies(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.warc{suffix}"
    mw.write_warc(path, PAGES)
    items = read(path)
    assert unreadable_ranges(items) == []
    assert responses(items) == [(url, None) for url in URLS]
    bodies = [item.body for item in items if isinstance(item, Record) and item.warc_type == "response"]
    assert bodies == [mw.http_block(page) for page in PAGES]
    lengths = [item.length for item in items if isinstance(item, Record)]
    assert lengths[1:] == [len(mw.compress(data, path.suffix)) for data in RECORDS[1:]]


def test_a_record_read_again_at_its_offset_is_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(MEMBERS))
    for item in read(path):
        assert isinstance(item, Record)
        data = path.read_bytes()[item.offset : item.offset + item.length]
        alone = read(written(tmp_path, data, "one.warc.gz"))
        assert [(one.headers, one.body) for one in alone if isinstance(one, Record)] == [(item.headers, item.body)]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert read(written(tmp_path, b"")) == []


def test_one_gzip_member_around_all_records_gives_them_all(tmp_path: Path) -> None:
    items = read(written(tmp_path, mw.compress(b"".join(RECORDS), ".gz")))
    assert responses(items) == [(url, None) for url in URLS]


def test_a_cut_last_member_is_truncated_and_the_others_survive(tmp_path: Path) -> None:
    page = mw.Page("https://long.example/", bytes(range(256)) * 300)
    last = mw.compress(mw.response_record(page), ".gz")
    items = read(written(tmp_path, b"".join(MEMBERS) + last[: len(last) - 20]))
    assert responses(items)[:5] == [(url, None) for url in URLS]
    assert responses(items)[5:] in ([(page.url, "truncated_record")], [])
    assert len(responses(items)[5:]) + len(unreadable_ranges(items)) == 1


def test_an_uncompressed_file_cut_in_a_body_ends_with_a_truncated_record(tmp_path: Path) -> None:
    data = b"".join(RECORDS)
    items = read(written(tmp_path, data[:-60], "x.warc"))
    assert responses(items) == [*((url, None) for url in URLS[:4]), (URLS[4], "truncated_record")]


@pytest.mark.parametrize("where", [12, 60, -6], ids=["start", "middle", "checksum"])
def test_a_corrupt_member_costs_only_itself(tmp_path: Path, where: int) -> None:
    broken = bytearray(MEMBERS[3])
    broken[where] ^= 0xFF
    items = read(written(tmp_path, b"".join([*MEMBERS[:3], bytes(broken), *MEMBERS[4:]])))
    survivors = [(url, fault) for url, fault in responses(items) if url != URLS[2]]
    assert survivors == [(url, None) for url in URLS if url != URLS[2]]
    damaged = [fault for url, fault in responses(items) if url == URLS[2]]
    assert None not in damaged
    assert len(damaged) + len(unreadable_ranges(items)) == 1


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("change", "faults"),
    [(100, ["wrong_content_length", "truncated_record"]), (-100, ["wrong_content_length"])],
    ids=["too_long", "too_short"],
)
def test_a_wrong_content_length_is_named_and_the_other_records_survive(
    tmp_path: Path, suffix: str, change: int, faults: list[str]
) -> None:
    length = len(mw.http_block(PAGES[2]))
    right, wrong = f"Content-Length: {length}\r\n\r\n", f"Content-Length: {length + change}\r\n\r\n"
    assert RECORDS[3].count(right.encode()) == 1
    lying = RECORDS[3].replace(right.encode(), wrong.encode())
    records = [*RECORDS[:3], lying, *RECORDS[4:]]
    path = tmp_path / f"x.warc{suffix}"
    mw.write_records(path, records)
    found = responses(read(path))
    assert [one for one in found if one[0] != URLS[2]] == [(url, None) for url in URLS if url != URLS[2]]
    assert [fault in faults for url, fault in found if url == URLS[2]] == [True]


@pytest.mark.parametrize(
    "garbage", [b"\0" * 50, b"no member at all " * 9, b"\x1f\x8b\x08" * 20], ids=["zeros", "words", "magic"]
)
def test_garbage_between_members_costs_no_record(tmp_path: Path, garbage: bytes) -> None:
    items = read(written(tmp_path, b"".join([*MEMBERS[:3], garbage, *MEMBERS[3:]])))
    assert responses(items) == [(url, None) for url in URLS]


def test_a_record_above_the_limit_is_named_and_its_body_not_kept(tmp_path: Path) -> None:
    big = mw.Page("https://big.example/", b"x" * 5000)
    path = tmp_path / "x.warc.gz"
    mw.write_warc(path, [PAGES[0], big, PAGES[1]])
    items = read(path, limit=4000)
    assert responses(items) == [(URLS[0], None), (big.url, "record_too_large"), (URLS[1], None)]
    assert [item.body for item in items if isinstance(item, Record) and item.fault] == [None]


class FailingFile(io.FileIO):
    """A file on storage that fails from a position on."""

    def readinto(self, buffer: Any) -> int:
        if self.tell() > 100_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().readinto(buffer)


class PathOnFailingStorage(type(Path())):  # type: ignore[misc]  # Path itself cannot be a base before Python 3.12
    def open(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(FailingFile(self))


def test_storage_that_fails_while_a_file_is_read_is_no_damage_of_the_file() -> None:
    sample = Path(__file__).resolve().parents[2] / "samples" / "crawl-00000.warc.gz"
    assert len(list(read_records(sample, LIMIT))) > 100
    with pytest.raises(OSError, match="Input/output error"):
        list(read_records(PathOnFailingStorage(sample), LIMIT))


@pytest.mark.skipif(not EDGE.is_dir(), reason="shared data are absent")
@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("concatenated-twice.warc.gz", 96),
        ("corrupt-one-member.warc.gz", 47),
        ("garbage-between-members.warc.gz", 48),
        ("per-record.warc.zst", 48),
        ("single-gzip-member.warc.gz", 48),
        ("content-length-too-long.warc.gz", 47),
        ("content-length-too-short.warc.gz", 47),
    ],
)
def test_a_damaged_copy_of_a_crawl_file_has_as_many_sound_records_as_it_can(name: str, good: int) -> None:
    items = read(EDGE / f"dolma0000-{name}", 16 * 2**20)
    assert sum(isinstance(item, Record) and item.fault is None for item in items) == good


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_headers_that_end_in_a_bare_line_feed_cost_no_record(
    compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    block = b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n<p>page</p>"
    header = "WARC/1.0\nWARC-Type: response\nWARC-Record-ID: <urn:uuid:{}>\nContent-Length: {}\n\n"
    records = [header.format(number, len(block)).encode() + block + b"\n\n" for number in range(3)]
    path = written(tmp_path, b"".join(map(compress, records)), "lf.warc")
    items = read(path)
    assert [one.headers["warc-record-id"] for one in items] == [f"<urn:uuid:{number}>" for number in range(3)]
    assert [one.body for one in items] == [block] * 3
    assert sum(one.length for one in items) == path.stat().st_size
    assert parse_http(items[0].body, LIMIT).payload == b"<p>page</p>"
