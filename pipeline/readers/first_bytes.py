"""The first bytes of a file, from which a reader recognises its format."""

import zlib
from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b\x08"
FIRST_BYTES = 512


def first_bytes(path: Path) -> bytes:
    """Up to 512 bytes from the start of a file, gzip undone; other compression is left as it is.

    b"" for an empty file and where gzip is damaged from its start. Raises OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(FIRST_BYTES)
    if not head.startswith(GZIP_MAGIC):
        return head
    try:
        return zlib.decompressobj(31).decompress(head, FIRST_BYTES)
    except zlib.error:
        return b""
