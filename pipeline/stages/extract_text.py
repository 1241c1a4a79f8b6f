"""payload -> encoding, what the page declares and main text, decoded, extracted in a watched child, repaired."""

import re
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from pipeline.columns import MEASURED, METADATA, PAYLOAD, RECORD, TEXT, schema
from pipeline.config import RunConfig
from pipeline.stages.contract import add_columns
from pipeline.text.decode import decode
from pipeline.text.extract import Extraction
from pipeline.text.repair import clean, repair_encoding

HTML_TYPES = ("text/html", "application/xhtml+xml")
ExtractPages = Callable[[Sequence[str]], Iterable[Extraction]]


class ExtractText:
    """Decode, extract, clean. `extract_pages` runs the parser: a watched child, or in process for tests."""

    name = "extract_text"
    reads = schema({"warc_type": RECORD["warc_type"]}, PAYLOAD)
    adds = schema(METADATA, TEXT, MEASURED)

    def __init__(self, config: RunConfig, extract_pages: ExtractPages) -> None:
        self.config = config
        self.extract_pages = extract_pages
        # one tag with a megabyte of attributes makes every HTML parser quadratic
        self._long_tag = re.compile(rb"<[A-Za-z][^>]{%d}" % min(config.read.max_tag_bytes, 60_000))

    def __call__(self, table: pa.Table) -> pa.Table:
        """Rows without text get a drop reason: empty_body, not_html, undecodable, too_many_tags, no_text, ..."""
        rows = table.num_rows
        repair = self.config.extract.repair
        encodings: list[object] = [None] * rows
        sources: list[object] = [None] * rows
        drops: list[str | None] = [None] * rows
        sources_of_text: list[str | None] = [None] * rows
        pages: list[int] = []
        payloads = table["payload"].to_pylist()
        types = table["content_type"].to_pylist()
        for row, (payload, kind, warc_type) in enumerate(
            zip(payloads, types, table["warc_type"].to_pylist(), strict=True)
        ):
            plain = warc_type == "conversion"
            drops[row] = self._refuse(payload, plain)
            if drops[row] is not None:
                continue
            text, encodings[row], sources[row] = decode(payload, "charset=utf-8" if plain else kind or "")
            if text is None:
                drops[row] = "undecodable"
                continue
            sources_of_text[row] = text
            if not plain:
                pages.append(row)
        answers = self.extract_pages([_valid(sources_of_text[row] or "") for row in pages])
        declared: list[tuple[str | None, ...]] = [(None,) * len(METADATA)] * rows
        for row, answer in zip(pages, answers, strict=True):
            sources_of_text[row], drops[row] = answer.text, answer.fault
            declared[row] = tuple(value and clean(value) for value in answer.metadata)
        texts: list[object] = [None] * rows
        measured: list[object] = [None] * rows
        repaired: list[object] = [None] * rows
        for row, text in enumerate(sources_of_text):
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
        if b"<" not in payload[:65_536].replace(b"\0", b""):
            return "body_not_html"
        if payload.count(b"<") > self.config.read.max_tags:
            return "too_many_tags"
        return "tag_too_long" if self._long_tag.search(payload) else None


def _valid(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
