"""What the scripts that make the package's tables share: rows for ranges of code points, a file written or compared."""

import argparse
import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_LINES_SHOWN: Final = 20


def ranges(names: Iterable[tuple[int, str]]) -> Iterator[str]:
    r"""Rows `first<TAB>last<TAB>name` for each run of consecutive code points with the same name; takes rising ones.

    >>> list(ranges([(0x41, "Latn"), (0x42, "Latn"), (0x44, "Latn"), (0x45, "Grek")]))
    ['0041\t0042\tLatn', '0044\t0044\tLatn', '0045\t0045\tGrek']
    """
    first = last = -2
    current = ""
    for code_point, name in names:
        if (code_point, name) != (last + 1, current):
            if current:
                yield f"{first:04X}\t{last:04X}\t{current}"
            first, current = code_point, name
        last = code_point
    if current:
        yield f"{first:04X}\t{last:04X}\t{current}"


def write_or_check(
    description: str | None, table: Path, derive: Callable[[], str], arguments: Sequence[str] | None = None
) -> int:
    """Write what `derive` gives to `table`, or with --check print how the table differs; the code to exit with.

    It is 0, or 1 where --check finds a difference.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed table and write nothing")
    check: bool = parser.parse_args(arguments).check
    text = derive()
    if not check:
        table.write_text(text, encoding="utf-8")
        print(f"{table.name}: {text.count(chr(10))} lines written")
        return 0
    committed = table.read_text(encoding="utf-8").splitlines()
    lines = list(difflib.unified_diff(committed, text.splitlines(), "committed", "derived", n=0, lineterm=""))
    for line in lines[:_LINES_SHOWN]:
        print(line)
    if len(lines) > _LINES_SHOWN:
        print(f"... and {len(lines) - _LINES_SHOWN} more lines of difference")
    print(f"{table.name}: {'differs' if lines else 'the committed table is what is derived'}")
    return int(bool(lines))
