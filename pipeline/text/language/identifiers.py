"""Language identification with any fastText model: texts in, labels, scores and scripts out.

The model that comes with the package is lid.176.ftz, whose kind has a kernel of ours (`compressed_lid`); GlotLID v3
and OpenLID are known by name, and fastText runs them. GlotLID takes text as it is, OpenLID v2 and v3 were trained on
lower case without digits and punctuation and get it so. A truncated fastText file loads and answers nonsense, so the
checksum (where known) and golden sentences are checked before the first answer. Weakness: lid.176 has no label for
Hausa or Zulu and gives such text to a neighbour; see pipeline/models/README.md.
"""

import hashlib
import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ModelError
from pipeline.text.language.compressed_fasttext import MAGIC, CompressedModel
from pipeline.text.language.labels import label_for, normalise_label
from pipeline.text.language.scripts import dominant_script, script_fractions

EMBEDDED: Final = "lid.176"
EMBEDDED_SHA256: Final = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
TOP_SCORE_MIN: Final = 0.01
TOP_COUNT_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class HubModel:
    """Where a model lies on the Hugging Face hub, and whether it was trained on letters alone."""

    repository: str
    file: str
    letters_only: bool = False


# Looked up in the repositories' listings and cards; none was run here. Their labels are all like `__label__eng_Latn`.
HUB_MODELS: Final = {
    "glotlid-v3": HubModel("cis-lmu/glotlid", "model_v3.bin"),  # 1.7 GB
    "openlid": HubModel("laurievb/OpenLID", "model.bin"),  # 1.2 GB, as the next two
    "openlid-v2": HubModel("laurievb/OpenLID-v2", "model.bin", letters_only=True),
    "openlid-v3": HubModel("HPLT/OpenLID-v3", "openlid-v3.bin", letters_only=True),
}
_GOLDEN: Final = (
    ("eng", "The weather was so fine that we all went for a long walk along the river."),
    ("fra", "Nous avons vu un petit restaurant devant la gare avec nos amis, mais il est toujours plein."),
    ("deu", "Der Zug nach Hamburg ist heute leider wieder mit einer halben Stunde Wartezeit angekommen."),
    ("spa", "El gobierno ha anunciado hoy que las escuelas van a abrir otra vez la semana que viene."),
)


@dataclass(frozen=True, slots=True)
class Identification:
    """What is known of one text: label and score (None where it has no letters), alternatives, script."""

    label: str | None
    score: float | None
    top: list[tuple[str, float]]  # falling scores above 0.01, at most 10, the label first
    script: str | None
    script_share: float
    label_script_share: float  # of letters, in the script that the label names


def resolve_model(name: str) -> tuple[Path, str | None]:
    """Path and, where known, SHA-256 of a model: `lid.176`, a key of HUB_MODELS, or a file's path.

    A name on the hub is downloaded, or found in the hub's cache, where huggingface_hub is installed; `name:path` is
    the hub's model of that name in a file. Raises ModelError.
    """
    if name in {EMBEDDED, "lid.176.ftz"}:
        return Path(str(resources.files("pipeline").joinpath("models/lid.176.ftz"))), EMBEDDED_SHA256
    known, _, path = name.partition(":")
    if known not in HUB_MODELS or path:
        return Path(path if known in HUB_MODELS else name), None
    repository, file = HUB_MODELS[name].repository, HUB_MODELS[name].file
    remedy = (
        f"download {file} of {repository} on the Hugging Face hub where there is a network, "
        f'and write lid.model = "{name}:PATH"'
    )
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModelError(f"{name}: huggingface_hub is not installed; install it, or {remedy}") from error
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file)), None
    except Exception as error:  # the hub's client raises errors of several libraries, all of which mean: not there
        raise ModelError(f"{name}: cannot be had from the hub ({type(error).__name__}); {remedy}") from error


class LanguageIdentifier:
    """A fastText model behind one function; loads on the first call, and pickles without the model.

    `path` is a file, None for the model that `name` stands for. Raises ModelError on first call or `load`.
    """

    def __init__(self, path: str | Path | None = None, sha256: str | None = None, name: str = EMBEDDED) -> None:
        self.name = name
        self._path = path
        self._sha256 = sha256
        hub_model = HUB_MODELS.get(name.partition(":")[0])
        self._letters_only = hub_model is not None and hub_model.letters_only
        self._model: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def load(self) -> None:
        """Check and load the model; does nothing when it is loaded. Raises ModelError."""
        if self._model is not None:
            return
        path, sha256 = (Path(self._path), None) if self._path is not None else resolve_model(self.name)
        self._model = _load(path, self._sha256 or sha256)

    def identify(self, texts: Sequence[str], max_characters: int = 2000) -> list[Identification]:
        """Language of each text, from its first `max_characters` code points.

        Scores are in [0, 1], to four places. A text without letters has no language: label and score are
        None. Scores of labels that this project does not tell apart are added.
        """
        self.load()
        heads = [_one_line(text[:max_characters]) for text in texts]
        scripts = [script_fractions(head) for head in heads]
        asked = [i for i, fractions in enumerate(scripts) if fractions]
        answers: list[list[tuple[str, float]]] = [[] for _ in heads]
        if asked:
            given = [_letters_of(heads[i]) if self._letters_only else heads[i] for i in asked]
            labels, scores = self._model.predict(given, k=TOP_COUNT_MAX, threshold=TOP_SCORE_MIN)
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


class _Letters(dict[int, int | None]):
    """A table for str.translate that keeps letters, marks, joiners, connectors and spaces; filled as it is asked."""

    def __missing__(self, code_point: int) -> int | None:
        category = unicodedata.category(chr(code_point))
        kept = category[0] in "LM" or category in ("Nl", "Pc", "Zs") or code_point in (0x200C, 0x200D)
        self[code_point] = code_point if kept else None
        return self[code_point]


_LETTERS: Final = _Letters()


def _letters_of(text: str) -> str:
    """The text as OpenLID v2 and v3 were trained on it: lower case, without digits and punctuation.

    Source: the model card of HPLT/OpenLID-v3.

    >>> _letters_of("On 3 May, 2024!")
    'on may'
    """
    return " ".join(text.lower().translate(_LETTERS).split())


def _merge(names: Sequence[str], numbers: Sequence[float], fractions: dict[str, float]) -> list[tuple[str, float]]:
    scores: dict[str, float] = {}
    for name, number in zip(names, numbers, strict=True):
        label = label_for(name, fractions)
        scores[label] = scores.get(label, 0.0) + float(number)
    # fastText's softmax can add up to just over 1.
    top = [(label, round(min(score, 1.0), 4)) for label, score in scores.items() if score > TOP_SCORE_MIN]
    return sorted(top, key=lambda entry: (-entry[1], entry[0]))


def _load(path: Path, sha256: str | None) -> Any:
    remedy = "fetch the file again, or name another model"
    if not path.is_file():
        raise ModelError(f"{path}: no such language identification model; {remedy}")
    with path.open("rb") as file:
        head = file.read(4)
        if len(head) < 4 or struct.unpack("<i", head)[0] != MAGIC:
            raise ModelError(f"{path}: not a fastText model; {remedy}")
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest() if sha256 else None
    if found != sha256:
        raise ModelError(f"{path}: truncated or another file: SHA-256 is {found}, not {sha256}; {remedy}")
    try:
        model = CompressedModel.read(path) or load_by_fasttext(path)
        labels = {normalise_label(label).partition("_")[0] for label in model.get_labels()}
        answers, _ = model.predict([text for _, text in _GOLDEN], k=1, threshold=0.0)
    except (ValueError, RuntimeError, MemoryError, OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be loaded ({error}); {remedy}") from error
    known = [
        bool(answer) and normalise_label(answer[0]).startswith(code)
        for (code, _), answer in zip(_GOLDEN, answers, strict=True)
        if code in labels
    ]
    if 2 * sum(known) < len(known):
        raise ModelError(f"{path}: knows {sum(known)} of {len(known)} golden sentences, so it is truncated; {remedy}")
    return model


def load_by_fasttext(path: Path) -> Any:
    """fastText's own model of a file of any kind. Raises what fastText raises: ValueError, MemoryError."""
    import fasttext

    fasttext.FastText.eprint = lambda *_args, **_named: None  # a notice about the API, printed at each load
    return fasttext.load_model(str(path))
