"""The embedded model answers in the project's labels, and a damaged model never answers."""

import pickle
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.text.language.compressed_fasttext import CompressedModel
from pipeline.text.language.fasttext_models import load_by_fasttext
from pipeline.text.language.identifiers import Identification, LanguageIdentifier, identifiers, resolve_model

SENTENCES = [
    ("The committee will meet again next week to discuss the plans.", "eng_Latn"),
    ("Комитет снова соберётся на следующей неделе.", "rus_Cyrl"),
    ("Η επιτροπή θα συνεδριάσει ξανά την επόμενη εβδομάδα.", "ell_Grek"),
    ("ستجتمع اللجنة مرة أخرى الأسبوع المقبل لمناقشة الخطط", "ara_Arab"),
    ("समिति अगले सप्ताह योजनाओं पर चर्चा करने के लिए फिर से मिलेगी।", "hin_Deva"),
    ("คณะกรรมการจะประชุมอีกครั้งในสัปดาห์หน้า", "tha_Thai"),
    ("គណៈកម្មាធិការនឹងជួបប្រជុំម្តងទៀតនៅសប្តាហ៍ក្រោយ", "khm_Khmr"),
    ("ኮሚቴው በሚቀጥለው ሳምንት እንደገና ይሰበሰባል", "amh_Ethi"),
    ("委员会下周将再次开会讨论这些计划。", "zho_Hani"),
    ("委員会は来週また会議を開きます。", "jpn_Jpan"),
    ("위원회는 다음 주에 다시 회의를 열 것입니다.", "kor_Hang"),
    ("הוועדה תיפגש שוב בשבוע הבא", "heb_Hebr"),
]


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    return LanguageIdentifier()


def test_twelve_languages_in_eleven_scripts_are_identified(identifier: LanguageIdentifier) -> None:
    found = identifier.identify([text for text, _ in SENTENCES])
    assert [answer.label for answer in found] == [label for _, label in SENTENCES]


def test_one_text_gives_what_it_gives_among_others(identifier: LanguageIdentifier) -> None:
    together = identifier.identify([text for text, _ in SENTENCES])
    assert [identifier.identify([text])[0] for text, _ in SENTENCES] == together


def test_alternatives_fall_and_start_with_the_label(identifier: LanguageIdentifier) -> None:
    answer = identifier.identify(["Hej, hvordan har du det i dag? Jeg har det godt."])[0]
    scores = [score for _, score in answer.top]
    assert answer.top[0] == (answer.label, answer.score)
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0.01
    assert max(scores) <= 1.0
    assert len(scores) <= 10
    assert all(score == round(score, 4) for score in scores)


@pytest.mark.parametrize("text", ["", " \n\t", "1234 !?", "\ud800"])
def test_text_without_letters_has_no_language(identifier: LanguageIdentifier, text: str) -> None:
    assert identifier.identify([text]) == [Identification(None, None, [], None, 0.0, 0.0)]


def test_line_breaks_and_lone_surrogates_change_nothing_but_themselves(
    identifier: LanguageIdentifier,
) -> None:
    plain, broken = identifier.identify(["The old house by the sea", "The old\nhouse\r\nby the\N{LINE SEPARATOR}sea"])
    assert plain == broken
    assert identifier.identify(["The old house by the sea \udc80"])[0].label == "eng_Latn"


def test_only_the_head_of_a_text_is_read(identifier: LanguageIdentifier) -> None:
    text = SENTENCES[0][0] + "委员会下周将再次开会讨论这些计划。" * 50
    assert identifier.identify([text], max_characters=60)[0].label == "eng_Latn"


def test_an_identifier_pickles_without_its_model(identifier: LanguageIdentifier) -> None:
    identifier.load()
    data = pickle.dumps(identifier)
    assert len(data) < 1000
    assert pickle.loads(data).identify(["Guten Morgen zusammen"])[0].label == "deu_Latn"


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("sha256", [None, identifiers()["lid.176"].sha256])
def test_a_truncated_model_is_refused_with_its_path(tmp_path: Path, fraction: float, sha256: str | None) -> None:
    whole = resolve_model("lid.176")[0].read_bytes()
    path = tmp_path / "short.ftz"
    path.write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(ModelError, match=r"short\.ftz"):
        LanguageIdentifier(path, sha256).identify(["Guten Morgen"])


@pytest.mark.parametrize("name", ["glotlid", "no/model.ftz"])
def test_a_model_that_is_neither_a_name_nor_a_file_is_refused_with_the_names_that_there_are(name: str) -> None:
    names = ", ".join(identifiers())
    with pytest.raises(ModelError, match=f"lid.model = '{name}': no such file, and none of .*: {names}"):
        LanguageIdentifier(name=name).load()


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="absent.bin"):
        LanguageIdentifier(tmp_path / "absent.bin").load()


# ----- our kernel and fastText -------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: whole.bin has a tree of labels, small.ftz is the same compressed, in parts of unequal length."""
    folder = tmp_path_factory.mktemp("compressed")
    lines = [f"__label__{label} {text}" for text, label in SENTENCES]
    lines += [f"__label__{label} {' '.join(reversed(text.split()))}" for text, label in SENTENCES[::2]]
    (folder / "train.txt").write_text("\n".join(lines * 30) + "\n", encoding="utf-8")
    code = (
        "import fasttext\n"
        "options = dict(dim=7, epoch=20, lr=0.5, minn=1, maxn=3, bucket=5_000, thread=1, verbose=0, loss='hs')\n"
        "model = fasttext.train_supervised('train.txt', **options)\n"
        "model.save_model('whole.bin')\n"
        "model.quantize('train.txt', dsub=2, cutoff=900, thread=1)\n"
        "model.save_model('small.ftz')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module", params=["lid.176", "small"])
def compressed(request: pytest.FixtureRequest, small_models: Path) -> Path:
    return resolve_model("lid.176")[0] if request.param == "lid.176" else small_models / "small.ftz"


@pytest.fixture(scope="module")
def ours_and_fasttexts(compressed: Path) -> tuple[Any, Any]:
    """The same model, for our kernel and for fastText."""
    return CompressedModel.read(compressed), load_by_fasttext(compressed)


def assert_answers_alike(models: tuple[Any, Any], texts: list[str]) -> None:
    ours, theirs = models
    assert ours.get_labels() == theirs.get_labels()
    for text, names, scores, names_there, scores_there in zip(
        texts, *ours.predict(texts, 10, 0.01), *theirs.predict(texts, k=10, threshold=0.01), strict=True
    ):
        found, expected = dict(zip(names, scores, strict=True)), dict(zip(names_there, scores_there, strict=True))
        assert scores == sorted(scores, reverse=True)
        least = min([*scores, *scores_there], default=0.0)
        for name in found.keys() | expected.keys():  # the last of ten may be another of the same score
            assert found.get(name, least) == pytest.approx(expected.get(name, least), abs=2e-6), (text, name)
        assert len(found) == len(expected)


def test_the_kernel_answers_as_fasttext_in_every_script(ours_and_fasttexts: tuple[Any, Any]) -> None:
    texts = [text for text, _ in SENTENCES]
    odd = ["", "a", "</s>", "a </s> b c", "__label__en hello", "hello __label__fr", "\0", "a\0b\tc\x0bd", "x" * 5_000]
    assert_answers_alike(ours_and_fasttexts, [*texts, *odd, " ".join(texts), " ".join(texts * 30)])
    assert_answers_alike(ours_and_fasttexts, [""])


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n") | st.sampled_from(" de"))))
def test_the_kernel_answers_as_fasttext_on_any_text(ours_and_fasttexts: tuple[Any, Any], texts: list[str]) -> None:
    assert_answers_alike(ours_and_fasttexts, ["the", *texts])


def test_models_of_other_kinds_are_left_to_fasttext(small_models: Path, glotlid_like: Path) -> None:
    for other in (small_models / "whole.bin", glotlid_like):  # a tree of labels that is not compressed; no tree
        assert CompressedModel.read(other) is None
        assert LanguageIdentifier(other).identify([SENTENCES[0][0]])[0].label == "eng_Latn"


def test_a_compressed_model_with_wrong_bytes_is_refused_or_answers(compressed: Path, tmp_path: Path) -> None:
    whole = compressed.read_bytes()
    random = Random(1)
    path = tmp_path / "wrong.ftz"
    refused = 0
    for _ in range(200):
        place = random.randrange(min(len(whole), 60 if random.random() < 0.3 else 300_000))
        path.write_bytes(whole[:place] + random.randbytes(4) + whole[place + 4 :])
        try:
            if model := CompressedModel.read(path):
                names, scores = model.predict([SENTENCES[0][0]], 10, 0.01)
                assert len(names[0]) == len(scores[0])
        except ValueError:
            refused += 1
    assert refused


GLOTLID_NAMES = {"ara_Arab": "arb_Arab", "zho_Hani": "cmn_Hani"}


@pytest.fixture(scope="module")
def glotlid_like(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small fastText model whose labels are written as GlotLID and OpenLID write theirs."""
    folder = tmp_path_factory.mktemp("lid")
    lines = [
        f"__label__{GLOTLID_NAMES.get(label, label)} {written}"
        for text, label in SENTENCES
        for written in (text, text.lower(), re.sub("[.,。]", "", text.lower()))
    ]
    lines.append("__label__eng_Latn the weather was so fine that we all went for a long walk along the river")
    (folder / "train.txt").write_text("\n".join(lines * 20) + "\n", encoding="utf-8")
    # in a process of its own: the module trains on memory that it does not clear, and meets NaN in used memory
    options = "dim=16, epoch=25, lr=0.5, minn=1, maxn=3, bucket=200_000, thread=1, verbose=0"
    code = f"import fasttext; fasttext.train_supervised('train.txt', {options}).save_model('model.bin')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    return folder / "model.bin"


@pytest.mark.parametrize("name", ["{path}", "glotlid-v3:{path}", "openlid-v3:{path}"])
def test_a_model_with_labels_like_those_of_glotlid_answers_in_ours(name: str, glotlid_like: Path) -> None:
    found = LanguageIdentifier(name=name.format(path=glotlid_like)).identify([text for text, _ in SENTENCES])
    assert [answer.label for answer in found] == [label for _, label in SENTENCES]


def test_openlid_is_given_letters_only(glotlid_like: Path) -> None:
    noisy = "THE 1,234 COMMITTEE!!! WILL (56) MEET: AGAIN?"
    plain = "the committee will meet again"
    asked = LanguageIdentifier(name=f"openlid-v2:{glotlid_like}")
    assert asked.identify([noisy])[0].score == asked.identify([plain])[0].score
    raw = LanguageIdentifier(name=f"glotlid-v3:{glotlid_like}")
    assert raw.identify([noisy])[0].score != raw.identify([plain])[0].score


def test_a_model_of_the_hub_in_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="absent.bin"):
        LanguageIdentifier(name=f"glotlid-v3:{tmp_path / 'absent.bin'}").load()


def test_a_hub_that_cannot_be_reached_says_what_to_download_and_what_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r'openlid-v3\.bin of HPLT/OpenLID-v3.*lid\.model = "openlid-v3:PATH"'):
        LanguageIdentifier(name="openlid-v3").load()


def test_a_model_by_name_without_the_hub_client_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="cis-lmu/glotlid"):
        LanguageIdentifier(name="glotlid-v3").load()
