"""Settings: one run configuration and one file per language, read strictly and with the origin of every value.

A run's TOML is checked against `RunConfig`; a language's rules are `lang_configs/default.toml` with the
language's own file laid over it. Unknown keys and empty intervals are all reported at once.
"""

import hashlib
import json
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.errors import ConfigError


def bundled(name: str) -> Path:
    """A folder that comes along: inside the package where it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


LANGUAGE_CONFIGS = bundled("lang_configs")
RECIPES = bundled("recipes")
LABEL_PATTERN = re.compile(r"^[a-z]{2,3}_[A-Z][a-z]{3}$")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _checked_label(label: str) -> str:
    if not LABEL_PATTERN.match(label):
        raise ValueError(f"{label!r} is no language label; write ISO 639-3 and script, such as tur_Latn")
    return label


class ReadConfig(_Strict):
    """Limits of the WARC reader; sizes in bytes after decompression."""

    max_record_bytes: int = Field(16 * 2**20, gt=0)
    max_tags: int = Field(200_000, gt=0)
    max_tag_bytes: int = Field(100_000, gt=0)
    block_urls: bool = True
    dump: str = ""


class ExtractConfig(_Strict):
    """How HTML becomes text, and the limits of the watched child."""

    extractor: Literal["glotmill", "resiliparse", "trafilatura"] = "glotmill"
    cpu_seconds: float = Field(10.0, gt=0)
    memory_bytes: int = Field(2 * 2**30, gt=0)
    repair: Literal["before", "after", "off"] = "before"


class GateConfig(_Strict):
    """Documents that `model` gives `label` with a score above `min_score` are taken out before anything is measured."""

    model: str = "lid.176"
    label: str
    min_score: float = Field(ge=0, le=1)

    @field_validator("label")
    @classmethod
    def _is_label(cls, label: str) -> str:
        return _checked_label(label)


class LidConfig(_Strict):
    """Language identification; `min_score` is a noise floor, a language's own floor is a rule."""

    model: str = "lid.176"
    min_score: float = Field(0.2, ge=0, le=1)
    max_characters: int = Field(2000, gt=0)
    gate: GateConfig | None = None


class LanguagesConfig(_Strict):
    """Which languages are measured; others become rows in dropped/. Empty `include` means all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @field_validator("include", "exclude")
    @classmethod
    def _labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked_label(label) for label in labels)


class DedupConfig(_Strict):
    """MinHash-LSH; `groups` names labels that are deduplicated together.

    `threshold`, a similarity, chooses `bands` and `rows` within 112 minima in their place. `method` "exact" takes only
    documents with the same words for duplicates; it reads the signatures that annotate made for either.
    `population` says who takes part in clusters: documents that pass the rules on the label (FineWeb2), all, or those
    that pass every rule (CulturaX). The others are clusters of one.
    A group of `large_group_rows` is linked in a task a band, smaller ones share tasks; above `collate_files` batches
    their files are gathered once more. How work is cut changes no row.
    """

    method: Literal["minhash", "exact"] = "minhash"
    threshold: float | None = Field(None, ge=0.1, le=0.99)
    bands: int = Field(14, gt=0, le=64)
    rows: int = Field(8, gt=0, le=64)
    shingle_unit: Literal["word", "character"] = "word"
    shingle_size: int = Field(5, gt=0, le=32)
    seed: int = 1
    verify: bool = True
    verify_threshold: float = Field(0.65, ge=0, le=1)
    max_leaders: int = Field(4096, gt=0)
    population: Literal["all", "above_language_floor", "passing"] = "above_language_floor"
    groups: dict[str, tuple[str, ...]] = {}
    batch_shards: int = Field(1000, gt=0)
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


class EvaluationSet(_Strict):
    """A file of evaluation texts: lines of a text, or `fields` of JSONL or Parquet, where nested strings count, too."""

    path: str
    fields: tuple[str, ...] = ("text",)
    name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, given: Any) -> Any:
        """A path alone will do; the name is that of the file."""
        values = {"path": given} if isinstance(given, str) else given
        if not isinstance(values, Mapping) or not isinstance(values.get("path"), str):
            return values
        path = values["path"] if "://" in values["path"] else os.path.abspath(values["path"])
        return {"name": os.path.basename(path), **values, "path": path}


class DecontaminateConfig(_Strict):
    """Overlap of documents with evaluation sets, in runs of `ngram` words.

    An item with fewer words is one run; below `shortest` words it is found only where it is the whole document. With
    `drop` documents fail of whose words more than `max_overlap` stand in a set.
    """

    files: tuple[EvaluationSet, ...] = Field(min_length=1)
    ngram: int = Field(13, ge=2)
    shortest: int = Field(8, ge=1)
    max_overlap: float = Field(0.0, ge=0, le=1)
    drop: bool = True

    @model_validator(mode="after")
    def _names_differ(self) -> "DecontaminateConfig":
        names = [one.name for one in self.files]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two evaluation sets have the name {', '.join(twice)}; give each a name of its own")
        return self


KeepPolicy = Literal["longest", "lowest_perplexity", "newest", "best_language_score", "first_seen"]


class SelectConfig(_Strict):
    """Which representative a cluster keeps, URL duplicates, the test split, the size of parts.

    Write sorts runs of `run_bytes` in memory, and merge reads at most `merge_files` of them side by side. Of a language
    with more than `merge_bytes` of text a task merges about so much.
    A rule bound that is a percentile needs `percentile_documents` documents of the label that have the metric.
    """

    keep: tuple[KeepPolicy, ...] = ("longest", "first_seen")
    elect_before_rules: bool = False
    url_duplicates: bool = True
    mask: bool = True
    test_fraction: float = Field(0.0, ge=0, lt=1)
    row_group_rows: int = Field(10_000, gt=0)
    part_bytes: int = Field(384 * 2**20, gt=0)
    run_bytes: int = Field(2**30, gt=0)
    merge_files: int = Field(128, gt=1)
    merge_bytes: int = Field(32 * 2**30, gt=0)
    rules: bool = True
    percentile_documents: int = Field(100, gt=0)
    decontaminate: DecontaminateConfig | None = None


class HostLinesConfig(_Strict):
    """Lines that repeat across the documents of a host: a metric, and with `strip` left out of what is written.

    A line repeats when `min_documents` documents of its host have it, near duplicates counted once, and
    `min_document_fraction` of all documents of the host.
    """

    enabled: bool = False
    strip: bool = False
    min_documents: int = Field(3, ge=2)
    min_document_fraction: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _strips_what_it_finds(self) -> "HostLinesConfig":
        if self.strip and not self.enabled:
            raise ValueError("strip = true: nothing is looked for; set enabled = true, too")
        return self


class RebalanceConfig(_Strict):
    """Weights by duplicate count."""

    weights: Literal["default", "fineweb2", "txt360", "none"] = "default"
    max_repeats: int = Field(10, ge=1)


class ExecutionConfig(_Strict):
    """Segments, failures, and what a task asks of the cluster."""

    segment_records: int = Field(40_000, gt=0)
    segment_bytes: int = Field(256 * 2**20, gt=0)
    max_failed_shard_fraction: float = Field(0.001, ge=0, le=1)
    attempts: int = Field(3, ge=1)
    task_memory_bytes: int = Field(2 * 2**30, gt=0)


Refinement = Literal["addresses", "bar_lines", "footer", "script_line"]


class RunConfig(_Strict):
    """Everything a run needs. Two levels only: this, and the language files."""

    inputs: tuple[str, ...] = ()
    inputs_prefix: str = ""
    output: str = ""
    executor: Literal["inline", "ray"] = "inline"
    workers: int = Field(1, ge=1)
    selection: str = Field("main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    language_configs: str = ""
    index: tuple[str, ...] = ()
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
    host_lines: HostLinesConfig = HostLinesConfig()
    select: SelectConfig = SelectConfig()
    rebalance: RebalanceConfig = RebalanceConfig()
    execution: ExecutionConfig = ExecutionConfig()

    def group_of(self, label: str) -> str:
        """The deduplication partition of a label: the group that names it, else the label itself."""
        for group, labels in self.dedup.groups.items():
            if label in labels:
                return group
        return label

    @model_validator(mode="after")
    def _workers_need_ray(self) -> "RunConfig":
        if self.workers > 1 and self.executor == "inline":
            raise ValueError(f'workers = {self.workers} needs executor = "ray": inline does one task at a time')
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
        keys = ("read", "extract", "lid", "languages", "segmenter", "refine", "refinements", "perplexity")
        segments = {key: dump["execution"][key] for key in ("segment_records", "segment_bytes")}
        return {key: dump[key] for key in keys} | {"scheme": scheme, "segments": segments}

    def dedup_settings(self) -> dict[str, Any]:
        """The settings that deduplicate reads."""
        return {"dedup": self.model_dump(mode="json")["dedup"]}


class Percentile(_Strict):
    """A bound at a percentile of the run's own documents of the label; it becomes a number before deciding."""

    percentile: float = Field(ge=0, le=100)

    def __format__(self, spec: str) -> str:
        """As `{bound:g}` shows a number.

        >>> f"{Percentile(percentile=90):g}"
        'percentile 90'
        """
        return f"percentile {self.percentile:g}"


def _kind_of_bound(value: Any) -> str:
    return "RulePercentile" if isinstance(value, Mapping | Percentile) else "RuleNumber"


Bound = Annotated[
    Annotated[float, Tag("RuleNumber")] | Annotated[Percentile, Tag("RulePercentile")], Discriminator(_kind_of_bound)
]


class Rule(_Strict):
    """A closed interval that a metric must lie in; null metrics fire no rule."""

    min: Bound | None = None
    max: Bound | None = None
    source: str = ""

    @model_validator(mode="after")
    def _not_empty(self) -> "Rule":
        if self.min is None and self.max is None:
            raise ValueError("a rule needs min or max; to switch it off write off = true")
        ends = [bound.percentile if isinstance(bound, Percentile) else bound for bound in (self.min, self.max)]
        if type(self.min) is type(self.max) and ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
            raise ValueError(f"empty interval: min {self.min} is above max {self.max}")
        return self

    def interval(self) -> tuple[float, float]:
        """Lowest and highest value that pass, infinite where an end is open. Percentiles must be numbers by now."""
        assert not isinstance(self.min, Percentile)
        assert not isinstance(self.max, Percentile)
        return -math.inf if self.min is None else self.min, math.inf if self.max is None else self.max


class OffRule(_Strict):
    """A rule of default.toml that this language switches off."""

    off: Literal[True]
    source: str = ""


class PerplexityBuckets(_Strict):
    """Percentiles of the language's reference that bound head, middle and tail."""

    head: float = Field(30, ge=0, le=100)
    middle: float = Field(60, ge=0, le=100)


class LanguageConfig(_Strict):
    """One language's rules, word lists and provenance."""

    name: str
    label: str = ""
    rules: dict[str, Rule | OffRule] = {}
    stop_words: tuple[str, ...] = ()
    flagged_words: tuple[str, ...] = ()
    perplexity: PerplexityBuckets = PerplexityBuckets()
    provenance: dict[str, str] = {}
    origins: dict[str, str] = {}

    def active_rules(self) -> dict[str, Rule]:
        """The rules that are on, by metric."""
        return {metric: rule for metric, rule in self.rules.items() if isinstance(rule, Rule)}


def fingerprint(settings: Any) -> str:
    """A sha256 of settings in canonical JSON, 64 hexadecimal digits.

    >>> fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """A line for each value that is not the same in two nested mappings.

    >>> differences({"lid": {"model": "lid.176"}}, {"lid": {"model": "glotlid"}})
    ['lid.model: lid.176 -> glotlid']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys())
        parts = [differences(before.get(name), after.get(name), f"{key}.{name}".lstrip(".")) for name in names]
        return [line for part in parts for line in part]
    return [] if before == after else [f"{key}: {before} -> {after}"]


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _read_toml(path: Path) -> dict[str, Any]:
    """What the file says, not to be changed: it is parsed once, as default.toml is read for every language."""
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _describe(path: str, error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        # a rule is either an interval or off: only the interval's faults are worth reading
        if "OffRule" in item["loc"]:
            continue
        named = [str(part) for part in item["loc"] if not str(part).startswith(("Rule", "function-after["))]
        key = ".".join(named) or "(file)"
        hint = "unknown key" if item["type"] == "extra_forbidden" else item["msg"]
        lines.append(f"{path}: {key} = {item['input']!r}: {hint}" if item["loc"] else f"{path}: {item['msg']}")
    return "\n".join(lines)


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """`key.sub=value` pairs as a nested mapping; a value is TOML where it parses, else a string.

    >>> parse_overrides(["dedup.bands=20", "select.keep=['newest']", "selection=strict"])
    {'dedup': {'bands': 20}, 'select': {'keep': ['newest']}, 'selection': 'strict'}
    """
    nested: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {assignment!r}: write key=value, such as --set dedup.bands=20")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        target = nested
        *parents, last = key.split(".")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return nested


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, table by table."""
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def find_recipe(given: Path) -> Path:
    """The file of a recipe given by path, or by name where it comes along. Raises ConfigError if it is neither.

    >>> find_recipe(Path("fineweb2")).name
    'fineweb2.toml'
    """
    if given.is_file():
        return given
    named = RECIPES / f"{given}.toml"
    if given.name == str(given) and named.is_file():
        return named
    names = ", ".join(sorted(path.stem for path in RECIPES.glob("*.toml")))
    raise ConfigError(f"{given}: no such file, and no recipe that comes along; those are {names}")


def load_run_config(recipe: Path | None, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a run's TOML, given as in `find_recipe`, and lay overrides over it.

    Relative `inputs`, `language_configs`, `models` and evaluation sets are taken from the folder of the file; all but
    `inputs` become absolute, because later commands read them again from `run.json`.

    Raises ConfigError with every fault.
    """
    path = find_recipe(recipe) if recipe else None
    raw = deepcopy(_read_toml(path)) if path else {}
    if path and isinstance(raw.get("inputs"), list):
        raw["inputs"] = [_beside(path, text) for text in raw["inputs"]]
    select = raw.get("select")
    overlap = select.get("decontaminate") if isinstance(select, dict) else None
    if path and isinstance(overlap, dict) and isinstance(overlap.get("files"), list):
        overlap["files"] = [
            one | {"path": _beside(path, one["path"])}
            if isinstance(one, dict) and "path" in one
            else _beside(path, one)
            for one in overlap["files"]
        ]
    for key in ("language_configs", "models"):
        if path and isinstance(raw.get(key), str) and raw[key]:
            raw[key] = os.path.abspath(path.parent / raw[key])
    merged = merge(raw, overrides or {})
    if isinstance(merged.get("index"), list):  # outputs stand in the working folder, as this run's does
        merged["index"] = [text if "://" in text else os.path.abspath(text) for text in merged["index"]]
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_describe(str(path or "--set"), error)) from None


def _beside(recipe: Path, text: Any) -> Any:
    """A relative path as taken from the folder of a file; anything else as it is."""
    if not isinstance(text, str) or "://" in text or Path(text).is_absolute():
        return text
    return str(recipe.parent / text)


def _word_list(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("# ") and line != "#")


def load_language_config(
    label: str, folder: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> LanguageConfig:
    """Default rules with the language's own laid over them; `origins` says where each rule comes from."""
    folder = folder or LANGUAGE_CONFIGS
    base = _read_toml(folder / "default.toml")
    own_path = folder / f"{label}.toml"
    own = _read_toml(own_path) if own_path.exists() else {}
    over = overrides or {}
    merged = merge(base, {key: value for key, value in own.items() if key != "rules"})
    rules = dict(base.get("rules", {}))
    origins = {metric: "lang_configs/default.toml" for metric in rules}
    for source, name in (
        (own.get("rules", {}), f"lang_configs/{label}.toml"),
        (over.get("rules", {}), "--set"),
    ):
        for metric, value in source.items():
            known = rules.get(metric)
            # a file states a whole interval; --set moves one bound of it
            keeps = name == "--set" and isinstance(known, Mapping) and isinstance(value, Mapping)
            rules[metric] = merge(known, value) if keeps and known and not known.get("off") else value
            origins[metric] = name
    merged |= {"rules": rules, "origins": origins, "label": label}
    merged = merge(merged, {key: value for key, value in over.items() if key != "rules"})
    for kind in ("stop_words", "flagged_words"):
        word_file = folder / kind / f"{label}.txt"
        if word_file.exists():
            merged[kind] = _word_list(word_file)
    try:
        return LanguageConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_describe(f"lang_configs/{label}.toml", error)) from None
