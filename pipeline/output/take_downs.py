"""Take-downs: what was asked to be taken out, as hashes, and which rows that concerns.

`glotmill remove` writes a record; every later selection reads all records, so that what was taken out stays out. A
record holds the 64-bit hashes that the document index is searched for, and sha256 digests that the row itself is
compared with, because two values can have the same 64 bits.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import InputError
from pipeline.execution.commit import read_manifest, write_manifest
from pipeline.execution.storage import Location, matching
from pipeline.kernels.hashing import hash64
from pipeline.output.document_index import KINDS, Kind, Place, find_in_shard_group, url_key
from pipeline.output.grouped_parquet import rows_of
from pipeline.output.output import Output
from pipeline.schema.manifests import TakeDown, TakeDownRequest
from pipeline.text.urls import host_of, registered_domain

STAYS, TAKEN_OUT, REPLACEABLE = 0, 1, 2  # of a document; the cluster of a replaceable one may keep another


@dataclass(frozen=True)
class Match:
    """A row that a request asks for."""

    place: Place
    id: str
    url: str
    digest: str  # of the request


def request_of(kind: Kind, value: str) -> TakeDownRequest:
    """What is searched for a value: an id with or without angle brackets, a URL, or a domain and all below it.

    Raises InputError for a value that is no URL or domain.

    >>> request_of("url", "https://a.example/b#top") == request_of("url", "http://A.example/b")
    True
    """
    value = value.strip()
    if kind == "id":
        bare = value.strip("<>")
        searched, compared = [bare, f"<{bare}>"], [bare]
    elif kind == "url":
        searched = compared = [url_key(value)]
    else:
        host = (urlsplit(value).hostname or "") if "://" in value else value.lower().strip(".")
        compared = list(dict.fromkeys([host, _ascii(host)]))
        searched = [registered_domain(name) for name in compared]
    if not all(compared) or (kind == "domain" and "/" in compared[0]):
        raise InputError(f"{value!r}: no {kind}; nothing was taken out")
    return TakeDownRequest(
        kind=kind,
        hashes=tuple(f"{hash64(key):016x}" for key in dict.fromkeys(searched)),
        digests=tuple(_digest(key) for key in compared),
    )


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _digests_of(kind: Kind, record_id: str, url: str) -> list[str]:
    """The digests of a row, one of which a request of this kind that asks for the row has."""
    if kind == "id":
        return [_digest(record_id.strip("<>"))]
    if kind == "url":
        return [_digest(url_key(url))]
    labels = host_of(url).split(".")
    return [_digest(".".join(labels[start:])) for start in range(len(labels))]


def _ordered(requests: Iterable[TakeDownRequest]) -> list[TakeDownRequest]:
    return sorted(requests, key=lambda request: (request.kind, request.hashes, request.digests))


def name_of(requests: Iterable[TakeDownRequest], keep_another: bool) -> str:
    """The name of the record of these requests: the same for the same, so that a command can be given again."""
    return fingerprint([msgspec.to_builtins(_ordered(requests)), keep_another])[:16]


def save(output: Output, requests: Iterable[TakeDownRequest], keep_another: bool) -> str:
    """Write the record of some requests; returns its name.

    With `keep_another` the clusters of what is taken out may keep another document.
    """
    ordered = _ordered(requests)
    name = name_of(ordered, keep_another)
    write_manifest(output.take_down(name), TakeDown(keep_another=keep_another, requests=ordered))
    return name


def inherit(output: Output, baselines: Iterable[Output]) -> None:
    """Take over the records of baselines: what was taken out there stays out of what is read later, too."""
    known = set(take_down_names(output))
    for baseline in baselines:
        for name in take_down_names(baseline):
            if name not in known:
                write_manifest(output.take_down(name), read_manifest(baseline.take_down(name), TakeDown))


def take_down_names(output: Output) -> list[str]:
    """The names of all records, ascending."""
    return [path.name.removesuffix(".json") for path in matching(output.take_downs, "*.json")]


def matches(output: Output, shard_group: int, shards: list[str], requests: Iterable[TakeDownRequest]) -> list[Match]:
    """The rows of a shard group that the requests ask for, dropped records included.

    Rows are found by hash, and then their own values compared with the request.
    """
    wanted = list(requests)
    matched = []
    for kind in KINDS:
        of_kind = [request for request in wanted if request.kind == kind]
        digests = {digest for request in of_kind for digest in request.digests}
        hashes = sorted({int(text, 16) for request in of_kind for text in request.hashes})
        by_file: dict[tuple[str, bool], list[Place]] = {}
        for place in find_in_shard_group(output, shard_group, shards, kind, hashes):
            by_file.setdefault((place.shard, place.dropped), []).append(place)
        for (shard, dropped), places in by_file.items():
            path = output.dropped(shard) if dropped else output.annotated(shard)
            rows = _ids_and_urls(path, [place.row for place in places])
            for place, row in zip(places, rows, strict=True):
                url = row["url"] or ""
                same = digests.intersection(_digests_of(kind, row["id"], url))
                matched += [Match(place, row["id"], url, digest) for digest in sorted(same)]
    return matched


def _ids_and_urls(path: Location, rows: list[int]) -> list[dict[str, Any]]:
    return pa.concat_tables(rows_of(path, rows, ["id", "url"])).to_pylist() if rows else []


def taken_out_rows(
    output: Output, names: Iterable[str], shard_group: int, shards: list[str]
) -> dict[str, dict[int, int]]:
    """Shard -> row -> TAKEN_OUT or REPLACEABLE, of the documents of a shard group that these records take out."""
    levels: dict[str, dict[int, int]] = {}
    for name in names:
        take_down = read_manifest(output.take_down(name), TakeDown)
        level = REPLACEABLE if take_down.keep_another else TAKEN_OUT
        for match in matches(output, shard_group, shards, take_down.requests):
            if not match.place.dropped:
                of_shard = levels.setdefault(match.place.shard, {})
                of_shard[match.place.row] = max(of_shard.get(match.place.row, STAYS), level)
    return levels
