"""Web pages with reference text, read from the development data beside the repository; absent elsewhere.

Three corpora: `daniel` (news of 2011 in five languages, human text), `misc` (aeb: human; np and readability: recorded
output of tools, so a tool of the same family scores high) and `trafilatura` (snippets that the text must and must not
have). Pages without a reference serve the equality tests and the page-kind labels of `page_kinds.tsv`.
"""

import gzip
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import regex
from publicsuffixlist import PublicSuffixList

from pipeline.readers.http import parse_http
from pipeline.readers.records import Record
from pipeline.readers.warc import read_records
from pipeline.text.decode import decode

WARC = Path(__file__).resolve().parents[2] / "shared" / "data" / "warc"
GOLD = ("gold-daniel-dev", "gold-trafilatura-dev", "gold-misc-dev")
MAX_BYTES = 16 * 2**20
OTHERS = ("commoncrawl-hplt-dev", "commoncrawl2008-dev", "debdocs-dev")
# Han, Hiragana and Katakana are counted by character in every language: no words are marked there
TOKEN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[^\W\p{Han}\p{Hiragana}\p{Katakana}]+")


@dataclass(frozen=True, slots=True)
class GoldPage:
    """One page; `text` where there is a whole reference, else snippets that its text must and must not have."""

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


def load_pages(files: tuple[str, ...] = GOLD) -> list[GoldPage]:
    """The pages of the named files, in their order."""
    suffixes = PublicSuffixList()
    pages = []
    for name in files:
        with gzip.open(WARC / f"{name}.manifest.jsonl.gz", "rt", encoding="utf-8") as manifest:
            rows = {row["record_id"]: row for row in map(json.loads, manifest)}
        for record in read_records(WARC / f"{name}.warc.gz", MAX_BYTES):
            if not isinstance(record, Record) or record.warc_type != "response" or record.body is None:
                continue
            row = rows[record.headers["warc-record-id"]]
            message = parse_http(record.body, MAX_BYTES)
            html = decode(message.payload, message.headers.get("content-type", ""))[0] or ""
            host = row["url"].split("//", 1)[-1].split("/", 1)[0].split(":")[0].lower()
            has_text = str(row.get("gold_kind")).startswith("full")
            pages.append(
                GoldPage(
                    id=row["id"],
                    corpus=row["id"].split(":", 1)[0] if name in GOLD else name,
                    language=row.get("lang") or "und",
                    site=suffixes.privatesuffix(host) or host,
                    bytes=len(message.payload),
                    html=html.encode("utf-8", "replace").decode("utf-8"),
                    text=row["gold_text"] if has_text else None,
                    wanted=tuple(row.get("gold_with", ())),
                    unwanted=tuple(row.get("gold_without", ())),
                )
            )
    return pages


def tokens(text: str) -> list[str]:
    """Words in lower case; characters in Chinese and Japanese script.

    >>> tokens("Ein Wort, 文字")
    ['ein', 'wort', '文', '字']
    """
    return TOKEN.findall(text.lower())


def token_scores(text: str, reference: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of a text's tokens, counted with repetition; 0 where nothing is shared."""
    found, wanted = Counter(tokens(text)), Counter(tokens(reference))
    shared = (found & wanted).total()
    if shared == 0:
        return 0.0, 0.0, 0.0
    precision, recall = shared / found.total(), shared / wanted.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def snippet_counts(text: str, page: GoldPage) -> tuple[int, int]:
    """Wanted snippets that the text has, and unwanted ones; white space counts as one space."""
    flat = " ".join(text.replace("\N{SOFT HYPHEN}", "").split())
    return (
        sum(" ".join(snippet.replace("\N{SOFT HYPHEN}", "").split()) in flat for snippet in page.wanted),
        sum(" ".join(snippet.replace("\N{SOFT HYPHEN}", "").split()) in flat for snippet in page.unwanted),
    )


def page_kinds() -> dict[str, bool]:
    """Whether a page has a main text, for the pages that were looked at; by page id."""
    rows = (Path(__file__).with_name("page_kinds.tsv")).read_text(encoding="utf-8").splitlines()
    return {row.split("\t")[0]: row.split("\t")[1] == "text" for row in rows if not row.startswith("#")}


def load_kinds() -> list[GoldPage]:
    """The pages of `page_kinds`; those without a main text have the reference ""."""
    kinds = page_kinds()
    pages = (page for page in load_pages(OTHERS[:2]) if page.id in kinds)
    return [page if kinds[page.id] else replace(page, text="") for page in pages]
