"""Whole and cut ARC files: the same contract as WARC files, without ids."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.readers.arc import read_records
from pipeline.readers.records import Record
from tests import make_warc as mw
from tests.archive_items import Items, checked, responses, written

LIMIT = 2**20
PAGES = [mw.Page(f"https://{name}.example/", f"<p>{name}</p>".encode() * 40) for name in "abcde"]
URLS = [page.url for page in PAGES]


def read(path: Path) -> Items:
    """Items of a file whose lengths are checked to fill it without holes or overlaps."""
    return checked(read_records(path, LIMIT), path)


def arc_record(url: str, block: bytes) -> bytes:
    return f"{url} 192.0.2.1 20080430204825 text/html {len(block)}\n".encode() + block + b"\n"


def arc_file(compress: Callable[[bytes], bytes]) -> bytes:
    version = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"
    head = f"filedesc://x.arc 0.0.0.0 20080430204825 text/plain {len(version)}\n".encode() + version + b"\n"
    return b"".join([compress(head), *(compress(arc_record(page.url, mw.http_block(page))) for page in PAGES)])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_arc_file_gives_its_records_with_their_bodies(tmp_path: Path, suffix: str) -> None:
    data = arc_file(lambda one: mw.compress(one, suffix))
    items = read(written(tmp_path, data, f"x.arc{suffix}"))
    assert responses(items) == [(url, None) for url in URLS]
    bodies = [item.body for item in items if isinstance(item, Record) and item.warc_type == "response"]
    assert bodies == [mw.http_block(page) for page in PAGES]


def test_a_cut_arc_file_keeps_the_records_before_the_cut(tmp_path: Path) -> None:
    data = arc_file(lambda one: mw.compress(one, ".gz"))
    items = read(written(tmp_path, data[:-30], "x.arc.gz"))
    assert responses(items)[:4] == [(url, None) for url in URLS[:4]]
    assert (URLS[4], None) not in responses(items)


def test_arc_records_are_the_same_each_time_they_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, arc_file(lambda one: mw.compress(one, ".gz")), "x.arc.gz")
    first, second = read(path), read(path)
    assert first == second
    assert all("warc-record-id" not in item.headers for item in first if isinstance(item, Record))
