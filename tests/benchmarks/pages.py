"""Texts of the pages of WARC files, for the benchmarks."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.stages.read_warc import Gap, parse_http, read_records
from pipeline.text.decode import decode
from pipeline.text.extract import extract

LIMIT = 16 * 2**20  # bytes of a record


def texts_of_pages(path: Path) -> Iterator[str]:
    """Extracted text of each response that has any, not repaired."""
    for record in read_records(path, LIMIT):
        if isinstance(record, Gap) or record.warc_type != "response" or not record.body:
            continue
        message = parse_http(record.body, LIMIT)
        page, _, _ = decode(message.payload or b"", message.headers.get("content-type", ""))
        text, _ = extract(page) if page else (None, None)
        if text:
            yield text
