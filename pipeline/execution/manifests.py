"""Commits: data is written under a temporary name, then renamed; a manifest created once says that it is done.

A reader trusts manifests and never a directory listing. The same inputs and settings give the same bytes.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.execution.storage import Location, ObjectPath, put


def sha256_of(path: Location) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def committed(path: Location) -> Iterator[Path]:
    """Yield a temporary local path; on success `path` gets its bytes at once: fsync and rename, or one put."""
    if isinstance(path, ObjectPath):
        with tempfile.TemporaryDirectory(prefix="glotmill-") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            put(temporary, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Location, value: Any) -> None:
    """Write JSON in one rename, keys sorted, so that equal values give equal bytes."""
    with committed(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Location) -> Any:
    """Read JSON that `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def finished(path: Location, fingerprint: str) -> dict[str, Any] | None:
    """The manifest at `path` when it exists and was made with these settings, else None."""
    if not path.exists():
        return None
    manifest: dict[str, Any] = read_json(path)
    return manifest if manifest.get("fingerprint") == fingerprint else None
