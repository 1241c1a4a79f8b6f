"""What mkdocs does not do by itself, as its hooks: pages from outside docs/, folders in nav, links out of docs/.

Pages that readers of the repository find where they belong (README.md, lang_configs/README.md, ...) are part of the
site, too. A link to a file that is not on the site, such as a recipe, becomes the name of the file there.
"""

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # the tests run without mkdocs, which only `make docs` installs
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = {  # file of the repository -> page of the site
    "README.md": "overview.md",
    "lang_configs/README.md": "languages.md",
    "pipeline/models/README.md": "models.md",
    "docker/README.md": "containers.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "dev/LOG.md": "log.md",
    "samples/SOURCES.md": "samples.md",
}
SOURCES: Final = {page: source for source, page in PAGES.items()}
BLOCK: Final = re.compile(r"(^ *(?:`{3,}|~{3,}).*?^ *(?:`{3,}|~{3,}) *$)", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s#:]+)(?P<anchor>#[^()\s]*)?\)")


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Put the pages of each folder of nav in its place."""
    config.nav = filled_navigation(config.nav or [], Path(config.docs_dir))
    return config


def filled_navigation(entries: list[Any], docs: Path) -> list[Any]:
    """The entries of nav with the pages of a folder in place of each path that ends in a slash."""
    filled: list[Any] = []
    for entry in entries:
        if isinstance(entry, str):
            filled += _pages_of(entry, docs)
        else:
            filled += [{title: _inside(value, docs)} for title, value in entry.items()]
    return filled


def _inside(value: Any, docs: Path) -> Any:
    if isinstance(value, list):
        return filled_navigation(value, docs)
    return _pages_of(value, docs) if value.endswith("/") else value


def _pages_of(folder: str, docs: Path) -> list[str]:
    """The pages of a folder of docs/, index.md first, the others by name; a path of a page is that page."""
    if not folder.endswith("/"):
        return [folder]
    names = sorted((path.name for path in (docs / folder).glob("*.md")), key=lambda name: (name != "index.md", name))
    return [f"{folder}{name}" for name in names]


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages that stand outside docs/."""
    from mkdocs.structure.files import File

    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Let the links of a page lead to pages of the site."""
    return with_links_on_site(markdown, page.file.src_uri)


def with_links_on_site(markdown: str, uri: str) -> str:
    """The text of the page at `uri` of the site, with links as they are there, whichever folder of the repository the
    page and their targets are in. Blocks of code stay as they are.
    """
    parts = BLOCK.split(markdown)  # every other one is a block of code
    return "".join(
        part if number % 2 else LINK.sub(lambda link: _on_site(link, uri), part) for number, part in enumerate(parts)
    )


def _on_site(link: re.Match[str], uri: str) -> str:
    source = SOURCES.get(uri, f"docs/{uri}")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["target"]))
    if target in PAGES:
        page = PAGES[target]
    elif target.startswith("docs/") and target.endswith(".md"):
        page = target.removeprefix("docs/")
    else:
        text = link["text"]
        return text if target in text or text.startswith("`") else f"{text} (`{target}`)"
    relative = posixpath.relpath(page, posixpath.dirname(uri) or ".")
    return f"[{link['text']}]({relative}{link['anchor'] or ''})"
