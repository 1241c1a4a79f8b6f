"""What is masked or removed in a text that is kept: takes a text, gives spans and their replacements.

Finding and replacing are apart, so that a manifest can count what was masked. E-mail addresses and public
IPv4 addresses are masked as in FineWeb-2, with three departures: the address must stand alone (FineWeb-2
damages `v1.2.3.4.5`), a number in four parts that looks like that of a section or version is an address only
where its surroundings say so, and a replacement depends on its place in the document alone (FineWeb-2 cycles
over a process, so its result depends on sharding). Not found: names, telephone numbers, IPv6, and addresses
with letters outside ASCII.
"""

import ipaddress
import re

EMAIL_REPLACEMENTS = ("email@example.com", "firstname.lastname@example.org")  # RFC 2606; FineWeb-2's
# RFC 5737, reserved for documentation; FineWeb-2 uses routable addresses that belong to somebody.
IP_REPLACEMENTS = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "192.0.2.2", "198.51.100.2", "203.0.113.2")

# Classes name ASCII explicitly: \b and \w would see no boundary between a Han or Thai letter and an address.
_OCTET = r"(?: 25[0-5] | 2[0-4][0-9] | 1[0-9][0-9] | [1-9]?[0-9] )"
_ADDRESS = rf"{_OCTET} (?: \.{_OCTET} ){{3}}"
_ATOM = r"[A-Za-z0-9_+%&~-]"
_LABEL = r"[A-Za-z0-9] (?: [A-Za-z0-9-]{0,61} [A-Za-z0-9] )?"
_EMAIL = re.compile(
    rf"""
    (?<! {_ATOM} )                                    # begins where an atom begins
    (?= [A-Za-z0-9_+%&~.-]{{1,64}} @ )                # RFC 5321 length; bounds the work a start can cause
    {_ATOM}+ (?: \.{_ATOM}+ )* @                      # local part
    (?:
      (?: {_LABEL} \. ){{1,8}}                        # domain
      (?: [A-Za-z]{{2,24}} | xn--[A-Za-z0-9-]{{2,59}} )
      (?! [A-Za-z0-9_-] )                             # the last label is whole
    | \[ {_ADDRESS} \]                                # address literal
    )
    """,
    re.VERBOSE,
)
_IP = re.compile(
    rf"""
    (?<! [A-Za-z0-9_] ) (?<! [A-Za-z0-9_]\. )         # not inside a word, number or longer dotted number
    {_ADDRESS}
    (?! [A-Za-z0-9_] | \.[0-9] )
    """,
    re.VERBOSE,
)
# Sections and versions are counted from 0 or 1: all parts small, or several 0. Of all addresses 3 in 10,000 are so.
_SMALL = 32
_RESOLVERS = frozenset({"8.8.8.8", "8.8.4.4", "9.9.9.9"})  # well known as addresses
_ADDRESS_COMES = re.compile(
    r"""
    (?: ://                                           # part of a URL
      | @
      | (?<! [A-Za-z] ) [Ii][Pp] (?: [Vv]?4 )? (?! [A-Za-z0-9] )    # most scripts write IP in these letters;
        [^0-9()\[\].;\n]{0,32}                        # "address", "-", ":" and the like may follow, in any language
    ) \Z
    """,
    re.VERBOSE,
)
_ADDRESS_WAS = re.compile(r"(?: :[0-9]{2,5} | /[0-9]{1,2} ) (?! [0-9] )", re.VERBOSE)  # port or length of prefix
_EXAMPLE = re.compile(r"@(?:[A-Za-z0-9-]+\.)*example\.(?:com|net|org)\Z", re.IGNORECASE)
_BAR_LINES = re.compile(
    r"""
    ^ [ \t]* \| [ |\t]*                               # a line of bars and spaces, with at least one bar
    (?: \n [ \t]* \| [ |\t]* )*                       # and those that follow it
    $
    """,
    re.VERBOSE | re.MULTILINE,
)

Span = tuple[int, int, str]


def find_spans(text: str) -> list[Span]:
    r"""Spans to replace, as start, end (code points) and replacement; sorted by start, none overlapping.

    E-mail addresses, but not those of RFC 2606's example domains; public IPv4 addresses; runs of lines made
    only of "|" and spaces (the remains of tables), which become one blank line. Splicing them twice changes
    nothing more.

    >>> find_spans("to a@b.com from 8.8.8.8")
    [(3, 10, 'email@example.com'), (16, 23, '192.0.2.1')]
    """
    emails = []
    if "@" in text:
        emails = [match.span() for match in _EMAIL.finditer(text) if not _EXAMPLE.search(match[0])]
    taken = {position for start, end in emails for position in range(start, end)}
    addresses = [
        match.span()
        for match in _IP.finditer(text)
        if match.start() not in taken and ipaddress.IPv4Address(match[0]).is_global and _is_address(match)
    ]
    spans = [(*span, EMAIL_REPLACEMENTS[i % len(EMAIL_REPLACEMENTS)]) for i, span in enumerate(emails)]
    spans += [(*span, IP_REPLACEMENTS[i % len(IP_REPLACEMENTS)]) for i, span in enumerate(addresses)]
    if "|" in text:
        spans += [(*match.span(), "") for match in _BAR_LINES.finditer(text)]
    return sorted(spans)


def _is_address(match: re.Match[str]) -> bool:
    """Whether a number in four parts is an address, not that of a section (1.3.2.3) or a version (7.0.0.119)."""
    parts = [int(part) for part in match[0].split(".")]
    if (max(parts) >= _SMALL and parts.count(0) < 2) or match[0] in _RESOLVERS:
        return True
    before = match.string[max(0, match.start() - 48) : match.start()]
    return bool(_ADDRESS_COMES.search(before) or _ADDRESS_WAS.match(match.string, match.end()))


def splice(text: str, spans: list[Span]) -> str:
    """The text with each span replaced; raises ValueError unless spans are sorted, apart and inside the text.

    >>> splice("abcd", [(1, 3, "X")])
    'aXd'
    """
    pieces = []
    position = 0
    for start, end, replacement in spans:
        if not position <= start <= end <= len(text):
            raise ValueError(f"span ({start}, {end}) overlaps another or leaves the text")
        pieces += [text[position:start], replacement]
        position = end
    pieces.append(text[position:])
    return "".join(pieces)
