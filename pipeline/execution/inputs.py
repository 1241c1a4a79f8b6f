"""What a user names as input - paths, globs, URLs, lists of paths - as the files of the plan, in order, each once."""

import glob
import gzip
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from pipeline.errors import InputError
from pipeline.execution.storage import ObjectPath, locate, match

LISTS = (".paths", ".paths.gz")


def resolve_inputs(patterns: Iterable[str], prefix: str = "", may_be_absent: Collection[str] = ()) -> list[str]:
    """Files in the order given, each once; one of `may_be_absent` need not be there.

    A name that ends in .paths or .paths.gz is a list with a file a line, as crawls publish it. Its lines are appended
    to `prefix`, else to the scheme and host of the list's URL, else to the folder of the list. What a list names is
    not looked up here (a crawl has 90,000 files): a file that is not there becomes a failed shard. All else is.

    Raises InputError for a missing path, an empty glob or list, a server that does not answer.
    """
    paths: dict[str, None] = {}
    for pattern in patterns:
        names = _lines(pattern, prefix) if pattern.endswith(LISTS) else _files(pattern, may_be_absent)
        paths.update(dict.fromkeys(names))
    if not paths:
        raise InputError("no inputs: give --input PATH or `inputs = [...]` in the config")
    return list(paths)


def _files(pattern: str, may_be_absent: Collection[str]) -> Iterator[str]:
    location = locate(pattern)
    if isinstance(location, ObjectPath):
        yield from _objects(pattern, location, may_be_absent)
        return
    normal = os.path.normpath(location)
    matches = sorted(glob.glob(normal, recursive=True)) if glob.has_magic(normal) else [normal]
    if not matches:
        raise InputError(f"{pattern}: the glob matches no file")
    for path in matches:
        if path in may_be_absent:
            yield path
            continue
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file")
        if not os.access(path, os.R_OK):
            raise InputError(f"{path}: not readable")
        yield path


def _objects(pattern: str, location: ObjectPath, may_be_absent: Collection[str]) -> Iterator[str]:
    web = location.root.startswith(("http://", "https://"))
    try:
        if any(sign in pattern for sign in ("*[" if web else "*?[")):
            matches = match(pattern)
            if not matches:
                raise InputError(f"{pattern}: the glob matches no object")
            yield from matches
        else:
            if pattern not in may_be_absent:
                location.stat()
            yield str(location)
    except OSError as error:
        raise InputError(str(error)) from None


def _lines(name: str, prefix: str) -> Iterator[str]:
    location = locate(name)
    try:
        data = location.read_bytes()
        lines = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8").split()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not a readable list of paths: {error}") from None
    if not lines:
        raise InputError(f"{name}: the list names no file")
    base = prefix or (f"{location.root}/" if isinstance(location, ObjectPath) else f"{location.parent}/")
    for line in lines:
        named = line if "://" in line or line.startswith("/") else base + line
        location = locate(named)
        yield os.path.normpath(location) if isinstance(location, Path) else str(location)
