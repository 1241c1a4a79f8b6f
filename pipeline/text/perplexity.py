"""Perplexity of a document under a language's model: SentencePiece pieces scored by KenLM.

A model is a folder: `sp.model`, `lm.binary` and `calibration.json` (percentiles 0 to 100 of document
perplexity in the reference, checksums, how the text was normalised). Both files are checked against their
checksums before they are loaded. Weakness: perplexity measures likeness to the reference, not quality, and is
not comparable between languages.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.kernels.compile import kernel
from pipeline.text.characters import code_points

MODELS = Path(__file__).resolve().parent.parent / "models" / "lm"
SENTENCEPIECE_FILE: Final = "sp.model"
KENLM_FILE: Final = "lm.binary"
CALIBRATION_FILE: Final = "calibration.json"
FORMAT: Final = 1
# CCNet (`text_normalizer.py`, UNICODE_PUNCT) without its error, that maps a full-width 1 to a quotation mark,
# and with the marks of Arabic, Devanagari and Ethiopic. Code point in hexadecimal, replacement.
_PUNCTUATION: Final = {
    int(code, 16): replacement
    for replacement, codes in {
        ",": "FF0C 3001 060C FE50 FF64 1363",
        ".": "3002 FF0E FF61 06D4 0964 0965 1362",
        '"': "201C 201D 201E 201F 00AB 00BB 300A 300B 300C 300D 300E 300F FF02",
        "'": "00B4 2018 2019 201A 201B 2039 203A FF07",
        ":": "2236 FF1A 1361",
        ";": "FF1B 061B 1364",
        "?": "FF1F 061F 1367",
        "!": "FF01",
        "(": "FF08", ")": "FF09", "[": "3010 FF3B", "]": "3011 FF3D", "<": "3008", ">": "3009",
        "-": "2010 2011 2012 2013 2212 2501 25BA FF0D",
        " - ": "2014 2015",
        "...": "2026",
        "~": "FF5E",
        "%": "FF05 066A",
    }.items()
    for code in codes.split()
}  # fmt: skip
# Joiners decide how a word is written in Persian and in the scripts of India; other format characters say
# nothing.
_JOINERS: Final = frozenset({0x200C, 0x200D})
_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Cn"})


class Perplexity(NamedTuple):
    """Perplexity per token, sentence ends counted: of the document, median and 90th percentile of lines."""

    document: float
    line_median: float
    line_p90: float


# Punctuation that becomes more than one character; what it becomes stays as it is.
_LONGER: Final = {chr(code): value for code, value in _PUNCTUATION.items() if len(value) > 1}
_UNSEEN: Final = np.uint32(0)
_DROP: Final = np.uint32(0xFFFFFFFF)
_SPACE: Final = np.uint32(0x20)
_NEWLINE: Final = np.uint32(0x0A)


@cache
def _translation(strip_marks: bool) -> NDArray[np.uint32]:
    """What each code point becomes, _UNSEEN until it is first seen; memory is taken for the blocks that are."""
    return np.zeros(0x110000, np.uint32)


def _translated(code_point: int, strip_marks: bool) -> np.uint32:
    character = chr(code_point)
    category = unicodedata.category(character)
    if character.isspace():
        return _NEWLINE if character == "\n" else _SPACE
    if category == "Nd":
        return np.uint32(ord("0"))
    if code_point in _PUNCTUATION:
        return np.uint32(ord(_PUNCTUATION[code_point]))
    if (category in _DROPPED and code_point not in _JOINERS) or (strip_marks and category == "Mn"):
        return _DROP
    return np.uint32(code_point)


@kernel
def _translate(codes: NDArray[np.uint32], table: NDArray[np.uint32], out: NDArray[np.uint32]) -> int:
    """Translate, with single spaces and none at the ends of a line; how many there are now, -1 for an _UNSEEN."""
    size = 0
    pending = False  # a space between words
    for code in codes:
        value = table[code]
        if value == _UNSEEN:
            return -1
        if value == _DROP:
            continue
        if value == _SPACE:
            pending = size > 0 and out[size - 1] != _NEWLINE
            continue
        if pending and value != _NEWLINE:
            out[size] = _SPACE
            size += 1
        pending = False
        out[size] = value
        size += 1
    return size


def normalise_for_lm(text: str, strip_marks: bool = False) -> str:
    """Text as language models see it: NFC, lower case, each digit 0, one form of punctuation, single spaces.

    Lines stay lines. Combining marks are kept, for without them Hindi or Thai is another text; CCNet's own
    models were trained without (`strip_marks`). Source: cc_net/text_normalizer.py.

    >>> normalise_for_lm("In 2024:  \\u00abHi\\u00bb\\u2026")
    'in 0000: "hi"...'
    """
    text = unicodedata.normalize("NFC", text).lower()
    if strip_marks:
        text = unicodedata.normalize("NFD", text)
    for character, longer in _LONGER.items():
        text = text.replace(character, longer)
    codes = code_points(text)
    table = _translation(strip_marks)
    out = np.empty(len(codes), np.uint32)
    size = _translate(codes, table, out)
    if size < 0:
        unseen = sorted(set(codes[table[codes] == _UNSEEN].tolist()))
        table[unseen] = [_translated(code, strip_marks) for code in unseen]
        size = _translate(codes, table, out)
    return unicodedata.normalize("NFC", out[:size].tobytes().decode("utf-32-le"))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class LanguageModel:
    """The model in a folder; loads on the first call, and pickles without the model. Raises ModelError."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._calibration: dict[str, Any] | None = None
        self._pieces: Any = None
        self._model: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pieces": None, "_model": None}

    @property
    def calibration(self) -> dict[str, Any]:
        """Contents of calibration.json.

        Raises ModelError if it is absent or not as this version writes it.
        """
        if self._calibration is None:
            path = self.folder / CALIBRATION_FILE
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ModelError(f"{path}: cannot be read ({error}); train or import the model again") from error
            if (
                not isinstance(stored, dict)
                or stored.get("format") != FORMAT
                or len(stored.get("percentiles", ())) != 101
            ):
                raise ModelError(f"{path}: not a calibration of format {FORMAT}; train or import the model again")
            self._calibration = stored
        return self._calibration

    def load(self) -> None:
        """Check and load both files; does nothing when they are loaded. Raises ModelError."""
        if self._model is not None:
            return
        for name in (SENTENCEPIECE_FILE, KENLM_FILE):
            path = self.folder / name
            expected = self.calibration.get("sha256", {}).get(name)
            if not path.is_file():
                raise ModelError(f"{path}: no such file; train or import the model again")
            if expected is None or sha256_of(path) != expected:
                raise ModelError(
                    f"{path}: truncated or another file (SHA-256 is not {expected}); train or import it again"
                )
        self._pieces, self._model = open_model(self.folder / SENTENCEPIECE_FILE, self.folder / KENLM_FILE)

    def score(self, text: str) -> Perplexity | None:
        """Perplexity of a text: 10^(-sum log10 p / sum(tokens + 1)) over its lines.

        None if it has no line with text.

        At least 1, to four places.
        """
        return self.score_all([text])[0]

    def score_all(self, texts: Sequence[str]) -> list[Perplexity | None]:
        """`score` of each text; a line that stands in several is scored once."""
        self.load()
        return score_texts(self._pieces, self._model, texts, bool(self.calibration.get("strip_marks", False)))

    def percentile(self, perplexity: float) -> float:
        """Where a document perplexity lies among those of the reference, in [0, 100].

        Low is like the reference.
        """
        return round(float(np.interp(perplexity, self.calibration["percentiles"], np.arange(101))), 2)


def open_model(sentencepiece_path: Path, kenlm_path: Path) -> tuple[Any, Any]:
    """A SentencePiece processor and a KenLM model (ARPA or binary), mapped rather than read.

    Raises ModelError.
    """
    import kenlm
    import sentencepiece

    try:
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_path))
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"{sentencepiece_path}: not a SentencePiece model ({error}); train or import it again"
        ) from error
    config = kenlm.Config()
    config.show_progress = False
    config.load_method = kenlm.LoadMethod.LAZY
    try:
        return pieces, kenlm.Model(str(kenlm_path), config)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{kenlm_path}: not a KenLM model ({error}); train or import it again") from error


def score_texts(pieces: Any, model: Any, texts: Sequence[str], strip_marks: bool = False) -> list[Perplexity | None]:
    """What `LanguageModel.score` gives of each text, with the loaded halves of a model; a line is scored once.

    Calibration needs it before the file is there.
    """
    lines_of = [normalise_for_lm(text, strip_marks).split("\n") for text in texts]
    known: dict[str, tuple[float, int] | None] = {"": None}
    for lines in lines_of:
        for line in lines:
            if line not in known:
                # One by one: given a list, SentencePiece takes a quarter longer, and starts a thread a core.
                tokens = pieces.encode(line, out_type=bytes)
                known[line] = (model.score(b" ".join(tokens), True, True), len(tokens) + 1) if tokens else None
    return [_perplexity([line_score for line in lines if (line_score := known[line])]) for lines in lines_of]


def _perplexity(lines: list[tuple[float, int]]) -> Perplexity | None:
    """Perplexity from log10 p and number of tokens of each line."""
    if not lines:
        return None
    logs = np.array([log for log, _ in lines])  # (n_lines,) float64
    counts = np.array([count for _, count in lines])  # (n_lines,) int64
    of_lines = sorted((10.0 ** (-logs / counts)).tolist())
    document = 10.0 ** (-logs.sum() / counts.sum())
    middle = (of_lines[(len(of_lines) - 1) // 2] + of_lines[len(of_lines) // 2]) / 2
    return Perplexity(round(float(document), 4), round(middle, 4), round(_ninetieth(of_lines), 4))


def _ninetieth(ordered: list[float]) -> float:
    """numpy.percentile(ordered, 90), which takes longer to be called than to be worked out."""
    position = 0.9 * (len(ordered) - 1)
    rank = int(position)
    below, above, share = ordered[rank], ordered[min(rank + 1, len(ordered) - 1)], position - rank
    return below + (above - below) * share if share < 0.5 else above - (above - below) * (1 - share)


def available_models(folder: str | Path) -> dict[str, Path]:
    """Folders of models by label, in alphabetical order: each folder in `folder` with a calibration.json."""
    root = Path(folder)
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CALIBRATION_FILE}"))}
