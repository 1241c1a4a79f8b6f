"""language-files.md: the keys and rules of a language file, from `lang_configs/default.toml` and its comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.reference.markdown import paragraphs, prose, table
from dev.reference.settings import explained, interval, toml_value
from pipeline.config.language_files import LanguageConfig, Rule, load_language_config
from pipeline.config.reading import LANGUAGE_CONFIGS, read_toml

INTRODUCTION: Final = """
A language file has the rules, the word lists and the sources of one language. `lang_configs/default.toml` has those for
any language, and `lang_configs/<label>.toml` what differs for one; how to write one is in
[Language files](../../lang_configs/README.md). `glotmill config show LABEL` prints what a language has in the end, and
where each value comes from.
"""
RULES: Final = """
A rule is a closed interval. A document whose metric lies outside fires the rule, and one that fires any rule gets the
outcome `failed_rules`; a metric that is null fires nothing. One end may be left out. A rule in a language's own file
replaces the rule of the same metric as a whole.

```toml
[rules]
mean_word_length = { min = 3, max = 21, source = "where the numbers come from" }
perplexity = { max = { percentile = 90 }, source = "of the run's own documents of the language" }
bullet_line_fraction = { off = true, source = "why" }
```

A percentile becomes a number before anything is decided: the value of the nearest rank among all documents of the label
that have the metric. With fewer than `select.percentile_documents` of them the bound is left out, and the manifest of
the selection says so.
"""
DEFAULTS: Final = """
The rules of `lang_configs/default.toml`, for a language whose file does not state others. *Fixed* numbers are the same
in every language of FineWeb-2. *Generous* ones are tuned by language there; here they are the 5th or 95th percentile of
its 73 configs that keep a million documents or more, so that a rule made for no language in particular fires only far
from what any of them allows.
"""
LANGUAGES: Final = "Languages with a file of their own. All others use the defaults."
HEADING: Final = re.compile(r"^# --- (.+?) -+$")
RULE: Final = re.compile(r"^(\w+) = \{")


@dataclass(frozen=True)
class ExplainedRule:
    """A rule of default.toml: the heading it stands under, its metric, and the comment above it."""

    heading: str
    metric: str
    comment: str


def language_files_page() -> list[str]:
    """Every key of a language file, the default rules, and the languages that have a file."""
    path = LANGUAGE_CONFIGS / "default.toml"
    return [
        "# Language files",
        "",
        *paragraphs(INTRODUCTION),
        "## Keys",
        "",
        *_keys(path),
        "",
        "## Rules",
        "",
        *paragraphs(RULES),
        "## Default rules",
        "",
        *paragraphs(DEFAULTS),
        *_rules(path),
        "## Languages",
        "",
        *paragraphs(LANGUAGES),
        *_languages(),
    ]


def _keys(path: Path) -> list[str]:
    raw = read_toml(path)
    keys = [key for key in LanguageConfig.model_fields if key not in ("label", "origins", "rules")]
    known = {*keys, "rules", *(f"{key}.{name}" for key in keys if isinstance(raw[key], dict) for name in raw[key])}
    comments = explained(path.read_text(encoding="utf-8"), known)
    lists = "words that metrics count, compared with words as ICU finds them; the file `{}/<label>.txt` replaces them"
    rows = []
    for key in keys:
        if key == "provenance":
            meaning = comments.sections[key]
            rows.append(["`provenance`", "table of strings", "", prose(meaning)])
        elif isinstance(raw[key], dict):
            for name, value in raw[key].items():
                meaning = comments.settings[f"{key}.{name}"]
                rows.append([f"`{key}.{name}`", "number, 0 to 100", f"`{toml_value(value)}`", prose(meaning)])
        elif isinstance(raw[key], list):
            rows.append([f"`{key}`", "list of strings", f"`{toml_value(raw[key])}`", lists.format(key)])
        else:
            rows.append([f"`{key}`", "string", f"`{toml_value(raw[key])}`", prose(comments.settings[key])])
    rows.append(["`rules`", "table by metric", "[below](#default-rules)", "the [rules](#rules)"])
    return table(["key", "type", "default", "meaning"], rows)


def explained_rules(text: str) -> Iterator[ExplainedRule]:
    """The rules of default.toml in order. One comment may stand above several rules."""
    heading, comment, ended = "", [""], True
    for line in text.splitlines():
        if match := HEADING.match(line):
            heading, comment, ended = match[1], [], False
        elif heading and line.startswith("# "):
            comment = [*([] if ended else comment), line[2:].strip()]
            ended = False
        elif heading and (rule := RULE.match(line)):
            ended = True
            yield ExplainedRule(heading, rule[1], " ".join(comment))


def _rules(path: Path) -> Iterator[str]:
    config = load_language_config("default")
    sections: dict[str, list[list[str]]] = {}
    for rule in explained_rules(path.read_text(encoding="utf-8")):
        bounds = config.rules[rule.metric]
        assert isinstance(bounds, Rule)
        row = [
            f"[`{rule.metric}`](metrics.md#{rule.metric})",
            interval(bounds.min, bounds.max),
            prose(rule.comment),
            prose(bounds.source),
        ]
        sections.setdefault(rule.heading, []).append(row)
    for heading, rows in sections.items():
        yield from (f"### {heading}", "", *table(["metric", "interval", "meaning", "source"], rows), "")


def _languages() -> list[str]:
    rows = []
    for path in sorted(LANGUAGE_CONFIGS.glob("*_*.toml")):
        config = load_language_config(path.stem)
        own = read_toml(path).get("rules", {})
        off = sum(1 for rule in own.values() if rule.get("off"))
        rows.append(
            [f"`{path.stem}`", config.name, str(len(own) - off), str(off), f"{len(config.stop_words):,}"],
        )
    return table(["label", "language", "rules of its own", "rules switched off", "stop words"], rows)
