"""A language's rules, word lists and provenance: `lang_configs/default.toml` with its own file laid over it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from pipeline.config.base import Strict
from pipeline.config.reading import LANGUAGE_CONFIGS, describe, merge, read_toml
from pipeline.errors import ConfigError


class Percentile(Strict):
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


class Rule(Strict):
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


class OffRule(Strict):
    """A rule of default.toml that this language switches off."""

    off: Literal[True]
    source: str = ""


class PerplexityBuckets(Strict):
    """Percentiles of the language's reference that bound head, middle and tail."""

    head: float = Field(30, ge=0, le=100)
    middle: float = Field(60, ge=0, le=100)


class LanguageConfig(Strict):
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


def _word_list(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("# ") and line != "#")


def load_language_config(
    label: str, folder: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> LanguageConfig:
    """Default rules with the language's own laid over them; `origins` says where each rule comes from."""
    folder = folder or LANGUAGE_CONFIGS
    base = read_toml(folder / "default.toml")
    own_path = folder / f"{label}.toml"
    own = read_toml(own_path) if own_path.exists() else {}
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
        raise ConfigError(describe(f"lang_configs/{label}.toml", error)) from None
