"""What the tests of readers look at in the records of an archive."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.readers.contract import UnreadableRange
from pipeline.readers.records import Record

Items = list[Record | UnreadableRange]


def checked(items: Iterable[Record | UnreadableRange], path: Path) -> Items:
    """The items of a file, whose lengths fill it without holes or overlaps."""
    items = list(items)
    position = 0
    for item in items:
        start, length = (
            (item.start, item.end - item.start) if isinstance(item, UnreadableRange) else (item.offset, item.length)
        )
        assert start == position
        assert length >= 0
        position += length
    assert position == path.stat().st_size
    return items


def responses(items: Items) -> list[tuple[str, str | None]]:
    """URL and fault of each response."""
    return [
        (item.headers["warc-target-uri"], item.fault)
        for item in items
        if isinstance(item, Record) and item.warc_type == "response"
    ]


def unreadable_ranges(items: Items) -> list[UnreadableRange]:
    return [item for item in items if isinstance(item, UnreadableRange)]


def written(folder: Path, data: bytes, name: str = "x.warc.gz") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
