"""Pages as their sender has them: strings and bytes in any encoding give a text or a named fault, never garbage."""

import mmap

import pytest

from pipeline.registry import names_of
from pipeline.text.main_text.extractors import PACKAGE, extract, extract_utf8

TEXT = "Die Männer gingen über die große Brücke, und die Mädchen hörten die Glocken läuten. Später kamen die Gäste."
PAGE = f"<html><body><article><p>{TEXT}</p></article></body></html>"
DECLARED = '<meta charset="{}">' + PAGE


@pytest.mark.parametrize("extractor", names_of(PACKAGE))
@pytest.mark.parametrize(
    "page",
    [
        b"\xff\xfe" + PAGE.encode("utf-16-le"),
        b"\xfe\xff" + PAGE.encode("utf-16-be"),
        b"\xef\xbb\xbf" + PAGE.encode(),
        PAGE.encode(),
        PAGE.encode("latin-1"),  # that it is so is not said, and has to be detected
        DECLARED.format("iso-8859-1").encode("latin-1"),
        DECLARED.format("windows-1252").encode(),  # UTF-8 beyond chance, whatever it says
    ],
    ids=["UTF-16 LE", "UTF-16 BE", "BOM", "UTF-8", "Latin 1, undeclared", "Latin 1", "UTF-8, said to be windows-1252"],
)
def test_bytes_in_any_encoding_give_the_same_text(page: bytes, extractor: str) -> None:
    if extractor == "trafilatura":
        pytest.importorskip("trafilatura")
    assert extract(page, extractor).text == TEXT
    assert extract(memoryview(page), extractor) == extract(bytearray(page), extractor) == extract(page, extractor)


def test_a_byte_that_is_no_character_becomes_the_replacement_character() -> None:
    page = DECLARED.format("utf-8").encode().replace(b"Glocken", b"Glo\xffcken")
    assert extract(page).text == TEXT.replace("Glocken", "Glo\N{REPLACEMENT CHARACTER}cken")


@pytest.mark.parametrize("page", [b"\xff", bytes(range(256)) * 20])
def test_bytes_in_no_encoding_are_undecodable(page: bytes) -> None:
    extraction = extract(page)
    assert (extraction.text, extraction.fault, extraction.metadata) == (None, "undecodable", extract("").metadata)


@pytest.mark.parametrize("label", ["idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"])
def test_an_encoding_that_is_none_of_the_webs_is_passed_over(label: str) -> None:
    assert extract(DECLARED.format(label).encode()).text == TEXT


def test_half_a_surrogate_pair_is_a_named_fault() -> None:
    assert extract("<p>\ud83d")[1::2] == ("parser_error", "UnicodeEncodeError")


def test_a_page_in_shared_memory_that_is_known_to_be_utf_8_is_read_where_it_lies() -> None:
    with mmap.mmap(-1, 4096) as memory:
        source = DECLARED.format("windows-1251").encode()  # as decoded: what it once was is of no account
        memory[: len(source)] = source
        view = memoryview(memory)[: len(source)]
        assert extract_utf8(view) == extract(DECLARED.format("windows-1251"))
        view.release()
