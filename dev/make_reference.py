"""Write the pages of docs/reference from the code, or check that they are what the code gives.

`python -m dev.make_reference` writes them; with `--check` it writes nothing, shows what differs, and exits with 1 if a
page is missing, out of date, or made by nobody. The pages are committed, so that they can be read without building the
site and so that a change of the code shows in them.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.reference.api import api_page
from dev.reference.command_line import command_line_page
from dev.reference.language_files import language_files_page
from dev.reference.manifests import manifests_page
from dev.reference.markdown import table
from dev.reference.metrics import metrics_page
from dev.reference.names import columns_page, drop_reasons_page, outcomes_page
from dev.reference.settings import config_page

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs" / "reference"
NOTICE: Final = "*This page is made from the code by `python -m dev.make_reference`; a change made here is lost.*"


@dataclass(frozen=True)
class Page:
    """A page: its title, what it lists, and the function that makes its lines."""

    title: str
    about: str
    make: Callable[[], list[str]]


def index_page() -> list[str]:
    """What each page is about."""
    rows = [[f"[{page.title}]({name})", page.about] for name, page in PAGES.items() if name != "index.md"]
    return [
        "# Reference",
        "",
        "What the code says about itself, page by page.",
        "",
        *table(["page", "what it lists"], rows),
    ]


PAGES: Final[dict[str, Page]] = {
    "index.md": Page("Reference", "", index_page),
    "command-line.md": Page("Command line", "every command with its options, and the exit codes", command_line_page),
    "config.md": Page("Settings of a run", "every setting of a recipe, with default, type and meaning", config_page),
    "language-files.md": Page(
        "Language files",
        "the keys of a language file, the default rules, the languages that have a file",
        language_files_page,
    ),
    "columns.md": Page("Columns", "every column of `annotated/`, `dropped/`, `decisions/` and `clean/`", columns_page),
    "metrics.md": Page("Metrics", "every number that is measured on a document, and its default rule", metrics_page),
    "drop-reasons.md": Page("Drop reasons", "why a record gave no document", drop_reasons_page),
    "outcomes.md": Page("Outcomes", "what became of a document", outcomes_page),
    "manifests.md": Page("Files of an output folder", "every file, and every field of the JSON files", manifests_page),
    "api.md": Page("Python", "functions and classes for use from Python", api_page),
}


def text_of(page: Page) -> str:
    """A page as it is written: the notice stands below its heading."""
    heading, *lines = page.make()
    return "\n".join([heading, "", NOTICE, *lines]).rstrip("\n") + "\n"


def differences(folder: Path) -> list[str]:
    """What would have to change in the folder, as lines of a diff; no line where every page is what the code gives."""
    lines: list[str] = []
    written = {path.name for path in folder.glob("*.md")}
    for name in sorted(written | PAGES.keys()):
        before = (folder / name).read_text(encoding="utf-8") if name in written else ""
        after = text_of(PAGES[name]) if name in PAGES else ""
        path = f"docs/reference/{name}"
        diff = difflib.unified_diff(
            before.splitlines(), after.splitlines(), path, f"{path} (from the code)", lineterm=""
        )
        lines += diff
    return lines


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the pages, or with --check only compare them; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the pages of docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 and a diff if a page differs")
    if parser.parse_args(arguments).check:
        lines = differences(folder)
        if lines:
            print(*lines, "docs/reference is out of date: run python -m dev.make_reference", sep="\n", file=sys.stderr)
        return 1 if lines else 0
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in PAGES:
            path.unlink()
    for name, page in PAGES.items():
        (folder / name).write_text(text_of(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
