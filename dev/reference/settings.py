"""config.md and language-files.md: every setting, from the two default.toml with their comments and the models."""

import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dev.reference.markdown import documentation, paragraphs, prose, table
from dev.reference.source import ROOT, read_module
from pipeline.config.base import ModuleName
from pipeline.config.language_files import Percentile
from pipeline.config.run_settings import RunConfig
from pipeline.registry import names_of

MODULE: Final = "pipeline.config.run_settings"
SECTION: Final = re.compile(r"^(?P<off># )?\[+(?P<name>[\w.]+)\]+ *(?:# (?P<comment>.*))?$")
SETTING: Final = re.compile(r"^(?P<off># )?(?P<key>\w+) *= *(?P<rest>.*)$")
INTRODUCTION: Final = """
A run takes its settings from a TOML file, a *recipe*, and from the command line, which goes before the file. What
neither states has its default. `recipes/default.toml` has all of them: copy it, keep what you change, and delete the
rest. Any setting can be given as `--set KEY=VALUE` with the keys of this page.

```
glotmill run my-recipe.toml --set dedup.bands=20 --set select.keep='["newest"]'
```

A value is read as TOML, or as a string where it is none. `--set rules.METRIC.min=NUMBER` (or `max`) moves a bound of
the [rule](../concepts.md#rule) that every language has on a metric. An unknown key is refused, together with all other
faults. Relative paths in a recipe start at the folder of the recipe; those on the command line, and `output` and
`baseline` anywhere, start at the working folder.
"""
COMMENT: Final = re.compile(r"^\s*#+ ?(.*)$")


@dataclass(frozen=True)
class Explained:
    """What a TOML file says in its comments: of each setting and section, by dotted key."""

    settings: dict[str, str]
    sections: dict[str, str]


class UnexplainedError(Exception):
    """A setting of the models that no comment explains."""


def explained(text: str, known: set[str]) -> Explained:
    """The comments of a TOML file, by the setting they stand behind, below or above.

    `known` are the dotted keys: a comment such as `# threshold = 0.8` is a setting that is switched off if its key is
    known, else text.
    """
    settings: dict[str, str] = {}
    sections: dict[str, str] = {}
    section = ""
    above: list[str] = []
    last = ""
    open_brackets = 0
    for line in text.splitlines():
        comment = COMMENT.match(line)
        setting = SETTING.match(line)
        key = f"{section}.{setting['key']}".lstrip(".") if setting else ""
        if open_brackets > 0:  # a setting that is switched off, over several lines
            value, _, behind = _split_comment(line.lstrip("# "))
            open_brackets += _brackets(value)
            settings[last] = " ".join([settings[last], behind]).strip()
        elif not line.strip():
            above, last = [], ""
        elif (head := SECTION.match(line)) and (not head["off"] or head["name"] in known):
            section = head["name"]
            sections[section] = " ".join([*above, head["comment"] or ""]).strip()
            above, last = [], ""
        elif setting and key in known:
            value, _, behind = _split_comment(setting["rest"])
            open_brackets = _brackets(value)
            settings[key] = " ".join([*above, behind]).strip()
            above, last = [], key
        elif comment and line.startswith(" ") and last:
            settings[last] = f"{settings[last]} {comment[1].strip()}"
        elif comment:
            above.append(comment[1].strip())
    return Explained(settings, sections)


def _split_comment(rest: str) -> tuple[str, str, str]:
    """Value, mark and comment: the mark is the first # outside quotation marks."""
    quoted = False
    for position, character in enumerate(rest):
        quoted ^= character == '"'
        if character == "#" and not quoted:
            return rest[:position].strip(), "#", rest[position + 1 :].strip()
    return rest.strip(), "", ""


def _brackets(text: str) -> int:
    return sum(text.count(mark) for mark in "[{") - sum(text.count(mark) for mark in "]}")


@dataclass(frozen=True)
class Setting:
    """A setting: its dotted key, where its field is declared, and the field."""

    key: str
    model: type[BaseModel]
    name: str
    field: FieldInfo


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Every setting of a model and of the models inside it, in order; those of a list have `[]` in their key."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner, is_list = _inner(field.annotation)
        if inner is None or not _is_table(field):
            yield Setting(key, model, name, field)
        if inner is not None:
            yield from settings_of(inner, f"{key}{'[]' if is_list else ''}.")


def _is_table(field: FieldInfo) -> bool:
    """Whether the field is a section that is always there, and no setting itself."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether the annotation is a list of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for part in typing.get_args(annotation):
        inner, is_list = _inner(part)
        if inner is not None:
            return inner, is_list or typing.get_origin(annotation) is tuple
    return None, False


def config_page() -> list[str]:
    """Every setting of a run. Raises UnexplainedError where neither default.toml nor a comment says what one means."""
    settings = list(settings_of(RunConfig))
    groups: dict[str, list[Setting]] = {}
    for setting in settings:
        group = setting.key.partition(".")[0].removesuffix("[]") if "." in setting.key else ""
        groups.setdefault(group, []).append(setting)
    known = {setting.key.replace("[]", "") for setting in settings} | {*groups}
    comments = explained((ROOT / "recipes" / "default.toml").read_text(encoding="utf-8"), known)
    groups[""] = [setting for setting in groups[""] if setting.key not in groups]
    for setting in settings:
        if setting.key in groups and setting not in groups[setting.key]:
            groups[setting.key].insert(0, setting)
    return [
        "# Settings of a run",
        "",
        *paragraphs(INTRODUCTION),
        "## Run",
        "",
        *_table(groups.pop(""), comments),
        *(line for name, group in groups.items() for line in _section(name, group, comments)),
    ]


def _section(name: str, group: list[Setting], comments: Explained) -> Iterator[str]:
    yield from (f"## {name}", "")
    model, _ = _inner(RunConfig.model_fields[name].annotation)
    if model is not None:
        yield from documentation(model.__doc__ or "")
    yield from _table(group, comments)


def _table(group: list[Setting], comments: Explained) -> list[str]:
    rows = [
        [f"`{setting.key}`", _default(setting.field), type_words(setting.field), prose(meaning_of(setting, comments))]
        for setting in group
    ]
    return [*table(["setting", "default", "type", "meaning"], rows), ""]


def meaning_of(setting: Setting, comments: Explained) -> str:
    """What default.toml says of a setting, else the comment behind its field, else what its section says."""
    fields = read_module(MODULE).classes[setting.model.__name__].fields
    beside = next(field.comment for field in fields if field.name == setting.name)
    key = setting.key.replace("[]", "")
    meaning = comments.settings.get(key) or beside or comments.sections.get(key, "")
    if not meaning:
        raise UnexplainedError(
            f"{setting.key}: say what it means, in a comment of recipes/default.toml or behind the field of "
            f"{setting.model.__name__}"
        )
    return meaning


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "has to be given"
    return f"`{toml_value(field.default)}`" if field.default is not None else "none"


def toml_value(value: Any) -> str:
    """A value as TOML has it.

    >>> toml_value(("longest", "first_seen")), toml_value(True), toml_value(0.65), toml_value({})
    ('["longest", "first_seen"]', 'true', '0.65', '{}')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {toml_value(part)}" for key, part in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return str(value)


def type_words(field: FieldInfo) -> str:
    """The type of a setting in words, with its bounds."""
    bounds = []
    for fact in field.metadata:
        if isinstance(check := getattr(fact, "func", None), ModuleName):
            bounds.append("one of " + ", ".join(f'`"{name}"`' for name in names_of(check.package)))
        for name, words in (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most")):
            if (bound := getattr(fact, name, None)) is not None:
                bounds.append(f"{words} {bound:,g}" if isinstance(bound, float) else f"{words} {bound:,}")
        if pattern := getattr(fact, "pattern", None):
            bounds.append(f"matches `{pattern}`")
        if (shortest := getattr(fact, "min_length", None)) is not None:
            bounds.append(f"{shortest} or more")
    return ", ".join([_words(field.annotation), *bounds])


def _words(annotation: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "string", Any: "any value"}
    if annotation in names:
        return names[annotation]
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return _either([f"`{toml_value(part)}`" for part in parts])
    if origin in (typing.Union, types.UnionType):
        return _either([_words(part) for part in parts if part is not type(None)])
    if origin is tuple:
        return f"list of {_plural(_words(parts[0]))}"
    if origin is dict:
        return f"table of {_plural(_words(parts[1]))} by name"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    raise TypeError(f"{annotation}: no words for this type of a setting; give it a name in _words of {__file__}")


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _plural(words: str) -> str:
    if words.startswith("list of "):
        return f"lists of {words.removeprefix('list of ')}"
    plurals = {"string": "strings", "table": "tables", "whole number": "whole numbers", "any value": "values"}
    return plurals.get(words, words)


def interval(low: float | Percentile | None, high: float | Percentile | None) -> str:
    """Both ends of a rule.

    >>> interval(50, 100_000), interval(None, 0.1), interval(2, None)
    ('50 to 100,000', 'at most 0.1', 'at least 2')
    """
    ends = [f"percentile {end.percentile:g}" if isinstance(end, Percentile) else _number(end) for end in (low, high)]
    if low is None:
        return f"at most {ends[1]}"
    return f"{ends[0]} to {ends[1]}" if high is not None else f"at least {ends[0]}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.9g}"
