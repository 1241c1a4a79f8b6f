"""Input formats: which reader takes a file, and what is read from it. contract.py says what a reader is.

Every module of this package that defines `READER` is a reader and has the name of its module. No list names them, so a
new format is one new module.
"""

from collections.abc import Iterator
from functools import cache

from pipeline.errors import InputError
from pipeline.readers.contract import InputFile, Item, Reader, ReadSettings
from pipeline.readers.first_bytes import first_bytes
from pipeline.registry import definitions

FALLBACK = "warc"  # finds records behind damage at the start of a file, and names all bytes where there is none


@cache
def readers() -> dict[str, Reader]:
    """All readers by name, in alphabetic order."""
    return definitions("readers", "READER")


def reader_of(head: bytes, name: str) -> str:
    """The name of the first reader that recognises a file from its first bytes and its name, else `FALLBACK`.

    >>> reader_of(b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain 76", "x.arc.gz")
    'arc'
    """
    return next((reader for reader in readers() if readers()[reader].recognises(head, name)), FALLBACK)


def read_input(source: InputFile, settings: ReadSettings) -> Iterator[Item]:
    """The items of an input, by the reader of its format.

    Raises InputError where the file cannot be opened, and OSError where its storage fails while it is read.
    """
    try:
        head = first_bytes(source.path)
    except OSError as error:
        raise InputError(f"{source.path}: cannot be read: {error.strerror}") from None
    yield from readers()[reader_of(head, source.name)].read(source, settings)
