"""Which script a text is written in, by the scripts of its letters."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.language.tables import read_table

SCRIPT_NAME: Final = {
    "Hans": "Hani",
    "Hant": "Hani",
    "Kore": "Hang",
    "Aran": "Arab",
    "Hira": "Jpan",
    "Kana": "Jpan",
}
# Languages whose writing includes Han characters: a text measured as Hani (or, for Chinese, Jpan) is no other
# writing.
WRITTEN_WITH_HAN: Final = {"zho": "Hani", "yue": "Hani", "wuu": "Hani", "jpn": "Jpan", "kor": "Hang"}
HAN_FAMILY: Final = frozenset({"Hani", "Jpan"})
# Japanese text has some 50 % kana, Chinese text an occasional one in a shop's name.
_KANA_FRACTION_MIN: Final = 0.05


@cache
def _script_table() -> tuple[list[str], NDArray[np.uint8]]:
    names = ["Zyyy"]
    numbers = {"Zyyy": 0}
    table = np.zeros(0x110000, np.uint8)  # one byte a code point; 0: common, inherited, not a letter
    for first, last, script in read_table("script_ranges.tsv"):
        if script not in numbers:
            numbers[script] = len(names)
            names.append(script)
        table[int(first, 16) : int(last, 16) + 1] = numbers[script]
    return names, table


def measure_script(text: str) -> tuple[str | None, float]:
    """Script that most letters and marks of a text are in, and their fraction of those.

    Without letters (None, 0.0). Han characters and kana are one script, Jpan, when kana are at least 5 % of
    them. The fraction is in [0,
    1], rounded to four places. Equal counts go to the script that comes first in the alphabet.

    >>> measure_script("Hello, 42!"), measure_script("42")
    (('Latn', 1.0), (None, 0.0))
    """
    return dominant_script(script_fractions(text))


def dominant_script(fractions: dict[str, float]) -> tuple[str | None, float]:
    """The script with the largest fraction, and that fraction; (None, 0.0) for no letters.

    >>> dominant_script({"Cyrl": 0.5, "Latn": 0.5})
    ('Cyrl', 0.5)
    """
    if not fractions:
        return None, 0.0
    script = min(fractions, key=lambda name: (-fractions[name], name))
    return script, fractions[script]


def script_fractions(text: str) -> dict[str, float]:
    """Fraction of letters and marks in each script of a text, rounded to four places; see measure_script.

    >>> script_fractions("ab \N{CYRILLIC SMALL LETTER A}\N{CYRILLIC SMALL LETTER BE}")
    {'Cyrl': 0.5, 'Latn': 0.5}
    """
    names, table = _script_table()
    code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)  # (n_characters,)
    counted = np.bincount(table[code_points], minlength=len(names))
    counts = {names[i]: int(counted[i]) for i in counted.nonzero()[0].tolist() if i}
    total = sum(counts.values())
    kana = counts.pop("Hira", 0) + counts.pop("Kana", 0)
    han = counts.pop("Hani", 0)
    if kana and kana >= _KANA_FRACTION_MIN * (han + kana):
        counts["Jpan"] = han + kana
    elif han:
        counts["Hani"] = han
        if kana:
            counts["Jpan"] = kana
    return {name: round(counts[name] / total, 4) for name in sorted(counts)}
