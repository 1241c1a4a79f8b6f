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
from typing import Any, TypeVar

import msgspec

from pipeline.errors import InputError, StorageError
from pipeline.execution.storage import Location, put, put_if_absent

ManifestT = TypeVar("ManifestT", bound=msgspec.Struct)
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


def write_manifest(path: Location, manifest: msgspec.Struct) -> None:
    """Write a manifest as `write_json` does."""
    write_json(path, msgspec.to_builtins(manifest))


def create_manifest(path: Location, manifest: msgspec.Struct) -> bool:
    """Write a manifest as `create_json` does."""
    return create_json(path, msgspec.to_builtins(manifest))


def read_manifest(path: Location, kind: type[ManifestT]) -> ManifestT:
    """Read a manifest that `write_manifest` wrote. Raises InputError, which names file and field, for another JSON."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:  # a ValidationError is one
        raise InputError(
            f"{path}: {error}; it is damaged or was written by another version of Glotmill; give the command "
            "that writes it again"
        ) from None


def finished(path: Location, kind: type[ManifestT], fingerprint: str) -> ManifestT | None:
    """The manifest at `path` when it exists, can be read and was made with these settings, else None."""
    if not path.exists():
        return None
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError:
        return None  # of another version: it is made again
    return manifest if getattr(manifest, "fingerprint", None) == fingerprint else None
