"""Make pipeline/text/language/script_ranges.tsv: the script of each letter and mark, as ranges of code points.

    python -m dev.make_script_ranges [--check]

A code point is listed when Unicode gives it a category L* or M* and a script that is neither Common nor Inherited. The
script is that of fontTools.unicodedata (extra `tables`), the category that of Python's own unicodedata, which must be
Unicode 14.0, as in Python 3.11: letters that later versions added would change the fractions of scripts, and with them
labels and rules. --check compares with the committed table and writes nothing.
"""

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from dev.tables import ROOT, ranges, write_or_check

TABLE: Final = ROOT / "pipeline" / "text" / "language" / "script_ranges.tsv"
UNICODE: Final = "14.0.0"
NO_SCRIPT: Final = frozenset({"Zyyy", "Zinh", "Zzzz"})  # Common, Inherited, unknown
AS_SCRIPT: Final = {"Bopo": "Hani"}  # Bopomofo stands beside Han characters and is no writing of its own
HEAD: Final = """\
# Letters and marks by script: first and last code point, ISO 15924 code. Bopomofo counts as Hani.
# Made by dev/make_script_ranges.py: letters and marks of Unicode 14.0.
# Source: Unicode Character Database, Scripts.txt, as in fontTools.unicodedata; Unicode licence.
"""


def scripts() -> Iterator[tuple[int, str]]:
    """Code point and script of each letter and mark that has one."""
    from fontTools.unicodedata import script

    for code_point in range(sys.maxunicode + 1):
        character = chr(code_point)
        if unicodedata.category(character)[0] in "LM" and (name := script(character)) not in NO_SCRIPT:
            yield code_point, AS_SCRIPT.get(name, name)


def derive() -> str:
    """The text of the table."""
    if unicodedata.unidata_version != UNICODE:
        raise SystemExit(f"the table has Unicode {UNICODE}, this Python {unicodedata.unidata_version}: use Python 3.11")
    return HEAD + "".join(f"{row}\n" for row in ranges(scripts()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or compare it; the code to exit with."""
    return write_or_check(__doc__, TABLE, derive, arguments)


if __name__ == "__main__":
    sys.exit(main())
