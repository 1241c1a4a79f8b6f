"""Names of languages and scripts: any model's label to `rus_Cyrl`, and the script that a text is written in.

Takes labels and text, reads two tables beside it (`language_labels.tsv`, `script_ranges.tsv`), loads no
model. Labels are an ISO 639-3 code and an ISO 15924 script, with Hani, Jpan and Hang for Chinese, Japanese
and Korean. Weakness: a script says nothing about the language where many share it, and romanised Hindi is
`hin_Latn` only if the model says Hindi.
"""

from functools import cache
from typing import Final

from pipeline.text.language.scripts import HAN_FAMILY, SCRIPT_NAME, WRITTEN_WITH_HAN, dominant_script
from pipeline.text.language.tables import read_table

# Members of macro-languages that models name differently, under the code that this project uses for both.
# Where a member differs enough to be told apart in writing (yue, arz, azb, ckb), it keeps its own code.
_MACRO_LANGUAGE: Final = {
    "cmn": "zho", "arb": "ara", "pes": "fas", "zsm": "msa", "swh": "swa", "ekk": "est", "lvs": "lav",
    "als": "sqi", "azj": "aze", "uzn": "uzb", "khk": "mon", "npi": "nep", "ory": "ori", "gaz": "orm",
    "plt": "mlg", "ydd": "yid", "pbt": "pus", "nor": "nob", "kur": "kmr",
}  # fmt: skip


USUAL_SCRIPT_MIN = 0.1


@cache
def _labels() -> dict[str, tuple[str, str]]:
    return {label: (code, script) for label, code, script in read_table("language_labels.tsv")}


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
        chosen = SCRIPT_NAME.get(named.title(), named.title())
        return f"{_MACRO_LANGUAGE.get(code, code)}_{chosen}"
    code, usual = _labels().get(code, (code, usual))
    code = _MACRO_LANGUAGE.get(code, code)
    measured = SCRIPT_NAME.get(script, script) if script else usual
    if code in WRITTEN_WITH_HAN and measured in HAN_FAMILY:
        measured = WRITTEN_WITH_HAN[code]
    return f"{code}_{measured}"


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
