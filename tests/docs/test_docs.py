"""The documentation names what exists: commands, options, settings, files, headings; and what exists is documented."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from dev.make_reference import PAGES as REFERENCE
from dev.make_reference import differences, main
from dev.reference.command_line import commands
from dev.reference.markdown import anchors, broken_links, code_blocks, headings, inline_code, slug
from pipeline.cli.main import app
from pipeline.config.reading import load_run_config, parse_overrides
from pipeline.config.run_settings import RunConfig

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def tracked(pattern: str) -> list[Path]:
    """Files of the repository, new ones too, that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for line in listed.splitlines() if (path := ROOT / line).exists())


PAGES = tracked("*.md")
GUIDES = [page for page in PAGES if page.parent != DOCS / "reference" and page.name not in ("CHANGELOG.md", "LOG.md")]
COMMAND = re.compile(r"(?:\$ )?(?:ray job submit .*?-- )?(glotmill .+)")
NAMES = [command.name for command in commands()]


def path_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def command_lines(text: str) -> Iterator[str]:
    """Whole command lines of a page: those in blocks of code, and inline ones that have more than a command's name."""
    for language, block in code_blocks(text):
        if language in ("", "bash", "console", "sh"):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                if match := COMMAND.fullmatch(line.strip()):
                    yield match[1]
    yield from (code for code in mentions(text) if code.removeprefix("glotmill ") not in NAMES)


def mentions(text: str) -> list[str]:
    """Inline code that begins with the name of the program."""
    return [code for _, code in inline_code(text) if code.startswith("glotmill ")]


def without_placeholders(line: str) -> list[str]:
    """The words of a command line behind `glotmill`; dots that stand for more are left out."""
    return [word for word in shlex.split(line, comments=True)[1:] if word != "..."]


@cache
def parser() -> Any:
    return typer.main.get_command(app)


def parse(words: list[str]) -> None:
    """Let the command line's own parser read the words. Nothing is run; what it refuses raises."""
    command, name = parser(), "glotmill"
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            raise LookupError(f"{name} {' '.join(words)}: no such command")
        name, words = words[0], words[1:]
        command = command.commands[name]
    command.make_context(name, list(words))


def assignments(words: list[str]) -> list[str]:
    """What a command line gives with --set."""
    return [value for option, value in zip(words, words[1:], strict=False) if option == "--set"]


def test_there_are_pages() -> None:
    assert {"README.md", "docs/index.md", "docs/concepts.md"} <= {path_id(page) for page in PAGES}
    assert len(list(command_lines((ROOT / "README.md").read_text(encoding="utf-8")))) > 10


@pytest.mark.parametrize("name", NAMES)
def test_a_command_has_a_section_in_the_reference_and_is_used_in_a_guide(name: str) -> None:
    reference = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert f"glotmill {name}" in headings(reference)
    used = re.compile(rf"glotmill {name}(?![\w-])")
    guides = [path_id(page) for page in GUIDES if used.search(page.read_text(encoding="utf-8"))]
    assert [guide for guide in guides if not guide.startswith("docs/design/")] != []


@pytest.mark.parametrize("page", PAGES, ids=path_id)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert broken_links(page, ROOT) == []


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One\n\n## Two words\n", encoding="utf-8")
    page = tmp_path / "page.md"
    text = "[a](other.md#two-words) [b](other.md#three)\n[c\nd](gone.md) `[e](code.md)`\n"
    page.write_text(text + "\n```\n[f](block.md)\n```\n[g](#here)\n", encoding="utf-8")
    assert broken_links(page, tmp_path) == [
        "page.md:1: other.md#three: no such heading",
        "page.md:2: gone.md: no such file",
        "page.md:8: #here: no such heading",
    ]


@pytest.mark.parametrize("page", GUIDES, ids=path_id)
def test_command_lines_parse_and_their_settings_exist(page: Path) -> None:
    for line in command_lines(page.read_text(encoding="utf-8")):
        words = without_placeholders(line)
        parse(words)
        overrides = parse_overrides(assignments(words))
        overrides.pop("rules", None)
        load_run_config(None, overrides)


@pytest.mark.parametrize("page", PAGES, ids=path_id)
def test_a_command_that_is_mentioned_exists(page: Path) -> None:
    names = {name.split()[0] for name in NAMES} | {*NAMES, "COMMAND"}
    first = [code.split()[1] for code in mentions(page.read_text(encoding="utf-8"))]
    assert [name for name in first if name not in names and page.name not in ("CHANGELOG.md", "LOG.md")] == []


@pytest.mark.parametrize("wrong", [["report"], ["run", "--index", "out"], ["explain"], ["config", "hide", "tur_Latn"]])
def test_the_parser_refuses_what_does_not_exist(wrong: list[str]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  usage errors are of a class private to typer or click
        parse(wrong)


@cache
def known_options() -> frozenset[str]:
    """The options of every command, and those of the scripts of the repository."""
    of_scripts = {
        option for path in tracked("*.py") for option in re.findall(r'"(--[a-z-]+)"', path.read_text("utf-8"))
    }
    of_commands = {option for command in commands() for parameter in command.parameters for option in parameter.names}
    return frozenset(of_scripts | of_commands)


@pytest.mark.parametrize("page", GUIDES, ids=path_id)
def test_an_option_that_is_named_exists(page: Path) -> None:
    named = [code.split()[0] for _, code in inline_code(page.read_text(encoding="utf-8")) if code.startswith("--")]
    assert [option for option in named if option.partition("=")[0] not in known_options()] == []


@pytest.mark.parametrize("page", GUIDES, ids=path_id)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    lines = [line for _, block in code_blocks(text) for line in block.splitlines()]
    named = [match[1] for line in lines if (match := re.match(r"(?:\$ )?make ([a-z-]+)", line.strip()))]
    named += [match[1] for _, code in inline_code(text) if (match := re.fullmatch(r"make ([a-z-]+)(?: .*)?", code))]
    assert [name for name in named if name not in targets] == []


def test_the_reference_is_what_the_code_gives() -> None:
    assert differences(DOCS / "reference") == []


def test_a_page_of_the_reference_that_differs_is_shown_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([], tmp_path) == 0
    outcomes = tmp_path / "outcomes.md"
    outcomes.write_text(outcomes.read_text(encoding="utf-8").replace("`kept`", "`held`"), encoding="utf-8")
    (tmp_path / "stray.md").write_text("# Stray\n", encoding="utf-8")
    assert main(["--check"], tmp_path) == 1
    shown = capsys.readouterr().err
    assert "-| `held` |" in shown
    assert "+| `kept` |" in shown
    assert "-# Stray" in shown


def test_pages_that_nobody_makes_are_deleted_when_the_others_are_written(tmp_path: Path) -> None:
    (tmp_path / "stray.md").write_text("# Stray\n", encoding="utf-8")
    assert main([], tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(REFERENCE)


def setting_keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from setting_keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_setting_stands_in_the_reference() -> None:
    text = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    keys = list(setting_keys(RunConfig().model_dump()))
    assert len(keys) > 60
    assert [key for key in keys if f"| `{key}` |" not in text] == []


@pytest.mark.parametrize("page", ["concepts.md", *(f"reference/{name}" for name in REFERENCE)])
def test_headings_that_others_link_to_have_an_anchor_of_their_own(page: str) -> None:
    slugs = [slug(heading) for heading in headings((DOCS / page).read_text(encoding="utf-8"))]
    assert len(slugs) == len(set(slugs))


def glossary() -> list[str]:
    text = (DOCS / "concepts.md").read_text(encoding="utf-8")
    return re.findall(r"^### (.+)$", text[text.index("\n## Glossary\n") :], re.MULTILINE)


def test_the_glossary_is_in_alphabetical_order() -> None:
    assert len(glossary()) > 60
    assert glossary() == sorted(glossary(), key=lambda term: term.replace("-", " ").lower())


def test_every_page_of_docs_stands_in_the_navigation_once() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    entries = list(leaves(navigation))
    pages = [str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS)]
    of_folders = [page for entry in entries if entry.endswith("/") for page in pages if page.startswith(entry)]
    hooks = (ROOT / "dev" / "site_hooks.py").read_text(encoding="utf-8")
    made = dict(re.findall(r'^    "([^"]+\.md)": "([^"]+\.md)",$', hooks, re.MULTILINE))
    assert sorted([*(entry for entry in entries if not entry.endswith("/")), *of_folders]) == sorted(
        [*pages, *made.values()]
    )
    assert [source for source in made if not (ROOT / source).exists()] == []


def leaves(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from leaves(value) if isinstance(value, list) else [value]


def test_anchors_are_those_of_headings_outside_code() -> None:
    assert anchors("# A `b_c` d\n\n```\n# not this\n```\n## E, f.\n") == {"a-b_c-d", "e-f"}
