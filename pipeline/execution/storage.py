"""Local paths and object stores behind one small interface, and whole files fetched from a URL.

A location is a `pathlib.Path`, or an `ObjectPath` for s3://, gs://, az://, http:// and https://. `ObjectPath` has the
part of pathlib's interface that the passes use, so that they are written once. obstore carries the bytes; credentials
and endpoints come from the environment (AWS_*, GOOGLE_*, AZURE_*). Objects are written whole, by one put or multipart,
so a reader never sees half of one.
"""

import fnmatch
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pipeline.errors import ConfigError, InputError

WRITABLE = ("s3", "s3a", "gs", "az", "abfs", "abfss", "adl", "azure")
READABLE = (*WRITABLE, "http", "https")
# Common Crawl asks for whole files and no more than a try a second; the library's default makes eleven in three seconds
RETRIES = {
    "max_retries": 10,
    "backoff": {"init_backoff": timedelta(seconds=1), "max_backoff": timedelta(seconds=60), "base": 2},
    "retry_timeout": timedelta(minutes=20),
}
FEW_RETRIES = RETRIES | {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}  # before any work
USER_AGENT = "glotmill (open-source text pipeline; set GLOTMILL_USER_AGENT to add your contact)"
CHUNK_BYTES = 8 * 2**20


class Stat(NamedTuple):
    """Size in bytes and the store's version tag, as far as it gives one."""

    st_size: int
    etag: str | None


@dataclass(frozen=True, order=True)
class ObjectPath:
    """An object or a prefix of a store: `root` is scheme and bucket (or host), `key` has no slash at either end."""

    root: str
    key: str

    @classmethod
    def of(cls, url: str) -> "ObjectPath":
        """The location of a URL.

        >>> ObjectPath.of("s3://bucket/out/") / "run.json"
        ObjectPath(root='s3://bucket', key='out/run.json')
        """
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return cls(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") + query)

    def __str__(self) -> str:
        return f"{self.root}/{self.key}"

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(self.root, f"{self.key}/{name}".strip("/"))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "ObjectPath":
        """The prefix that the key stands in."""
        return ObjectPath(self.root, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectPath":
        """The same prefix with another last part."""
        return self.parent / name

    def stat(self) -> Stat:
        """Raises FileNotFoundError where there is no such object, OSError where the store does not answer."""
        import obstore

        with _translated(self):
            head = obstore.head(_store(self.root), self.key)
        return Stat(head["size"], head.get("e_tag"))

    def exists(self) -> bool:
        """Whether there is an object with this key (a prefix alone does not exist)."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def read_bytes(self) -> bytes:
        """The whole object."""
        import obstore

        with _translated(self):
            return bytes(obstore.get(_store(self.root), self.key).bytes())

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole object as text."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "rb") -> "io.BufferedReader":
        """A seekable reader that fetches ranges."""
        assert mode == "rb"
        return io.BufferedReader(_Ranges(self, self.stat().st_size), 1 << 16)

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """Objects of this prefix, at any depth, whose key below it matches; sorted."""
        for key in sorted(_keys(self)):
            if fnmatch.fnmatchcase(key[len(self.key) :].lstrip("/"), pattern):
                yield ObjectPath(self.root, key)

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Stores have no folders."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object."""
        import obstore

        with _translated(self):
            obstore.delete(_store(self.root), self.key)


Location = Path | ObjectPath


class _Ranges(io.RawIOBase):
    """Random access to an object, a request for each read."""

    def __init__(self, path: ObjectPath, size: int) -> None:
        self.path = path
        self.length = size
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = offset + (0, self.position, self.length)[whence]
        return self.position

    def readinto(self, buffer: Any) -> int:
        import obstore

        count = min(len(buffer), self.length - self.position)
        if count <= 0:
            return 0
        with _translated(self.path):
            data = obstore.get_range(_store(self.path.root), self.path.key, start=self.position, length=count)
        buffer[:count] = memoryview(data)
        self.position += count
        return count


def locate(where: str | Path) -> Location:
    """The location that a user names: a URL of a known scheme, `file://`, or a local path.

    Raises ConfigError for a scheme that cannot be read.

    >>> str(locate("https://data.example/a.warc.gz")), locate("out") == Path("out")
    ('https://data.example/a.warc.gz', True)
    """
    text = str(where)
    if "://" not in text:
        return Path(where)
    scheme = text.partition("://")[0].lower()
    if scheme == "file":
        return Path(urlsplit(text).path)
    if scheme not in READABLE:
        raise ConfigError(f"{text}: cannot read {scheme}://; use a path or one of {', '.join(READABLE)}")
    return ObjectPath.of(text)


def locate_output(where: str | Path) -> Location:
    """As `locate`, for a location that will be written. Raises ConfigError for http and https."""
    location = locate(where)
    if isinstance(location, ObjectPath) and location.root.partition("://")[0] not in WRITABLE:
        raise ConfigError(f"{where}: cannot be written; use a folder or one of {', '.join(WRITABLE)}")
    return location


def check_reachable(folder: Location) -> None:
    """Raises ConfigError where a store refuses us, has no such bucket or does not answer; a path may not exist yet."""
    if isinstance(folder, ObjectPath):
        try:
            next(_keys(folder, patient=False), None)
        except OSError as error:
            raise ConfigError(str(error)) from None


def readable(location: Location) -> Any:
    """What pyarrow opens: the path itself, or a reader of ranges."""
    return location if isinstance(location, Path) else location.open()


def put(local: Path, location: Location) -> None:
    """Make `location` hold the bytes of a local file, all at once; the local file may be moved."""
    if isinstance(location, Path):
        os.replace(local, location)
        return
    import obstore

    with _translated(location):
        obstore.put(_store(location.root), location.key, local, chunk_size=CHUNK_BYTES, max_concurrency=4)


def put_if_absent(local: Path, location: Location) -> bool:
    """As `put`, but False, and nothing changed, where the location exists: of two racers exactly one gets True."""
    if isinstance(location, Path):
        try:
            os.link(local, location)
        except FileExistsError:
            return False
        local.unlink()
        return True
    import obstore

    try:
        with _translated(location):
            obstore.put(_store(location.root), location.key, local, mode="create", use_multipart=False)
    except FileExistsError:
        return False
    return True


def matching(folder: Location, pattern: str) -> list[Location]:
    """What lies in a folder under names that match, sorted."""
    return [*sorted(folder.glob(pattern))] if isinstance(folder, Path) else [*folder.glob(pattern)]


def names(folder: Location) -> list[str]:
    """Names of what lies directly in a folder, sorted; empty where there is none."""
    if isinstance(folder, Path):
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return sorted({key[len(folder.key) + 1 :].partition("/")[0] for key in _keys(folder)})


def tree_bytes(location: Location) -> int:
    """Bytes of a file, or of all files below a folder or prefix."""
    if isinstance(location, Path):
        files = [location] if location.is_file() else [path for path in location.rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files)
    return sum(ObjectPath(location.root, key).stat().st_size for key in _keys(location))


def remove_tree(folder: Location) -> None:
    """Delete a folder, or every object below a prefix; nothing happens where there is none."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    import obstore

    if keys := list(_keys(folder)):
        with _translated(folder):
            obstore.delete(_store(folder.root), keys)


def move_tree(source: Location, target: Location, last: str) -> None:
    """Give a folder another name; what stood there must be gone.

    Local: one rename. A store copies each object on its side and `last` (the manifest) at the end, so that a reader who
    trusts the manifest sees all or nothing.
    """
    if isinstance(source, Path):
        assert isinstance(target, Path)
        os.replace(source, target)
        return
    import obstore

    assert isinstance(target, ObjectPath)
    keys = sorted(_keys(source), key=lambda key: (key == f"{source.key}/{last}", key))
    for key in keys:
        with _translated(source):
            obstore.copy(_store(source.root), key, f"{target.key}/{key[len(source.key) + 1 :]}")
    remove_tree(source)


def match(pattern: str) -> list[str]:
    """Objects that a URL with `*`, `?` or `[...]` names, sorted; `*` does not cross a slash, `**` does.

    Raises InputError for http and https, which cannot be listed.
    """
    whole = ObjectPath.of(pattern)
    if whole.root.startswith(("http://", "https://")):
        raise InputError(f"{pattern}: a web server cannot be listed; name each file, or a list of paths (.paths.gz)")
    fixed = whole.key[: min(whole.key.find(sign) for sign in "*?[" if sign in whole.key)].rpartition("/")[0]
    folder = ObjectPath(whole.root, fixed)
    wanted = PurePosixPath(whole.key).parts
    return [f"{whole.root}/{key}" for key in sorted(_keys(folder)) if _matches(PurePosixPath(key).parts, wanted)]


def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[start:], wanted[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])


@contextmanager
def local_copy(location: Location) -> Iterator[Path]:
    """A local file with the bytes of the location: itself, or a whole download that is deleted afterwards.

    One request a file, as Common Crawl asks; a broken connection goes on from where it stopped. A file that is shorter
    or longer than the server said is an OSError.
    """
    if isinstance(location, Path):
        yield location
        return
    import obstore

    with tempfile.TemporaryDirectory(prefix="glotmill-") as folder:
        path = Path(folder) / (location.name.partition("?")[0] or "download")
        with _translated(location):
            answer = obstore.get(_store(location.root), location.key)
            with path.open("wb") as file:
                for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                    file.write(chunk)
        got, stated = path.stat().st_size, answer.meta["size"]
        if got != stated:
            raise OSError(f"{location}: {got} bytes arrived of {stated}")
        yield path


@lru_cache(maxsize=64)
def _store(root: str, patient: bool = True) -> Any:
    from obstore.store import from_url

    agent = os.environ.get("GLOTMILL_USER_AGENT", USER_AGENT)
    options: dict[str, Any] = {"user_agent": agent, "timeout": timedelta(hours=1)}
    # client options given here replace those of the environment
    if root.startswith("http://") or os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"):
        options["allow_http"] = True
    return from_url(root, client_options=options, retry_config=RETRIES if patient else FEW_RETRIES)  # type: ignore[call-overload]


def _keys(folder: ObjectPath, patient: bool = True) -> Iterator[str]:
    import obstore

    with _translated(folder):
        for chunk in obstore.list(_store(folder.root, patient), prefix=folder.key or None):
            yield from (entry["path"] for entry in chunk)


@contextmanager
def _translated(location: ObjectPath) -> Iterator[None]:
    """obstore's errors as the built-in ones, on one line and with the URL."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{location}: no such object") from None
    except BaseError as error:
        from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, UnauthenticatedError

        if isinstance(error, AlreadyExistsError):
            raise FileExistsError(str(location)) from None
        first = str(error).partition("\n")[0]
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            raise PermissionError(f"{location}: access refused; set the store's credentials: {first}") from None
        raise OSError(f"{location}: {first}") from None
