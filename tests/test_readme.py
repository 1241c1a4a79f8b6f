"""Every command that README.md names exists, with its options and arguments."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def glotmill_commands() -> list[str]:
    """Command lines of code blocks and inline code, from `glotmill` on."""
    lines = [line for block in BLOCK.findall(README) for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", BLOCK.sub("", README))
    found = []
    for line in lines:
        match = re.match(r"(?:\$ )?(?:ray job submit .*?-- )?(glotmill .+)", line.strip())
        if match:
            found.append(match[1])
    return found


def make_targets() -> list[str]:
    return sorted(set(re.findall(r"(?:^|\$ |`)make ([a-z-]+)", README, re.MULTILINE)))


def parse(arguments: list[str]) -> None:
    """Let the command line's own parser read the arguments. Nothing is invoked; what it refuses raises."""
    command: Any = typer.main.get_command(app)
    name = "glotmill"
    while hasattr(command, "commands"):
        assert arguments, f"{name}: no command given"
        assert arguments[0] in command.commands, f"{name} {arguments[0]}: no such command"
        name = arguments[0]
        command, arguments = command.commands[name], arguments[1:]
    command.make_context(name, list(arguments))


def test_readme_names_commands() -> None:
    assert {"run", "explain", "select", "audit"} <= {shlex.split(one)[1] for one in glotmill_commands()}
    assert "demo" in make_targets()


@pytest.mark.parametrize("line", glotmill_commands())
def test_command_parses(line: str) -> None:
    parse(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize("wrong", [["run", "--no-such-option"], ["no-such-command"], ["explain"]])
def test_the_check_refuses_what_does_not_exist(wrong: list[str]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  usage errors are of a class private to typer or click
        parse(wrong)


@pytest.mark.parametrize("target", make_targets())
def test_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_named_files_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
