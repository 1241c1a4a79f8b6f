"""Every command that README.md names exists, with its options and arguments."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli.main import app
from pipeline.output.output import Output
from pipeline.report.funnel import funnel_of

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


def test_the_funnel_is_that_of_the_demo(demo: Output) -> None:
    funnel = funnel_of(demo, "main")
    names = ("documents", "kept", "failed_rules", "duplicate", "url_duplicate")
    by_label = {row.label: [row.counts[name] for name in names] for row in funnel.rows}
    by_label["all"] = [sum(row[number] for row in by_label.values()) for number in range(len(names))]
    shown = re.search(r"Funnel of selection main\n(.*?)\nClean text", README, re.DOTALL)
    assert shown
    lines = [line.split() for line in shown[1].splitlines() if re.match(r"  (?:[a-z]{3}_[A-Z][a-z]{3}|all) ", line)]
    assert len(lines) >= 4
    for label, *numbers in lines:
        told = list(map(int, numbers))
        assert told == by_label[label][: len(told)]
        assert not any(by_label[label][len(told) :])
    reasons = re.search(r"Dropped before measuring: (\d+) \((.*?)\)", shown[1], re.DOTALL)
    assert reasons
    assert int(reasons[1]) == funnel.dropped.total()
    told_reasons = dict(pair.rsplit(" ", 1) for pair in re.split(r",\s+", reasons[2]))
    assert told_reasons == {reason: str(count) for reason, count in funnel.dropped.items()}


def test_the_steps_of_the_funnel_are_those_of_the_demo(demo: Output) -> None:
    funnel = funnel_of(demo, "main")
    documents = funnel.total("documents")
    left = [funnel.read, documents, documents - funnel.total("failed_rules")]
    left.append(left[-1] - funnel.total("duplicate"))
    steps = re.findall(r"^\| (?:read|open, block|rules|near duplicates)[^|]*\| (\d+) \|", README, re.MULTILINE)
    assert list(map(int, steps)) == left
