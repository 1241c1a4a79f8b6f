"""Settings: one run configuration and one file per language, read strictly and with the origin of every value.

A run's TOML is checked against `RunConfig`; a language's rules are `lang_configs/default.toml` with the
language's own file laid over it. Unknown keys and empty intervals are all reported at once.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import ConfigError

LANGUAGE_CONFIGS = Path(__file__).resolve().parent.parent / "lang_configs"
LABEL_PATTERN = re.compile(r"^[a-z]{2,3}_[A-Z][a-z]{3}$")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    repair: bool = True


class LidConfig(_Strict):
    """Language identification; `min_score` is a noise floor, a language's own floor is a rule."""

    model: str = "lid.176"
    min_score: float = Field(0.2, ge=0, le=1)
    max_characters: int = Field(2000, gt=0)


class LanguagesConfig(_Strict):
    """Which languages are measured; others become rows in dropped/. Empty `include` means all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @field_validator("include", "exclude")
    @classmethod
    def _labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        for label in labels:
            if not LABEL_PATTERN.match(label):
                raise ValueError(f"{label!r} is no language label; write ISO 639-3 and script, such as tur_Latn")
        return labels


class DedupConfig(_Strict):
    """MinHash-LSH; `groups` names labels that are deduplicated together."""

    bands: int = Field(14, gt=0, le=64)
    rows: int = Field(8, gt=0, le=64)
    shingle_size: int = Field(5, gt=0, le=32)
    seed: int = 1
    verify: bool = True
    verify_threshold: float = Field(0.65, ge=0, le=1)
    max_leaders: int = Field(4096, gt=0)
    population: Literal["all", "above_language_floor"] = "all"
    groups: dict[str, tuple[str, ...]] = {}
    batch_shards: int = Field(1000, gt=0)


KeepPolicy = Literal["longest", "lowest_perplexity", "newest", "best_language_score", "first_seen"]


class SelectConfig(_Strict):
    """Which representative a cluster keeps, URL duplicates, the test split, the size of parts."""

    keep: tuple[KeepPolicy, ...] = ("longest", "first_seen")
    elect_before_rules: bool = False
    url_duplicates: bool = True
    mask: bool = True
    test_fraction: float = Field(0.0, ge=0, lt=1)
    row_group_rows: int = Field(10_000, gt=0)
    part_bytes: int = Field(384 * 2**20, gt=0)
    rules: bool = True


class RebalanceConfig(_Strict):
    """Weights by duplicate count."""

    weights: Literal["default", "fineweb2", "txt360", "none"] = "default"
    max_repeats: int = Field(10, ge=1)


class ExecutionConfig(_Strict):
    """Segments, failures, and how many tasks run side by side."""

    segment_records: int = Field(40_000, gt=0)
    segment_bytes: int = Field(256 * 2**20, gt=0)
    max_failed_shard_fraction: float = Field(0.001, ge=0, le=1)
    attempts: int = Field(3, ge=1)


class RunConfig(_Strict):
    """Everything a run needs. Two levels only: this, and the language files."""

    inputs: tuple[str, ...] = ()
    output: str = ""
    executor: Literal["inline", "ray"] = "inline"
    workers: int = Field(1, ge=1)
    selection: str = Field("main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    language_configs: str = ""
    read: ReadConfig = ReadConfig()
    extract: ExtractConfig = ExtractConfig()
    lid: LidConfig = LidConfig()
    languages: LanguagesConfig = LanguagesConfig()
    perplexity: bool = True
    models: str = ""
    dedup: DedupConfig = DedupConfig()
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
        scheme = {key: dump["dedup"][key] for key in ("bands", "rows", "shingle_size", "seed")}
        keys = ("read", "extract", "lid", "languages", "perplexity")
        segments = {key: dump["execution"][key] for key in ("segment_records", "segment_bytes")}
        return {key: dump[key] for key in keys} | {"scheme": scheme, "segments": segments}

    def dedup_settings(self) -> dict[str, Any]:
        """The settings that deduplicate reads."""
        return {"dedup": self.model_dump(mode="json")["dedup"]}


class Rule(_Strict):
    """A closed interval that a metric must lie in; null metrics fire no rule."""

    min: float | None = None
    max: float | None = None
    source: str = ""

    @model_validator(mode="after")
    def _not_empty(self) -> "Rule":
        if self.min is None and self.max is None:
            raise ValueError("a rule needs min or max; to switch it off write off = true")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"empty interval: min {self.min} is above max {self.max}")
        return self


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


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
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


def load_run_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a run's TOML and lay overrides over it.

    Relative paths in `inputs` are taken from the folder of the file. Raises ConfigError with every fault.
    """
    raw = _read_toml(path) if path else {}
    if path and isinstance(raw.get("inputs"), list):
        raw["inputs"] = [
            text if "://" in text or Path(text).is_absolute() else str(path.parent / text) for text in raw["inputs"]
        ]
    try:
        return RunConfig.model_validate(merge(raw, overrides or {}))
    except ValidationError as error:
        raise ConfigError(_describe(str(path or "--set"), error)) from None


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
