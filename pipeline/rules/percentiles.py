"""Rule bounds that are percentiles of a run's own documents, and how they become numbers.

A rule in a language file may say `max = { percentile = 90 }`. The pass compute_statistics finds the value of that
percentile among the documents of the label, and every later pass sees a number.
"""

from collections.abc import Iterable

from pydantic import ValidationError

from pipeline.config.language_files import LanguageConfig, OffRule, Percentile, Rule
from pipeline.errors import ConfigError
from pipeline.schema.manifests import PercentileBound


def percentile_bounds(language: LanguageConfig) -> list[tuple[str, str, float]]:
    """(metric, side, percentile) of every bound that is a percentile; the side is min or max."""
    return [
        (metric, side, bound.percentile)
        for metric, rule in language.active_rules().items()
        for side, bound in (("min", rule.min), ("max", rule.max))
        if isinstance(bound, Percentile)
    ]


def bounded(language: LanguageConfig, bounds: Iterable[PercentileBound]) -> LanguageConfig:
    """The language with its percentile bounds replaced by their values; a bound without a value is left out.

    `bounds` may be of other languages, too. The source of a rule then says which percentile its bound was. Raises
    ConfigError for a rule whose bounds cross once they are numbers.
    """
    rules: dict[str, Rule | OffRule] = dict(language.rules)
    for bound in bounds:
        if bound.label != language.label:
            continue
        rule = rules[bound.metric]
        origin = f"percentile {bound.percentile:g} of {bound.documents} documents"
        if bound.value is None:
            origin = f"no {bound.side}, too few for percentile {bound.percentile:g}: {bound.documents} documents"
        source = f"{rule.source}; {origin}" if rule.source else origin
        values = rule.model_dump() | {bound.side: bound.value, "source": source}
        try:
            is_empty = values["min"] is None and values["max"] is None
            rules[bound.metric] = OffRule(off=True, source=source) if is_empty else Rule.model_validate(values)
        except ValidationError as error:
            where = f"{language.origins.get(bound.metric, '')}: {language.label}: rules.{bound.metric} ({origin})"
            raise ConfigError(f"{where}: {error.errors()[0]['msg']}") from None
    return language.model_copy(update={"rules": rules})
