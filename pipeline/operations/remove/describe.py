"""What a take-down would take out of a selection, and which clusters lose their kept document by it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.execution.storage import readable
from pipeline.output.decisions import in_signature_order
from pipeline.output.grouped_parquet import rows_of
from pipeline.output.output import Output
from pipeline.output.selection import SelectionFolder
from pipeline.output.take_downs import Match
from pipeline.schema.outcomes import Outcome

LISTED = 20  # other members of a cluster that are named
LISTED_CLUSTERS = 100  # whose members are named; of all they are counted
DESCRIBED_BY = ["id", "outcome", "minhash_cluster_id"]  # columns of decisions/


@dataclass(frozen=True)
class ClusterMember:
    """A document of a cluster whose kept document is taken out."""

    id: str
    url: str
    outcome: Outcome


@dataclass
class OrphanedCluster:
    """A cluster whose kept document is taken out: at most LISTED of its other members, and how many there are."""

    kept_document: str
    others: list[ClusterMember] = field(default_factory=list)
    count: int = 0


@dataclass
class SelectionTakeDown:
    """What was, or would be, taken out of a selection."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)  # of the documents before
    orphans: list[OrphanedCluster] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # of clean/ that were rewritten
    replacements: int = 0  # documents that are kept in place of one that was taken out
    stale_mixtures: list[str] = field(default_factory=list)  # of settings that cannot be computed again


def decision_rows(locations: pa.Table, shards: list[str], values: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
    """Row of the decisions of a shard group -> value, from shard -> row of the shard's file -> value.

    `locations` are `in_signature_order` of the shard group, whose shards are `shards`.
    """
    number = {shard: position for position, shard in enumerate(shards)}
    by_key = {(number[shard] << 40) | row: value for shard, rows in values.items() for row, value in rows.items()}
    keys = (locations["shard"].to_numpy().astype(np.int64) << 40) | locations["row"].to_numpy()
    rows = np.flatnonzero(np.isin(keys, np.array(list(by_key), dtype=np.int64)))
    return {int(row): by_key[int(keys[row])] for row in rows}


def describe(output: Output, name: str, shard_groups: list[list[str]], matches: list[Match]) -> SelectionTakeDown:
    """The outcomes that the documents of the matches have in a selection, and who else is in the clusters that they
    are the kept documents of."""
    folder = SelectionFolder(output.selection(name))
    take_down = SelectionTakeDown()
    clusters: dict[str, OrphanedCluster] = {}
    for shard_group, shards in enumerate(shard_groups):
        rows: dict[str, dict[int, int]] = {}
        for match in matches:
            if match.place.shard_group == shard_group and not match.place.dropped:
                rows.setdefault(match.place.shard, {})[match.place.row] = 0
        if rows:
            of_decisions = list(decision_rows(in_signature_order(output, shards), shards, rows))
            table = pq.read_table(readable(folder.decisions(shard_group)), columns=DESCRIBED_BY)
            for row in table.take(pa.array(of_decisions, pa.int64())).to_pylist():
                take_down.outcomes[Outcome.named(row["outcome"])] += 1
                if row["outcome"] == Outcome.KEPT:
                    clusters[row["minhash_cluster_id"]] = OrphanedCluster(row["id"])
    if clusters:
        _list_others(output, folder, shard_groups, clusters, {match.id for match in matches})
    take_down.orphans = [cluster for _, cluster in sorted(clusters.items()) if cluster.count]
    return take_down


def _list_others(
    output: Output,
    folder: SelectionFolder,
    shard_groups: list[list[str]],
    clusters: dict[str, OrphanedCluster],
    taken_out: set[str],
) -> None:
    """Count the other members of the clusters that could be kept, and name some; `taken_out` are ids that could not."""
    listed = set(sorted(clusters)[:LISTED_CLUSTERS])
    for shard_group, shards in enumerate(shard_groups):
        table = pq.read_table(readable(folder.decisions(shard_group)), columns=DESCRIBED_BY)
        inside = np.flatnonzero(pc.is_in(table["minhash_cluster_id"], pa.array(list(clusters))).to_numpy())
        locations = None
        for number, row in zip(inside, table.take(pa.array(inside)).to_pylist(), strict=True):
            outcome = Outcome.named(row["outcome"])
            if row["id"] in taken_out or outcome in (Outcome.REMOVED, Outcome.ALREADY_READ):
                continue
            cluster = clusters[row["minhash_cluster_id"]]
            cluster.count += 1
            if row["minhash_cluster_id"] in listed and len(cluster.others) < LISTED:
                locations = locations if locations is not None else in_signature_order(output, shards)
                path = output.annotated(shards[locations["shard"][number].as_py()])
                (url,) = rows_of(path, [locations["row"][number].as_py()], ["url"])
                cluster.others.append(ClusterMember(row["id"], url["url"][0].as_py(), outcome))
