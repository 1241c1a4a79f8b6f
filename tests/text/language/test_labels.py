"""Labels of every model family become one form, and a text's script is measured from its letters."""

import pytest

from pipeline.text.language.labels import normalise_label
from pipeline.text.language.scripts import measure_script

LABELS = [
    ("__label__ru", None, "rus_Cyrl"),
    ("__label__zh", None, "zho_Hani"),
    ("__label__ja", None, "jpn_Jpan"),
    ("__label__ko", None, "kor_Hang"),
    ("__label__ar", None, "ara_Arab"),
    ("__label__no", None, "nob_Latn"),
    ("__label__fa", None, "fas_Arab"),
    ("__label__ms", None, "msa_Latn"),
    ("__label__sw", None, "swa_Latn"),
    ("__label__als", None, "gsw_Latn"),  # lid.176: the Alemannic Wikipedia
    ("__label__als_Latn", None, "sqi_Latn"),  # GlotLID: Tosk Albanian
    ("__label__fra_Latn", "Cyrl", "fra_Latn"),  # a named script wins
    ("__label__cmn_Hani", None, "zho_Hani"),
    ("__label__zho_Hant", None, "zho_Hani"),
    ("__label__arb_Arab", None, "ara_Arab"),
    ("__label__kor_Kore", None, "kor_Hang"),
    ("__label__sr", "Latn", "srp_Latn"),
    ("__label__ja", "Hani", "jpn_Jpan"),  # a Japanese headline without kana
    ("__label__zh", "Jpan", "zho_Hani"),
    ("__label__hi", "Latn", "hin_Latn"),
    ("__label__lrc", None, "lrc_Arab"),
    ("__label__xal", None, "xal_Cyrl"),
    ("__label__ceb", None, "ceb_Latn"),
    ("eng_Latn", None, "eng_Latn"),
]

SCRIPTS = [
    ("The house by the sea", "Latn"),
    ("Дом у моря", "Cyrl"),
    ("Το σπίτι", "Grek"),
    ("البيت على البحر", "Arab"),
    ("समुद्र के किनारे", "Deva"),
    ("บ้านริมทะเล", "Thai"),
    ("ផ្ទះនៅមាត់សមុទ្រ", "Khmr"),
    ("ቤት በባሕር ዳር", "Ethi"),
    ("海邊的房子", "Hani"),
    ("海辺の家にいます", "Jpan"),
    ("바닷가의 집", "Hang"),
    ("הבית ליד הים", "Hebr"),
    ("სახლი ზღვასთან", "Geor"),
    ("கடலோர வீடு", "Taml"),
]


@pytest.mark.parametrize(("label", "script", "expected"), LABELS)
def test_a_label_of_any_model_becomes_a_language_and_a_script(label: str, script: str | None, expected: str) -> None:
    assert normalise_label(label, script) == expected


@pytest.mark.parametrize(("text", "script"), SCRIPTS)
def test_a_script_is_measured_whole_in_pure_text(text: str, script: str) -> None:
    assert measure_script(text) == (script, 1.0)


def test_the_share_counts_letters_of_other_scripts_and_nothing_else() -> None:
    assert measure_script("abc (12) \N{CYRILLIC SMALL LETTER ZHE}!") == ("Latn", 0.75)


def test_text_without_letters_has_no_script() -> None:
    assert measure_script("") == (None, 0.0)
    assert measure_script("42 \N{GRINNING FACE}\n\ud800") == (None, 0.0)


def test_one_kana_does_not_make_chinese_text_japanese() -> None:
    assert measure_script("我们昨天去了一家叫优の良品的商店买了很多东西回家")[0] == "Hani"
