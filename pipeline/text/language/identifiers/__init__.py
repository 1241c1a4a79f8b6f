"""Language identification: texts in, labels, scores and scripts out.

An identifier is a module of this package that defines `IDENTIFIER`, see contract.py; the config names it by the name
that stands there. `lid.model` may also be the path of any fastText model, or `name:path` for the model of that name in
a file. Weakness: lid.176, which comes with the package, has no label for Hausa or Zulu and gives such text to a
neighbour; see pipeline/models/README.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ModelError
from pipeline.registry import definitions
from pipeline.text.language.identifiers.contract import Identifier, LabelModel
from pipeline.text.language.labels import label_for
from pipeline.text.language.scripts import dominant_script, script_fractions

EMBEDDED: Final = "lid.176"
TOP_SCORE_MIN: Final = 0.01
TOP_COUNT_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Identification:
    """What is known of one text: label and score (None where it has no letters), alternatives, script."""

    label: str | None
    score: float | None
    top: list[tuple[str, float]]  # falling scores above 0.01, at most 10, the label first
    script: str | None
    script_share: float
    label_script_share: float  # of letters, in the script that the label names


@cache
def identifiers() -> dict[str, Identifier]:
    """All identifiers by name, in alphabetic order."""
    modules: dict[str, Identifier] = definitions("text.language.identifiers", "IDENTIFIER")
    return {identifier.name: identifier for identifier in sorted(modules.values(), key=lambda known: known.name)}


def identifier_of(model: str) -> Identifier:
    """What `lid.model` names: an identifier, one of them in a file (`name:path`), or a fastText model by its path.

    >>> identifier_of("openlid-v3:models/lid.bin").locate()
    PosixPath('models/lid.bin')
    """
    if model in identifiers():
        return identifiers()[model]
    name, _, path = model.partition(":")
    if path and name in identifiers():
        known = identifiers()[name]
        return Identifier(model, lambda: Path(path), None, known.load, known.prepare)
    return Identifier(model, lambda: _existing(model))


def _existing(model: str) -> Path:
    if not Path(model).is_file():
        raise ModelError(
            f"lid.model = {model!r}: no such file, and none of the identifiers that there are: "
            f"{', '.join(identifiers())}"
        )
    return Path(model)


def resolve_model(model: str) -> tuple[Path, str | None]:
    """The file of a model and its SHA-256 where that is known. Raises ModelError where there is no file."""
    identifier = identifier_of(model)
    return identifier.locate(), identifier.sha256


class LanguageIdentifier:
    """A model behind one function; it loads on the first call, and pickles without the model.

    `path` is a file, None for the one that `name` stands for. Raises ModelError on first call or `load`.
    """

    def __init__(self, path: str | Path | None = None, sha256: str | None = None, name: str = EMBEDDED) -> None:
        self.name = name
        self._path = path
        self._sha256 = sha256
        self._model: LabelModel | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def load(self) -> LabelModel:
        """The model, checked and loaded where it is not yet. Raises ModelError."""
        if self._model is None:
            identifier = identifier_of(self.name)
            if self._path is None:
                self._model = identifier.load(identifier.locate(), self._sha256 or identifier.sha256)
            else:
                self._model = identifier.load(Path(self._path), self._sha256)
        return self._model

    def identify(self, texts: Sequence[str], max_characters: int = 2000) -> list[Identification]:
        """Language of each text, from its first `max_characters` code points.

        Scores are in [0, 1], to four places. A text without letters has no language: label and score are
        None. Scores of labels that this project does not tell apart are added.
        """
        model, prepare = self.load(), identifier_of(self.name).prepare
        heads = [_one_line(text[:max_characters]) for text in texts]
        scripts = [script_fractions(head) for head in heads]
        asked = [i for i, fractions in enumerate(scripts) if fractions]
        answers: list[list[tuple[str, float]]] = [[] for _ in heads]
        if asked:
            labels, scores = model.predict([prepare(heads[i]) for i in asked], k=TOP_COUNT_MAX, threshold=TOP_SCORE_MIN)
            for i, names, numbers in zip(asked, labels, scores, strict=True):
                answers[i] = _merge(names, numbers, scripts[i])
        return [_identification(top, fractions) for top, fractions in zip(answers, scripts, strict=True)]


def _identification(top: list[tuple[str, float]], fractions: dict[str, float]) -> Identification:
    label, score = top[0] if top else (None, None)
    script, share = dominant_script(fractions)
    named = label.rpartition("_")[2] if label else ""
    family = ("Hani", "Jpan") if named in ("Hani", "Jpan") else (named,)
    return Identification(label, score, top, script, share, round(sum(fractions.get(one, 0.0) for one in family), 4))


def _one_line(text: str) -> str:
    # fastText ends a text at a line break; a lone surrogate has no UTF-8.
    line = " ".join(text.split())
    return line if line.isascii() else line.encode("utf-8", "replace").decode("utf-8")


def _merge(names: Sequence[str], numbers: Sequence[float], fractions: dict[str, float]) -> list[tuple[str, float]]:
    scores: dict[str, float] = {}
    for name, number in zip(names, numbers, strict=True):
        label = label_for(name, fractions)
        scores[label] = scores.get(label, 0.0) + float(number)
    # fastText's softmax can add up to just over 1.
    top = [(label, round(min(score, 1.0), 4)) for label, score in scores.items() if score > TOP_SCORE_MIN]
    return sorted(top, key=lambda entry: (-entry[1], entry[0]))
