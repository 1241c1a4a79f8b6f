"""lookup: from the hash of an id, a URL or a registered domain to the rows that have it, dropped records included.

A file a shard group, sorted by (kind, hash), in row groups small enough that a search reads one of them: the statistics
of the row groups say which. `explain` reads it; taking documents out and knowing what was already read need the same.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import committed, finished_json, read_json, write_json
from pipeline.execution.storage import Location, readable
from pipeline.execution.tasks import Executor
from pipeline.kernels.hashing import hash64
from pipeline.output.grouped_parquet import read_file
from pipeline.output.layout import shard_groups
from pipeline.output.output import Output
from pipeline.text.urls import host_of, normalize_url, registered_domain

FORMAT = 1
Kind = Literal["id", "url", "domain"]
KINDS: dict[Kind, int] = {"id": 0, "url": 1, "domain": 2}
ROW_GROUP_ROWS = 65_536
FEW = 32  # hashes that are compared one by one with the statistics of row groups
SCHEMA = pa.schema(
    [
        ("kind", pa.int8()),
        ("hash", pa.uint64()),
        ("shard", pa.int32()),  # within the shard group
        ("row", pa.int64()),  # of annotated/ or of dropped/
        ("dropped", pa.bool_()),
    ]
)


class Place(NamedTuple):
    """Where a record's row stands."""

    shard_group: int
    shard: str
    row: int
    dropped: bool


def url_key(url: str) -> str:
    """What a URL is found by: its normal form, or the host of a bare domain.

    >>> url_key("HTTPS://Example.org/#top"), url_key("http://example.org/a?utm_source=x")
    ('example.org', 'example.org/a')
    """
    return normalize_url(url) or host_of(url)


def build_document_index(config: RunConfig, layout: Output, executor: Executor) -> None:
    """Write document_index/; done work over the same shards is kept. Raises RuntimeError when a shard group fails."""
    manifests = layout.manifests()
    key = fingerprint([FORMAT, config.dedup.shard_group_size, [msgspec.to_builtins(manifest.sha256) for manifest in manifests]])
    if finished_json(layout.document_index_manifest, key) is not None:
        return
    grouped = shard_groups([one.shard for one in manifests], config.dedup.shard_group_size)
    arguments = [(layout, number, shards) for number, shards in enumerate(grouped)]
    for position, _, error in executor.run(index_shard_group, arguments):
        if error:
            raise RuntimeError(f"lookup of shard group {position} failed: {error}")
    write_json(layout.document_index_manifest, {"fingerprint": key, "shard_groups": grouped})


def index_shard_group(layout: Output, shard_group: int, shards: list[str]) -> None:
    """Write the sorted hashes of a shard group."""
    parts = []
    for number, shard in enumerate(shards):
        for path, dropped in ((layout.annotated(shard), False), (layout.dropped(shard), True)):
            for kind, values in (_hashes_of_dropped(path) if dropped else _hashes_of_documents(path)).items():
                count = len(values)
                rows = np.arange(count)
                columns = [np.full(count, KINDS[kind], np.int8), values, np.full(count, number, np.int32), rows]
                parts.append(pa.table([*map(pa.array, columns), pa.array(np.full(count, dropped))], schema=SCHEMA))
    order = [(name, "ascending") for name in ("kind", "hash", "shard", "row", "dropped")]
    whole = pa.concat_tables(parts).sort_by(order) if parts else SCHEMA.empty_table()
    with committed(layout.document_index(shard_group)) as path:
        pq.write_table(whole, path, compression="zstd", row_group_size=ROW_GROUP_ROWS)


def _hashes_of_documents(path: Location) -> dict[Kind, np.ndarray]:
    """Those that annotate has stored with its documents, which have none of a bare domain."""
    table = read_file(path, ["id_hash", "url_hash", "domain_hash", "url"])
    urls = table["url_hash"].fill_null(0).to_numpy().copy()
    (bare,) = np.nonzero(urls == 0)
    urls[bare] = [hash64(url_key(url or "")) for url in table["url"].take(pa.array(bare)).to_pylist()]
    return {"id": table["id_hash"].to_numpy(), "url": urls, "domain": table["domain_hash"].to_numpy()}


def _hashes_of_dropped(path: Location) -> dict[Kind, np.ndarray]:
    table = read_file(path, ["id", "url"])
    urls = [url or "" for url in table["url"].to_pylist()]
    words: dict[Kind, list[str]] = {
        "id": table["id"].to_pylist(),
        "url": [url_key(url) for url in urls],
        "domain": [registered_domain(host_of(url)) for url in urls],
    }
    return {kind: np.array([hash64(word) for word in found], dtype=np.uint64) for kind, found in words.items()}


def find(layout: Output, kind: Kind, words: list[str]) -> list[Place]:
    """Rows whose id, URL key or registered domain has the hash of one of `words`, in plan order.

    A hash of 64 bits can have two words: compare the row itself before acting on it.
    """
    index: dict[str, Any] = read_json(layout.document_index_manifest)
    hashes = [hash64(word) for word in words]
    found = []
    for shard_group, shards in enumerate(index["shard_groups"]):
        found += find_in_shard_group(layout, shard_group, shards, kind, hashes)
    return found


def find_in_shard_group(
    layout: Output, shard_group: int, shards: list[str], kind: Kind, hashes: Sequence[int]
) -> list[Place]:
    """As `find`, of one shard group and for hashes of words."""
    if not hashes:
        return []
    same = pc.field("hash").isin(pa.array(sorted(hashes), pa.uint64()))
    if len(hashes) <= FEW:  # row groups without any are not read
        same = reduce(or_, (pc.field("hash") == pa.scalar(one, pa.uint64()) for one in hashes))
    kind_is = pc.field("kind") == pa.scalar(KINDS[kind], pa.int8())
    rows = pq.read_table(readable(layout.document_index(shard_group)), filters=kind_is & same).to_pylist()
    places = sorted({(row["shard"], row["row"], row["dropped"]) for row in rows})
    return [Place(shard_group, shards[shard], row, dropped) for shard, row, dropped in places]
