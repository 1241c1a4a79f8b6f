"""Choices that a config names, where each choice is a module: an extractor, a unit of shingles, an executor, ...

All choices of one kind are the modules of one package, so a new choice is one new module, and no list has to name it.
The docstring of the package says what its modules define. Names are read from the names of files and nothing is
imported for them, because every command checks a config and few commands use what the config names.
"""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import pipeline
from pipeline.errors import ConfigError


@cache
def names_of(package: str) -> tuple[str, ...]:
    """Names of the modules in a package of ours, such as "dedup.units", in alphabetic order, those with _ left out.

    >>> {"character", "word"} <= set(names_of("dedup.units"))
    True
    """
    folder = "/".join([pipeline.__path__[0], *package.split(".")])
    names = (module.name for module in pkgutil.iter_modules([folder]))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def check_name(package: str, name: str, setting: str) -> None:
    """Raise ConfigError, which names the setting and lists the choices, if no module of the package has the name.

    >>> check_name("dedup.units", "line", "shingle_unit")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pipeline.errors.ConfigError: shingle_unit = 'line': must be one of ...
    """
    if name not in names_of(package):
        raise ConfigError(f"{setting} = {name!r}: must be one of {', '.join(names_of(package))}")


def load(package: str, name: str, setting: str) -> ModuleType:
    """The module of that name. Raises ConfigError as `check_name`, ImportError where a library it needs is absent."""
    check_name(package, name, setting)
    return import_module(f"pipeline.{package}.{name}")


def definitions(package: str, attribute: str) -> dict[str, Any]:
    """What the modules of a package define under a name, by module; modules without it are left out. Imports them all.

    >>> definitions("dedup.units", "LETTER")["character"]
    'c'
    """
    modules = {name: import_module(f"pipeline.{package}.{name}") for name in names_of(package)}
    return {name: getattr(module, attribute) for name, module in modules.items() if hasattr(module, attribute)}
