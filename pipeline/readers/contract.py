"""What a reader gives: each record of a file in order, and named ranges that no record could be read from."""

from dataclasses import dataclass

DOCUMENT_RECORD_TYPES = ("response", "resource", "conversion")


@dataclass(slots=True)
class Record:
    """One record. `body` is the block (HTTP message or payload), None where it was not wanted or too large."""

    offset: int
    warc_type: str
    headers: dict[str, str]
    content_length: int
    body: bytes | None
    length: int = 0
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class UnreadableRange:
    """Bytes [start, end) of the file that belong to no readable record, and why."""

    start: int
    end: int
    reason: str
