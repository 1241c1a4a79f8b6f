"""Choices that a config names, where each choice is a module: an extractor, an identifier, a unit, an executor.

All choices of one kind are the modules of one package, so a new choice is one new module, and no list has to name it.
The docstring of the package says what its modules define. Names are read from the names of files and nothing is
imported for them, because every command checks a config and few commands use what the config names.
"""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType

import pipeline


@cache
def names_of(package: str) -> tuple[str, ...]:
    """Names of the modules in a package of ours, such as "dedup.units", in alphabetic order, those with _ left out.

    >>> names_of("dedup.units")
    ('character', 'word')
    """
    folder = "/".join([pipeline.__path__[0], *package.split(".")])
    names = (module.name for module in pkgutil.iter_modules([folder]))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def load(package: str, name: str) -> ModuleType:
    """The module of that name in a package of ours. Raises ImportError where a library that it needs is absent."""
    return import_module(f"pipeline.{package}.{name}")
