"""Pages of WARC files for the benchmarks: their records, their texts, and files with a given number of them."""

import re
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import zstandard

from pipeline.readers.http import parse_http
from pipeline.readers.records import Record
from pipeline.readers.warc import read_records
from pipeline.text.decode import decode
from pipeline.text.main_text.extractors import extract

LIMIT = 16 * 2**20  # bytes of a record
RECORD_ID = re.compile(rb"^(WARC-Record-ID: *<urn:uuid:)([^>]*)>", re.MULTILINE | re.IGNORECASE)


def responses(path: Path) -> Iterator[Record]:
    """Responses with a body."""
    for record in read_records(path, LIMIT):
        if isinstance(record, Record) and record.warc_type == "response" and record.body:
            yield record


def html_of(path: Path) -> Iterator[str]:
    """Decoded pages."""
    for record in responses(path):
        message = parse_http(record.body or b"", LIMIT)
        page, _, _ = decode(message.payload or b"", message.headers.get("content-type", ""))
        if page:
            yield page


def texts_of_pages(path: Path) -> Iterator[str]:
    """Extracted text of each response that has any, not repaired."""
    for page in html_of(path):
        if text := extract(page).text:
            yield text


def cut(path: Path, pages: int, folder: Path) -> Path:
    """The first so many responses of a file, over again and with other record ids where it has fewer."""
    target = folder / f"{path.name.partition('.')[0]}-{pages}.warc.gz"
    if not target.exists():
        _write(target, [(path, record) for record in responses(path)], pages)
    return target


def mixture(paths: Sequence[Path], pages: int, folder: Path) -> Path:
    """So many responses of all files, drawn by hash."""
    target = folder / f"mixture-{pages}.warc.gz"
    if not target.exists():
        every = [(path, record) for path in paths for record in responses(path)]
        every.sort(key=lambda one: sha256(f"{one[0].name} {one[1].offset}".encode()).digest())
        _write(target, every, pages)
    return target


def cuts(paths: Sequence[Path], counts: Sequence[int], folder: Path) -> dict[str, list[Path]]:
    """Each file, and all of them mixed where there are several, by name, with so many pages, and so many, ..."""
    found = {path.name.partition(".")[0]: [cut(path, count, folder) for count in counts] for path in paths}
    if len(paths) > 1:
        found["all of them, mixed"] = [mixture(paths, count, folder) for count in counts]
    return found


def kilobytes_a_page(path: Path) -> float:
    """Mean length of the responses' blocks, not compressed."""
    lengths = [len(record.body or b"") for record in responses(path)]
    return sum(lengths) / len(lengths) / 1e3


def repeated(paths: Iterable[Path], target: Path, size: float) -> Path:
    """Whole files over and over, up to a number of bytes; record ids repeat."""
    content = b"".join(path.read_bytes() for path in paths)
    with target.open("wb") as file:
        while file.tell() < size:
            file.write(content)
    return target


def _write(target: Path, records: Sequence[tuple[Path, Record]], pages: int) -> None:
    raw: dict[Path, bytes] = {path: path.read_bytes() for path in {path for path, _ in records}}
    with target.open("wb") as file:
        for number in range(pages):
            path, record = records[number % len(records)]
            member = raw[path][record.offset : record.offset + record.length]
            if number >= len(records) or path.name.endswith(".zst"):
                member = _compressed(_with_other_id(_plain(path, member), number // len(records)))
            file.write(member)


def _plain(path: Path, member: bytes) -> bytes:
    if path.name.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(member)
    return zlib.decompress(member, wbits=31)


def _compressed(record: bytes) -> bytes:
    deflate = zlib.compressobj(6, wbits=31)
    return deflate.compress(record) + deflate.flush()


def _with_other_id(record: bytes, repetition: int) -> bytes:
    def other(match: re.Match[bytes]) -> bytes:
        name = f"{match[2].decode('ascii', 'replace')} {repetition}"
        return match[1] + str(uuid.uuid5(uuid.NAMESPACE_URL, name)).encode() + b">"

    return RECORD_ID.sub(other, record, count=1) if repetition else record
