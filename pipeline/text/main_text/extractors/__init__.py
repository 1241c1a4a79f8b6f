"""HTML to main text, by the extractor that the config names, and to what the page says about itself.

An extractor is a module of this package, and has the name of its module. It defines

- `extract(html: Utf8, page: Blocks, declared: Declared) -> str | None`: the main text of a page, "" where the page
  shows no text at all, None where no part of it is a main text. `page` has its blocks of text
  (`pipeline/text/main_text/blocks.py`), and `declared` what it says about itself; both were read already;
- `LIBRARIES: tuple[str, ...]`: the distributions that its texts depend on. Their versions are part of what annotate
  depends on, and a run is refused where one is not installed.

It imports its libraries inside the function, because they need not be installed where another extractor is used.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from pipeline.registry import load
from pipeline.text.decode import to_utf8
from pipeline.text.main_text import Blocks, Declared, Metadata, Utf8, read_declared, tokenise

PACKAGE = "text.main_text.extractors"
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


def extract(html: str | Utf8, extractor: str = "glotmill") -> Extraction:
    """The main text of a page, or a fault: `no_main_text`, `undecodable`, `parser_error`, `memory_limit`.

    Bytes are decoded as the pipeline decodes a page that came without an HTTP header (`pipeline.text.decode`). Raises
    ConfigError for an extractor that does not exist.

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
    extract_text = _extractor(extractor)
    try:
        blocks = tokenise(page)
        declared = read_declared(page, blocks)
        text = extract_text(page, blocks, declared)
        return Extraction(text, "no_main_text" if text is None else None, declared.metadata)
    except (MemoryError, ValueError, RuntimeError, TypeError, UnicodeError, RecursionError) as error:
        return _failed(error)


def _failed(error: Exception) -> Extraction:
    if isinstance(error, MemoryError) or OUT_OF_MEMORY in str(error):
        return Extraction(fault="memory_limit")
    return Extraction(fault="parser_error", error_type=type(error).__name__)


@cache
def libraries_of(extractor: str) -> tuple[str, ...]:
    """The distributions that an extractor's texts depend on. Raises ConfigError if it does not exist."""
    names: tuple[str, ...] = load(PACKAGE, extractor, "extractor").LIBRARIES
    return names


@cache
def _extractor(name: str) -> Callable[[Utf8, Blocks, Declared], str | None]:
    function: Callable[[Utf8, Blocks, Declared], str | None] = load(PACKAGE, name, "extractor").extract
    return function
