"""Bytes to text: BOM, then HTTP header, then meta tag, then valid UTF-8, then detection.

Labels are read as browsers read them (WHATWG: latin-1 means windows-1252, gb2312 means gb18030, ...).
"""

import codecs
import re

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# WHATWG Encoding Standard, "Names and labels": what a label means where it differs from Python's reading of it
WHATWG = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "windows-1252": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "windows-949": "cp949",
    "x-mac-cyrillic": "mac-cyrillic",
    "unicode": "utf-16-le",
    "utf-16": "utf-16-le",
    "iso-8859-8-i": "iso-8859-8",
}
META = re.compile(
    rb"""<meta [^>]{0,1000}? charset \s* = \s* ["']? \s* ([A-Za-z0-9_:.-]{2,40})""",
    re.IGNORECASE | re.VERBOSE,
)
XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]{0,200}? encoding \s* = \s* ["'] ([A-Za-z0-9_:.-]{2,40})""", re.VERBOSE)
CHARSET_PARAMETER = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{2,40})""", re.IGNORECASE)
SNIFFED_BYTES = 4096
DETECTED_BYTES = 65_536
TOLERATED_ERRORS = 0.01


def python_codec(label: str) -> str | None:
    """The codec for a charset label, None when it is unknown or not a text encoding.

    >>> python_codec("ISO-8859-1"), python_codec("no-such-charset")
    ('cp1252', None)
    """
    name = WHATWG.get(label.strip().lower(), label.strip().lower())
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    return info.name if getattr(info, "_is_text_encoding", True) else None


def decode(body: bytes, content_type: str = "") -> tuple[str | None, str | None, str | None]:
    """Text, encoding and where the encoding was found: bom, header, meta, utf8, detected; all None if undecodable.

    A declared encoding that does not fit (over 1 % of the characters cannot be read) gives way to the next source.

    >>> decode("Привет".encode("cp1251"), "text/html; charset=windows-1251")
    ('Привет', 'cp1251', 'header')
    """
    for bom, encoding in BOMS:
        if body.startswith(bom):
            text = body[len(bom) :].decode(encoding, "replace")
            return (text, encoding, "bom") if _fits(text) else (None, None, None)
    for source, encoding in _declared(body, content_type):
        text = body.decode(encoding, "replace")
        if _fits(text):
            return text, encoding, source
    try:
        return body.decode("utf-8"), "utf-8", "utf8"
    except UnicodeDecodeError:
        pass
    return _detect(body)


def _declared(body: bytes, content_type: str) -> list[tuple[str, str]]:
    found = []
    if match := CHARSET_PARAMETER.search(content_type):
        found.append(("header", match[1]))
    head = body[:SNIFFED_BYTES]
    if meta := XML_DECLARATION.search(head) or META.search(head):
        label = meta[1].decode("ascii")
        # a tag that can be read as ASCII is not UTF-16: browsers take UTF-8 then
        found.append(("meta", "utf-8" if label.lower().startswith("utf-16") else label))
    codecs_found = [(source, codec) for source, label in found if (codec := python_codec(label))]
    return [(source, codec) for source, codec in codecs_found if not (codec == "utf-8" and not _is_mostly_utf8(body))]


def _is_mostly_utf8(body: bytes) -> bool:
    return _fits(body.decode("utf-8", "replace"))


def _fits(text: str) -> bool:
    return text.count("\N{REPLACEMENT CHARACTER}") <= TOLERATED_ERRORS * len(text)


def _detect(body: bytes) -> tuple[str | None, str | None, str | None]:
    import cchardet

    label = cchardet.detect(body[:DETECTED_BYTES]).get("encoding")
    codec = python_codec(label) if label else None
    if codec is None:
        return None, None, None
    text = body.decode(codec, "replace")
    return (text, codec, "detected") if _fits(text) else (None, None, None)
