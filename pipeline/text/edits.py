"""What is masked or removed in a text that is kept: takes a text, gives edits and their replacements.

Finding and replacing are apart, so that a manifest can count what was masked. E-mail addresses and public
IPv4 addresses are masked as in FineWeb-2, with three departures: the address must stand alone (FineWeb-2
damages `v1.2.3.4.5`), a number in four parts that looks like that of a section or version is an address only
where its surroundings say so, and a replacement depends on its place in the document alone (FineWeb-2 cycles
over a process, so its result depends on sharding). Not found: names, telephone numbers, IPv6, and addresses
with letters outside ASCII. Footers and stray lines of a script are removed in the manner of CulturaX, which
published neither lengths nor words: those are ours.
"""

import ipaddress
import re
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence

from pipeline.text.characters import TERMINAL

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
_FIRST_DOT = re.compile(r"\.(?=[0-9]{1,3}\.[0-9]{1,3}\.[0-9])")  # of an address; found as fast as any "."
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
_VERSION_COMES = re.compile(
    r"""
    (?: (?: versi | vers\u00e3o | верси | версі ) \w* [^\w\n]{0,2} # the word in many languages
      | (?<! [\w./:@-] ) [a-z]+ /                     # product/version, as a browser names itself (RFC 9110, 10.1.5)
    ) \Z
    """,
    re.VERBOSE | re.IGNORECASE,
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

# Forms that code takes and prose does not: "the function of a document" is no script.
_SCRIPT_FORMS = re.compile(
    r"""
      (?P<definition> \bfunction \s* [A-Za-z0-9_$]* \s* \( )
    | (?P<variable> \b(?: var | let | const ) \s+ [A-Za-z_$][A-Za-z0-9_$]* \s* = )
    | (?P<object> \b(?: window | document | navigator | console | location ) \. [A-Za-z_] )
    | (?P<call> (?: \bgetElementById | \baddEventListener | \bsetTimeout | \bjQuery | \$ ) \s* \( )
    | (?P<comparison> [=!]== )
    | (?P<result> \breturn \s+ (?: true | false | null | this ) \b )
    | (?P<type> \btypeof \s )
    | (?P<end> \} \s* \)? \s* ; )
    """,
    re.VERBOSE | re.ASCII,
)
_FOOTER_LINE = 30  # code points; the length up to which FineWeb calls a line short

Edit = tuple[int, int, str]


def find_footer(text: str) -> list[Edit]:
    r"""The run of short lines at the end of a text, which is a page's footer; at most one edit.

    A line is short with 30 code points or fewer, unless it ends a sentence: thirty Han characters can be one. A
    text of nothing but short lines, such as a poem or a list, has no footer. Source: CulturaX, arXiv:2309.09400.

    >>> find_footer("A line that is longer than thirty code points.\nHome\n\nContact")
    [(46, 60, '')]
    """
    lines = text.split("\n")
    kept = len(lines)
    while kept and _is_footer_line(lines[kept - 1]):
        kept -= 1
    if not kept or not any(line.strip() for line in lines[kept:]):
        return []
    return [(len("\n".join(lines[:kept])), len(text), "")]


def _is_footer_line(line: str) -> bool:
    line = line.strip()
    return not line or (len(line) <= _FOOTER_LINE and line[-1] not in TERMINAL)


def find_script_line(text: str) -> list[Edit]:
    r"""The one line of a text that is JavaScript, by two forms of code; none where there are more such lines.

    More are a text about programming. Source: CulturaX, arXiv:2309.09400.

    >>> find_script_line("one\nvar a = 1; document.write(a)\ntwo")
    [(4, 33, '')]
    """
    code_lines = []
    start = 0
    for line in text.split("\n"):
        if len({match.lastgroup for match in _SCRIPT_FORMS.finditer(line)}) > 1:
            code_lines.append((start, min(start + len(line) + 1, len(text)), ""))
        start += len(line) + 1
    return code_lines if len(code_lines) == 1 else []


def find_bar_lines(text: str) -> list[Edit]:
    """Runs of lines made only of "|" and spaces, the remains of tables, which become one blank line."""
    return [(*match.span(), "") for match in _BAR_LINES.finditer(text)] if "|" in text else []


def find_addresses(text: str) -> list[Edit]:
    """E-mail addresses, but not those of RFC 2606's example domains, and public IPv4 addresses."""
    emails = []
    if "@" in text:
        emails = [match.span() for match in _EMAIL.finditer(text) if not _EXAMPLE.search(match[0])]
    taken = {position for start, end in emails for position in range(start, end)}
    addresses = [
        match.span()
        for match in _find_ips(text)
        if match.start() not in taken and ipaddress.IPv4Address(match[0]).is_global and _is_address(match)
    ]
    edits = [(*edit, EMAIL_REPLACEMENTS[i % len(EMAIL_REPLACEMENTS)]) for i, edit in enumerate(emails)]
    return edits + [(*edit, IP_REPLACEMENTS[i % len(IP_REPLACEMENTS)]) for i, edit in enumerate(addresses)]


def _find_ips(text: str) -> Iterator[re.Match[str]]:
    """As _IP.finditer, which looks at every character; an address begins 1 to 3 characters before its first dot."""
    end = 0
    for dot in _FIRST_DOT.finditer(text):
        for start in range(max(end, dot.start() - 3), dot.start()):
            if match := _IP.match(text, start):
                yield match
                end = match.end()
                break


# What removes most comes first: an edit inside one that is taken is left out.
REFINEMENTS: dict[str, Callable[[str], list[Edit]]] = {
    "footer": find_footer,
    "script_line": find_script_line,
    "bar_lines": find_bar_lines,
    "addresses": find_addresses,
}


def find_edits(text: str, refinements: Sequence[str] = ("addresses", "bar_lines")) -> list[Edit]:
    r"""Edits of a text, as start, end (code points) and replacement; sorted by start, none overlapping.

    With the refinements of FineWeb-2, applying them twice changes nothing more.

    >>> find_edits("to a@b.com from 8.8.8.8")
    [(3, 10, 'email@example.com'), (16, 23, '192.0.2.1')]
    """
    edits: list[Edit] = []
    for name, find in REFINEMENTS.items():
        if name in refinements:
            taken = list(edits)
            edits = sorted([*taken, *(edit for edit in find(text) if _is_apart(edit, taken))])
    return edits


def _is_apart(edit: Edit, taken: list[Edit]) -> bool:
    """Whether an edit overlaps none of others, which are sorted."""
    position = bisect(taken, edit)
    before_ends = taken[position - 1][1] if position else 0
    return before_ends <= edit[0] and (position == len(taken) or edit[1] <= taken[position][0])


def _is_address(match: re.Match[str]) -> bool:
    """Whether a number in four parts is an address, not that of a section (1.3.2.3) or a version (7.0.0.119)."""
    parts = [int(part) for part in match[0].split(".")]
    before = match.string[max(0, match.start() - 48) : match.start()]
    if match[0] in _RESOLVERS or (max(parts) >= _SMALL and parts.count(0) < 2):
        return not _VERSION_COMES.search(before) or bool(_ADDRESS_COMES.search(before))
    return bool(_ADDRESS_COMES.search(before) or _ADDRESS_WAS.match(match.string, match.end()))


def with_removed(edits: list[Edit], removed: list[tuple[int, int]]) -> list[Edit]:
    """Edits to apply and pieces of text to take out, each sorted and apart, as edits that are sorted and apart.

    What overlaps a piece that is taken out goes with it, replacement and all.

    >>> with_removed([(0, 2, "X"), (5, 6, "Y")], [(4, 8), (8, 9)])
    [(0, 2, 'X'), (4, 8, ''), (8, 9, '')]
    """
    merged: list[Edit] = []
    for start, end, replacement in sorted([*edits, *((start, end, "") for start, end in removed)]):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), "")
        else:
            merged.append((start, end, replacement))
    return merged


def apply_edits(text: str, edits: list[Edit]) -> str:
    """The text with each edit replaced; raises ValueError unless edits are sorted, apart and inside the text.

    >>> apply_edits("abcd", [(1, 3, "X")])
    'aXd'
    """
    pieces = []
    position = 0
    for start, end, replacement in edits:
        if not position <= start <= end <= len(text):
            raise ValueError(f"edit ({start}, {end}) overlaps another or leaves the text")
        pieces += [text[position:start], replacement]
        position = end
    pieces.append(text[position:])
    return "".join(pieces)
