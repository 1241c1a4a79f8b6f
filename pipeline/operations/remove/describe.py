"""What a removal would take out of a selection, and which clusters it concerns."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.execution.storage import Location, readable
from pipeline.output.grouped_parquet import rows_of
from pipeline.output.layout import Layout
from pipeline.output.take_downs import Match
from pipeline.passes.select.filter import batch_order

LISTED = 20  # other members of a cluster that are named
LISTED_CLUSTERS = 100  # whose members are named; of all they are counted


@dataclass
class Orphans:
    """A cluster whose representative is taken out: at most LISTED of its other members, and how many there are."""

    representative: str
    others: list[dict[str, str]] = field(default_factory=list)  # id, url, fate
    count: int = 0


@dataclass
class Removed:
    """What was, or would be, taken out of a selection."""

    fates: Counter[str] = field(default_factory=Counter)  # of the documents before
    orphans: list[Orphans] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # of clean/ that were rewritten
    elected: int = 0  # representatives that took a place
    stale_mixes: list[str] = field(default_factory=list)  # of settings that cannot be computed again


def decisions_of(folder: Location, batch: int) -> Location:
    return folder / "decisions" / f"batch-{batch:05d}.parquet"


def places_of(where: pa.Table, shards: list[str], rows: dict[str, dict[int, int]]) -> dict[int, int]:
    """Place in the decisions of a batch -> value, from shard -> row -> value."""
    number = {shard: place for place, shard in enumerate(shards)}
    wanted = {(number[shard] << 40) | row: value for shard, of in rows.items() for row, value in of.items()}
    keys = (where["shard"].to_numpy().astype(np.int64) << 40) | where["row"].to_numpy()
    found = np.flatnonzero(np.isin(keys, np.array(list(wanted), dtype=np.int64)))
    return {int(place): wanted[int(keys[place])] for place in found}


def describe(layout: Layout, name: str, grouped: list[list[str]], found: list[Match]) -> Removed:
    """What the selection has of the documents found, and who else is in the clusters that they represent."""
    folder = layout.selection(name)
    told = Removed()
    clusters: dict[str, Orphans] = {}
    for batch, shards in enumerate(grouped):
        rows: dict[str, dict[int, int]] = {}
        for one in found:
            if one.place.batch == batch and not one.place.dropped:
                rows.setdefault(one.place.shard, {})[one.place.row] = 0
        if rows:
            where = batch_order(layout, shards, ["label"])
            columns = ["id", "fate", "minhash_cluster_id"]
            table = pq.read_table(readable(decisions_of(folder, batch)), columns=columns)
            for row in table.take(pa.array(list(places_of(where, shards, rows)), pa.int64())).to_pylist():
                told.fates[row["fate"]] += 1
                if row["fate"] == "kept":
                    clusters[row["minhash_cluster_id"]] = Orphans(row["id"])
    if clusters:
        _list_others(layout, folder, grouped, clusters, {one.id for one in found})
    told.orphans = [one for _, one in sorted(clusters.items()) if one.count]
    return told


def _list_others(
    layout: Layout, folder: Location, grouped: list[list[str]], clusters: dict[str, Orphans], gone: set[str]
) -> None:
    named = set(sorted(clusters)[:LISTED_CLUSTERS])
    for batch, shards in enumerate(grouped):
        columns = ["id", "fate", "minhash_cluster_id"]
        table = pq.read_table(readable(decisions_of(folder, batch)), columns=columns)
        inside = np.flatnonzero(pc.is_in(table["minhash_cluster_id"], pa.array(list(clusters))).to_numpy())
        where = None
        for place, row in zip(inside, table.take(pa.array(inside)).to_pylist(), strict=True):
            if row["id"] in gone or row["fate"] in ("removed", "already_read"):
                continue
            cluster = clusters[row["minhash_cluster_id"]]
            cluster.count += 1
            if row["minhash_cluster_id"] in named and len(cluster.others) < LISTED:
                where = where if where is not None else batch_order(layout, shards, ["label"])
                path = layout.annotated(shards[where["shard"][place].as_py()])
                (found,) = rows_of(path, [where["row"][place].as_py()], ["url"])
                cluster.others.append({"id": row["id"], "url": found["url"][0].as_py(), "fate": row["fate"]})
