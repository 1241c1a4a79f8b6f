"""From the lines of a text to 64-bit keys, each of which stands for a line and the host whose page the line is on.

What a site prints on all its pages (menus, notices, addresses, "related articles") differs from page to page in case,
spaces and numbers at most, so lines are compared without these. A line without a letter is not compared at all: with
its numbers replaced by 0, every cell of a table of numbers would be the same line.

Limit: a line that a site prints with a name or a month in it is another line each time.
"""

import re

import xxhash

from pipeline.dedup.shingles import fold_text

_DIGITS = re.compile(r"\d+")  # category Nd, the decimal digits of every script
_LETTER = re.compile(r"[^\W\d_]")  # categories L, and the numbers that are no decimal digits


def normalise_lines(text: str) -> list[str]:
    r"""Each line of a text as it is compared, in order; "" for a line without a letter.

    NFC and full case folding; each run of decimal digits of any script becomes one 0, each run of white space one
    space, and none is left at the ends. A line ends at a newline alone.

    >>> normalise_lines("Straße\t 12\n\n* * *\nPage ४२ of 100 ")
    ['strasse 0', '', '', 'page 0 of 0']
    """
    # All lines at once: neither composing nor folding nor a run of digits goes beyond a newline.
    lines = _DIGITS.sub("0", fold_text(text)).split("\n")
    return [" ".join(line.split()) if _LETTER.search(line) else "" for line in lines]


def line_keys(text: str, host: int) -> list[int]:
    """The key of each line of a text, in [1, 2**64), or 0 for a line without a letter.

    XXH64 of the normalised line, with the hash of the host as seed: of two hosts the same line has two keys.

    >>> len({*line_keys("Home", 1), *line_keys("HOME ", 1), *line_keys("Home", 2)})
    2
    """
    hash_of = xxhash.xxh64_intdigest
    return [hash_of(line.encode(), host) or 1 if line else 0 for line in normalise_lines(text)]


def host_key(host: int) -> int:
    """A key that all documents of a host have, so that they are counted as the documents with a line are."""
    return xxhash.xxh64_intdigest(b"", host) or 1


def line_ranges(text: str) -> list[tuple[int, int]]:
    r"""Start and end of each line of a text in code points, its newline included, in the order of `line_keys`.

    >>> line_ranges("ab\n\nc")
    [(0, 3), (3, 4), (4, 5)]
    """
    ranges = []
    start = 0
    for line in text.split("\n"):
        end = min(start + len(line) + 1, len(text))
        ranges.append((start, end))
        start = end
    return ranges
