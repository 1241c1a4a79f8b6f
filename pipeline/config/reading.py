"""How settings are read: TOML files, recipes that come along, and what `--set` lays over them.

Unknown keys and empty intervals are all reported at once.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError


def bundled(name: str) -> Path:
    """A folder that comes along: inside the package where it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


LANGUAGE_CONFIGS = bundled("lang_configs")
RECIPES = bundled("recipes")


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def read_toml(path: Path) -> dict[str, Any]:
    """What the file says, not to be changed: it is parsed once, as default.toml is read for every language."""
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def describe(path: str, error: ValidationError) -> str:
    """Every fault of a file of settings, a line each: file, key, value and what is allowed."""
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
    raw = deepcopy(read_toml(path)) if path else {}
    if path and isinstance(raw.get("inputs"), list):
        raw["inputs"] = [_beside(path, text) for text in raw["inputs"]]
    select = raw.get("select")
    overlap = select.get("decontaminate") if isinstance(select, dict) else None
    if path and isinstance(overlap, dict) and isinstance(overlap.get("files"), list):
        overlap["files"] = [
            evaluation_set | {"path": _beside(path, evaluation_set["path"])}
            if isinstance(evaluation_set, dict) and "path" in evaluation_set
            else _beside(path, evaluation_set)
            for evaluation_set in overlap["files"]
        ]
    for key in ("language_configs", "models"):
        if path and isinstance(raw.get(key), str) and raw[key]:
            raw[key] = os.path.abspath(path.parent / raw[key])
    if path and isinstance(raw.get("stages"), list):
        raw["stages"] = [_stage_beside(path, stage) for stage in raw["stages"]]
    merged = merge(raw, overrides or {})
    if isinstance(merged.get("baseline"), list):  # outputs stand in the working folder, as this run's does
        merged["baseline"] = [text if "://" in text else os.path.abspath(text) for text in merged["baseline"]]
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(describe(str(path or "--set"), error)) from None


def _stage_beside(recipe: Path, stage: Any) -> Any:
    """A stage of the user's own with the files that it names beside the config file as absolute paths."""
    if not isinstance(stage, dict):
        return stage
    stage = dict(stage)
    where, colon, name = str(stage.get("use", "")).rpartition(":")
    if where.endswith(".py"):
        stage["use"] = f"{os.path.abspath(recipe.parent / where)}{colon}{name}"
    if isinstance(settings := stage.get("settings"), dict):
        stage["settings"] = {
            key: os.path.abspath(recipe.parent / value)
            if isinstance(value, str) and (recipe.parent / value).is_file()
            else value
            for key, value in settings.items()
        }
    return stage


def _beside(recipe: Path, text: Any) -> Any:
    """A relative path as taken from the folder of a file; anything else as it is."""
    if not isinstance(text, str) or "://" in text or Path(text).is_absolute():
        return text
    return str(recipe.parent / text)
