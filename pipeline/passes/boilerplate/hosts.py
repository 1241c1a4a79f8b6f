"""Which documents count for their host: of each cluster the first document on that host."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.lsh import link
from pipeline.execution.commit import committed
from pipeline.execution.storage import readable
from pipeline.kernels.hashing import hash64
from pipeline.output.grouped_parquet import ROW_GROUP_ROWS, SortedFiles, write_by_group
from pipeline.output.layout import Layout
from pipeline.schema.manifests import ClusterGroup
from pipeline.text.urls import host_of

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads numbers over 64 bits
FIRST_ON_HOST = pa.schema([("group", pa.string()), ("counts", pa.bool_())])


@dataclass(frozen=True)
class HashHostsTask:
    """Hash the hosts of the documents of one shard group."""

    layout: Layout
    shard_group: int
    shards: list[str]


@dataclass(frozen=True)
class FirstOnHostTask:
    """Find the first document of each cluster on each host, in the groups of documents of one cluster file."""

    layout: Layout
    task: int  # number of the cluster file
    rows: Mapping[str, list[int]]  # group -> documents in each shard group


def host_hash(url: str | None) -> int:
    """The hash of a URL's host, without a leading `www.`; 0 where it has none.

    >>> host_hash("https://www.Example.org/a") == host_hash("http://example.org:8080/") != host_hash("mailto:a@b")
    True
    """
    host = host_of(url or "").removeprefix("www.")
    return hash64(host) if host else 0


def hash_hosts(task: HashHostsTask) -> None:
    """Write the hashes of the host and of the words of each document of a shard group, in the order of signatures."""
    tables = []
    for number, shard in enumerate(task.shards):
        table = pq.read_table(readable(task.layout.annotated(shard)), columns=["group", "url", "exact_hash"])
        hosts = np.array([host_hash(url) for url in table["url"].to_pylist()], dtype=np.uint64)
        tables.append(
            pa.table(
                {
                    "group": table["group"],
                    "host": hosts,
                    "words": table["exact_hash"].fill_null(0),
                    "shard": np.full(len(hosts), number, np.int32),
                    "row": np.arange(len(hosts)),
                }
            )
        )
    order = [("group", "ascending"), ("shard", "ascending"), ("row", "ascending")]
    with committed(task.layout.host_hashes(task.shard_group)) as path:
        write_by_group(path, pa.concat_tables(tables).sort_by(order))


def first_on_host(task: FirstOnHostTask) -> None:
    """Write which documents of the groups count for their host, in the order of signatures.

    Of each cluster the first document on each host counts. A document that is not eligible for deduplication is a
    cluster of its own, although others may have the same words: of those with the same words the first counts. Takes
    about 30 bytes a document of a group.
    """
    layout = task.layout
    shard_groups = sorted(
        {shard_group for rows in task.rows.values() for shard_group, count in enumerate(rows) if count}
    )
    with (
        committed(layout.first_on_host(task.task)) as path,
        pq.ParquetWriter(path, FIRST_ON_HOST, compression="zstd") as writer,
        SortedFiles([layout.host_hashes(shard_group) for shard_group in shard_groups], "group") as hashes,
        SortedFiles([layout.clusters(task.task)], "group") as clusters,
    ):
        for group in task.rows:
            keys = hashes.array(group, "words")
            eligible = clusters.array(group, "is_eligible")
            keys[eligible] = clusters.array(group, "centre")[eligible] + np.uint64(1)
            keys *= GOLDEN  # wraps modulo 2**64, as does the sum
            host = hashes.array(group, "host")
            keys += host
            counts = (host != 0) & ~clusters.array(group, "already_read")
            del eligible, host
            counts[link(keys, ~counts)[1]] = False
            table = pa.table({"group": pa.repeat(group, len(counts)), "counts": counts})
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def counted_rows(
    layout: Layout, shard_group: int, shards: list[str], groups: Mapping[str, ClusterGroup]
) -> list[npt.NDArray[np.bool_]]:
    """For each shard of a shard group which of its documents count for their host, (rows,) bool each."""
    present = {group: entry for group, entry in sorted(groups.items()) if entry.rows[shard_group]}
    counts_by_group: dict[str, npt.NDArray[np.bool_]] = {}
    for task in sorted({entry.task for entry in present.values()}):
        with SortedFiles([layout.first_on_host(task)], "group") as files:
            for group, entry in present.items():
                if entry.task == task:
                    first_row = sum(entry.rows[:shard_group])
                    table = files.read_range(group, ["counts"], first_row, entry.rows[shard_group])
                    counts_by_group[group] = table["counts"].to_numpy()
    sizes = [pq.read_metadata(readable(layout.annotated(shard))).num_rows for shard in shards]
    first_rows = np.cumsum([0, *sizes])
    counts = np.zeros(first_rows[-1], dtype=bool)
    addresses = pq.read_table(readable(layout.host_hashes(shard_group)), columns=["shard", "row"])
    rows = first_rows[addresses["shard"].to_numpy()] + addresses["row"].to_numpy()
    counts[rows] = np.concatenate([counts_by_group[group] for group in present]) if present else False
    return np.split(counts, first_rows[1:-1])
