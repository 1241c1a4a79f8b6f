"""HTML to main text, by the extractor that the config names, and to what the page says about itself."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.text.main_text import Blocks, Declared, Metadata, Utf8, as_utf8, main_text, read_declared, tokenise

# lexbor's status LXB_STATUS_ERROR_MEMORY_ALLOCATION, which resiliparse reports as any other error of the parser
OUT_OF_MEMORY = "(Error 2)"


class Extraction(NamedTuple):
    """Text or a fault, and the page's own statements; a page that shows nothing has the text "".

    `fault` is the name of a drop reason (`pipeline/schema/drop_reasons.py`), and `error_type` the type of the Python
    error behind "parser_error".
    """

    text: str | None = None
    fault: str | None = None
    metadata: Metadata = Metadata()
    error_type: str | None = None


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
    """The main text of a page (bytes: valid UTF-8), or a fault: `no_main_text`, `parser_error`, `memory_limit`.

    >>> extract("<html><body><article><p>Merhaba dünya.</p></article></body></html>").text
    'Merhaba dünya.'
    """
    try:
        source = as_utf8(html)
        page = tokenise(source)
        declared = read_declared(source, page)
        text = EXTRACTORS[extractor](source, page, declared)
        return Extraction(text, "no_main_text" if text is None else None, declared.metadata)
    except MemoryError:
        return Extraction(fault="memory_limit")
    except (ValueError, RuntimeError, TypeError, UnicodeError, RecursionError) as error:
        if OUT_OF_MEMORY in str(error):
            return Extraction(fault="memory_limit")
        return Extraction(fault="parser_error", error_type=type(error).__name__)
