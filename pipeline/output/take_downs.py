"""take_downs: what was asked to be taken out, as hashes, and which rows that concerns.

`glotmill remove` writes a record; every later selection reads all of them, so what was taken out stays out. A record
holds the 64-bit hashes that document_index/ is searched by, and a sha256 that the row itself is compared with: 64 bits
can have two words.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import InputError
from pipeline.execution.commit import read_json, write_json
from pipeline.execution.storage import Location, matching
from pipeline.kernels.hashing import hash64
from pipeline.output.document_index import KINDS, Kind, Place, find_in_shard_group, url_key
from pipeline.output.grouped_parquet import rows_of
from pipeline.output.output import Output
from pipeline.text.urls import host_of, registered_domain

STAYS, TAKEN_OUT, REPLACEABLE = 0, 1, 2  # of a document; the cluster of a replaceable one may keep another


@dataclass(frozen=True)
class Request:
    """One id, URL or domain to take out: hashes for document_index/, in hexadecimal, and sha256 of what a row must
    have."""

    kind: Kind
    hashes: tuple[str, ...]
    digests: tuple[str, ...]


class Match(NamedTuple):
    """A row that a request asks for."""

    place: Place
    id: str
    url: str
    digest: str  # of the request


def request_of(kind: Kind, word: str) -> Request:
    """What is searched for a word: an id with or without angle brackets, a URL, or a domain and all below it.

    Raises InputError for a word that is no URL or domain.

    >>> request_of("url", "https://a.example/b#top") == request_of("url", "http://A.example/b")
    True
    """
    word = word.strip()
    if kind == "id":
        bare = word.strip("<>")
        searched, compared = [bare, f"<{bare}>"], [bare]
    elif kind == "url":
        searched = compared = [url_key(word)]
    else:
        host = (urlsplit(word).hostname or "") if "://" in word else word.lower().strip(".")
        compared = list(dict.fromkeys([host, _ascii(host)]))
        searched = [registered_domain(one) for one in compared]
    if not all(compared) or (kind == "domain" and "/" in compared[0]):
        raise InputError(f"{word!r}: no {kind}; nothing was taken out")
    hashes = tuple(f"{hash64(one):016x}" for one in dict.fromkeys(searched))
    return Request(kind, hashes, tuple(_digest(one) for one in compared))


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def _digests_of(kind: Kind, record_id: str, url: str) -> list[str]:
    """Of what a request for a row would hold one of."""
    if kind == "id":
        return [_digest(record_id.strip("<>"))]
    if kind == "url":
        return [_digest(url_key(url))]
    labels = host_of(url).split(".")
    return [_digest(".".join(labels[start:])) for start in range(len(labels))]


def name_of(requests: Iterable[Request], keep_another: bool) -> str:
    """The name of the record of these requests: the same for the same, so that a command can be given again."""
    return fingerprint([sorted(map(repr, requests)), keep_another])[:16]


def save(layout: Output, requests: list[Request], keep_another: bool) -> str:
    """Write the record; returns its name."""
    name = name_of(requests, keep_another)
    ordered = sorted(requests, key=repr)
    write_json(
        layout.take_downs / f"{name}.json", {"keep_another": keep_another, "requests": [asdict(one) for one in ordered]}
    )
    return name


def inherit(layout: Output, earlier: Iterable[Output]) -> None:
    """Take over the records of earlier outputs: what was asked there holds for what is read later, too."""
    own = set(take_down_names(layout))
    for before in earlier:
        for name in take_down_names(before):
            if name not in own:
                write_json(layout.take_downs / f"{name}.json", read_json(before.take_downs / f"{name}.json"))


def take_down_names(layout: Output) -> list[str]:
    """The names of all records, ascending."""
    return [path.name.removesuffix(".json") for path in matching(layout.take_downs, "*.json")]


def load(layout: Output, name: str) -> tuple[list[Request], bool]:
    """The requests of a record, and whether clusters may keep another kept document."""
    record: dict[str, Any] = read_json(layout.take_downs / f"{name}.json")
    requests = [Request(one["kind"], tuple(one["hashes"]), tuple(one["digests"])) for one in record["requests"]]
    return requests, record["keep_another"]


def matches(layout: Output, shard_group: int, shards: list[str], requests: Iterable[Request]) -> list[Match]:
    """The rows of a shard group that the requests ask for, dropped records included, each compared itself."""
    wanted = list(requests)
    found = []
    for kind in KINDS:
        digests = {digest for one in wanted if one.kind == kind for digest in one.digests}
        hashes = sorted({int(text, 16) for one in wanted if one.kind == kind for text in one.hashes})
        by_file: dict[tuple[str, bool], list[Place]] = {}
        for place in find_in_shard_group(layout, shard_group, shards, kind, hashes):
            by_file.setdefault((place.shard, place.dropped), []).append(place)
        for (shard, dropped), places in by_file.items():
            path = layout.dropped(shard) if dropped else layout.annotated(shard)
            for place, row in zip(places, _named(path, [one.row for one in places]), strict=True):
                url = row["url"] or ""
                same = digests.intersection(_digests_of(kind, row["id"], url))
                found += [Match(place, row["id"], url, digest) for digest in sorted(same)]
    return found


def _named(path: Location, rows: list[int]) -> list[dict[str, Any]]:
    return pa.concat_tables(rows_of(path, rows, ["id", "url"])).to_pylist() if rows else []


def taken_out_rows(
    layout: Output, names: Iterable[str], shard_group: int, shards: list[str]
) -> dict[str, dict[int, int]]:
    """Shard -> row -> TAKEN_OUT or REPLACEABLE, of the documents of a shard group that these records take out."""
    levels: dict[str, dict[int, int]] = {}
    for name in names:
        requests, keep_another = load(layout, name)
        level = REPLACEABLE if keep_another else TAKEN_OUT
        for match in matches(layout, shard_group, shards, requests):
            if not match.place.dropped:
                of_shard = levels.setdefault(match.place.shard, {})
                of_shard[match.place.row] = max(of_shard.get(match.place.row, STAYS), level)
    return levels
