"""Make pipeline/text/language/language_labels.tsv: the ISO 639-3 code and usual script of labels that name no script.

    python -m dev.make_language_labels [--check]

Codes and scripts are those of langcodes (extra `tables`), which has them from the IANA registry and from CLDR's likely
subtags. Listed are all two-letter codes, their three-letter codes, and all other languages of CLDR and labels of
lid.176, as far as their usual script is not Latn: a three-letter code that is not listed is its own code in Latn. The
exceptions are in CODES and SCRIPTS, with their reasons. --check compares with the committed table and writes nothing.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from dev.tables import ROOT, write_or_check

TABLE: Final = ROOT / "pipeline" / "text" / "language" / "language_labels.tsv"
IDENTIFIER: Final = ROOT / "pipeline" / "models" / "lid.176.ftz"
HEAD: Final = """\
# Label of a model, ISO 639-3 code, and the script where the label names none. A three-letter code that is not listed is
# its own code, in Latn. Made by dev/make_language_labels.py.
# Source: langcodes {version} (CLDR likely subtags, IANA registry; Unicode licence), with names of Wikipedia editions
# (als is Alemannic, bh is Bhojpuri, no is Bokmal) and the Chinese, Korean and Nastaliq scripts named as in FineWeb-2.
"""
# Codes that langcodes gives otherwise: lid.176 was trained on Wikipedia, whose editions do not always mean what ISO 639
# does, and macrolanguages have the code of the member that is meant.
CODES: Final = {
    "als": "gsw",  # the Alemannic edition; in ISO 639-3 als is Tosk Albanian, which labels with a script mean
    "bh": "bho",  # the Bhojpuri edition; bih is a collection of languages
    "ku": "kmr",  # Kurmanji; kur is the macrolanguage
    "mo": "ron",  # Moldavian was merged with Romanian in ISO 639
    "no": "nob",  # Bokmal; nor is the macrolanguage
}
# Usual scripts that CLDR does not know; langcodes would say Latn.
SCRIPTS: Final = {
    "azb": "Arab",  # South Azerbaijani
    "xal": "Cyrl",  # Kalmyk
}
AS_SCRIPT: Final = {"Hans": "Hani", "Hant": "Hani", "Kore": "Hang", "Aran": "Arab"}


def script_of(label: str) -> str:
    """The usual script of a language; Latn where nothing is known."""
    from langcodes import Language

    if label in SCRIPTS:
        return SCRIPTS[label]
    script = Language.get(label, normalize=False).maximize().script or "Latn"
    return AS_SCRIPT.get(script, script)


def labels_of_the_identifier() -> set[str]:
    """The labels of lid.176, without fastText's prefix."""
    from fasttext import load_model

    return {label.removeprefix("__label__") for label in load_model(str(IDENTIFIER)).get_labels()}


def rows() -> dict[str, tuple[str, str]]:
    """Code and script by label."""
    from langcodes.data_dicts import LANGUAGE_ALPHA3, LIKELY_SUBTAGS

    known = {*LANGUAGE_ALPHA3, *LIKELY_SUBTAGS, *labels_of_the_identifier()} - {"und"}
    result: dict[str, tuple[str, str]] = {}
    for label in sorted(label for label in known if label.isalpha() and len(label) <= 3):
        script = script_of(label)
        code = CODES.get(label, LANGUAGE_ALPHA3.get(label, label) if len(label) == 2 else label)
        if code != label:
            result[label] = (code, script)
        if script != "Latn":
            result[code] = (code, script)
    return result


def derive() -> str:
    """The text of the table."""
    lines = (f"{label}\t{code}\t{script}\n" for label, (code, script) in sorted(rows().items()))
    return HEAD.format(version=version("langcodes")) + "".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or compare it; the code to exit with."""
    return write_or_check(__doc__, TABLE, derive, arguments)


if __name__ == "__main__":
    sys.exit(main())
