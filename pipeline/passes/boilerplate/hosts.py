"""Who counts for a host: of each cluster the first document there."""

from typing import Any

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
from pipeline.passes.boilerplate.files import first_documents_of, hosts_of
from pipeline.text.urls import host_of

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads numbers over 64 bits


def host_hash(url: str | None) -> int:
    """The hash of a URL's host, without a leading `www.`; 0 where it has none.

    >>> host_hash("https://www.Example.org/a") == host_hash("http://example.org:8080/") != host_hash("mailto:a@b")
    True
    """
    host = host_of(url or "").removeprefix("www.")
    return hash64(host) if host else 0


def hash_hosts(layout: Layout, shard_group: int, shards: list[str]) -> None:
    """Write host and words of each document of a shard group, as hashes, in signature order."""
    tables = []
    for number, shard in enumerate(shards):
        table = pq.read_table(readable(layout.annotated(shard)), columns=["group", "url", "exact_hash"])
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
    with committed(hosts_of(layout, shard_group)) as path:
        write_by_group(path, pa.concat_tables(tables).sort_by(order))


def first_on_host(layout: Layout, task: int, groups: dict[str, list[int]]) -> None:
    """Write who counts, of a task's groups in dense order: of each cluster the first document on each host.

    Documents outside the population are clusters of one, also where their words are the same: of those the first. Takes
    about 30 bytes a document of a group.
    """
    shard_groups = sorted({shard_group for rows in groups.values() for shard_group, count in enumerate(rows) if count})
    with (
        committed(first_documents_of(layout, task)) as path,
        pq.ParquetWriter(path, pa.schema([("group", pa.string()), ("counts", pa.bool_())]), compression="zstd") as out,
        SortedFiles([hosts_of(layout, shard_group) for shard_group in shard_groups], "group") as hashes,
        SortedFiles([layout.clusters(task)], "group") as clusters,
    ):
        for group in groups:
            keys = hashes.array(group, "words")
            inside = clusters.array(group, "is_eligible")
            keys[inside] = clusters.array(group, "centre")[inside] + np.uint64(1)
            keys *= GOLDEN  # wraps modulo 2**64, as does the sum
            host = hashes.array(group, "host")
            keys += host
            counts = (host != 0) & ~clusters.array(group, "already_read")
            del inside, host
            counts[link(keys, ~counts)[1]] = False
            table = pa.table({"group": pa.repeat(group, len(counts)), "counts": counts})
            out.write_table(table, row_group_size=ROW_GROUP_ROWS)


def who_counts(
    layout: Layout, shard_group: int, shards: list[str], groups: dict[str, Any]
) -> list[npt.NDArray[np.bool_]]:
    """For each shard of a shard group which of its rows count."""
    here = {group: entry["rows"] for group, entry in sorted(groups.items()) if entry["rows"][shard_group]}
    found = {}
    for task in sorted({groups[group]["task"] for group in here}):
        with SortedFiles([first_documents_of(layout, task)], "group") as files:
            for group in (one for one in here if groups[one]["task"] == task):
                before = sum(here[group][:shard_group])
                found[group] = files.read_range(group, ["counts"], before, here[group][shard_group])[
                    "counts"
                ].to_numpy()
    sizes = [pq.read_metadata(readable(layout.annotated(shard))).num_rows for shard in shards]
    firsts = np.cumsum([0, *sizes])
    counts = np.zeros(firsts[-1], dtype=bool)
    where = pq.read_table(readable(hosts_of(layout, shard_group)), columns=["shard", "row"])
    places = firsts[where["shard"].to_numpy()] + where["row"].to_numpy()
    counts[places] = np.concatenate([found[group] for group in here]) if here else False
    return np.split(counts, firsts[1:-1])
