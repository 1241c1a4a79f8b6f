"""What a reader is: a function from the bytes of one input file to its records, in the order in which they stand there.

A reader is a module of `readers/` that defines `READER`. It yields three kinds of items, and together they cover the
file: the bytes of the records and of the unreadable ranges add up to the bytes of the file, however damaged it is.

- a `SourceRow` for each record that can hold a document, with a drop reason where it is known to hold none;
- an `OtherRecord` for each record that can hold no document, such as a request;
- an `UnreadableRange` for bytes that no record could be read from, and why.

The same file gives the same items each time. An empty file gives none. Nothing else of the pipeline knows formats: a
new one is a new module and its test. Since all modules of `readers/` are imported to find readers, a reader imports
a library that takes long to load, or that may not be installed, inside its functions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.schema.drop_reasons import DropReason


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """What of the config concerns readers."""

    max_record_bytes: int  # a record, or its body once decoded, that is larger is dropped
    dump: str = ""  # the name of the crawl, for files that do not give it themselves


@dataclass(frozen=True, slots=True)
class InputFile:
    """An input: where its bytes are now, and the name by which the plan and all rows know it."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A record that can hold a document. Its fields are the columns of that name in `schema/columns.py`.

    `payload` is what the text is made from: HTML, or for the type "conversion" plain text in UTF-8. It may be a view of
    a larger buffer, and nothing copies it. It is None where there is a drop reason.
    """

    id: str
    url: str | None
    date: str | None
    dump: str
    file_path: str
    warc_offset: int
    warc_length: int
    warc_type: str
    http_status: int | None
    truncated: str | None
    content_type: str
    payload: bytes | memoryview | None
    drop_reason: DropReason | None


@dataclass(frozen=True, slots=True)
class OtherRecord:
    """A record whose type can hold no document; `length` is its bytes in the file."""

    record_type: str
    length: int


@dataclass(frozen=True, slots=True)
class UnreadableRange:
    """Bytes [start, end) of the file that belong to no readable record, and why."""

    start: int
    end: int
    reason: str


Item = SourceRow | OtherRecord | UnreadableRange


@dataclass(frozen=True, slots=True)
class Reader:
    """A format.

    `recognises` says from the first bytes of a file (see `first_bytes`) and its name whether it is of this format.
    `read` gives its items; it raises OSError when the storage fails, and nothing for damage of the file.
    """

    recognises: Callable[[bytes, str], bool]
    read: Callable[[InputFile, ReadSettings], Iterator[Item]]
