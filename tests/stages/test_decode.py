"""Bytes to text by each way in which an encoding is declared, and by none."""

import codecs
import json
from pathlib import Path

import pytest

from pipeline.text.decode import decode, python_codec

CHARSET = Path(__file__).resolve().parents[3] / "shared" / "data" / "charset"
RUSSIAN = "Привет, мир. Это довольно длинный русский текст, чтобы угадать кодировку. " * 5
JAPANESE = "これは日本語の文章です。文字コードを推定するには十分な長さが必要です。" * 5


def meta(charset: str, text: str) -> str:
    return f'<html><head><meta charset="{charset}"></head><body>{text}</body></html>'


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_goes_before_everything(bom: bytes, encoding: str) -> None:
    page = meta("windows-1251", RUSSIAN)
    assert decode(bom + page.encode(encoding), "text/html; charset=koi8-r") == (page, encoding, "bom")


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("windows-1251", "cp1251"),
        ("KOI8-R", "koi8-r"),
        ('"utf-8"', "utf-8"),
        ("utf-16le", "utf-16-le"),
    ],
)
def test_the_header_goes_before_the_meta_element(label: str, codec: str) -> None:
    page = meta("iso-8859-5", RUSSIAN)
    assert decode(page.encode(codec), f"text/html; charset={label}") == (page, codec, "header")


@pytest.mark.parametrize(
    "start",
    [
        '<meta charset="windows-1251">',
        "<META CHARSET=windows-1251>",
        "<meta http-equiv='Content-Type' content='text/html; charset=windows-1251'>",
        '<?xml version="1.0" encoding="windows-1251"?>',
    ],
)
def test_the_meta_element_or_the_xml_declaration_is_read(start: str) -> None:
    page = start + RUSSIAN
    assert decode(page.encode("cp1251"), "text/html") == (page, "cp1251", "meta")


def test_without_a_declaration_valid_utf_8_is_utf_8() -> None:
    assert decode(RUSSIAN.encode()) == (RUSSIAN, "utf-8", "utf8")


@pytest.mark.parametrize(
    ("text", "codec"),
    [(RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (JAPANESE, "cp932"), (JAPANESE, "euc_jp")],
)
def test_without_a_declaration_other_bytes_are_detected(text: str, codec: str) -> None:
    assert decode(text.encode(codec)) == (text, codec, "detected")


def test_a_header_that_does_not_fit_gives_way_to_the_meta_element() -> None:
    page = meta("windows-1251", RUSSIAN)
    assert decode(page.encode("cp1251"), "text/html; charset=utf-8") == (page, "cp1251", "meta")


def test_an_unknown_label_is_passed_over() -> None:
    page = meta("no-such-charset", RUSSIAN)
    assert decode(page.encode(), "text/html; charset=none") == (page, "utf-8", "utf8")


def test_a_meta_element_cannot_declare_utf_16() -> None:
    page = meta("utf-16", RUSSIAN)
    assert decode(page.encode()) == (page, "utf-8", "meta")


def test_a_stray_bad_byte_does_not_cost_the_declared_encoding() -> None:
    page = meta("utf-8", RUSSIAN)
    text, encoding, source = decode(page.encode() + b"\xff")
    assert (text, encoding, source) == (page + "\N{REPLACEMENT CHARACTER}", "utf-8", "meta")


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("latin1", "cp1252"),
        ("ISO-8859-1", "cp1252"),
        ("ISO-8859-9", "cp1254"),
        ("gb2312", "gb18030"),
        ("GBK", "gb18030"),
        ("Shift_JIS", "cp932"),
        ("euc-kr", "cp949"),
        ("big5", "big5hkscs"),
        ("tis-620", "cp874"),
        ("utf8", "utf-8"),
        ("hex", None),
        ("rot13", None),
        ("", None),
        ("no-such-charset", None),
    ],
)
def test_labels_are_read_as_browsers_read_them(label: str, codec: str | None) -> None:
    assert python_codec(label) == codec


@pytest.mark.skipif(not CHARSET.is_dir(), reason="shared data are absent")
def test_nine_in_ten_files_in_encodings_of_the_web_are_decoded_right() -> None:
    rows = [json.loads(line) for line in (CHARSET / "files.jsonl").read_text(encoding="utf-8").splitlines()]
    # UTF-32, UTF-16 without a mark and ISO-2022-KR are no encodings of the web (WHATWG)
    skipped = ("UTF-16BE", "UTF-16LE", "UTF-32", "iso-2022-kr")
    tried, misses = 0, []
    for row in rows:
        if not row["decodes_strictly"] or row["file"].startswith(skipped):
            continue
        tried += 1
        body = (CHARSET / row["file"]).read_bytes()
        wanted = body.decode(row["encoding"]).lstrip("\ufeff")
        found = (decode(body)[0] or "").lstrip("\ufeff")
        differing = sum(a != b for a, b in zip(found, wanted, strict=False)) + abs(len(found) - len(wanted))
        if differing > 0.003 * len(wanted):  # the web reads some labels otherwise: a dash here and there
            misses.append(row["file"])
    assert tried >= 120
    assert 1 - len(misses) / tried >= 0.9, misses
