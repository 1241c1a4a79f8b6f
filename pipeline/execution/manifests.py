"""Commits: data is written under a temporary name, then renamed; a manifest that is created once says that it is done.

A reader trusts manifests and never a directory listing. The same inputs and settings give the same bytes.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def committed(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`.

    Its name is nobody else's, on any machine. A body that deletes it commits nothing. Raises StorageError when there
    is no room.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        with names_full_storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if temporary.exists():
                _sync(temporary)
                os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def names_full_storage(path: Path | str) -> Iterator[None]:
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


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one rename, keys sorted, so that equal values give equal bytes."""
    with committed(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def create_json(path: Path, value: Any) -> bool:
    """Write JSON where nothing is yet; False, and `path` as it was, when another process was first."""
    written = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    write_json(written, value)
    try:
        os.link(written, path)
    except FileExistsError:
        return False
    finally:
        written.unlink()
    return True


def read_json(path: Path) -> Any:
    """Read JSON that `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def finished(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The manifest at `path` when it exists and was made with these settings, else None."""
    if not path.exists():
        return None
    manifest: dict[str, Any] = read_json(path)
    return manifest if manifest.get("fingerprint") == fingerprint else None
