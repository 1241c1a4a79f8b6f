"""Baselines: earlier outputs, whose kept documents stand for what a new run finds again.

In every group of documents those of the baselines come before the run's own, in the order in which the baselines are
given, as if one run had read all of them. Only the signature files of a baseline are read, and the decisions of the
selection that its run configured.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import differences, fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.dedup.keep import NOBODY
from pipeline.errors import ConfigError, FormatError
from pipeline.execution.commit import read_manifest
from pipeline.execution.storage import Location, check_reachable, locate
from pipeline.output.grouped_parquet import Names, SortedFiles
from pipeline.output.output import Output
from pipeline.output.take_downs import TAKEN_OUT
from pipeline.schema.manifests import OUTPUT_FORMAT, ClusterIndex, SelectionManifest
from pipeline.schema.outcomes import Outcome

UPDATE_COLUMNS = ["baseline_row", "centre"]
CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Baselines:
    """What is read of the baselines; empty where none is given. Lists have an entry for each baseline or file."""

    rows: dict[str, int] = field(default_factory=dict)  # documents of each group, of all baselines
    rows_by_output: list[dict[str, int]] = field(default_factory=list)  # the same, by baseline
    signatures: list[Location] = field(default_factory=list)  # files, in the order of their rows within a group
    decisions: list[Location] = field(default_factory=list)  # files, of the same documents in the same order
    outputs: list[Output] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)  # fingerprints of which documents each baseline has
    clusters: list[str] = field(default_factory=list)  # fingerprints of the clusters, which deduplicate depends on
    selections: list[str] = field(default_factory=list)  # fingerprints of the selections, which select depends on


@dataclass(frozen=True)
class ComparableSettings:
    """What two outputs must have in common, so that their documents can be compared."""

    identifier: str  # of languages; labels of two identifiers are not the same thing
    identifier_sha256: str
    signatures: dict[str, Any]  # scheme of the signatures, and the groups of labels, as `dedup` has them
    words: dict[str, str]  # segmenter, and when texts are refined, both of which words depend on

    @classmethod
    def of(cls, annotate: dict[str, Any]) -> "ComparableSettings":
        """Those of an output, from what annotate depended on."""
        settings = annotate["settings"]
        model = settings["lid"]["model"]
        return cls(
            identifier=model,
            identifier_sha256=annotate["files"].get(f"lid {model}") or "",
            signatures=settings["scheme"],
            words={"segmenter": settings["segmenter"], "refine": settings["refine"]},
        )


def fingerprint_of_documents(clusters: ClusterIndex) -> str:
    """Which documents an output has, in which order, as a fingerprint."""
    return fingerprint([clusters.shard_groups, {group: entry.rows for group, entry in clusters.groups.items()}])


def configured_baselines(config: RunConfig) -> Baselines:
    """The baselines that the config of a run names, checked as `open_baselines` does."""
    if not config.baseline:
        return Baselines()
    return open_baselines(config.baseline, locate(config.output), ComparableSettings.of(annotate_state(config)))


def open_baselines(folders: Sequence[str], output: Location, comparable: ComparableSettings) -> Baselines:
    """Check the outputs at `folders`, oldest first, and name their files; `output` is the folder of this run.

    Of each baseline that selection is read that its own run configured. Raises ConfigError, which names the folder and
    the remedy, for one that is not there or not finished, was written in an earlier format, was annotated with another
    language identifier or other settings of `comparable`, or has baselines itself that are not given before it.
    """
    baselines = Baselines()
    rows: Counter[str] = Counter()
    for folder in folders:
        baseline = Output(locate(folder))
        check_reachable(baseline.root)
        if _absolute(baseline.root) == _absolute(output):
            raise ConfigError(f"baseline: {folder}: is the output of this run itself; give --output another folder")
        _check_format(baseline, folder)
        if not baseline.cluster_index.exists():
            raise ConfigError(
                f"baseline: {folder}: no finished output of an earlier run; name folders that `glotmill run` has ended"
            )
        plan = baseline.plan
        _check_comparable(folder, ComparableSettings.of(plan.annotate), comparable)
        clusters = read_manifest(baseline.cluster_index, ClusterIndex)
        name = plan.config["selection"]
        selection = _selection_of(baseline, name, clusters, folder)
        if missing := set(clusters.baseline) - set(baselines.documents):
            raise ConfigError(
                f"baseline: {folder}: was itself made with {len(missing)} earlier outputs that are not given before "
                "it, or that have other documents now; name all of them, oldest first"
            )
        baselines.rows_by_output.append({group: sum(entry.rows) for group, entry in clusters.groups.items()})
        rows.update(baselines.rows_by_output[-1])
        for shard_group in range(len(clusters.shard_groups)):
            baselines.signatures.append(baseline.signatures(shard_group))
            baselines.decisions.append(baseline.decisions(name, shard_group))
        baselines.outputs.append(baseline)
        baselines.documents.append(fingerprint_of_documents(clusters))
        baselines.clusters.append(clusters.fingerprint)
        baselines.selections.append(selection.fingerprint)
    baselines.rows.update(rows)
    return baselines


def _absolute(location: Location) -> Location:
    return location.resolve() if isinstance(location, Path) else location


def _check_format(baseline: Output, folder: str) -> None:
    if not baseline.run.exists():
        raise ConfigError(
            f"baseline: {folder}: no finished output of an earlier run; name folders that `glotmill run` has ended"
        )
    written = baseline.written_format()
    if written != OUTPUT_FORMAT:
        raise FormatError(
            f"baseline: {folder}: was written in output format {written}, and this version reads format "
            f"{OUTPUT_FORMAT}; read its inputs again with this version into another folder and name that one, or leave "
            "this baseline out"
        )


def _check_comparable(folder: str, theirs: ComparableSettings, ours: ComparableSettings) -> None:
    """Raises ConfigError where the documents of a baseline cannot be compared with those of this run."""
    if (theirs.identifier, theirs.identifier_sha256) != (ours.identifier, ours.identifier_sha256):
        before, now = (
            f"{settings.identifier} (sha256 {settings.identifier_sha256 or 'unknown'})" for settings in (theirs, ours)
        )
        remedy = f"read its inputs again with {ours.identifier} of this run into another folder and name that one"
        if theirs.identifier != ours.identifier:
            remedy = f'set lid.model = "{theirs.identifier}" for this run, or {remedy}'
        else:
            remedy = f"give this run the file that the baseline was made with, or {remedy}"
        raise ConfigError(
            f"baseline: {folder}: the languages of its documents were identified with {before}, those of this run with "
            f"{now}; the same text may have another label there, and documents of two labels are never compared. "
            f"Either {remedy}"
        )
    before_settings, now_settings = ({"dedup": settings.signatures, **settings.words} for settings in (theirs, ours))
    if changes := differences(before_settings, now_settings):
        raise ConfigError(
            f"baseline: {folder}: its documents cannot be compared with those of this run; take its settings, or read "
            "its inputs again with those of this run:\n" + "\n".join(changes)
        )


def _selection_of(baseline: Output, name: str, clusters: ClusterIndex, folder: str) -> SelectionManifest:
    """The selection that a baseline's run configured. Raises ConfigError where it is not one of the clusters of now."""
    path = baseline.selection_manifest_path(name)
    if path.exists():
        selection = read_manifest(path, SelectionManifest)
        if selection.shards == fingerprint(clusters.shard_groups):
            return selection
    raise ConfigError(
        f"baseline: {folder}: its selection {name} is not there, or was made over other shards than its clusters; give "
        f"the `glotmill run` of {folder} again, so that it ends"
    )


def baseline_updates(
    tables: Iterator[pa.Table],
    ids: Iterator[pa.Table],
    centre: npt.NDArray[np.uint32],
    already_read: npt.NDArray[np.bool_],
    first_row: int,
) -> tuple[pa.Table, Iterator[pa.Table]]:
    """Split the clusters of a group at `first_row`, in front of which are the documents of baselines.

    `tables` and `ids` are the rows of the group and their ids, cut alike; `centre` and `already_read` (n,) are of all
    documents of the group. Gives the documents of baselines whose cluster has new members, each with the centre and the
    size that its cluster has now; and the rows of all other documents, from `first_row` on.
    """
    has_new_members = np.zeros(len(centre), dtype=bool)  # of a cluster, at the row of its centre
    has_new_members[centre[first_row:][~already_read[first_row:]]] = True
    updates: list[pa.Table] = []
    first = 0
    while first < first_row:
        table, table_ids = next(tables), next(ids)["id"].combine_chunks()
        rows = np.arange(first, min(first + table.num_rows, first_row))
        updated = pa.array(np.flatnonzero(has_new_members[centre[rows]]))
        clusters, own_ids = table.take(updated), table_ids.take(updated)
        updates.append(
            pa.table(
                {
                    "group": clusters["group"].cast(pa.string()),
                    "baseline_row": pa.array(rows[updated.to_numpy()]),
                    "id": own_ids,
                    "centre": clusters["centre"],
                    "centre_id": pa.compute.coalesce(clusters["centre_id"], own_ids),
                    "size": clusters["size"],
                }
            )
        )
        first += table.num_rows
        if first > first_row:
            tables = chain([table.slice(table.num_rows - (first - first_row))], tables)
    return pa.concat_tables(updates), tables


@dataclass(frozen=True, eq=False)
class KeptByBaselines:
    """What the baselines keep of a group: the clusters of which they keep a document, and the URLs.

    Memory: a byte for each document of the baselines, 8 for each URL that they keep, and of the clusters that have new
    members 12 bytes and an id each.
    """

    centres: np.ndarray  # (n,) uint32 ascending: clusters that have new members and a kept document in a baseline
    rows: np.ndarray  # (n,) row numbers of these documents within the group
    ids: Names | None
    url_hashes: np.ndarray  # (m,) uint64

    def places(self, centre: np.ndarray) -> npt.NDArray[np.uint32]:
        """For the cluster of each document, where in `rows` its kept document is, (n,) uint32; NOBODY without one."""
        index = np.searchsorted(self.centres, centre).astype(np.uint32)
        is_kept = np.append(self.centres, np.uint32(0))[index] == centre
        is_kept &= index < len(self.centres)
        return np.where(is_kept, index, NOBODY)

    def names(self, places: np.ndarray) -> pa.Array:
        """The ids of the kept documents at `places`, null for NOBODY."""
        nobody = places == NOBODY
        if self.ids is None or nobody.all():
            return pa.nulls(len(places), pa.string())
        return self.ids.of(self.rows[np.where(nobody, 0, places)], nobody)

    def has_url(self, url_hash: np.ndarray) -> npt.NDArray[np.bool_]:
        """Whether a baseline keeps a document of the URL of each document, (n,) bool."""
        is_kept: npt.NDArray[np.bool_] = (url_hash != 0) & np.isin(url_hash, self.url_hashes)
        return is_kept


def read_kept_by_baselines(group: str, decisions: SortedFiles, updates: SortedFiles) -> KeptByBaselines:
    """What the baselines keep of a group, from their `decisions` and the cluster-size updates of this output.

    A document that was taken out of a baseline still counts as kept, unless the take-down said that its clusters may
    keep another one.
    """
    rows, centres = np.empty(0, np.int64), np.empty(0, np.uint32)
    if not decisions.has(group):
        return KeptByBaselines(centres, rows, None, np.empty(0, np.uint64))
    kept_chunks, url_chunks = [], []
    for table in decisions.chunks(group, ["outcome", "removed", "is_kept_document", "url_hash"], CHUNK_ROWS):
        is_kept = pa.compute.equal(table["outcome"], Outcome.KEPT)
        is_removed = pa.compute.equal(table["outcome"], Outcome.REMOVED)
        is_removed = pa.compute.and_(is_removed, pa.compute.equal(table["removed"], TAKEN_OUT))
        counts = pa.compute.and_(table["is_kept_document"], pa.compute.or_(is_kept, is_removed)).to_numpy()
        kept_chunks.append(counts)
        url_chunks.append(table["url_hash"].fill_null(0).to_numpy()[counts])
    kept = np.concatenate(kept_chunks)
    if updates.has(group):
        rows, centres = (column.to_numpy() for column in updates.read(group, UPDATE_COLUMNS).columns)
    rows, centres = rows[kept[rows]], centres[kept[rows]]
    centres, first = np.unique(centres, return_index=True)  # of several kept documents of a cluster the first
    rows = rows[first]
    named = np.zeros(len(kept), dtype=bool)
    named[rows] = True
    ids = Names(named, partial(decisions.chunks, group, ["id"], CHUNK_ROWS)) if len(rows) else None
    url_hashes = np.unique(np.concatenate(url_chunks))
    return KeptByBaselines(centres, rows, ids, url_hashes[url_hashes != 0])
