"""trafilatura's main text, with more precision than recall. The extra `trafilatura` installs it."""

from pipeline.text.main_text import Blocks, Declared, Utf8

LIBRARIES = ("trafilatura",)


def extract(html: Utf8, page: Blocks, declared: Declared) -> str | None:
    """The page's main text without comments; None where trafilatura finds none."""
    import trafilatura

    # deduplicate stays off: it makes a page's text depend on the pages before it
    text: str | None = trafilatura.extract(
        str(html, "utf-8"), favor_precision=True, include_comments=False, deduplicate=False
    )
    return text
