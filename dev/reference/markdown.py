"""Markdown as the generated pages and the tests of the documentation need it: tables, prose, anchors, links."""

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FENCE: Final = re.compile(r"^ *(`{3,}|~{3,})")
HEADING: Final = re.compile(r"^(#{1,6}) +(.+?) *#*$")
LINK: Final = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
CODE: Final = re.compile(r"`+[^`]*`+")
# Names that are code wherever they stand: of a column, a setting or a file; of a folder; of an option.
NAME: Final = re.compile(
    r"""
    (?<![\w`/.\-"':]) [a-z][a-z0-9]* (?: [_.][A-Za-z0-9_]+ )+ /? (?![\w`/\-])  # letters joined by _ or .
    | (?<![\w`/.<>]) [a-z]+/ (?= [\s,.;:)] | $ )
    | (?<![\w`\-]) --[a-z]+ (?: -[a-z]+ )*
    """,
    re.VERBOSE,
)
PAGE: Final = re.compile(r"(?<![\w/`\[])(?<!\]\()docs/([\w-]+)\.md")
MARK: Final = re.compile(r"\s*(?:[-+*]\s|[#>|]|\d+[.)]\s|```)")  # what makes a line something else than text
WIDTH: Final = 118


@dataclass(frozen=True)
class Link:
    """A link on a page: the line it stands on, counted from 1, and where it goes, as written."""

    line: int
    target: str


def prose(text: str) -> str:
    """Text of a comment or docstring as Markdown: names become code, pages of docs/ links, angle brackets text.

    It is meant for pages in docs/reference/.

    >>> prose("more than read.max_tags, see docs/scale.md")
    'more than `read.max_tags`, see [docs/scale.md](../scale.md)'
    """
    parts = []
    end = 0
    for code in CODE.finditer(text):
        parts += [_plain(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _plain(text[end:])])


def _plain(text: str) -> str:
    text = text.replace("<", "&lt;").replace("*", "\\*")
    text = PAGE.sub(lambda page: f"[{page[0]}](../{page[1]}.md)", text)
    links = [link.span() for link in LINK.finditer(text)]
    return NAME.sub(
        lambda name: name[0] if any(start < name.start() < end for start, end in links) else f"`{name[0]}`", text
    )


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table. Cells are Markdown; bars in them are escaped.

    >>> table(["name", "type"], [["id", "string | null"]])
    ['| name | type |', '|---|---|', '| id | string \\\\| null |']
    """
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        assert len(row) == len(names), f"{row}: {len(row)} cells for {len(names)} columns"
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |")
    return lines


def paragraphs(text: str) -> list[str]:
    """Markdown in lines of at most WIDTH characters, an empty line behind each paragraph.

    Lists, tables and blocks of code stay as they are.
    """
    lines: list[str] = []
    for part in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        joined = re.sub(r"\s*\n\s*", " ", part)
        wrapped = textwrap.wrap(joined, WIDTH, break_long_words=False, break_on_hyphens=False)
        changes_meaning = any(MARK.match(line) for line in wrapped[1:])
        lines += part.splitlines() if MARK.match(part) else [joined] if changes_meaning else wrapped
        lines.append("")
    return lines


def documentation(text: str) -> list[str]:
    """A docstring as Markdown, without its examples."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return paragraphs("\n\n".join(prose(part) for part in parts if not part.lstrip().startswith(">>>")))


def examples(text: str) -> list[str]:
    """The examples of a docstring as a block of code; no lines where it has none."""
    parts = [part for part in re.split(r"\n\s*\n", text) if part.lstrip().startswith(">>>")]
    return ["```python", "\n\n".join(parts), "```", ""] if parts else []


def slug(heading: str) -> str:
    """The anchor of a heading, where GitHub and Python-Markdown agree on it.

    Raises ValueError where they do not, which is so for letters outside ASCII and marks between spaces.

    >>> slug("`glotmill config show`"), slug("dropped/")
    ('glotmill-config-show', 'dropped')
    """
    text = re.sub(r"[*`]|\]\([^)]*\)|\[", "", heading).strip().lower()
    kept = re.sub(r"[^\w\s-]", "", text)
    github, site = kept.replace(" ", "-"), re.sub(r"[-\s]+", "-", kept)
    if github != site or not kept.isascii():
        raise ValueError(f"{heading!r}: GitHub and the site give this heading different anchors, {github} and {site}")
    return github


def prose_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a page outside blocks of code, numbered from 1."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and line.strip() == mark[1]:
            fence = ""
        elif not fence:
            yield number, line


def code_blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language and the content of each block of code between fences."""
    for block in re.finditer(r"^( *)(`{3,}|~{3,})([\w-]*)[^\n]*\n(.*?)^\1\2 *$", text, re.MULTILINE | re.DOTALL):
        yield block[3], block[4]


def inline_code(text: str) -> Iterator[tuple[int, str]]:
    """The code inside lines of prose, with the number of the line it begins on."""
    lines = dict(prose_lines(text))
    joined = "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))
    for code in re.finditer(r"(?<!`)`([^`]+)`(?!`)", joined):
        yield joined.count("\n", 0, code.start()) + 1, re.sub(r"\s*\n\s*", " ", code[1])


def headings(text: str) -> list[str]:
    """The headings of a page, in order, without their marks."""
    return [match[2] for _, line in prose_lines(text) if (match := HEADING.match(line))]


def anchors(text: str) -> set[str]:
    """Where a link into a page may lead: the anchors of its headings, as far as both renderers agree."""
    slugs = set()
    for heading in headings(text):
        try:
            slugs.add(slug(heading))
        except ValueError:
            continue
    return slugs


def links(text: str) -> Iterator[Link]:
    """The links of a page, inside code left out, images too. One may run over the end of a line."""
    lines = dict(prose_lines(text))
    joined = "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))
    without_code = CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), joined)
    # the text of a link may be code, which is blank by now
    for link in LINK.finditer(without_code):
        yield Link(without_code.count("\n", 0, link.start()) + 1, link["target"])


def broken_links(page: Path, root: Path) -> list[str]:
    """Links of a page that lead to no file of the repository, or to no heading of it: a line each."""
    faults = []
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link.target):
            continue
        path, _, anchor = link.target.partition("#")
        target = (page.parent / path).resolve() if path else page
        where = f"{page.relative_to(root)}:{link.line}: {link.target}"
        if not target.exists() or not target.is_relative_to(root):
            faults.append(f"{where}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            faults.append(f"{where}: no such heading")
    return faults
