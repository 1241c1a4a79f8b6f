"""Records of WARC and ARC files as they stand in the file, before their HTTP message is undone.

`read_records` of warc.py and arc.py give them; rows.py makes rows of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.readers.contract import UnreadableRange
from pipeline.schema.drop_reasons import DropReason

DOCUMENT_RECORD_TYPES = ("response", "resource", "conversion")


@dataclass(slots=True)
class Record:
    """A record of an archive.

    `body` is the block: an HTTP message or a payload. It is None where the type of the record can hold no document, and
    where the body cannot be had or is too large; a body that ends too early is there, with the fault that says so.
    `content_length` is what the header says of the block's bytes, `length` the bytes of the record in the file.
    """

    offset: int
    warc_type: str
    headers: dict[str, str]  # names in lower case
    content_length: int
    body: bytes | None
    length: int = 0
    fault: DropReason | None = None


def with_lengths(items: Iterator[Record | UnreadableRange], size: int) -> Iterator[Record | UnreadableRange]:
    """The items of a file of `size` bytes, each record with its length, and ranges for the bytes between them.

    A record reaches to where the next item starts. Of records that share a compression member the last one has all
    bytes of the member.
    """
    waiting: Record | None = None
    position = 0
    for item in items:
        start = item.start if isinstance(item, UnreadableRange) else item.offset
        if waiting is not None:
            waiting.length = start - waiting.offset
            yield waiting
            waiting = None
        elif start > position:
            yield UnreadableRange(position, start, "padding")
        if isinstance(item, UnreadableRange):
            yield item
            position = item.end
        else:
            waiting = item
            position = item.offset
    if waiting is not None:
        waiting.length = size - waiting.offset
        yield waiting
    elif position < size:
        yield UnreadableRange(position, size, "no_record")
