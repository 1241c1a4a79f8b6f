"""Bytes to text: BOM, then escape sequences, then HTTP header, then meta tag, then valid UTF-8, then detection.

ISO-2022 and HZ write Japanese, Korean and Chinese in ASCII bytes between escape sequences. Read in any other encoding
such a page is valid and garbage, so the sequences, which HTML has no use for, go before what the page is said to be.

Labels are read as browsers read them (WHATWG: latin-1 means windows-1252, gb2312 means gb18030, ...). Other than they
do, a page that is valid UTF-8 beyond chance is not read in the legacy encoding that it is said to have.
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
# Python's text encodings for host names, for escapes in source code and for tests, which are not encodings of the
# web. Some of them raise an error on bytes that they cannot read although they are asked to replace those.
NOT_OF_THE_WEB = frozenset(("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"))
META = re.compile(
    rb"""<meta [^>]{0,1000}? charset \s* = \s* ["']? \s* ([A-Za-z0-9_:.-]{2,40})""",
    re.IGNORECASE | re.VERBOSE,
)
XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]{0,200}? encoding \s* = \s* ["'] ([A-Za-z0-9_:.-]{2,40})""", re.VERBOSE)
CHARSET_PARAMETER = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{2,40})""", re.IGNORECASE)
ESCAPES = re.compile(
    rb"""
    (?P<iso2022_kr> \x1b \$ \) C )                               # KS X 1001 will follow
    | (?P<iso2022_jp> \x1b (?: \$ [@B] | \$ \( D | \( I ) )       # JIS X 0208, JIS X 0212, half-width kana
    | (?P<hz> ~ \{ (?: [\x21-\x77] [\x21-\x7e] )+ ~ \} )         # RFC 1843: GB 2312
    """,
    re.VERBOSE,
)
JAPANESE_ESCAPES = re.compile(rb"\x1b(\([BJI]|\$[@B]|\$\(D)")
SNIFFED_BYTES = 4096
DETECTED_BYTES = 65_536
CHECKED_BYTES = 16_384  # more than a character has, so that each piece holds one at least
TOLERATED_ERRORS = 0.01
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Different characters beyond ASCII in a page that is valid UTF-8 as a whole, from which that is no chance. Of common
# Chinese characters in GBK one in eight looks like a character in UTF-8, of letters in other encodings fewer do.
CERTAIN_UTF8 = 4


def python_codec(label: str) -> str | None:
    """The codec for a charset label, None when it is unknown or not a text encoding of the web.

    >>> python_codec("ISO-8859-1"), python_codec("no-such-charset")
    ('cp1252', None)
    """
    name = WHATWG.get(label.strip().lower(), label.strip().lower())
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    is_text_encoding = getattr(info, "_is_text_encoding", True) and info.name not in NOT_OF_THE_WEB
    return info.name if is_text_encoding else None


def decode(body: bytes, content_type: str = "") -> tuple[str | None, str | None, str | None]:
    """Text, encoding and where the encoding was found, as `to_utf8` finds them.

    >>> decode("Привет".encode("cp1251"), "text/html; charset=windows-1251")
    ('Привет', 'cp1251', 'header')
    """
    page, encoding, source = to_utf8(body, content_type)
    return None if page is None else page.decode(), encoding, source


def to_utf8(body: bytes, content_type: str = "") -> tuple[bytes | None, str | None, str | None]:
    """A page as valid UTF-8, its encoding and where that was found; all None if undecodable.

    Found in: bom, header, meta, utf8, detected. A declared encoding that does not fit (over 1 % of the characters
    cannot be read) gives way to the next source, a legacy one also to UTF-8 beyond chance. What cannot be read becomes
    U+FFFD. A body that is valid UTF-8 is returned as it is.
    """
    for bom, encoding in BOMS:
        if body.startswith(bom):
            page = _read(body[len(bom) :], encoding)
            return (None, None, None) if page is None else (page, encoding, "bom")
    declared = _declared(body, content_type)
    if escaped := _decode_escaped(body):
        text, encoding = escaped
        encoding_source = next((source for source, codec in declared if codec == encoding), "detected")
        return text.encode("utf-8", "replace"), encoding, encoding_source
    for source, encoding in declared:
        if not encoding.startswith("utf") and _is_certainly_utf8(body):
            return body, "utf-8", "utf8"
        if (page := _read(body, encoding)) is not None:
            return page, encoding, source
    if _is_utf8(body):
        return body, "utf-8", "utf8"
    return _detect(body)


def _is_utf8(body: bytes) -> bool:
    """Whether a body is valid UTF-8, read piece by piece: the string of a whole page takes longer to be laid out."""
    if body.isascii():
        return True
    view, position = memoryview(body), 0
    try:
        while position < len(body):
            end = position + CHECKED_BYTES
            position += codecs.utf_8_decode(view[position:end], "strict", end >= len(body))[1]
    except UnicodeDecodeError:
        return False
    return True


def _is_certainly_utf8(body: bytes) -> bool:
    """Whether a body is valid UTF-8 with so many different characters beyond ASCII that it cannot be by chance."""
    if body.isascii() or not _is_utf8(body):
        return False
    return sum(character > "\x7f" for character in set(body.decode())) >= CERTAIN_UTF8


def _read(body: bytes, encoding: str) -> bytes | None:
    """A body as UTF-8, None where the encoding does not fit."""
    if encoding == "utf-8" and _is_utf8(body):
        # That the page itself has: one byte is sought faster than three, and few pages have its first.
        replaced = REPLACEMENT.encode()[:1] in body and REPLACEMENT.encode() in body
        return body if not replaced or _fits(body.decode()) else None
    text = body.decode(encoding, "replace")
    return text.encode("utf-8", "replace") if _fits(text) else None  # UTF-7 can name half a surrogate pair


def _decode_escaped(body: bytes) -> tuple[str, str] | None:
    """Text and encoding of a page in ISO-2022-JP, ISO-2022-KR or HZ, None for any other."""
    if b"\x1b" not in body and not (body.isascii() and b"~{" in body):
        return None
    if not (match := ESCAPES.search(body)):
        return None
    encoding = str(match.lastgroup)
    if encoding == "hz" and not body.isascii():
        return None
    text = _decode_japanese(body) if encoding == "iso2022_jp" else body.decode(encoding, "replace")
    return (text, encoding) if _fits(text) else None


def _decode_japanese(body: bytes) -> str:
    """ISO-2022-JP as on the web: with half-width kana and the circled numbers of NEC, which Python's codec refuses."""
    first, *parts = JAPANESE_ESCAPES.split(body)
    pieces = [first.decode("ascii", "replace")]
    for escape, run in zip(parts[::2], parts[1::2], strict=True):
        high = bytes(byte | 0x80 if 0x20 < byte < 0x7F else byte for byte in run)
        if escape in (b"(B", b"(J"):
            pieces.append(run.decode("ascii", "replace"))
        elif escape == b"(I":
            pieces.append(high.decode("cp932", "replace"))
        elif escape == b"$(D":
            pieces.append(re.sub(rb"[\xa1-\xfe]{2}", lambda pair: b"\x8f" + pair[0], high).decode("euc_jp", "replace"))
        else:
            pieces.append(high.decode("euc_jis_2004", "replace"))
    return "".join(pieces)


def _declared(body: bytes, content_type: str) -> list[tuple[str, str]]:
    labels = []
    if match := CHARSET_PARAMETER.search(content_type):
        labels.append(("header", match[1]))
    head = body[:SNIFFED_BYTES]
    if meta := XML_DECLARATION.search(head) or META.search(head):
        label = meta[1].decode("ascii")
        # a tag that can be read as ASCII is not UTF-16: browsers take UTF-8 then
        labels.append(("meta", "utf-8" if label.lower().startswith("utf-16") else label))
    return [(source, codec) for source, label in labels if (codec := python_codec(label))]


def _fits(text: str) -> bool:
    return text.count(REPLACEMENT) <= TOLERATED_ERRORS * len(text)


def _detect(body: bytes) -> tuple[bytes | None, str | None, str | None]:
    import cchardet

    label = cchardet.detect(body[:DETECTED_BYTES]).get("encoding")
    codec = python_codec(label) if label else None
    page = _read(body, codec) if codec else None
    return (None, None, None) if page is None else (page, codec, "detected")
