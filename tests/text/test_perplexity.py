"""Perplexity agrees with a unigram model worked out on paper, and a damaged model never answers."""

import json
import math
import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.text.perplexity import (
    _PUNCTUATION,
    LanguageModel,
    _ninetieth,
    available_models,
    normalise_for_lm,
    open_model,
    score_texts,
)
from pipeline.training.language_models import import_model

# Third column: back-off weight. KenLM takes no model without bigrams.
ARPA = """\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-2.0\t<unk>
0\t<s>\t-0.1
-0.3\t</s>
-0.6\t\N{LOWER ONE EIGHTH BLOCK}a\t-0.1
-1.5\t\N{LOWER ONE EIGHTH BLOCK}b\t0

\\2-grams:
-0.2\t<s> \N{LOWER ONE EIGHTH BLOCK}a

\\end\\
"""


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b a b", "b a a", "a b b a"] * 20),
        model_prefix=str(folder / "sp"),
        model_type="word",
        vocab_size=5,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "lm.arpa").write_text(ARPA, encoding="utf-8")
    (folder / "reference.txt").write_text("\n".join("ab"[i % 2] + " a" * i for i in range(20)), encoding="utf-8")
    output = folder / "models" / "xxx_Latn"
    return import_model(folder / "sp.model", folder / "lm.arpa", output, folder / "reference.txt", "xxx_Latn")


def test_perplexity_is_what_paper_gives(model_folder: Path) -> None:
    # "a a": 0.2 for the bigram, 0.1 + 0.6 and 0.1 + 0.3 by back-off, over 3 tokens; "b": 0.1 + 1.5 and 0.3,
    # over 2; the empty line counts for nothing.
    score = LanguageModel(model_folder).score("A a\n\nb\n")
    assert score is not None
    first, second = 10 ** (1.3 / 3), 10 ** (1.9 / 2)
    assert score.document == pytest.approx(10 ** (3.2 / 5), abs=1e-4)
    assert score.line_median == pytest.approx((first + second) / 2, abs=1e-4)
    assert score.line_p90 == pytest.approx(first + 0.9 * (second - first), abs=1e-4)


def test_an_unknown_word_costs_what_the_model_says(model_folder: Path) -> None:
    score = LanguageModel(model_folder).score("zebra")
    assert score is not None
    assert score.document == pytest.approx(10 ** (2.4 / 2), abs=1e-4)


@pytest.mark.parametrize("text", ["", "\n \n", "\N{ZERO WIDTH SPACE}\x00"])
def test_text_without_a_line_has_no_perplexity(model_folder: Path, text: str) -> None:
    assert LanguageModel(model_folder).score(text) is None


def test_percentiles_rise_from_0_to_100(model_folder: Path) -> None:
    model = LanguageModel(model_folder)
    percentiles = model.calibration["percentiles"]
    assert len(percentiles) == 101
    assert percentiles == sorted(percentiles)
    assert model.percentile(0.0) == 0.0
    assert model.percentile(1e9) == 100.0
    assert 0 < model.percentile(percentiles[50]) < 100


def test_a_model_pickles_without_its_weights_and_scores_the_same(model_folder: Path) -> None:
    model = LanguageModel(model_folder)
    before = model.score("a b")
    assert pickle.loads(pickle.dumps(model)).score("a b") == before


@pytest.mark.parametrize("name", ["lm.binary", "sp.model", "calibration.json"])
@pytest.mark.parametrize("damage", ["truncated", "absent"])
def test_a_damaged_model_is_refused_with_its_path(model_folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    for path in model_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if damage == "absent":
        (tmp_path / name).unlink()
    else:
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=name):
        LanguageModel(tmp_path).score("a")


def test_files_of_another_kind_are_refused(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("not a model", encoding="utf-8")
    with pytest.raises(ModelError, match="other"):
        open_model(tmp_path / "other", model_folder / "lm.binary")
    with pytest.raises(ModelError, match="other"):
        open_model(model_folder / "sp.model", tmp_path / "other")


def test_available_models_are_found_by_label(model_folder: Path, tmp_path: Path) -> None:
    assert available_models(model_folder.parent) == {"xxx_Latn": model_folder}
    assert available_models(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ünï 2024", "ünï 0000"),
        ("e\N{COMBINING ACUTE ACCENT}", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("हिन्दी में ९", "हिन्दी में 0"),  # vowel signs and virama stay
        ("ภาษาไทยที่ ๓", "ภาษาไทยที่ 0"),
        ("مَرحبا، ٤؟", "مَرحبا, 0?"),
        ("『你好』，１２。", '"你好",00.'),
        ("می\N{ZERO WIDTH NON-JOINER}روم", "می\N{ZERO WIDTH NON-JOINER}روم"),
        ("a\N{SOFT HYPHEN}b\x07 \N{NO-BREAK SPACE} c\n\nd", "ab c\n\nd"),
        ("\ud800x", "x"),
    ],
)
def test_text_is_normalised_without_losing_marks(text: str, expected: str) -> None:
    assert normalise_for_lm(text) == expected
    assert normalise_for_lm(expected) == expected


@given(st.text(st.characters() | st.sampled_from(" \n\t\u2014\u2026\u0301\u0130\u03a3\u00ad\u3000\uff11")))
def test_text_is_normalised_as_character_by_character(text: str) -> None:
    def become(character: str) -> str:
        if character.isspace():
            return "\n" if character == "\n" else " "
        if unicodedata.category(character) == "Nd":
            return "0"
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn") and character not in "\u200c\u200d":
            return ""
        return _PUNCTUATION.get(ord(character), character)

    expected = unicodedata.normalize("NFC", "".join(map(become, unicodedata.normalize("NFC", text).lower())))
    assert normalise_for_lm(text).split("\n") == [" ".join(line.split()) for line in expected.split("\n")]


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=50))
def test_the_percentile_is_that_of_numpy(values: list[float]) -> None:
    assert _ninetieth(sorted(values)) == np.percentile(values, 90)


def test_marks_are_stripped_for_models_trained_without() -> None:
    assert normalise_for_lm("Crème brûlée", strip_marks=True) == "creme brulee"


def test_bundled_models_prefer_their_own_language() -> None:
    folders = available_models(Path(__file__).parents[2] / "pipeline" / "models" / "lm")
    assert len(folders) >= 8
    texts = {
        "deu_Latn": "Wählen Sie die Datei aus, die Sie öffnen möchten.",
        "fra_Latn": "Choisissez le fichier que vous souhaitez ouvrir.",
        "rus_Cyrl": "Выберите файл, который нужно открыть.",
        "jpn_Jpan": "開きたいファイルを選択してください。",
        "kor_Hang": "열고 싶은 파일을 선택하세요.",
        "zho_Hani": "请选择您要打开的文件。",
        "ell_Grek": "Επιλέξτε το αρχείο που θέλετε να ανοίξετε.",
        "hin_Deva": "वह फ़ाइल चुनें जिसे आप खोलना चाहते हैं।",
    }
    for label, text in texts.items():
        own = LanguageModel(folders[label]).score(text)
        other = LanguageModel(folders["eng_Latn"]).score(text)
        assert own is not None
        assert other is not None
        assert math.isfinite(own.document)
        assert own.document < other.document, label


def test_checksums_of_bundled_models_are_noted() -> None:
    for label, folder in available_models(Path(__file__).parents[2] / "pipeline" / "models" / "lm").items():
        calibration = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
        assert calibration["language"] == label
        LanguageModel(folder).load()


def test_texts_scored_together_agree_with_a_loop(model_folder: Path) -> None:
    pieces, model = open_model(model_folder / "sp.model", model_folder / "lm.binary")
    logs, tokens = 0.0, 0
    for line in ["a b a", "b b"]:
        words = pieces.encode(line, out_type=str)
        logs += sum(log for log, _, _ in model.full_scores(" ".join(words)))
        tokens += len(words) + 1
    nothing, score, again = score_texts(pieces, model, ["", "a b a\nb b", "b b"])
    assert nothing is None
    assert score is not None
    assert score.document == pytest.approx(10 ** (-logs / tokens), abs=1e-4)
    assert again == LanguageModel(model_folder).score("b b")
