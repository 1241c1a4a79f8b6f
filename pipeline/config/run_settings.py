"""The settings of a run: one frozen model, checked as a whole, with one part for each pass."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from pipeline.config.base import Strict, checked_label, one_of
from pipeline.dedup.keep import KeepPolicy
from pipeline.registry import names_of
from pipeline.text.reads import Reads


class ReadConfig(Strict):
    """Limits of the WARC reader; sizes in bytes after decompression."""

    max_record_bytes: int = Field(16 * 2**20, gt=0)
    max_tags: int = Field(200_000, gt=0)
    max_tag_bytes: int = Field(100_000, gt=0)
    block_urls: bool = True
    dump: str = ""


class ExtractConfig(Strict):
    """How HTML becomes text, and the limits of the sandboxed extractor."""

    extractor: Annotated[str, one_of("text.main_text.extractors")] = "glotmill"
    cpu_seconds: float = Field(10.0, gt=0)
    memory_bytes: int = Field(2 * 2**30, gt=0)
    repair: Literal["before", "after", "off"] = "before"


class GateConfig(Strict):
    """Documents that `model` gives `label` with a score above `min_score` are taken out before anything is measured."""

    model: str = "lid.176"  # as lid.model
    label: str  # of the documents that go
    min_score: float = Field(ge=0, le=1)  # a score above it, not equal to it

    @field_validator("label")
    @classmethod
    def _is_label(cls, label: str) -> str:
        return checked_label(label)


class LidConfig(Strict):
    """Language identification; `min_score` is a noise floor, a language's own floor is a rule."""

    model: str = "lid.176"
    min_score: float = Field(0.2, ge=0, le=1)
    max_characters: int = Field(2000, gt=0)
    gate: GateConfig | None = None


class LanguagesConfig(Strict):
    """Which languages are measured; others become rows in dropped/. Empty `include` means all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @field_validator("include", "exclude")
    @classmethod
    def _labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_label(label) for label in labels)


class DedupConfig(Strict):
    """MinHash-LSH over shingles of words, within a language, or within labels that `groups` names together.

    `threshold`, a similarity, chooses `bands` and `rows` within 112 minima in their place. `method` "exact" takes only
    documents with the same words for duplicates; it reads the signatures that annotate made for either. `eligible`
    says who takes part in clusters: documents that pass the rules on the label (FineWeb2), all, or those that pass
    every rule (CulturaX). The others are clusters of one. A group of `large_group_rows` is linked in a task a band,
    smaller ones share tasks; above `collate_files` shard groups their files are gathered once more. How work is cut
    changes no row.
    """

    method: Literal["minhash", "exact"] = "minhash"
    threshold: float | None = Field(None, ge=0.1, le=0.99)
    bands: int = Field(14, gt=0, le=64)
    rows: int = Field(8, gt=0, le=64)
    shingle_unit: Annotated[str, one_of("dedup.units")] = "word"
    shingle_size: int = Field(5, gt=0, le=32)
    seed: int = 1
    verify: bool = True
    verify_threshold: float = Field(0.65, ge=0, le=1)
    max_cluster_centres: int = Field(4096, gt=0)
    eligible: Literal["all", "above_language_floor", "passing"] = "above_language_floor"
    groups: dict[str, tuple[str, ...]] = {}
    shard_group_size: int = Field(1000, gt=0)
    large_group_rows: int = Field(1_000_000, gt=0)
    collate_files: int = Field(1000, gt=1)

    @model_validator(mode="before")
    @classmethod
    def _threshold_chooses(cls, data: Any) -> Any:
        threshold = data.get("threshold") if isinstance(data, Mapping) else None
        if not isinstance(threshold, int | float) or not 0.1 <= threshold <= 0.99:
            return data
        from pipeline.dedup.minhash import bands_and_rows  # brings Numba: not for every command

        bands, rows = bands_and_rows(float(threshold))
        chosen = {"bands": bands, "rows": rows}
        if against := {key: data[key] for key in chosen if data.get(key, chosen[key]) != chosen[key]}:
            stated = ", ".join(f"{key} = {value}" for key, value in against.items())
            raise ValueError(
                f"threshold = {threshold} chooses bands = {bands} and rows = {rows}, but {stated} stands beside it; "
                "leave out the threshold, or bands and rows"
            )
        return {**data, **chosen}

    @property
    def keys(self) -> list[str]:
        """Columns of the signatures whose equal values make two documents candidates."""
        return ["exact_hash", *(f"band_{band:02d}" for band in range(self.bands if self.method == "minhash" else 0))]

    @property
    def verified(self) -> bool:
        """Whether candidates are compared; those of the exact method are equal."""
        return self.verify and self.method == "minhash"


class EvaluationSet(Strict):
    """A file of evaluation texts: lines of a text, or `fields` of JSONL or Parquet, where nested strings count, too."""

    path: str  # of a text, JSONL (.gz, too) or Parquet; relative to the folder of the recipe
    fields: tuple[str, ...] = ("text",)  # of JSONL or Parquet
    name: str = ""  # in evaluation_overlap and the report; "" is the name of the file

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, given: Any) -> Any:
        """A path alone will do; the name is that of the file."""
        values = {"path": given} if isinstance(given, str) else given
        if not isinstance(values, Mapping) or not isinstance(values.get("path"), str):
            return values
        path = values["path"] if "://" in values["path"] else os.path.abspath(values["path"])
        return {"name": os.path.basename(path), **values, "path": path}


class DecontaminateConfig(Strict):
    """Overlap of documents with evaluation sets, in runs of `ngram` words.

    An item with fewer words is one run; below `shortest` words it is found only where it is the whole document. With
    `drop` documents fail of whose words more than `max_overlap` stand in a set.
    """

    files: tuple[EvaluationSet, ...] = Field(min_length=1)  # evaluation sets; a path alone will do
    ngram: int = Field(13, ge=2)  # words in a row that have to be the same
    shortest: int = Field(8, ge=1)  # words; a shorter item is found only where it is the whole document
    max_overlap: float = Field(0.0, ge=0, le=1)  # share of a document's words above which it fails
    drop: bool = True  # false: report only

    @model_validator(mode="after")
    def _names_differ(self) -> "DecontaminateConfig":
        names = [evaluation_set.name for evaluation_set in self.files]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two evaluation sets have the name {', '.join(twice)}; give each a name of its own")
        return self


class SelectConfig(Strict):
    """Which kept document a cluster keeps, URL duplicates, the test split, the size of parts.

    Write sorts runs of `run_bytes` in memory, and merge reads at most `merge_files` of them side by side. Of a language
    with more than `merge_bytes` of text a task merges about so much.
    With `rules` false no rule is run, and with a list only those whose metric reads what is named.
    A rule bound that is a percentile needs `percentile_documents` documents of the label that have the metric.
    """

    keep: tuple[KeepPolicy, ...] = ("longest", "first_seen")
    keep_before_rules: bool = False
    url_duplicates: bool = True
    mask: bool = True
    test_fraction: float = Field(0.0, ge=0, lt=1)
    row_group_rows: int = Field(10_000, gt=0)
    part_bytes: int = Field(384 * 2**20, gt=0)
    run_bytes: int = Field(2**30, gt=0)
    merge_files: int = Field(128, gt=1)
    merge_bytes: int = Field(32 * 2**30, gt=0)
    rules: bool | tuple[Reads, ...] = True
    percentile_documents: int = Field(100, gt=0)
    decontaminate: DecontaminateConfig | None = None

    @property
    def rules_reading(self) -> tuple[Reads, ...]:
        """What the metrics read on which there may be rules; with `rules` false these are known and not run."""
        return get_args(Reads) if isinstance(self.rules, bool) else self.rules


class BoilerplateConfig(Strict):
    """Lines that repeat across the documents of a host: a metric, and with `remove` left out of what is written.

    A line repeats when `min_documents` documents of its host have it, near duplicates counted once, and
    `min_document_fraction` of all documents of the host.
    """

    enabled: bool = False
    remove: bool = False
    min_documents: int = Field(3, ge=2)
    min_document_fraction: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _removes_what_it_finds(self) -> "BoilerplateConfig":
        if self.remove and not self.enabled:
            raise ValueError("remove = true: nothing is looked for; set enabled = true, too")
        return self


class RebalanceConfig(Strict):
    """Weights by duplicate count."""

    weights: Literal["default", "fineweb2", "txt360", "none"] = "default"
    max_repeats: int = Field(10, ge=1)


class ExecutionConfig(Strict):
    """Sorted runs, failures, and what a task asks of the cluster."""

    sorted_run_records: int = Field(40_000, gt=0)
    sorted_run_bytes: int = Field(256 * 2**20, gt=0)
    max_failed_shard_fraction: float = Field(0.001, ge=0, le=1)
    attempts: int = Field(3, ge=1)
    task_memory_bytes: int = Field(2 * 2**30, gt=0)


class StageConfig(Strict):
    """A stage of the user's own: it runs behind Glotmill's, and its columns are known to rules, histograms and clean/.

    `use` is "package.module:Class", or "folder/file.py:Class" beside the config file; `settings` are the keyword
    arguments of the class.
    """

    use: str = Field(pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_]*$")  # where the class is
    settings: dict[str, Any] = {}  # keyword arguments of the class


Refinement = Literal["addresses", "bar_lines", "footer", "script_line"]


class RunConfig(Strict):
    """Everything a run needs. Two levels only: this, and the language files."""

    inputs: tuple[str, ...] = ()
    inputs_prefix: str = ""
    output: str = ""
    executor: Annotated[str, one_of("execution.executors")] = "inline"
    workers: int = Field(1, ge=1)
    selection: str = Field("main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    language_configs: str = ""
    baseline: tuple[str, ...] = ()
    read: ReadConfig = ReadConfig()
    extract: ExtractConfig = ExtractConfig()
    lid: LidConfig = LidConfig()
    languages: LanguagesConfig = LanguagesConfig()
    segmenter: Literal["icu", "whitespace", "datatrove"] = "icu"
    refine: Literal["before_signing", "at_write"] = "at_write"
    refinements: tuple[Refinement, ...] = ("addresses", "bar_lines")
    perplexity: bool = True
    models: str = ""
    dedup: DedupConfig = DedupConfig()
    boilerplate: BoilerplateConfig = BoilerplateConfig()
    select: SelectConfig = SelectConfig()
    rebalance: RebalanceConfig = RebalanceConfig()
    execution: ExecutionConfig = ExecutionConfig()
    stages: tuple[StageConfig, ...] = ()

    def group_of(self, label: str) -> str:
        """The deduplication partition of a label: the group that names it, else the label itself."""
        for group, labels in self.dedup.groups.items():
            if label in labels:
                return group
        return label

    @model_validator(mode="after")
    def _workers_need_ray(self) -> "RunConfig":
        if self.workers > 1 and self.executor == "inline":
            others = ", ".join(f'"{name}"' for name in names_of("execution.executors") if name != "inline")
            raise ValueError(f"workers = {self.workers} needs executor = {others}: inline does one task at a time")
        return self

    @model_validator(mode="after")
    def _groups_share_a_script(self) -> "RunConfig":
        seen: dict[str, str] = {}
        for group, labels in self.dedup.groups.items():
            if len({label.rpartition("_")[2] for label in labels}) > 1:
                raise ValueError(f"dedup.groups.{group}: scripts never share a group: {', '.join(labels)}")
            for label in labels:
                if label in seen:
                    raise ValueError(f"dedup.groups: {label} stands in {seen[label]} and in {group}")
                seen[label] = group
        return self

    def annotate_settings(self) -> dict[str, Any]:
        """The settings that the annotate pass reads; they make its fingerprint."""
        dump = self.model_dump(mode="json")
        scheme = {key: dump["dedup"][key] for key in ("bands", "rows", "shingle_size", "seed", "groups")}
        if self.dedup.shingle_unit != "word":  # named only where it is another: what was annotated before stays valid
            scheme["shingle_unit"] = self.dedup.shingle_unit
        keys = ("read", "extract", "lid", "languages", "segmenter", "refine", "refinements", "perplexity", "stages")
        segments = {key: dump["execution"][key] for key in ("sorted_run_records", "sorted_run_bytes")}
        return {key: dump[key] for key in keys} | {"scheme": scheme, "segments": segments}

    def dedup_settings(self) -> dict[str, Any]:
        """The settings that deduplicate reads."""
        return {"dedup": self.model_dump(mode="json")["dedup"]}
