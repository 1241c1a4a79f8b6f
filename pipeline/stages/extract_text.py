"""payload -> encoding, what the page declares and main text, decoded, extracted in a sandboxed process, repaired."""

import logging
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.config.run_settings import ReadConfig
from pipeline.schema.columns import MEASURED, METADATA, PAYLOAD, RECORD, TEXT, schema
from pipeline.schema.drop_reasons import DropReason
from pipeline.stages.contract import ExtractPages, StageContext, add_columns
from pipeline.text.decode import to_utf8
from pipeline.text.repair import clean, repair_encoding

COUNTED_BYTES = 65_536  # of a page at once: what counting takes beside it stays in the cache

logger = logging.getLogger(__name__)


class ExtractText:
    """Decode, extract, clean. `extract_pages` runs the parser: a sandboxed process, or this one for tests.

    It takes pages as it goes, so that of a table's pages only those are decoded and held that it is at work on.
    """

    name = "extract_text"
    reads = schema({"id": RECORD["id"], "warc_type": RECORD["warc_type"]}, PAYLOAD)
    adds = schema(METADATA, TEXT, MEASURED)

    def __init__(self, read: ReadConfig, repair: str, extract_pages: ExtractPages) -> None:
        self.max_tags = read.max_tags
        self.repair = repair
        self.extract_pages = extract_pages
        # one tag with a megabyte of attributes makes every HTML parser quadratic
        self._longest_tag = min(read.max_tag_bytes, 60_000)
        self._long_tag = re.compile(rb"<[A-Za-z][^>]{%d}" % self._longest_tag)

    @classmethod
    def build(cls, context: StageContext) -> "ExtractText":
        """See StageClass.build."""
        return cls(context.config.read, context.config.extract.repair, context.extract_pages)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Rows without text get a drop reason: empty_body, body_not_html, undecodable, too_many_tags, no_text, ..."""
        rows = table.num_rows
        repair = self.repair
        encodings: list[object] = [None] * rows
        sources: list[object] = [None] * rows
        drops: list[DropReason | None] = [None] * rows
        texts_found: list[str | None] = [None] * rows
        rows_of_pages: list[int] = []

        def pages() -> Iterator[bytes]:
            kinds = zip(table["content_type"].to_pylist(), table["warc_type"].to_pylist(), strict=True)
            for row, (payload, (kind, warc_type)) in enumerate(zip(table["payload"], kinds, strict=True)):
                plain = warc_type == "conversion"
                body = payload.as_py()
                drops[row] = self._refuse(body, plain)
                if drops[row] is not None:
                    continue
                page, encodings[row], sources[row] = to_utf8(body, "charset=utf-8" if plain else kind or "")
                if page is None:
                    drops[row] = DropReason.UNDECODABLE
                elif plain:
                    texts_found[row] = page.decode()
                else:
                    rows_of_pages.append(row)
                    yield page

        declared: list[tuple[str | None, ...]] = [(None,) * len(METADATA)] * rows
        for number, answer in enumerate(self.extract_pages(pages())):
            row = rows_of_pages[number]
            if answer.error_type is not None:
                logger.warning("record %s: the extractor failed with %s", table["id"][row], answer.error_type)
            texts_found[row], drops[row] = answer.text, DropReason.named(answer.fault) if answer.fault else None
            declared[row] = tuple(value and clean(value) for value in answer.metadata)
        texts: list[object] = [None] * rows
        measured: list[object] = [None] * rows
        repaired: list[object] = [None] * rows
        for row, text in enumerate(texts_found):
            if drops[row] is not None or text is None:
                drops[row] = drops[row] or DropReason.NO_TEXT
                continue
            fixed, repaired[row] = (text, False) if repair == "off" else repair_encoding(text)
            texts[row] = clean(fixed).strip()
            measured[row] = clean(text).strip() if repair == "after" else texts[row]
            if not texts[row] or not measured[row]:
                drops[row], texts[row], measured[row] = DropReason.NO_TEXT, None, None
        columns: dict[str, list[object]] = {
            **{name: [values[number] for values in declared] for number, name in enumerate(METADATA)},
            "encoding": encodings,
            "encoding_source": sources,
            "encoding_repaired": repaired,
            "text": texts,
            "measured_text": measured,
        }
        return add_columns(table, self.adds, columns, drops)

    def _refuse(self, payload: bytes | None, plain: bool) -> DropReason | None:
        if not payload or not payload.strip(b" \t\r\n\0"):
            return DropReason.EMPTY_BODY
        if plain:
            return None
        if payload.find(b"<", 0, 65_536) < 0:
            return DropReason.BODY_NOT_HTML
        most = self.max_tags
        if len(payload) > most and _count(payload, ord("<")) > most:
            return DropReason.TOO_MANY_TAGS
        return DropReason.TAG_TOO_LONG if self._has_long_tag(payload) else None

    def _has_long_tag(self, payload: bytes) -> bool:
        """Whether a tag is too long; most pages have a `>` every so often, and are not searched for the tag."""
        position = 0
        while position + self._longest_tag < len(payload):
            nearest = payload.rfind(b">", position, position + self._longest_tag)
            if nearest < 0:
                return self._long_tag.search(payload) is not None
            position = nearest + 1
        return False


def _count(payload: bytes, byte: int) -> int:
    """How often a byte occurs, where `bytes.count` is slow because it is frequent."""
    codes = np.frombuffer(payload, np.uint8)
    starts = range(0, len(codes), COUNTED_BYTES)
    return sum(int(np.count_nonzero(codes[start : start + COUNTED_BYTES] == byte)) for start in starts)
