"""The templates beside this file: takes a name and facts, gives the page. Each is compiled once a machine.

A template takes 15 ms to compile, and a run of a few pages renders three. Jinja keeps what it compiled in
`__pycache__`, as Python does with modules; where nothing can be written there, each process compiles again.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import jinja2
from jinja2.bccache import Bucket

FOLDER = Path(__file__).resolve().parent


class _Cache(jinja2.FileSystemBytecodeCache):
    """Jinja's own, which does not notice other options, and fails where it cannot write or where a file is damaged."""

    def __init__(self, options: str) -> None:
        super().__init__(str(FOLDER / "__pycache__"))
        self.options = options

    def get_source_checksum(self, source: str) -> str:
        return super().get_source_checksum(self.options + source)

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, EOFError, ValueError, UnpicklingError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def render(
    name: str,
    facts: Mapping[str, Any],
    filters: Mapping[str, Callable[..., str]] | None = None,
    trim_blocks: bool = False,
    lstrip_blocks: bool = False,
) -> str:
    """What a template makes of facts, which are escaped where its name says that it is HTML.

    With `trim_blocks` the line end behind a tag of the template's is left out, with `lstrip_blocks` the space before
    it. Raises jinja2.UndefinedError for a fact that is missing.
    """
    options: dict[str, Any] = {
        "autoescape": name.endswith(".html.j2"),
        "trim_blocks": trim_blocks,
        "lstrip_blocks": lstrip_blocks,
        "keep_trailing_newline": True,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        bytecode_cache=_Cache(repr(options)),
        **options,
    )
    environment.filters |= filters or {}
    return environment.get_template(name).render(facts)
