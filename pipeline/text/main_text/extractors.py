"""HTML to main text, by the extractor that the config names, and to what the page says about itself."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.text.decode import to_utf8
from pipeline.text.main_text import Blocks, Declared, Metadata, Utf8, main_text, read_declared, tokenise

# lexbor's status LXB_STATUS_ERROR_MEMORY_ALLOCATION, which resiliparse reports as any other error of the parser
OUT_OF_MEMORY = "(Error 2)"


class Extraction(NamedTuple):
    """Text or a fault, and the page's own statements; a page that shows nothing has the text ""."""

    text: str | None = None
    fault: str | None = None
    metadata: Metadata = Metadata()


def _resiliparse(html: Utf8, page: Blocks, declared: Declared) -> str | None:
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(str(html, "utf-8"), main_content=True, alt_texts=False, preserve_formatting=True)
    return text


def _trafilatura(html: Utf8, page: Blocks, declared: Declared) -> str | None:
    import trafilatura

    # deduplicate stays off: it makes a page's text depend on the pages before it
    text: str | None = trafilatura.extract(
        str(html, "utf-8"), favor_precision=True, include_comments=False, deduplicate=False
    )
    return text


EXTRACTORS: dict[str, Callable[[Utf8, Blocks, Declared], str | None]] = {
    "glotmill": main_text,
    "resiliparse": _resiliparse,
    "trafilatura": _trafilatura,
}


def extract(html: str | Utf8, extractor: str = "glotmill") -> Extraction:
    """The main text of a page, or a fault: `no_main_text`, `undecodable`, `parser_error_*`, `memory_limit`.

    Bytes are decoded as the pipeline decodes a page that came without an HTTP header (`pipeline.text.decode`).

    >>> extract("<html><body><article><p>Merhaba dünya.</p></article></body></html>").text
    'Merhaba dünya.'
    >>> extract("<meta charset=windows-1254><p>Günaydın dünya.".encode("cp1254")).text
    'Günaydın dünya.'
    """
    try:
        page = html.encode() if isinstance(html, str) else to_utf8(bytes(html))[0]
    except (MemoryError, UnicodeEncodeError) as error:  # half a surrogate pair is no character
        return _failed(error)
    return Extraction(fault="undecodable") if page is None else extract_utf8(page, extractor)


def extract_utf8(page: Utf8, extractor: str = "glotmill") -> Extraction:
    """As `extract`, of a page that is known to be valid UTF-8, as `to_utf8` gives it; that is not checked again."""
    try:
        blocks = tokenise(page)
        declared = read_declared(page, blocks)
        text = EXTRACTORS[extractor](page, blocks, declared)
        return Extraction(text, "no_main_text" if text is None else None, declared.metadata)
    except (MemoryError, ValueError, RuntimeError, TypeError, UnicodeError, RecursionError) as error:
        return _failed(error)


def _failed(error: Exception) -> Extraction:
    if isinstance(error, MemoryError) or OUT_OF_MEMORY in str(error):
        return Extraction(fault="memory_limit")
    return Extraction(fault=f"parser_error_{type(error).__name__}")
