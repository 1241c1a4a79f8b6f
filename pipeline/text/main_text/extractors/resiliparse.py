"""resiliparse's main content as plain text."""

from pipeline.text.main_text import Blocks, Declared, Utf8

LIBRARIES = ("resiliparse",)


def extract(html: Utf8, page: Blocks, declared: Declared) -> str | None:
    """The page's main content, without alternative texts of images."""
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(str(html, "utf-8"), main_content=True, alt_texts=False, preserve_formatting=True)
    return text
