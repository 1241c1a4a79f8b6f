"""metrics.md: every metric, from METRICS with the docstrings of its functions, and from the default rules."""

import inspect
import re
from collections.abc import Iterator

from dev.reference.markdown import examples, paragraphs, prose, table
from dev.reference.settings import interval
from pipeline.config.language_files import Rule, load_language_config
from pipeline.schema.columns import DECISION, DROP, LANGUAGE, PERPLEXITY
from pipeline.schema.metrics import BUILT_IN, MetricColumn
from pipeline.text.metrics.contract import METRICS

INTRODUCTION = """
A metric is a number that is measured on a document and stored in a column of `annotated/`. It judges nothing: a
[rule](../concepts.md#rule) of a language says between which values it must lie. A metric is null where it is undefined,
and a null fires no rule. Fractions are stored to four decimals. A [stage](config.md#stages) of your own can add
metrics. Where no source is named, the metric is Glotmill's own.

*Reads* says what a text must have for the value to mean something: its *characters*; its *words*, so that an excerpt
will do; its *lines* and paragraphs; or the whole *document*, because the value grows with the text. *Rule* is the
interval of `lang_configs/default.toml`, for languages that state no other ([language files](language-files.md)).
"""
RANGE = re.compile(r"in \[0, 1\]|0 or more|at least 1")
UNDEFINED = re.compile(r"\bNone ([^.]*)")
OTHERS = LANGUAGE | PERPLEXITY | DROP | DECISION  # where metrics are described that no function of METRICS makes


def metrics_page() -> list[str]:
    """Each metric with type, range, what it reads and its source."""
    rules = load_language_config("default").active_rules()
    rows = [
        [f"[`{name}`](#{name})", f"`{metric.dtype}`", _range(metric), metric.reads, _rule(rules.get(name))]
        for name, metric in BUILT_IN.items()
    ]
    return [
        "# Metrics",
        "",
        *paragraphs(INTRODUCTION),
        *table(["metric", "type", "range", "reads", "rule"], rows),
        "",
        *(line for metric in BUILT_IN.values() for line in _section(metric)),
    ]


def _documentation(name: str) -> str:
    return inspect.getdoc(inspect.unwrap(METRICS[name].function)) or ""


def _text(name: str) -> str:
    """The docstring of a metric's function on one line, without its examples."""
    return re.sub(r"\s+", " ", _documentation(name).split(">>>")[0]).strip()


def _range(metric: MetricColumn) -> str:
    if metric.name not in METRICS:
        return f"{metric.low:g} to {metric.high:g}" if not metric.by_ratio else f"{metric.low:g} or more"
    stated = RANGE.search(_text(metric.name))
    return {"in [0, 1]": "0 to 1"}.get(stated[0], stated[0]) if stated else "0 or more"


def _rule(rule: Rule | None) -> str:
    return interval(rule.min, rule.max) if rule else ""


def _section(metric: MetricColumn) -> Iterator[str]:
    yield from (f"## {metric.name}", "")
    if metric.name not in METRICS:
        yield from paragraphs(prose(_sentence(OTHERS[metric.name][1])))
        yield from _facts(metric, "", "")
        return
    text, _, source = _text(metric.name).partition("Source: ")
    undefined = UNDEFINED.search(text)
    _, _, notes = text.removeprefix(metric.description).partition(". ")  # behind the clause that has the range
    notes = UNDEFINED.sub("", notes).strip(" .")
    yield from paragraphs(prose(_sentence(metric.description) + (f" {_sentence(notes)}" if notes else "")))
    yield from _facts(metric, f"null {undefined[1]}" if undefined else "", source)
    yield from examples(_documentation(metric.name))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _facts(metric: MetricColumn, undefined: str, source: str) -> Iterator[str]:
    counts = metric.dtype == "int64"
    bins = "bins spaced by a ratio" if metric.by_ratio else "bins that grow" if counts else "even bins"
    range_words = ", ".join(filter(None, (_range(metric), undefined)))
    text = (
        f"Type `{metric.dtype}`, {range_words}. Reads the {metric.reads}. Histogram from {_number(metric.low)} to "
        f"{_number(metric.high)} in 256 {bins}."
    )
    yield from paragraphs(text + (f" Source: {prose(source.strip())}" if source else ""))


def _number(value: float) -> str:
    return f"{value:,.9g}"
