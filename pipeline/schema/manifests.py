"""The JSON files of an output folder, each as a type: what a command writes last, and what the next one trusts.

A field that is absent or of another type is an error that names the file and the field; a field that is unknown is one,
too, because it was written by another version. Fields of counts are numbers of documents where nothing else is said.
"""

from typing import Any, Literal

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
    document_records: int  # that can hold a document: each is a document or has a drop reason
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

    task: int  # number of the task that clustered them, and of its file
    rows: list[int]  # documents by shard group
    clusters: int  # that have a document of this output


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


class TakeDownJournal(Manifest, frozen=True):
    """`selections/<name>/removing.json`: the files that `glotmill remove` is rewriting; it is absent otherwise."""

    files: dict[str, str]  # path relative to the selection -> label


class TakeDownRequest(Manifest, frozen=True):
    """One id, URL or domain that is to be taken out, as hashes, so that the record names nobody."""

    kind: Literal["id", "url", "domain"]  # what was given
    hashes: tuple[str, ...]  # that the document index is searched for, 16 hexadecimal digits each
    digests: tuple[str, ...]  # sha256, one of which must be that of the row's value


class TakeDown(Manifest, frozen=True):
    """`take_downs/<name>.json`: what one command took out, and stays out of every later selection."""

    keep_another: bool  # clusters may keep another document in place of one that was taken out
    requests: list[TakeDownRequest]


# ---------------------------------------------------------------------------------------------------- mixtures


class MixtureSettings(Manifest, frozen=True):
    """What a mixture is made from.

    An epoch is a pass over a language as its weights have it. Without `temperature` and `token_budget` every language
    has one. `token_budget` alone is shared by UniMax, with `temperature` in proportion to tokens ** (1 / temperature);
    temperature alone shares as many tokens as the weights give. A language that shares tokens gets at most
    `max_epochs`.
    """

    name: str
    weights: str = "default"  # default, fineweb2, txt360 or none
    max_repeats: int = 10  # copies of the best cluster size
    temperature: float | None = None
    token_budget: float | None = None
    max_epochs: float | None = None
    languages: dict[str, float] = {}  # epochs of some languages, which count against the budget first; 0 leaves one out
    tokenizer: str | None = None  # path of a tokenizer.json that tokens are counted with
    updates: list[str] = []  # outputs made over this one, oldest first: cluster sizes are those of the last


class CountedTokens(Manifest, frozen=True, tag_field="method", tag="tokenizer"):
    """Tokens were counted with a file of the `tokenizers` library."""

    file: str
    sha256: str
    special_tokens: bool  # whether those that the tokenizer adds to a document are counted


class EstimatedTokens(Manifest, frozen=True, tag_field="method", tag="estimate"):
    """Tokens were estimated from characters."""

    formula: str  # how, in words
    characters_per_token: dict[str, float]  # by label


class SizeWeight(Manifest, frozen=True):
    """How often documents are repeated whose clusters have this size or more, up to the next weight's."""

    from_cluster_size: int  # documents
    repeats: int


class MixtureTotals(Manifest, frozen=True):
    """What the training split of a selection has (`clean_`), and what a pass over a mixture of it reads."""

    clean_documents: int  # of the training split of the selection
    clean_tokens: int  # of those
    documents: int  # that are read at least once
    repeated_documents: int  # with their copies, as characters and tokens
    characters: int
    tokens: int


class LanguageTotals(MixtureTotals, frozen=True):
    """The totals of a language, its epochs, and how often its most repeated document is read."""

    epochs: float  # passes over the language, each with the repeats that its weights give
    most_copies: int  # of its most repeated document


class MixtureEntry(Manifest, frozen=True, omit_defaults=True):
    """Consecutive rows of a file of clean/ that are read equally often; characters and tokens are of one copy."""

    file: str  # relative to the selection
    first_row: int
    rows: int
    repeats: int
    characters: int  # without those of the changed rows, as tokens
    tokens: int
    changed_rows: int = 0  # of these rows, those that the file of changed rows lists with repeats of their own


class ChangedRows(Manifest, frozen=True):
    """The Parquet file, beside the mixture, of rows that do not follow the entry in which they stand."""

    file: str
    rows: int
    sha256: str


class MixtureManifest(Manifest, frozen=True, omit_defaults=True):
    """`mixtures/<name>.json`: which rows of clean/ a training run reads, and how often.

    `updates` and `changed` are absent where cluster sizes are those of the selection itself.
    """

    format: int  # OUTPUT_FORMAT; a mixture can be read without its output's run.json
    name: str
    settings: MixtureSettings
    weights: str  # name of the weights
    selection: str  # fingerprint
    row_group_rows: int  # of the files of clean/
    token_counts: CountedTokens | EstimatedTokens
    weights_by_label: dict[str, list[SizeWeight]]  # ascending cluster sizes
    totals: dict[str, LanguageTotals]
    total: MixtureTotals
    entries: list[MixtureEntry]  # by label, file and row; no row is in two
    updates: list[str] = []  # fingerprints of the clusters of later outputs
    changed: ChangedRows | None = None


class MaterializedFile(Manifest, frozen=True):
    """One shuffled file of a materialized mixture."""

    path: str
    rows: int
    bytes: int
    sha256: str


class MaterializedMixture(Manifest, frozen=True):
    """`manifest.json` of a materialized mixture. It exists when all files do and their rows were counted again."""

    fingerprint: str
    mixture: str  # name
    selection: str  # fingerprint
    settings: MixtureSettings
    token_counts: CountedTokens | EstimatedTokens
    seed: int
    totals: dict[str, LanguageTotals]
    total: MixtureTotals
    files: list[MaterializedFile]
