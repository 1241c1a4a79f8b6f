"""Rule bounds that are percentiles of a run's own documents, and how they become numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from pipeline.config.language_files import LanguageConfig, OffRule, Percentile, Rule
from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Bound:
    """What became of a percentile bound: its value, or None where the label has too few documents."""

    label: str
    metric: str
    side: str
    percentile: float
    documents: int  # that have the metric
    value: float | None


def percentile_bounds(language: LanguageConfig) -> list[tuple[str, str, float]]:
    """(metric, side, percentile) of every bound that is a percentile."""
    return [
        (metric, side, bound.percentile)
        for metric, rule in language.active_rules().items()
        for side, bound in (("min", rule.min), ("max", rule.max))
        if isinstance(bound, Percentile)
    ]


def bounded(language: LanguageConfig, bounds: Iterable[Bound]) -> LanguageConfig:
    """The language with its percentile bounds replaced by their values; a bound without a value goes."""
    rules: dict[str, Rule | OffRule] = dict(language.rules)
    for one in bounds:
        if one.label != language.label:
            continue
        rule = rules[one.metric]
        found = f"percentile {one.percentile:g} of {one.documents} documents"
        if one.value is None:
            found = f"no {one.side}, too few for percentile {one.percentile:g}: {one.documents} documents"
        source = f"{rule.source}; {found}" if rule.source else found
        values = rule.model_dump() | {one.side: one.value, "source": source}
        try:
            empty = values["min"] is None and values["max"] is None
            rules[one.metric] = OffRule(off=True, source=source) if empty else Rule.model_validate(values)
        except ValidationError as error:
            where = f"{language.origins.get(one.metric, '')}: {language.label}: rules.{one.metric} ({found})"
            raise ConfigError(f"{where}: {error.errors()[0]['msg']}") from None
    return language.model_copy(update={"rules": rules})
