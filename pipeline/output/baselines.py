"""baselines: earlier outputs, whose kept documents stand for what a new run finds again.

In every group the documents of the earlier outputs come before the run's own, in the order given, as if all had been
read by one run: only their signature files are read, and what the earlier selections decided.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import differences, fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.dedup.keep import NOBODY
from pipeline.errors import ConfigError
from pipeline.execution.commit import read_json
from pipeline.execution.storage import Location, check_reachable, locate
from pipeline.output.grouped_parquet import Names, SortedFiles
from pipeline.output.output import Output
from pipeline.output.take_downs import TAKEN_OUT
from pipeline.schema.manifests import ClusterIndex

UPDATES = ["baseline_row", "centre"]
CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Baselines:
    """What is read of earlier outputs; empty where none is given."""

    rows: dict[str, int] = field(default_factory=dict)  # documents of each group
    rows_by_output: list[dict[str, int]] = field(default_factory=list)
    signatures: list[Location] = field(default_factory=list)  # files, in dense order
    decisions: list[Location] = field(default_factory=list)  # the same documents in the same order
    outputs: list[Output] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)  # which documents each output has, as a fingerprint
    clusters: list[str] = field(default_factory=list)  # fingerprints that deduplicate depends on
    selections: list[str] = field(default_factory=list)  # fingerprints that select depends on


def documents_of(cluster_index: ClusterIndex) -> str:
    """Which documents an output has, in which order, as a fingerprint."""
    rows = {group: entry.rows for group, entry in cluster_index.groups.items()}
    return fingerprint([cluster_index.shard_groups, rows])


def open_baselines(config: RunConfig) -> Baselines:
    """Check the earlier outputs and name their files; a selection is the one that the output's own run configured.

    Raises ConfigError for an output that is not there or not finished, one that was annotated with another signature
    scheme, language identifier, groups or words, and one whose own baselines is not given before it.
    """
    ours = _comparable(annotate_state(config)) if config.baseline else {}
    rows: Counter[str] = Counter()
    baselines = Baselines()
    for text in config.baseline:
        layout = Output(locate(text))
        check_reachable(layout.root)
        if _absolute(layout.root) == _absolute(locate(config.output)):
            raise ConfigError(f"baseline: {text}: is the output of this run itself; give --output another folder")
        if not layout.cluster_index.exists():
            raise ConfigError(
                f"baseline: {text}: no finished output of an earlier run; name folders that `run` has ended"
            )
        layout.check_format()
        plan, clusters = layout.plan, read_json(layout.cluster_index)
        if changes := differences(_comparable(plan.annotate), ours):
            raise ConfigError(
                f"baseline: {text}: its documents cannot be compared with those of this run; take its settings, or "
                "read its inputs again with these:\n" + "\n".join(changes)
            )
        path = layout.selection(plan.config["selection"]) / "manifest.json"
        manifest = read_json(path) if path.exists() else {}
        if "baseline" not in clusters or manifest.get("shards") != fingerprint(clusters["shard_groups"]):
            raise ConfigError(f"baseline: {path}: not there, of other shards, or of an older version; run {text} again")
        if missing := set(clusters["baseline"]) - set(baselines.documents):
            raise ConfigError(
                f"baseline: {text}: was itself made with {len(missing)} earlier outputs that are not given before it, "
                "or that have other documents now; name all, oldest first"
            )
        baselines.rows_by_output.append({group: sum(entry["rows"]) for group, entry in clusters["groups"].items()})
        rows.update(baselines.rows_by_output[-1])
        for shard_group in range(len(clusters["shard_groups"])):
            baselines.signatures.append(layout.signatures(shard_group))
            baselines.decisions.append(path.parent / "decisions" / f"shard-group-{shard_group:05d}.parquet")
        baselines.outputs.append(layout)
        baselines.documents.append(documents_of(msgspec.convert(clusters, ClusterIndex)))
        baselines.clusters.append(clusters["fingerprint"])
        baselines.selections.append(manifest["fingerprint"])
    baselines.rows.update(rows)
    return baselines


def _absolute(place: Location) -> Location:
    return place.resolve() if isinstance(place, Path) else place


def _comparable(state: dict[str, Any]) -> dict[str, Any]:
    """What two outputs must have in common, of what annotate depended on."""
    settings, model = state["settings"], state["settings"]["lid"]["model"]
    return {
        "dedup": settings["scheme"],
        "lid": {"model": model, "sha256": state["files"].get(f"lid {model}")},
        "segmenter": settings["segmenter"],
        "refine": settings["refine"],
    }


def updated(
    tables: Iterator[pa.Table], ids: Iterator[pa.Table], centre: np.ndarray, already_read: np.ndarray, baselines: int
) -> tuple[pa.Table, Iterator[pa.Table]]:
    """Of the first `baselines` documents of a group those whose cluster has new members, with its centre and size of
    now; and the clusters of the documents behind them. `tables` and `ids` are of all documents, cut alike."""
    grown = np.zeros(len(centre), dtype=bool)
    grown[centre[baselines:][~already_read[baselines:]]] = True
    changed: list[pa.Table] = []
    first = 0
    while first < baselines:
        table, own = next(tables), next(ids)["id"].combine_chunks()
        here = np.arange(first, min(first + table.num_rows, baselines))
        rows = pa.array(np.flatnonzero(grown[centre[here]]))
        part, names = table.take(rows), own.take(rows)
        changed.append(
            pa.table(
                {
                    "group": part["group"].cast(pa.string()),
                    "baseline_row": pa.array(here[rows.to_numpy()]),
                    "id": names,
                    "centre": part["centre"],
                    "centre_id": pa.compute.coalesce(part["centre_id"], names),
                    "size": part["size"],
                }
            )
        )
        first += table.num_rows
        if first > baselines:
            tables = chain([table.slice(table.num_rows - (first - baselines))], tables)
    return pa.concat_tables(changed), tables


@dataclass(frozen=True)
class KeptByBaselines:
    """What earlier outputs hold of a group: clusters, by centre, with the document that stands for each, and URLs.

    Memory: a byte a document of the earlier outputs, 8 a URL that they keep, and of the clusters that have new members
    12 bytes and an id each.
    """

    centres: np.ndarray  # (n,) uint32 ascending
    rows: np.ndarray  # (n,) places among the earlier documents of the group
    ids: Names | None
    url_hashes: np.ndarray  # (m,) uint64

    def places(self, centre: np.ndarray) -> np.ndarray:
        """Which of `rows` holds the cluster of each document, (n,) uint32; NOBODY where none does."""
        place = np.searchsorted(self.centres, centre).astype(np.uint32)
        found = np.append(self.centres, np.uint32(0))[place] == centre
        found &= place < len(self.centres)
        return np.where(found, place, NOBODY)

    def names(self, places: np.ndarray) -> pa.Array:
        """The id at each place, null for NOBODY."""
        nobody = places == NOBODY
        if self.ids is None or nobody.all():
            return pa.nulls(len(places), pa.string())
        return self.ids.of(self.rows[np.where(nobody, 0, places)], nobody)

    def has_url(self, url_hash: np.ndarray) -> np.ndarray:
        """Whether the URL of each document is held, (n,) bool."""
        known: np.ndarray = (url_hash != 0) & np.isin(url_hash, self.url_hashes)
        return known


def held(group: str, decisions: SortedFiles, updates: SortedFiles) -> KeptByBaselines:
    """What the earlier outputs keep of a group. What was taken out of one holds its place, unless that was given up."""
    rows, centres = np.empty(0, np.int64), np.empty(0, np.uint32)
    if not decisions.has(group):
        return KeptByBaselines(centres, rows, None, np.empty(0, np.uint64))
    holds, urls = [], []
    for table in decisions.chunks(group, ["outcome", "removed", "is_kept_document", "url_hash"], CHUNK_ROWS):
        kept, gone = (pa.compute.equal(table["outcome"], outcome) for outcome in ("kept", "removed"))
        gone = pa.compute.and_(gone, pa.compute.equal(table["removed"], TAKEN_OUT))
        here = pa.compute.and_(table["is_kept_document"], pa.compute.or_(kept, gone)).to_numpy()
        holds.append(here)
        urls.append(table["url_hash"].fill_null(0).to_numpy()[here])
    holding = np.concatenate(holds)
    if updates.has(group):
        rows, centres = (column.to_numpy() for column in updates.read(group, UPDATES).columns)
    rows, centres = rows[holding[rows]], centres[holding[rows]]
    centres, first = np.unique(centres, return_index=True)  # of several that stand for a cluster the first
    rows = rows[first]
    named = np.zeros(len(holding), dtype=bool)
    named[rows] = True
    ids = Names(named, partial(decisions.chunks, group, ["id"], CHUNK_ROWS)) if len(rows) else None
    url_hashes = np.unique(np.concatenate(urls))
    return KeptByBaselines(centres, rows, ids, url_hashes[url_hashes != 0])
