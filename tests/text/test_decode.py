"""Bytes to text by each way in which an encoding is declared, and by none."""

import codecs
import json
from pathlib import Path

import pytest

from pipeline.text.decode import CHECKED_BYTES, decode, python_codec, to_utf8

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


KOREAN = "이것은 한국어 문장입니다. 문자 부호를 알아내기에 충분히 깁니다. " * 5
CHINESE = "这是一个中文句子。它够长，可以认出编码。" * 5


@pytest.mark.parametrize(
    ("text", "codec"), [(JAPANESE, "iso2022_jp"), (KOREAN, "iso2022_kr"), (CHINESE, "hz"), (f"Plain, {CHINESE}", "hz")]
)
@pytest.mark.parametrize(
    ("declared", "content_type"),
    [("", ""), ("", "text/html; charset=utf-8"), ("", "text/html; charset=iso-8859-1"), ("gb2312", ""), ("utf-8", "")],
)
def test_escape_sequences_go_before_what_the_page_is_said_to_be(
    text: str, codec: str, declared: str, content_type: str
) -> None:
    page = meta(declared, text) if declared else text
    assert decode(page.encode(codec), content_type) == (page, codec, "detected")


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [(JAPANESE, "iso2022_jp", "ISO-2022-JP"), (KOREAN, "iso2022_kr", "iso-2022-kr"), (CHINESE, "hz", "HZ-GB-2312")],
)
def test_declared_encodings_with_escape_sequences_name_their_source(text: str, codec: str, label: str) -> None:
    page = meta(label, text)
    assert decode(page.encode(codec)) == (page, codec, "meta")
    assert decode(text.encode(codec), f"text/html; charset={label}") == (text, codec, "header")


def test_japanese_with_half_width_kana_circled_numbers_and_jis_x_0212_is_read_as_browsers_do() -> None:
    kana = "\N{HALFWIDTH KATAKANA LETTER A}\N{HALFWIDTH KATAKANA LETTER I}"
    body = JAPANESE.encode("iso2022_jp") + b" \x1b(I12\x1b$B-!\x1b$(D0!\x1b(B. End"
    assert decode(body) == (f"{JAPANESE} {kana}\N{CIRCLED DIGIT ONE}\u4e02. End", "iso2022_jp", "detected")


@pytest.mark.parametrize(
    "text",
    [
        "Colours \x1b[31mred\x1b[0m in a log",
        "x = ~{a}; // ~}",
        "~/bin ~{}~",
        RUSSIAN + "~{VPND~}",
        "ESC $B alone: \x1b",
    ],
)
def test_what_only_looks_like_an_escape_sequence_is_left_alone(text: str) -> None:
    assert decode(text.encode()) == (text, "utf-8", "utf8")


@pytest.mark.parametrize("length", range(CHECKED_BYTES - 5, CHECKED_BYTES + 5))
def test_characters_lie_across_the_pieces_in_which_utf_8_is_checked(length: int) -> None:
    page = "\N{CYRILLIC SMALL LETTER A}" + "a" * (length - 2) + "\N{SNOWMAN}\N{PILE OF POO}"
    body = page.encode()
    assert to_utf8(body) == (body, "utf-8", "utf8")
    for broken in (
        body[:-1],
        body + b"\xf0\x9f",
        body + b"\x80",
        body[:-4] + b"\xed\xa0\x80",
        body.replace(b"\x98", b""),
    ):
        assert to_utf8(broken)[1:] != ("utf-8", "utf8")


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
        ("idna", None),
        ("unicode_escape", None),
        ("", None),
        ("no-such-charset", None),
    ],
)
def test_labels_are_read_as_browsers_read_them(label: str, codec: str | None) -> None:
    assert python_codec(label) == codec


@pytest.mark.skipif(not CHARSET.is_dir(), reason="shared data are absent")
def test_nine_in_ten_files_in_encodings_of_the_web_are_decoded_right() -> None:
    rows = [json.loads(line) for line in (CHARSET / "files.jsonl").read_text(encoding="utf-8").splitlines()]
    # UTF-32 and UTF-16 without a mark are no encodings of the web (WHATWG)
    skipped = ("UTF-16BE", "UTF-16LE", "UTF-32")
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


@pytest.mark.parametrize("label", ["windows-1251", "gbk", "gb2312", "iso-8859-1", "shift_jis", "windows-874"])
@pytest.mark.parametrize("text", [RUSSIAN, CHINESE, "Überzeugung für Bücher, größer, Äpfel"])
def test_a_page_of_valid_utf_8_is_not_read_in_the_legacy_encoding_that_it_is_said_to_have(
    label: str, text: str
) -> None:
    page = meta(label, text)
    assert decode(page.encode()) == (page, "utf-8", "utf8")
    assert decode(text.encode(), f"text/html; charset={label}") == (text, "utf-8", "utf8")


GREEK = "Αυτό είναι ένα ελληνικό κείμενο. " * 3
THAI = "นี่คือข้อความภาษาไทยที่ยาวพอสมควร " * 3
ARABIC = "هذا نص عربي طويل بما فيه الكفاية. " * 3
HEBREW = "זהו טקסט עברי ארוך מספיק. " * 3


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (CHINESE, "gb18030", "gbk"),
        ("联通", "gb18030", "gb2312"),  # the characters that Notepad took for UTF-8
        ("這是一個中文句子。", "big5hkscs", "big5"),
        (JAPANESE, "cp932", "shift_jis"),
        (JAPANESE, "euc_jp", "euc-jp"),
        (KOREAN, "cp949", "euc-kr"),
        (THAI, "cp874", "windows-874"),
        (GREEK, "cp1253", "windows-1253"),
        (ARABIC, "cp1256", "windows-1256"),
        (HEBREW, "cp1255", "windows-1255"),
        ("Où est le café ? À Noël.", "cp1252", "iso-8859-1"),
        ("NESCAFÉ® and RÉSUMÉ® and NESCAFÉ®", "cp1252", "iso-8859-1"),  # each pair is one character in UTF-8
        ("Plain text.", "cp1252", "iso-8859-1"),
    ],
)
def test_genuine_legacy_pages_are_read_as_they_are_said_to_be(text: str, codec: str, label: str) -> None:
    assert decode(text.encode(codec), f"text/html; charset={label}") == (text, codec, "header")


@pytest.mark.skipif(not CHARSET.is_dir(), reason="shared data are absent")
def test_no_real_file_in_a_legacy_encoding_is_taken_for_utf_8_when_its_encoding_is_declared() -> None:
    rows = [json.loads(line) for line in (CHARSET / "files.jsonl").read_text(encoding="utf-8").splitlines()]
    taken, tried = [], 0
    for row in rows:
        codec = python_codec(row["encoding"])
        if not row["decodes_strictly"] or codec is None or codec.startswith(("utf", "iso2022", "ascii")):
            continue
        tried += 1
        if decode((CHARSET / row["file"]).read_bytes(), f"text/html; charset={row['encoding']}")[1] == "utf-8":
            taken.append(row["file"])
    assert tried >= 90
    assert taken == []
