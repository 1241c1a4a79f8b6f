"""ARC files, the format of crawls before WARC: a header line a record, compressed by record with gzip or not at all.

ARC records have no ids, so that rows get ids made from the file's name and the record's offset.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.readers.contract import InputFile, Item, Reader, ReadSettings, UnreadableRange
from pipeline.readers.records import Record, with_lengths
from pipeline.readers.rows import rows_of
from pipeline.readers.warcio_records import read_by_warcio


def recognises(head: bytes, name: str) -> bool:
    """Whether a file begins with the record that describes an ARC file."""
    return head.startswith(b"filedesc://")


def read(source: InputFile, settings: ReadSettings) -> Iterator[Item]:
    """The items of an ARC file; see contract.py."""
    return rows_of(read_records(source.path, settings.max_record_bytes), source, settings)


READER = Reader(recognises, read)


def read_records(path: Path, max_record_bytes: int) -> Iterator[Record | UnreadableRange]:
    """Every record of a file in order, with the unreadable ranges between them; lengths sum to the length of the file.

    Raises OSError when the file cannot be opened or its storage fails while it is read.
    """
    size = path.stat().st_size
    if size == 0:
        return
    with path.open("rb") as file:
        yield from with_lengths(read_by_warcio(file, max_record_bytes, is_arc=True), size)
