"""What a removal would take out of a selection, and which clusters it concerns."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.execution.storage import Location, readable
from pipeline.output.grouped_parquet import rows_of
from pipeline.output.output import Output
from pipeline.output.take_downs import Match
from pipeline.passes.select.filter import signature_order

LISTED = 20  # other members of a cluster that are named
LISTED_CLUSTERS = 100  # whose members are named; of all they are counted


@dataclass
class Orphans:
    """A cluster whose kept document is taken out: at most LISTED of its other members, and how many there are."""

    kept_document: str
    others: list[dict[str, str]] = field(default_factory=list)  # id, url, outcome
    count: int = 0


@dataclass
class SelectionTakeDown:
    """What was, or would be, taken out of a selection."""

    outcomes: Counter[str] = field(default_factory=Counter)  # of the documents before
    orphans: list[Orphans] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # of clean/ that were rewritten
    replacements: int = 0  # documents that are kept in place of one that was taken out
    stale_mixtures: list[str] = field(default_factory=list)  # of settings that cannot be computed again


def decisions_of(folder: Location, shard_group: int) -> Location:
    return folder / "decisions" / f"shard-group-{shard_group:05d}.parquet"


def places_of(where: pa.Table, shards: list[str], rows: dict[str, dict[int, int]]) -> dict[int, int]:
    """Place in the decisions of a shard group -> value, from shard -> row -> value."""
    number = {shard: place for place, shard in enumerate(shards)}
    wanted = {(number[shard] << 40) | row: value for shard, of in rows.items() for row, value in of.items()}
    keys = (where["shard"].to_numpy().astype(np.int64) << 40) | where["row"].to_numpy()
    found = np.flatnonzero(np.isin(keys, np.array(list(wanted), dtype=np.int64)))
    return {int(place): wanted[int(keys[place])] for place in found}


def describe(layout: Output, name: str, grouped: list[list[str]], found: list[Match]) -> SelectionTakeDown:
    """What the selection has of the documents found, and who else is in the clusters that they represent."""
    folder = layout.selection(name)
    told = SelectionTakeDown()
    clusters: dict[str, Orphans] = {}
    for shard_group, shards in enumerate(grouped):
        rows: dict[str, dict[int, int]] = {}
        for one in found:
            if one.place.shard_group == shard_group and not one.place.dropped:
                rows.setdefault(one.place.shard, {})[one.place.row] = 0
        if rows:
            where = signature_order(layout, shards, ["label"])
            columns = ["id", "outcome", "minhash_cluster_id"]
            table = pq.read_table(readable(decisions_of(folder, shard_group)), columns=columns)
            for row in table.take(pa.array(list(places_of(where, shards, rows)), pa.int64())).to_pylist():
                told.outcomes[row["outcome"]] += 1
                if row["outcome"] == "kept":
                    clusters[row["minhash_cluster_id"]] = Orphans(row["id"])
    if clusters:
        _list_others(layout, folder, grouped, clusters, {one.id for one in found})
    told.orphans = [one for _, one in sorted(clusters.items()) if one.count]
    return told


def _list_others(
    layout: Output, folder: Location, grouped: list[list[str]], clusters: dict[str, Orphans], gone: set[str]
) -> None:
    named = set(sorted(clusters)[:LISTED_CLUSTERS])
    for shard_group, shards in enumerate(grouped):
        columns = ["id", "outcome", "minhash_cluster_id"]
        table = pq.read_table(readable(decisions_of(folder, shard_group)), columns=columns)
        inside = np.flatnonzero(pc.is_in(table["minhash_cluster_id"], pa.array(list(clusters))).to_numpy())
        where = None
        for place, row in zip(inside, table.take(pa.array(inside)).to_pylist(), strict=True):
            if row["id"] in gone or row["outcome"] in ("removed", "already_read"):
                continue
            cluster = clusters[row["minhash_cluster_id"]]
            cluster.count += 1
            if row["minhash_cluster_id"] in named and len(cluster.others) < LISTED:
                where = where if where is not None else signature_order(layout, shards, ["label"])
                path = layout.annotated(shards[where["shard"][place].as_py()])
                (found,) = rows_of(path, [where["row"][place].as_py()], ["url"])
                cluster.others.append({"id": row["id"], "url": found["url"][0].as_py(), "outcome": row["outcome"]})
