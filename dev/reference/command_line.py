"""command-line.md: every command with its arguments and options, from the functions behind the commands.

The functions are read as they are annotated: what typer makes and prints of them depends on its version, and on the
width of the terminal.
"""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from typer.models import ArgumentInfo, OptionInfo

import pipeline.cli.main  # noqa: F401  brings every command
from dev.reference.markdown import documentation, paragraphs, prose, table
from pipeline.cli.app import EXIT_CODES, app

INTRODUCTION: Final = """
`glotmill` is installed with the package; in a checkout `python -m pipeline` is the same. `glotmill COMMAND --help`
prints what stands here. The folder of an output may be a URL of an object store, such as `s3://bucket/folder`.
"""
TYPES: Final[dict[Any, str]] = {str: "text", int: "whole number", float: "number", Path: "path", bool: "flag"}


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command."""

    names: tuple[str, ...]  # as they are typed; of an argument its name in capital letters
    is_argument: bool
    kind: str  # its type in words
    repeats: bool
    required: bool
    default: Any
    help: str


@dataclass(frozen=True)
class Command:
    """A command as it is typed behind `glotmill`, with its help and parameters."""

    name: str
    help: str
    parameters: tuple[Parameter, ...]

    @property
    def summary(self) -> str:
        """The first paragraph of its help."""
        return self.help.partition("\n\n")[0].replace("\n", " ")


def commands(application: typer.Typer = app, prefix: str = "") -> Iterator[Command]:
    """Every command of the application by name, then those of its groups, whichever module was imported first."""
    for entry in sorted(application.registered_commands, key=lambda entry: entry.name or entry.callback.__name__):
        callback = entry.callback
        assert callback is not None
        yield Command(
            name=prefix + (entry.name or callback.__name__.replace("_", "-")),
            help=inspect.getdoc(callback) or "",
            parameters=tuple(_parameters(callback)),
        )
    for group in application.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{prefix}{group.name} ")


def _parameters(callback: Callable[..., Any]) -> Iterator[Parameter]:
    hints = typing.get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        annotation, declared = typing.get_args(hints[name])[:2]
        assert isinstance(declared, ArgumentInfo | OptionInfo), (
            f"{name}: say what it is, typer.Option or typer.Argument"
        )
        is_argument = isinstance(declared, ArgumentInfo)
        # beside a type the first name is where the default would be
        declarations = [str(part) for part in (declared.default, *(declared.param_decls or ()))]
        names = tuple(part for part in declarations if part.startswith("-")) or (f"--{name.replace('_', '-')}",)
        kind, repeats = _kind(annotation)
        yield Parameter(
            names=(name.upper(),) if is_argument else names,
            is_argument=is_argument,
            kind=kind,
            repeats=repeats,
            required=parameter.default is inspect.Parameter.empty,
            default=parameter.default,
            help=declared.help or "",
        )


def _kind(annotation: Any) -> tuple[str, bool]:
    """The type in words, and whether it may be given more than once."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (annotation,) = (part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) is list:
        return TYPES[typing.get_args(annotation)[0]], True
    return TYPES[annotation], False


def command_line_page() -> list[str]:
    """Every command and option."""
    listed = list(commands())
    _, _, codes = EXIT_CODES.partition(": ")
    return [
        "# Command line",
        "",
        *paragraphs(INTRODUCTION),
        *table(["command", "what it does"], [[_link(command.name), prose(command.summary)] for command in listed]),
        "",
        *(line for command in listed for line in _section(command)),
        "## Exit codes",
        "",
        *table(["code", "meaning"], [prose(code.strip(" .")).split(" ", 1) for code in codes.split(";")]),
    ]


def _link(name: str) -> str:
    return f"[`glotmill {name}`](#glotmill-{name.replace(' ', '-')})"


def _section(command: Command) -> Iterator[str]:
    arguments = [_usage(parameter) for parameter in command.parameters if parameter.is_argument]
    yield from (f"## glotmill {command.name}", "")
    yield from ("```text", " ".join(["glotmill", command.name, *arguments, "[OPTIONS]"]), "```", "")
    yield from documentation(command.help)
    rows = [
        [
            ", ".join(f"`{name}`" for name in parameter.names),
            _type(parameter),
            _default(parameter),
            prose(parameter.help),
        ]
        for parameter in sorted(command.parameters, key=lambda parameter: not parameter.is_argument)
    ]
    yield from (*table(["argument or option", "type", "default", "meaning"], rows), "")


def _usage(argument: Parameter) -> str:
    name = argument.names[0] + ("..." if argument.repeats else "")
    return name if argument.required else f"[{name}]"


def _type(parameter: Parameter) -> str:
    return f"{parameter.kind}, may be repeated" if parameter.repeats else parameter.kind


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "has to be given"
    return "" if parameter.default in (None, False) else f"`{parameter.default}`"
