"""Names of languages and scripts: any model's label to `rus_Cyrl`, and the script that a text is written in.

Takes labels and text, reads two tables beside it (`language_labels.tsv`, `script_ranges.tsv`), loads no
model. Labels are an ISO 639-3 code and an ISO 15924 script, with Hani, Jpan and Hang for Chinese, Japanese
and Korean. Weakness: a script says nothing about the language where many share it, and romanised Hindi is
`hin_Latn` only if the model says Hindi.
"""

from functools import cache
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Members of macro-languages that models name differently, under the code that this project uses for both.
# Where a member differs enough to be told apart in writing (yue, arz, azb, ckb), it keeps its own code.
_MACRO_LANGUAGE: Final = {
    "cmn": "zho", "arb": "ara", "pes": "fas", "zsm": "msa", "swh": "swa", "ekk": "est", "lvs": "lav",
    "als": "sqi", "azj": "aze", "uzn": "uzb", "khk": "mon", "npi": "nep", "ory": "ori", "gaz": "orm",
    "plt": "mlg", "ydd": "yid", "pbt": "pus", "nor": "nob", "kur": "kmr",
}  # fmt: skip
_SCRIPT_NAME: Final = {
    "Hans": "Hani",
    "Hant": "Hani",
    "Kore": "Hang",
    "Aran": "Arab",
    "Hira": "Jpan",
    "Kana": "Jpan",
}
# Languages whose writing includes Han characters: a text measured as Hani (or, for Chinese, Jpan) is no other
# writing.
_WRITTEN_WITH_HAN: Final = {"zho": "Hani", "yue": "Hani", "wuu": "Hani", "jpn": "Jpan", "kor": "Hang"}
_HAN_FAMILY: Final = frozenset({"Hani", "Jpan"})
# Japanese text has some 50 % kana, Chinese text an occasional one in a shop's name.
_KANA_FRACTION_MIN: Final = 0.05


def _table(name: str) -> list[list[str]]:
    text = resources.files("pipeline.text.language").joinpath(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


USUAL_SCRIPT_MIN = 0.1


@cache
def _labels() -> dict[str, tuple[str, str]]:
    return {label: (code, script) for label, code, script in _table("language_labels.tsv")}


@cache
def normalise_label(label: str, script: str | None = None) -> str:
    """The project's label, such as `rus_Cyrl`, for a language label of any fastText model.

    A script in the label wins; else `script`, as measured in the text; else the language's usual one.
    Macro-languages stand for their main member (Norwegian is Bokmal, Standard Arabic and Mandarin are ara and
    zho). An unknown code is kept.

    >>> normalise_label("__label__zh"), normalise_label("__label__fra_Latn"), normalise_label("sr", "Latn")
    ('zho_Hani', 'fra_Latn', 'srp_Latn')
    """
    code, _, named = label.removeprefix("__label__").replace("-", "_").partition("_")
    code = code.lower()
    usual = "Zyyy" if code in {"und", "zxx", "mul", "mis"} else "Latn"
    if named:
        # With a script the code is ISO 639-3 (als is Tosk Albanian); without, a Wikipedia's (als is
        # Alemannic).
        code = _labels().get(code, (code, usual))[0] if len(code) == 2 else code
        chosen = _SCRIPT_NAME.get(named.title(), named.title())
        return f"{_MACRO_LANGUAGE.get(code, code)}_{chosen}"
    code, usual = _labels().get(code, (code, usual))
    code = _MACRO_LANGUAGE.get(code, code)
    measured = _SCRIPT_NAME.get(script, script) if script else usual
    if code in _WRITTEN_WITH_HAN and measured in _HAN_FAMILY:
        measured = _WRITTEN_WITH_HAN[code]
    return f"{code}_{measured}"


@cache
def _script_table() -> tuple[list[str], NDArray[np.uint8]]:
    names = ["Zyyy"]
    numbers = {"Zyyy": 0}
    table = np.zeros(0x110000, np.uint8)  # one byte a code point; 0: common, inherited, not a letter
    for first, last, script in _table("script_ranges.tsv"):
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


def label_for(label: str, fractions: dict[str, float]) -> str:
    """As `normalise_label` with the script measured: the language's usual one where a tenth of the letters is in it.

    A Chinese page about software can have more Latin letters than Han, and is Chinese all the same.

    >>> label_for("__label__zh", {"Hani": 0.3, "Latn": 0.7}), label_for("__label__sr", {"Latn": 1.0})
    ('zho_Hani', 'srp_Latn')
    """
    usual = normalise_label(label)
    script = usual.rpartition("_")[2]
    if fractions.get(script, 0.0) >= USUAL_SCRIPT_MIN:
        return usual
    return normalise_label(label, dominant_script(fractions)[0])
