"""Web pages with reference text ("gold" pages), from which the main-text extractor is trained and measured.

The pages are development data that may not be republished: WARC files with a manifest of one JSON object a page, which
lie beside the checkout and are absent elsewhere. There are three corpora: `daniel` (news of 2011 in five languages,
human text), `misc` (aeb: human; np and readability: recorded output of tools, so a tool of the same family scores high)
and `trafilatura` (snippets that the text must and must not have). Pages without a reference serve the equality tests
and the page-kind labels of `page_kinds.tsv`.
"""

import gzip
import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from publicsuffixlist import PublicSuffixList

from pipeline.readers.http import parse_http
from pipeline.readers.records import Record
from pipeline.readers.warc import read_records
from pipeline.text.decode import decode

if TYPE_CHECKING:
    import regex

WARC: Final = Path(__file__).resolve().parents[3] / "shared" / "data" / "warc"
GOLD: Final = ("gold-daniel-dev", "gold-trafilatura-dev", "gold-misc-dev")
OTHERS: Final = ("commoncrawl-hplt-dev", "commoncrawl2008-dev", "debdocs-dev")
_RECORD_BYTES_MAX: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class GoldPage:
    """A page; `text` where there is a whole reference, else snippets that its text must and must not have."""

    id: str
    corpus: str  # daniel, aeb, np, readability, traf; the file's name for pages without reference
    language: str  # ISO 639-3, "und" where unknown
    site: str  # registered domain
    bytes: int
    html: str
    text: str | None  # "" where it has none
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]

    @property
    def human(self) -> bool:
        """Whether people wrote the reference down; newspaper's and Readability's are recorded tool output."""
        return self.corpus in ("daniel", "aeb", "traf")


def load_pages(files: tuple[str, ...] = GOLD, folder: Path = WARC) -> list[GoldPage]:
    """The pages of the named files of `folder`, in their order."""
    suffixes = PublicSuffixList()
    pages = []
    for name in files:
        with gzip.open(folder / f"{name}.manifest.jsonl.gz", "rt", encoding="utf-8") as manifest:
            rows = {row["record_id"]: row for row in map(json.loads, manifest)}
        for record in read_records(folder / f"{name}.warc.gz", _RECORD_BYTES_MAX):
            if not isinstance(record, Record) or record.warc_type != "response" or record.body is None:
                continue
            row = rows[record.headers["warc-record-id"]]
            message = parse_http(record.body, _RECORD_BYTES_MAX)
            payload = message.payload
            html = decode(payload, message.headers.get("content-type", ""))[0] or ""
            host = row["url"].split("//", 1)[-1].split("/", 1)[0].split(":")[0].lower()
            has_text = str(row.get("gold_kind")).startswith("full")
            pages.append(
                GoldPage(
                    id=row["id"],
                    corpus=row["id"].split(":", 1)[0] if name in GOLD else name,
                    language=row.get("lang") or "und",
                    site=suffixes.privatesuffix(host) or host,
                    bytes=len(payload),
                    html=html.encode("utf-8", "replace").decode("utf-8"),
                    text=row["gold_text"] if has_text else None,
                    wanted=tuple(row.get("gold_with", ())),
                    unwanted=tuple(row.get("gold_without", ())),
                )
            )
    return pages


def page_kinds() -> dict[str, bool]:
    """Whether a page has a main text, for the pages that were looked at; by page id."""
    table = resources.files("pipeline.training").joinpath("page_kinds.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
    return {page_id: kind == "text" for page_id, kind in rows}


def load_kinds(folder: Path = WARC) -> list[GoldPage]:
    """The pages of `page_kinds`; those without a main text have the reference ""."""
    kinds = page_kinds()
    pages = (page for page in load_pages(OTHERS[:2], folder) if page.id in kinds)
    return [page if kinds[page.id] else replace(page, text="") for page in pages]


def tokens(text: str) -> list[str]:
    """Words in lower case; characters in Chinese and Japanese script. Needs the library regex.

    >>> tokens("Ein Wort, 文字")
    ['ein', 'wort', '文', '字']
    """
    return list(_patterns()[0].findall(text.lower()))


def is_han_or_kana(token: str) -> bool:
    """Whether a token begins with a Han character or kana. Needs the library regex."""
    return _patterns()[1].match(token) is not None


@cache
def _patterns() -> "tuple[regex.Pattern[str], regex.Pattern[str]]":
    """The pattern of a token, and that of a character which is a token by itself."""
    import regex

    # Han, Hiragana and Katakana are counted by character in every language: no words are marked there.
    character = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
    return regex.compile(character + r"|[^\W\p{Han}\p{Hiragana}\p{Katakana}]+"), regex.compile(character)
