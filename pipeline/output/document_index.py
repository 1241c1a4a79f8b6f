"""The document index: from the hash of an id, a URL or a registered domain to the rows that have it, dropped records
included.

There is one file for each shard group, sorted by (kind, hash), in row groups so small that a search reads one of them,
which the statistics of the row groups name. `explain` searches the index for a document, and take-downs for the rows
that they concern.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.execution.commit import committed, finished, read_manifest, write_manifest
from pipeline.execution.storage import Location, readable
from pipeline.execution.tasks import Executor, run_all
from pipeline.kernels.hashing import hash64
from pipeline.output.grouped_parquet import read_file
from pipeline.output.layout import Layout, shard_groups
from pipeline.output.output import Output
from pipeline.schema.manifests import DocumentIndexManifest
from pipeline.text.urls import host_of, normalize_url, registered_domain

FORMAT = 1
Kind = Literal["id", "url", "domain"]
KINDS: dict[Kind, int] = {"id": 0, "url": 1, "domain": 2}
ROW_GROUP_ROWS = 65_536
FEW_HASHES = 32  # that are compared with the statistics of row groups one after the other
SCHEMA = pa.schema(
    [
        ("kind", pa.int8()),
        ("hash", pa.uint64()),
        ("shard", pa.int32()),  # within the shard group
        ("row", pa.int64()),  # of annotated/ or of dropped/
        ("dropped", pa.bool_()),
    ]
)


@dataclass(frozen=True, order=True)
class Place:
    """Where the row of a record is."""

    shard_group: int
    shard: str
    row: int  # of the shard's file in annotated/ or in dropped/
    dropped: bool


@dataclass(frozen=True)
class IndexTask:
    """Index the records of one shard group."""

    layout: Layout
    shard_group: int
    shards: Sequence[str]


def url_key(url: str) -> str:
    """What a URL is found by: its normal form, or the host of a bare domain.

    >>> url_key("HTTPS://Example.org/#top"), url_key("http://example.org/a?utm_source=x")
    ('example.org', 'example.org/a')
    """
    return normalize_url(url) or host_of(url)


def build_document_index(output: Output, shard_group_size: int, executor: Executor) -> None:
    """Write document_index/, unless it is there for the same shards. Raises RuntimeError when a shard group fails."""
    manifests = output.manifests()
    digests = [msgspec.to_builtins(manifest.sha256) for manifest in manifests]
    key = fingerprint([FORMAT, shard_group_size, digests])
    if finished(output.document_index_manifest, DocumentIndexManifest, key) is not None:
        return
    grouped = shard_groups([manifest.shard for manifest in manifests], shard_group_size)
    run_all(executor, index_shard_group, [IndexTask(output, number, shards) for number, shards in enumerate(grouped)])
    write_manifest(output.document_index_manifest, DocumentIndexManifest(fingerprint=key, shard_groups=grouped))


def index_shard_group(task: IndexTask) -> None:
    """Write the sorted hashes of a shard group."""
    tables = []
    for number, shard in enumerate(task.shards):
        tables += _index_rows(_hashes_of_documents(task.layout.annotated(shard)), number, dropped=False)
        tables += _index_rows(_hashes_of_dropped(task.layout.dropped(shard)), number, dropped=True)
    order = [(name, "ascending") for name in ("kind", "hash", "shard", "row", "dropped")]
    index = pa.concat_tables(tables).sort_by(order) if tables else SCHEMA.empty_table()
    with committed(task.layout.document_index(task.shard_group)) as path:
        pq.write_table(index, path, compression="zstd", row_group_size=ROW_GROUP_ROWS)


def _index_rows(hashes: dict[Kind, npt.NDArray[np.uint64]], shard: int, dropped: bool) -> list[pa.Table]:
    """Rows of the index, of the hashes of the rows of one file."""
    tables = []
    for kind, values in hashes.items():
        count = len(values)
        columns = {
            "kind": np.full(count, KINDS[kind], np.int8),
            "hash": values,
            "shard": np.full(count, shard, np.int32),
            "row": np.arange(count),
            "dropped": np.full(count, dropped),
        }
        tables.append(pa.table(columns, schema=SCHEMA))
    return tables


def _hashes_of_documents(path: Location) -> dict[Kind, npt.NDArray[np.uint64]]:
    """The hashes that annotate stored with its documents; the one of a bare domain, which has none, is made here."""
    table = read_file(path, ["id_hash", "url_hash", "domain_hash", "url"])
    urls = table["url_hash"].fill_null(0).to_numpy().copy()
    (bare,) = np.nonzero(urls == 0)
    urls[bare] = [hash64(url_key(url or "")) for url in table["url"].take(pa.array(bare)).to_pylist()]
    return {"id": table["id_hash"].to_numpy(), "url": urls, "domain": table["domain_hash"].to_numpy()}


def _hashes_of_dropped(path: Location) -> dict[Kind, npt.NDArray[np.uint64]]:
    table = read_file(path, ["id", "url"])
    urls = [url or "" for url in table["url"].to_pylist()]
    keys: dict[Kind, list[str]] = {
        "id": table["id"].to_pylist(),
        "url": [url_key(url) for url in urls],
        "domain": [registered_domain(host_of(url)) for url in urls],
    }
    return {kind: np.array([hash64(key) for key in of_kind], dtype=np.uint64) for kind, of_kind in keys.items()}


def find(layout: Layout, kind: Kind, keys: Sequence[str]) -> list[Place]:
    """Rows whose id, URL key or registered domain has the hash of one of `keys`, in plan order.

    Two keys can have the same 64-bit hash: compare the row itself before acting on it.
    """
    index = read_manifest(layout.document_index_manifest, DocumentIndexManifest)
    hashes = [hash64(key) for key in keys]
    return [
        place
        for shard_group, shards in enumerate(index.shard_groups)
        for place in find_in_shard_group(layout, shard_group, shards, kind, hashes)
    ]


def find_in_shard_group(
    layout: Layout, shard_group: int, shards: Sequence[str], kind: Kind, hashes: Sequence[int]
) -> list[Place]:
    """As `find`, of one shard group and for hashes of keys."""
    if not hashes:
        return []
    has_hash = pc.field("hash").isin(pa.array(sorted(hashes), pa.uint64()))
    if len(hashes) <= FEW_HASHES:  # row groups without any of them are not read
        has_hash = reduce(or_, (pc.field("hash") == pa.scalar(value, pa.uint64()) for value in hashes))
    is_of_kind = pc.field("kind") == pa.scalar(KINDS[kind], pa.int8())
    rows = pq.read_table(readable(layout.document_index(shard_group)), filters=is_of_kind & has_hash).to_pylist()
    addresses = sorted({(row["shard"], row["row"], row["dropped"]) for row in rows})
    return [Place(shard_group, shards[shard], row, dropped) for shard, row, dropped in addresses]
