"""Glotmill's own extractor, `pipeline/text/main_text/`."""

from pipeline.text.main_text import Blocks, Declared, Utf8, main_text

LIBRARIES: tuple[str, ...] = ()


def extract(html: Utf8, page: Blocks, declared: Declared) -> str | None:
    """See `pipeline.text.main_text.main_text`."""
    return main_text(html, page, declared)
