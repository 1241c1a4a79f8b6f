"""What a page says about itself: title, date, author, and hints at its language, from its head and its JSON-LD.

Takes the source and the spans that the tokeniser noted; nothing is guessed from the text.
"""

import html as entities
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from pipeline.text.main_text import blocks as b
from pipeline.text.main_text.blocks import Blocks, Utf8, as_utf8

LONGEST_VALUE = 500  # code points
LONGEST_JSON = 100_000

_ATTRIBUTE = re.compile(
    r"""
    ([A-Za-z][A-Za-z0-9:_-]*) \s* = \s*            # name
    (?: "([^"]*)" | '([^']*)' | ([^\s"'>]+) )      # value, quoted or not
    """,
    re.VERBOSE,
)
_DATE = re.compile(r"\s*(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_TITLES = ("og:title", "twitter:title", "dc.title")
_DATES = (
    "article:published_time", "datepublished", "og:published_time", "date", "pubdate", "publishdate", "publish-date",
    "dc.date", "dc.date.issued", "dcterms.created", "dcterms.date", "parsely-pub-date", "sailthru.date",
)  # fmt: skip
_AUTHORS = ("author", "article:author", "dc.creator", "dcterms.creator", "parsely-author", "sailthru.author", "byl")


_JSON_TEXTS = frozenset(("articleBody", "recipeIngredient", "recipeInstructions", "text", "reviewBody", "headline"))
_JSON_HOLDERS = frozenset(("@graph", "mainEntity", "mainEntityOfPage", "itemListElement", "acceptedAnswer"))
_MARKUP = re.compile(r"<[^<>]{0,200}>")


class Metadata(NamedTuple):
    """What a page declares; None where it declares nothing that can be read."""

    title: str | None = None
    published: str | None = None  # ISO 8601 date
    author: str | None = None
    html_lang: str | None = None  # of the html element
    og_locale: str | None = None
    hreflang: str | None = None  # of the alternate that is this page, by its canonical address


class Declared(NamedTuple):
    """Metadata, and what helps to find the text: the title element, a description and the text itself; "" if absent."""

    metadata: Metadata
    title: str
    description: str
    body: str


def read_declared(html: str | Utf8, page: Blocks) -> Declared:
    """What a page declares in its head, its JSON-LD and its time elements.

    >>> from pipeline.text.main_text import tokenise
    >>> source = '<html lang="de"><title>A &amp; B</title><meta name=author content="C D">'
    >>> read_declared(source, tokenise(source)).metadata
    Metadata(title='A & B', published=None, author='C D', html_lang='de', og_locale=None, hreflang=None)
    """
    named: dict[str, str] = {}
    bodies: list[str] = []
    alternates: dict[str, str] = {}
    title = html_lang = canonical = None
    source = memoryview(as_utf8(html))
    for kind, start, end in page.spans.tolist():
        if kind == b.SPAN_LINK:  # most are style sheets and icons
            link = bytes(source[start:end]).lower()
            if b"hreflang" not in link and b"canonical" not in link:
                continue
        span = str(source[start : min(end, start + 4 * LONGEST_JSON)], "utf-8", "ignore")[:LONGEST_JSON]
        if kind == b.SPAN_TITLE:
            title = title or _text(span)
        elif kind == b.SPAN_JSON:
            _read_json(span, named, bodies)
        else:
            attributes = _attributes(span)
            if kind == b.SPAN_META:
                name = attributes.get("property") or attributes.get("name") or attributes.get("itemprop") or ""
                if "content" in attributes:
                    named.setdefault(name.lower(), attributes["content"])
            elif kind == b.SPAN_HTML:
                html_lang = html_lang or attributes.get("lang") or attributes.get("xml:lang")
            elif kind == b.SPAN_TIME:
                if attributes.get("itemprop", "").lower() == "datepublished" or "pubdate" in span.lower():
                    named.setdefault("datepublished", attributes.get("datetime", ""))
            elif "hreflang" in attributes:
                alternates.setdefault(attributes.get("href", ""), attributes["hreflang"])
            elif attributes.get("rel", "").lower() == "canonical":
                canonical = attributes.get("href")
    metadata = Metadata(
        title=_first(_TITLES, named, _text) or title,
        published=_first(_DATES, named, _iso_date),
        author=_first(_AUTHORS, named, _person),
        html_lang=_language(html_lang),
        og_locale=_language(named.get("og:locale")),
        hreflang=_language(alternates.get(canonical or named.get("og:url") or "")),
    )
    described = _text(named.get("og:description") or named.get("description") or "")
    return Declared(metadata, title or "", described or "", _MARKUP.sub(" ", entities.unescape("\n".join(bodies))))


def _attributes(tag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(tag):
        found.setdefault(name.lower(), double or single or bare)
    return found


def _first(names: Iterable[str], named: Mapping[str, str], read: Callable[[str], str | None]) -> str | None:
    """What the first of the names says that says anything that can be read."""
    for name in names:
        if name in named and (value := read(named[name])):
            return value
    return None


def _text(value: str) -> str | None:
    return " ".join(entities.unescape(value[:LONGEST_VALUE]).split()) or None


def _person(value: str) -> str | None:
    name = _text(value)
    return name if name and "://" not in name else None


def _iso_date(value: str) -> str | None:
    if match := _DATE.match(value):
        try:
            return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
        except ValueError:
            return None
    return None


def _language(value: str | None) -> str | None:
    match = _LANGUAGE.fullmatch(value.strip()) if value else None
    return match[0] if match else None


def _read_json(source: str, named: dict[str, str], bodies: list[str]) -> None:
    """Date and author of the first object of JSON-LD that has them, and the texts of all; broken JSON says nothing."""
    try:
        found: Any = json.loads(source)
    except (ValueError, RecursionError):
        return
    rest = [found]
    for _ in range(1000):
        if not rest:
            return
        item = rest.pop(0)
        if isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, dict):
            if isinstance(item.get("datePublished"), str):
                named.setdefault("datepublished", item["datePublished"])
            author = item.get("author")
            author = author[0] if isinstance(author, list) and author else author
            author = author.get("name") if isinstance(author, dict) else author
            if isinstance(author, str):
                named.setdefault("author", author)
            for key, value in item.items():
                if key in _JSON_TEXTS and isinstance(value, str):
                    bodies.append(value)
                elif isinstance(value, list) and all(isinstance(part, str) for part in value) and key in _JSON_TEXTS:
                    bodies.extend(value)
                elif key in _JSON_TEXTS or key in _JSON_HOLDERS:
                    rest.append(value)
