"""HTML to main text, by the extractor that the config names, and to what the page says about itself."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.text.main_text import Blocks, Declared, Metadata, main_text, read_declared, tokenise


class Extraction(NamedTuple):
    """Text or a fault, and the page's own statements; a page that shows nothing has the text ""."""

    text: str | None = None
    fault: str | None = None
    metadata: Metadata = Metadata()


def _resiliparse(html: str, page: Blocks, declared: Declared) -> str | None:
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(html, main_content=True, alt_texts=False, preserve_formatting=True)
    return text


def _trafilatura(html: str, page: Blocks, declared: Declared) -> str | None:
    import trafilatura

    # deduplicate stays off: it makes a page's text depend on the pages before it
    text: str | None = trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=False)
    return text


EXTRACTORS: dict[str, Callable[[str, Blocks, Declared], str | None]] = {
    "glotmill": main_text,
    "resiliparse": _resiliparse,
    "trafilatura": _trafilatura,
}


def extract(html: str, extractor: str = "glotmill") -> Extraction:
    """The main text of a page, or a fault: `no_main_text`, `parser_error_*` or `memory_limit`.

    >>> extract("<html><body><article><p>Merhaba dünya.</p></article></body></html>").text
    'Merhaba dünya.'
    """
    try:
        page = tokenise(html)
        declared = read_declared(html, page)
        text = EXTRACTORS[extractor](html, page, declared)
        return Extraction(text, "no_main_text" if text is None else None, declared.metadata)
    except MemoryError:
        return Extraction(fault="memory_limit")
    except (ValueError, RuntimeError, TypeError, UnicodeError, RecursionError) as error:
        return Extraction(fault=f"parser_error_{type(error).__name__}")
