"""What an output folder holds, for tests that compare two."""

import hashlib
from pathlib import Path


def digests(root: Path) -> dict[str, str]:
    """The sha256 of every file, by its path in the folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }
