"""Commands and code that a page shows, run as a reader would, and their output beside the one that the page shows."""

import contextlib
import io
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import main

FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, such as `python`, and its lines."""

    language: str
    lines: tuple[str, ...]


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(language, tuple(content.splitlines())) for language, content in FENCED.findall(page)]


def shown_output(block: Block) -> list[tuple[str, list[str]]]:
    """Each command of a `console` block, without its `$ `, and the lines that are shown below it."""
    commands: list[tuple[str, list[str]]] = []
    for line in block.lines:
        if line.startswith("$ "):
            commands.append((line.removeprefix("$ "), []))
        else:
            commands[-1][1].append(line)
    return commands


def run_glotmill(command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `glotmill ...` prints to its standard output, run in this process. Fails unless the command succeeds."""
    monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
    code: object = 0
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    assert code == 0, f"{command}: exit code {code}"
    return printed.getvalue()


def run_python(source: str, names: dict[str, Any], file: Path) -> str:
    """What a piece of Python prints; `names` are those that the pieces before it defined."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(source, str(file), "exec"), names)
    return printed.getvalue()


def differences(shown: list[str], printed: str) -> list[str]:
    """Lines of a page that a program did not print at their place.

    A line `...` stands for any number of lines, and ` ...` at the end of a line for its rest. White space at the ends
    of lines does not count, and neither do empty lines.
    """
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()]
    wanted = [line.rstrip() for line in shown if line.strip()]
    wrong = []
    position, may_skip = 0, False
    for line in wanted:
        if line.strip() == "...":
            may_skip = True
            continue
        places = range(position, len(lines) if may_skip else min(position + 1, len(lines)))
        place = next((place for place in places if _is_shown_as(lines[place], line)), None)
        if place is None:
            wrong.append(f"shown: {line!r}, printed: {lines[position : position + 3]}")
        else:
            position, may_skip = place + 1, False
    if position < len(lines) and not may_skip:
        wrong.append(f"printed and not shown: {lines[position:]}")
    return wrong


def _is_shown_as(printed: str, shown: str) -> bool:
    return printed.startswith(shown.removesuffix(" ...")) if shown.endswith(" ...") else printed == shown
