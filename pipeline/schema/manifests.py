"""The JSON files of an output folder, each as a type: what a command writes last, and what the next one trusts.

A field that is absent or of another type is an error that names the file and the field; a field that is unknown is one,
too, because it was written by another version. Fields of counts are numbers of documents where nothing else is said.
"""

from typing import Any

import msgspec

OUTPUT_FORMAT = 2
"""Of all files in an output folder; a run in a folder of another format is refused before work."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON file, or a part of one. Keys are written in alphabetic order, so that equal values give equal bytes."""


# ---------------------------------------------------------------------------------------------------- the run


class RunPlan(Manifest, frozen=True):
    """`run.json`: what a run was asked to do, and whether annotate has ended."""

    format: int  # of the output; see OUTPUT_FORMAT
    inputs: list[str]  # as the plan names them, in order
    annotate: dict[str, Any]  # what annotate depends on: settings, schema, files, versions
    config: dict[str, Any]  # the resolved config
    rule_overrides: dict[str, Any]  # rules given with --set
    shard_group_count: int | None = None  # groups whose manifests are gathered; None until annotate has ended
    missing: list[str] = []  # shards that are quarantined
    accept_missing: bool = False  # the other passes went on without them


# ---------------------------------------------------------------------------------------------------- annotate


class UnreadableBytes(Manifest, frozen=True):
    """Bytes [start, end) of an input that belong to no readable record, and why."""

    start: int
    end: int
    reason: str  # why no record could be read there


class ShardDigests(Manifest, frozen=True):
    """The sha256 of a shard's two files."""

    annotated: str  # of annotated/<shard>.parquet
    dropped: str  # of dropped/<shard>.parquet


class ShardManifest(Manifest, frozen=True):
    """`annotated/<shard>.json`: the accounts of one input file. It exists when both files of the shard do."""

    fingerprint: str
    shard: str
    file_path: str
    file_bytes: int
    record_bytes: int  # bytes of all records; with those of the unreadable ranges they are the bytes of the file
    records_by_type: dict[str, int]
    unreadable_ranges: list[UnreadableBytes]
    documents: int
    dropped: dict[str, int]  # records by drop reason
    rows_by_label: dict[str, int]  # documents by label
    characters: int  # code points of all documents
    runs: list[int]  # rows of each sorted run in the file of documents
    sha256: ShardDigests  # of its two files


class QuarantinedShard(Manifest, frozen=True):
    """`quarantine/<shard>.failed.json`: why a shard could not be annotated."""

    fingerprint: str
    shard: str
    file_path: str
    error: str  # of the last attempt
    attempts: int  # how often it was tried
    versions: dict[str, str]  # of libraries


# ---------------------------------------------------------------------------------------------------- other passes


class HistogramIndex(Manifest, frozen=True):
    """`histograms/index.json`: what the histograms were made from."""

    fingerprint: str
    shard_groups: int  # how many


class DocumentIndexManifest(Manifest, frozen=True):
    """`document_index/index.json`: the shards of each group, by whose number the files are named."""

    fingerprint: str
    shard_groups: list[list[str]]


class ClusterGroup(Manifest, frozen=True):
    """Documents that are deduplicated together: their file, how many each shard group has, and their clusters."""

    task: int
    rows: list[int]
    clusters: int


class ClusterIndex(Manifest, frozen=True):
    """`clusters/index.json`: where the clusters of each group of documents are, and which documents they are of."""

    fingerprint: str
    shard_groups: list[list[str]]
    groups: dict[str, ClusterGroup]  # by name of the group: a label, or a key of dedup.groups
    overflow: int  # documents that no cluster centre was compared with, because their component has too many
    baseline: list[str]  # fingerprints of the documents of earlier outputs, oldest first
    baseline_rows: list[dict[str, int]]  # documents of each group, by earlier output


class BoilerplateTotals(Manifest, frozen=True):
    """Documents of a label that were looked at for lines that repeat across their host, and what was found."""

    documents: int = 0  # that were looked at
    measured: int = 0  # that have lines and a host with enough documents
    with_boilerplate: int = 0  # that have such lines
    lines: int = 0  # such lines, over all documents
    characters: int = 0  # code points of these lines


class BoilerplateIndex(Manifest, frozen=True):
    """`boilerplate/index.json`: which clusters and settings the marks are of, and totals by label."""

    fingerprint: str
    clusters: str  # fingerprint of the clusters
    shard_groups: int  # how many
    totals: dict[str, BoilerplateTotals]  # by label


class BoilerplateGroup(Manifest, frozen=True):
    """`boilerplate/shard-group-*.json`: totals of one shard group by label."""

    fingerprint: str
    totals: dict[str, BoilerplateTotals]  # by label


class LineCounts(Manifest, frozen=True):
    """`boilerplate/counts/shard-group-*.json`: rows of each range of hashes in the counts beside it."""

    fingerprint: str
    rows: dict[str, int]  # by number of the range


class EvaluationSetOverlap(Manifest, frozen=True):
    """An evaluation set: its items, their different n-grams, and the documents by label that overlap with it."""

    items: int  # texts of the set
    ngrams: int  # different ones
    documents: dict[str, int]  # that overlap, by label


class ContaminationIndex(Manifest, frozen=True):
    """`contamination/index.json`: what documents were compared with."""

    fingerprint: str
    sets: dict[str, EvaluationSetOverlap]  # by name


# ---------------------------------------------------------------------------------------------------- select


class ClusterSizeStatistics(Manifest, frozen=True):
    """Eligible documents in clusters of one size, and how many of them fail a rule."""

    cluster_size: int  # members
    documents: int  # eligible, in clusters of this size
    failed: int  # of them, those that fail a rule


class SortKey(Manifest, frozen=True):
    """What the rows of clean/ are sorted by within a label: cluster size, then the hash of the id."""

    cluster_size: int  # members
    id_hash: str  # 16 hexadecimal digits


class ClusterSizeRun(Manifest, frozen=True):
    """Consecutive rows of a file of clean/ whose clusters have one size."""

    cluster_size: int  # members
    first_row: int  # from 0, in the file
    rows: int
    characters: int
    tokens: int  # words and symbols: the sum of segment_count


class CleanFile(Manifest, frozen=True):
    """One file of clean/."""

    path: str  # relative to the selection
    split: str  # train or test
    rows: int
    bytes: int
    sha256: str
    characters: int
    removed_characters: int  # code points of host boilerplate that was left out
    removed_documents: int  # documents that it was left out of
    first: SortKey  # of the first row
    runs: list[ClusterSizeRun]  # in the order of the rows


class PercentileBound(Manifest, frozen=True):
    """A rule's bound that was given as a percentile: its value, or None where the label has too few documents."""

    label: str
    metric: str
    side: str  # min or max
    percentile: float  # 0 to 100
    documents: int  # that have the metric
    value: float | None


class BoilerplateFacts(Manifest, frozen=True):
    """Which marks of host boilerplate a selection was made from, with the settings."""

    enabled: bool  # as boilerplate.enabled
    remove: bool
    min_documents: int
    min_document_fraction: float
    fingerprint: str  # of the marks
    totals: dict[str, BoilerplateTotals]  # by label


class SelectionManifest(Manifest, frozen=True):
    """`selections/<name>/manifest.json`: counts, files and rules of a selection. It exists when the selection does."""

    fingerprint: str
    settings: str  # fingerprint of everything but the take-downs
    take_downs: list[str]  # names of those that are carried out
    shards: str  # fingerprint of the shard groups
    selection: str
    outcomes: dict[str, dict[str, int]]  # label -> outcome -> documents
    rules_fired: dict[str, dict[str, int]]  # label -> metric -> documents
    cluster_statistics: dict[str, list[ClusterSizeStatistics]]  # by label
    files: dict[str, list[CleanFile]]  # by label
    language_configs: dict[str, dict[str, Any]]  # label -> rules as applied, every bound a number
    percentiles: list[PercentileBound]  # every bound that was given as one
    missing: list[str]  # shards that are quarantined
    boilerplate: BoilerplateFacts | None  # None where host boilerplate was not looked for
    select: dict[str, Any]  # the settings of select


class TakeDownRequest(Manifest, frozen=True):
    """What is to be taken out, as hashes, so that the record names nobody."""

    kind: str  # id, url or domain
    hashes: list[str]  # that the document index is searched for, 16 hexadecimal digits each
    digests: list[str]  # sha256, one of which must be that of the row's value


class TakeDown(Manifest, frozen=True):
    """`take_downs/<name>.json`: what one command took out, and stays out of every later selection."""

    keep_another: bool  # clusters may keep another document in place of one that was taken out
    requests: list[TakeDownRequest]
