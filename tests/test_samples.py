"""The bundled WARC files hold what truth.jsonl.gz says, for two independent readers."""

import gzip
import html
import io
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import zstandard
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator

from tests import make_warc as mw

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
CRAWL = [
    "crawl-00000.warc.gz",
    "crawl-00001.warc.gz",
    "crawl-00002.warc.gz",
    "crawl-00003.warc.zst",
    "crawl-00004.warc.wet.gz",
]
KINDS = {
    "article": 803,
    "blocked": 6,
    "empty": 5,
    "exact_duplicate": 57,
    "hostile": 1,
    "junk": 42,
    "mojibake": 6,
    "near_duplicate": 45,
    "not_html": 6,
    "status": 8,
    "truncated": 3,
    "undecodable": 4,
    "unreadable": 2,
    "url_duplicate": 6,
}


@cache
def truth() -> list[dict[str, Any]]:
    with gzip.open(SAMPLES / "truth.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def plain_bytes(name: str) -> bytes:
    data = (SAMPLES / name).read_bytes()
    if name.endswith(".gz"):
        return gzip.decompress(data)
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        return reader.read()


def members(data: bytes) -> Iterator[bytes | None]:
    """The content of each gzip member, None where it cannot be read."""
    magic = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    starts = [at for at in range(len(data)) if data.startswith(magic, at)]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        reader = zlib.decompressobj(31)
        try:
            content = reader.decompress(data[start:end])
        except zlib.error:
            yield None
        else:
            yield content if reader.eof else None


@pytest.mark.parametrize("name", CRAWL)
def test_warcio_and_fastwarc_read_the_records_of_the_truth(name: str) -> None:
    expected = sorted((row["record_id"], row["url"]) for row in truth() if row["file"] == name)
    data = plain_bytes(name)
    slow = [
        (record.rec_headers["WARC-Record-ID"], record.rec_headers["WARC-Target-URI"])
        for record in ArchiveIterator(io.BytesIO(data))
        if record.rec_type in {"response", "conversion"}
    ]
    kinds = WarcRecordType.response | WarcRecordType.conversion
    fast = [
        (record.headers["WARC-Record-ID"], record.headers["WARC-Target-URI"])
        for record in FastIterator(io.BytesIO(data), record_types=kinds, parse_http=False)
    ]
    assert sorted(slow) == expected
    assert sorted(fast) == expected


@pytest.mark.parametrize("name", CRAWL)
def test_each_record_is_a_member_and_its_block_has_its_digest(name: str) -> None:
    data = plain_bytes(name)
    verified = [
        r.headers["WARC-Record-ID"] for r in FastIterator(io.BytesIO(data), verify_digests=True, parse_http=False)
    ]
    records = [(r.rec_headers["WARC-Record-ID"], r.rec_headers) for r in ArchiveIterator(io.BytesIO(data))]
    total = len(records)
    assert verified == [identity for identity, headers in records if "WARC-Block-Digest" in headers]
    if name.endswith(".gz"):
        assert len(list(members((SAMPLES / name).read_bytes()))) == total


def test_counts_by_kind_are_these() -> None:
    assert Counter(row["kind"] for row in truth()) == KINDS
    assert len({row["record_id"] for row in truth()}) == sum(KINDS.values())


def test_twenty_languages_have_twenty_five_articles() -> None:
    count = Counter(row["language"] for row in truth() if row["kind"] == "article")
    assert sum(n >= 25 for n in count.values()) >= 14
    assert len(count) >= 30
    scripts = {label.split("_")[1] for label in count}
    assert scripts >= {
        "Latn",
        "Cyrl",
        "Arab",
        "Jpan",
        "Hani",
        "Hang",
        "Grek",
        "Deva",
        "Khmr",
        "Tibt",
        "Thai",
        "Ethi",
    }


def test_charsets_are_declared_in_every_way() -> None:
    rows = [row for row in truth() if row["kind"] == "article" and row["declared"]]
    charsets = {row["charset"] for row in rows}
    west = "cp1251 koi8-r iso8859-2 latin-1 iso8859-15 cp1256 utf-16-le utf-8"
    east = "cp932 euc-jp gb18030 big5 euc-kr tis-620"
    assert charsets >= {*west.split(), *east.split()}
    ways = {tuple(row["declared"][key] is not None for key in ("header", "meta", "bom")) for row in rows}
    header_only, meta_only, both, neither = (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 0)
    assert {header_only, meta_only, both, neither, (1, 0, 1), (0, 0, 1), (1, 1, 1)} == ways


def test_groups_have_an_original_and_copies_in_range() -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in truth():
        if row["duplicate_group"]:
            groups[row["duplicate_group"]].append(row)
    assert len(groups["thirty-por"]) == 30
    chosen = [row for row in groups["longest-ita"] if row["representative"]]
    assert [(row["url"], row["expected_drop"]) for row in chosen] == [(chosen[0]["url"], None)]
    assert all(sum(row["kind"] == "article" for row in rows) == 1 for rows in groups.values())
    near = [row for row in truth() if row["kind"] == "near_duplicate"]
    assert all(0.85 <= row["jaccard"] <= 0.97 for row in near)
    wanted = {"cmn_Hani", "jpn_Jpan", "kor_Hang", "tha_Thai", "arb_Arab", "rus_Cyrl"}
    languages = {row["language"] for row in near}
    assert languages >= wanted
    assert len(languages) >= 8


@pytest.mark.parametrize("name", CRAWL)
def test_pages_decode_by_their_charset_and_hold_their_sentence(name: str) -> None:
    known = {row["record_id"]: row for row in truth() if row["file"] == name and row["must_have"]}
    missing = []
    for record in ArchiveIterator(io.BytesIO(plain_bytes(name))):
        row = known.get(record.rec_headers["WARC-Record-ID"])
        if row is None or str(row["note"]).startswith("Content-Length"):
            continue
        text = html.unescape(record.content_stream().read().decode(row["charset"]))
        if row["must_have"] not in text:
            missing.append(row["url"])
    assert missing == []


@pytest.mark.parametrize(("name", "good", "bad"), [("truncated", 6, 1), ("corrupt-member", 7, 1), ("hostile", 5, 0)])
def test_broken_files_have_as_many_bad_members_as_said(name: str, good: int, bad: int) -> None:
    found = list(members((SAMPLES / "broken" / f"{name}.warc.gz").read_bytes()))
    assert (sum(m is not None for m in found), sum(m is None for m in found)) == (good, bad)
    lost = [row for row in truth() if row["file"] == f"broken/{name}.warc.gz" and row["kind"] == "unreadable"]
    assert len(lost) == bad


def test_the_files_stay_small() -> None:
    sizes = [path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()]
    assert max(sizes) < 1_500_000
    assert sum(sizes) < 5_000_000


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_write_warc_gives_the_same_readable_bytes_twice(tmp_path: Path, suffix: str) -> None:
    pages = [mw.Page("https://a.example/", b"<p>one</p>"), mw.Page("https://b.example/", b"", status=404)]
    path = tmp_path / f"x.warc{suffix}"
    mw.write_warc(path, pages)
    first = path.read_bytes()
    mw.write_warc(path, pages)
    assert path.read_bytes() == first
    if suffix != ".zst":
        with path.open("rb") as file:
            records = [(r.rec_type, r.content_stream().read()) for r in ArchiveIterator(file)][1:]
        assert records == [("response", b"<p>one</p>"), ("response", b"")]
