"""A model trained from text with lmplz prefers text like its own, and is the same each time. Needs lmplz."""

from pathlib import Path

import pytest

from pipeline.errors import InputError, ModelError
from pipeline.text.perplexity import LanguageModel
from pipeline.training.language_models import find_program, import_model, read_documents, train

SUBJECTS = [
    "the cat",
    "a dog",
    "my old friend",
    "the teacher",
    "our neighbour",
    "the doctor",
    "a small bird",
    "the young queen",
]
VERBS = ["sees", "likes", "follows", "visits", "remembers", "calls", "forgets", "helps"]
PLACES = ["in the garden", "near the river", "at the market", "on the hill", "by the sea", "in town"]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "reference.txt"
    lines = [f"{a} {v} {b} {p}." for a in SUBJECTS for v in VERBS for b in SUBJECTS for p in PLACES]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.full
def test_a_trained_model_prefers_text_like_its_own(text: Path, tmp_path: Path) -> None:
    # Without lmplz, find_program raises: this test fails, and does not skip.
    model = LanguageModel(train(text, "eng_Latn", tmp_path / "eng_Latn", vocabulary_size=120))
    good, shuffled = (
        model.score("the cat likes a dog by the sea."),
        model.score("sea dog the by a likes cat the."),
    )
    assert good is not None
    assert shuffled is not None
    assert good.document < shuffled.document
    assert model.calibration["calibration_documents"] > 100
    assert sorted(path.name for path in model.folder.iterdir()) == [
        "calibration.json",
        "lm.binary",
        "sp.model",
    ]


@pytest.mark.full
def test_training_twice_gives_the_same_bytes(text: Path, tmp_path: Path) -> None:
    first = train(text, "eng_Latn", tmp_path / "first", vocabulary_size=120)
    second = train([text], "eng_Latn", tmp_path / "second", vocabulary_size=120)
    for name in ("calibration.json", "lm.binary", "sp.model"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.full
def test_a_failed_training_leaves_no_folder(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="lmplz failed"):
        train(text, "eng_Latn", tmp_path / "eng_Latn", vocabulary_size=120, prune=(3, 1))  # prune must not fall
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_too_little_text_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("one line\n", encoding="utf-8")
    with pytest.raises(InputError, match="too few"):
        train(tmp_path / "short.txt", "eng_Latn", tmp_path / "eng_Latn")


def test_a_missing_program_names_the_remedy() -> None:
    with pytest.raises(ModelError, match="make lmplz"):
        find_program("no-such-program-of-kenlm")


def test_blank_lines_part_documents(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a\nb\n\nc\n", encoding="utf-8")
    assert read_documents(path) == ["a\nb", "c"]
    path.write_text("a\nb\n", encoding="utf-8")
    assert read_documents([path]) == ["a", "b"]


def test_importing_an_absent_file_is_a_model_error(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="absent"):
        import_model(tmp_path / "absent.model", tmp_path / "absent.bin", tmp_path / "out", text)
