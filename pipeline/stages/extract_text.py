"""payload -> encoding, what the page declares and main text, decoded, extracted in a watched child, repaired."""

import re
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from pipeline.columns import MEASURED, METADATA, PAYLOAD, RECORD, TEXT, schema
from pipeline.config import RunConfig
from pipeline.stages.contract import add_columns
from pipeline.text.decode import to_utf8
from pipeline.text.extract import Extraction
from pipeline.text.main_text import Utf8
from pipeline.text.repair import clean, repair_encoding

HTML_TYPES = ("text/html", "application/xhtml+xml")
ExtractPages = Callable[[Sequence[Utf8]], Iterable[Extraction]]


class ExtractText:
    """Decode, extract, clean. `extract_pages` runs the parser: a watched child, or in process for tests."""

    name = "extract_text"
    reads = schema({"warc_type": RECORD["warc_type"]}, PAYLOAD)
    adds = schema(METADATA, TEXT, MEASURED)

    def __init__(self, config: RunConfig, extract_pages: ExtractPages) -> None:
        self.config = config
        self.extract_pages = extract_pages
        # one tag with a megabyte of attributes makes every HTML parser quadratic
        self._longest_tag = min(config.read.max_tag_bytes, 60_000)
        self._long_tag = re.compile(rb"<[A-Za-z][^>]{%d}" % self._longest_tag)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Rows without text get a drop reason: empty_body, not_html, undecodable, too_many_tags, no_text, ..."""
        rows = table.num_rows
        repair = self.config.extract.repair
        encodings: list[object] = [None] * rows
        sources: list[object] = [None] * rows
        drops: list[str | None] = [None] * rows
        found: list[str | None] = [None] * rows
        rows_of_pages: list[int] = []
        pages: list[bytes] = []
        payloads = table["payload"].to_pylist()
        types = table["content_type"].to_pylist()
        for row, (payload, kind, warc_type) in enumerate(
            zip(payloads, types, table["warc_type"].to_pylist(), strict=True)
        ):
            plain = warc_type == "conversion"
            drops[row] = self._refuse(payload, plain)
            if drops[row] is not None:
                continue
            page, encodings[row], sources[row] = to_utf8(payload, "charset=utf-8" if plain else kind or "")
            if page is None:
                drops[row] = "undecodable"
            elif plain:
                found[row] = page.decode()
            else:
                rows_of_pages.append(row)
                pages.append(page)
        declared: list[tuple[str | None, ...]] = [(None,) * len(METADATA)] * rows
        for row, answer in zip(rows_of_pages, self.extract_pages(pages), strict=True):
            found[row], drops[row] = answer.text, answer.fault
            declared[row] = tuple(value and clean(value) for value in answer.metadata)
        texts: list[object] = [None] * rows
        measured: list[object] = [None] * rows
        repaired: list[object] = [None] * rows
        for row, text in enumerate(found):
            if drops[row] is not None or text is None:
                drops[row] = drops[row] or "no_text"
                continue
            fixed, repaired[row] = (text, False) if repair == "off" else repair_encoding(text)
            texts[row] = clean(fixed).strip()
            measured[row] = clean(text).strip() if repair == "after" else texts[row]
            if not texts[row] or not measured[row]:
                drops[row], texts[row], measured[row] = "no_text", None, None
        columns: dict[str, list[object]] = {
            **{name: [values[number] for values in declared] for number, name in enumerate(METADATA)},
            "encoding": encodings,
            "encoding_source": sources,
            "encoding_repaired": repaired,
            "text": texts,
            "measured_text": measured,
        }
        return add_columns(table, self.adds, columns, drops)

    def _refuse(self, payload: bytes | None, plain: bool) -> str | None:
        if not payload or not payload.strip(b" \t\r\n\0"):
            return "empty_body"
        if plain:
            return None
        if payload.find(b"<", 0, 65_536) < 0:
            return "body_not_html"
        most = self.config.read.max_tags
        if len(payload) > most and payload.count(b"<") > most:
            return "too_many_tags"
        return "tag_too_long" if self._has_long_tag(payload) else None

    def _has_long_tag(self, payload: bytes) -> bool:
        """Whether a tag is too long; most pages have a `>` every so often, and are not searched for the tag."""
        position = 0
        while position + self._longest_tag < len(payload):
            nearest = payload.rfind(b">", position, position + self._longest_tag)
            if nearest < 0:
                return self._long_tag.search(payload) is not None
            position = nearest + 1
        return False
