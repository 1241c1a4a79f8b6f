"""fastText models: where they are, whether a file is whole, and what their texts look like.

lid.176.ftz is of a kind that has a kernel of ours (`compressed_fasttext.py`); fastText runs all others. A truncated
fastText file loads and answers nonsense, so that the checksum (where it is known) and golden sentences are checked
before the first answer.
"""

import hashlib
import struct
import unicodedata
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ModelError
from pipeline.text.language.compressed_fasttext import MAGIC, CompressedModel
from pipeline.text.language.labels import normalise_label

_GOLDEN: Final = (
    ("eng", "The weather was so fine that we all went for a long walk along the river."),
    ("fra", "Nous avons vu un petit restaurant devant la gare avec nos amis, mais il est toujours plein."),
    ("deu", "Der Zug nach Hamburg ist heute leider wieder mit einer halben Stunde Wartezeit angekommen."),
    ("spa", "El gobierno ha anunciado hoy que las escuelas van a abrir otra vez la semana que viene."),
)


def from_hub(name: str, repository: str, file: str) -> Path:
    """A file of the Hugging Face hub, downloaded or found in the hub's cache.

    Raises ModelError where huggingface_hub is not installed or the file cannot be had, with what to do for `name`.
    """
    remedy = (
        f"download {file} of {repository} on the Hugging Face hub where there is a network, "
        f'and write lid.model = "{name}:PATH"'
    )
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModelError(f"{name}: huggingface_hub is not installed; install it, or {remedy}") from error
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file))
    except Exception as error:  # the hub's client raises errors of several libraries, all of which mean: not there
        raise ModelError(f"{name}: cannot be had from the hub ({type(error).__name__}); {remedy}") from error


def load_fasttext(path: Path, sha256: str | None = None) -> Any:
    """The model of a file. Raises ModelError where it is absent, damaged or of another kind."""
    remedy = "fetch the file again, or name another model"
    if not path.is_file():
        raise ModelError(f"{path}: no such file of a language identification model")
    with path.open("rb") as file:
        head = file.read(4)
        if len(head) < 4 or struct.unpack("<i", head)[0] != MAGIC:
            raise ModelError(f"{path}: not a fastText model; {remedy}")
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest() if sha256 else None
    if digest != sha256:
        raise ModelError(f"{path}: truncated or another file: SHA-256 is {digest}, not {sha256}; {remedy}")
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


class _Letters(dict[int, int | None]):
    """A table for str.translate that keeps letters, marks, joiners, connectors and spaces; filled as it is asked."""

    def __missing__(self, code_point: int) -> int | None:
        category = unicodedata.category(chr(code_point))
        kept = category[0] in "LM" or category in ("Nl", "Pc", "Zs") or code_point in (0x200C, 0x200D)
        self[code_point] = code_point if kept else None
        return self[code_point]


_LETTERS: Final = _Letters()


def letters_of(text: str) -> str:
    """A text in lower case, without digits and punctuation: what OpenLID v2 and v3 were trained on.

    Source: the model card of HPLT/OpenLID-v3.

    >>> letters_of("On 3 May, 2024!")
    'on may'
    """
    return " ".join(text.lower().translate(_LETTERS).split())
