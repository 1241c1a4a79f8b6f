"""Our rules for word boundaries against ICU itself: every code point, any mixture of classes, real texts."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from icu4py.breakers import WordBreaker
from icu4py.locale import Locale

from pipeline.text.words.word_break import _CLASSES, _classes, find_breaks

UDHR = Path(__file__).parents[4] / "shared" / "data" / "udhr" / "udhr.jsonl.gz"
OF_CLASS = [np.flatnonzero(_classes()[:0x40000] == number).tolist() for number in _CLASSES.values()]
MIXED = st.one_of(*(st.sampled_from(codes).map(chr) for codes in OF_CLASS))


def breaks_of_icu(text: str) -> list[int]:
    return [0, *np.cumsum(list(map(len, WordBreaker(text, Locale("und"))))).astype(int).tolist()]


def our_breaks(text: str) -> list[int]:
    return np.flatnonzero(find_breaks(text)[1]).tolist()


def test_every_code_point_breaks_as_in_icu() -> None:
    # Planes 4 to 13, 15 and 16 have no character. What a dictionary splits is given to ICU in any case.
    codes = [code for code in (*range(0x33000), *range(0xE0000, 0xE1000)) if not 0xD800 <= code < 0xE000]
    kinds = _classes()
    for start in range(0, len(codes), 4096):
        some = [chr(code) for code in codes[start : start + 4096] if kinds[code] != _CLASSES["Dictionary"]]
        for around in ("a%a\n\u05d0%\u05d0", "1%1\n_%_", "%%\u0308%\n\u200d% "):
            text = "\n".join(around.replace("%", one) for one in some)
            assert our_breaks(text) == breaks_of_icu(text)


@given(st.text(st.one_of(MIXED, st.sampled_from("ab1'\".:, _\n\u0308\u200d")), min_size=1, max_size=12))
def test_any_mixture_of_classes_breaks_as_in_icu(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode() or "a"
    assert our_breaks(text) == breaks_of_icu(text)


def test_any_number_of_runs_of_lines_is_split_by_dictionary() -> None:
    for count in (8, 9, 50):
        text = "\n".join("ภาษาไทย\nline" if number % 2 else "ខ្មែរ\nភាសា\nline" for number in range(count))
        assert our_breaks(text) == breaks_of_icu(text)


@pytest.mark.skipif(not UDHR.exists(), reason="the texts are not part of the repository")
def test_five_hundred_translations_of_one_text_break_as_in_icu() -> None:
    with gzip.open(UDHR, "rt", encoding="utf-8") as file:
        for line in file:
            text = "\n".join(json.loads(line)["paragraphs"])
            assert our_breaks(text) == breaks_of_icu(text)
