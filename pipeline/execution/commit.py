"""Commits: data is written under a temporary name, then renamed; a manifest created once says that it is done.

A reader trusts manifests and never a directory listing. The same inputs and settings give the same bytes.
"""

import errno
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.execution.storage import Location, put, put_if_absent

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def sha256_of(path: Location) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def committed(path: Location) -> Iterator[Path]:
    """Yield a temporary local path; on success `path` gets its bytes at once: fsync and rename, or one put.

    Raises StorageError when there is no room.
    """
    with _temporary(path) as temporary:
        yield temporary
        _sync(temporary)
        put(temporary, path)


@contextmanager
def _temporary(path: Location) -> Iterator[Path]:
    """A name that is nobody else's, on any machine: beside `path`, or in a folder of ours for an object."""
    with names_full_storage(path):
        if not isinstance(path, Path):
            with tempfile.TemporaryDirectory(prefix="glotmill-") as folder:
                yield Path(folder) / path.name
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def names_full_storage(path: Location | str) -> Iterator[None]:
    """Turn what a full or read-only storage says into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageError(
            f"{path}: cannot be written: {os.strerror(error.errno)}; make room and give the same command again"
        ) from error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write_json(path: Location, value: Any) -> None:
    """Write JSON in one rename, keys sorted, so that equal values give equal bytes."""
    with committed(path) as temporary:
        temporary.write_text(_json(value), encoding="utf-8")


def create_json(path: Location, value: Any) -> bool:
    """Write JSON where nothing is yet; False, and `path` as it was, when another process was first."""
    with _temporary(path) as temporary:
        temporary.write_text(_json(value), encoding="utf-8")
        _sync(temporary)
        return put_if_absent(temporary, path)


def read_json(path: Location) -> Any:
    """Read JSON that `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def finished(path: Location, fingerprint: str) -> dict[str, Any] | None:
    """The manifest at `path` when it exists and was made with these settings, else None."""
    if not path.exists():
        return None
    manifest: dict[str, Any] = read_json(path)
    return manifest if manifest.get("fingerprint") == fingerprint else None
