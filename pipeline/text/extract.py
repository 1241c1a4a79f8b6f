"""HTML to main text, by the extractor that the config names."""

from collections.abc import Callable

# lexbor's status LXB_STATUS_ERROR_MEMORY_ALLOCATION, which resiliparse reports as any other error of the parser
OUT_OF_MEMORY = "(Error 2)"


def _resiliparse(html: str) -> str | None:
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(html, main_content=True, alt_texts=False, preserve_formatting=True)
    return text


def _trafilatura(html: str) -> str | None:
    import trafilatura

    # deduplicate stays off: it makes a page's text depend on the pages before it
    text: str | None = trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=False)
    return text


EXTRACTORS: dict[str, Callable[[str], str | None]] = {
    "resiliparse": _resiliparse,
    "trafilatura": _trafilatura,
}


def extract(html: str, extractor: str = "resiliparse") -> tuple[str | None, str | None]:
    """The main text of a page, or None with a fault: `parser_error` or `memory_limit`.

    >>> extract("<html><body><article><p>Merhaba dünya.</p></article></body></html>")
    ('Merhaba dünya.', None)
    """
    try:
        return EXTRACTORS[extractor](html), None
    except MemoryError:
        return None, "memory_limit"
    except (ValueError, RuntimeError, TypeError, UnicodeError, RecursionError) as error:
        return None, "memory_limit" if OUT_OF_MEMORY in str(error) else f"parser_error_{type(error).__name__}"
