"""The tables beside this file: fields parted by tabs, lines that begin with # left out."""

from importlib import resources


def read_table(name: str) -> list[list[str]]:
    """The rows of a table by the name of its file."""
    text = resources.files("pipeline.text.language").joinpath(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
