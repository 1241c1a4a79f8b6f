"""Train, import and calibrate language models for perplexity: reference text in, a model's folder out.

`train` needs KenLM's `lmplz` and `build_binary` (dev/build_lmplz.sh, or `make lmplz`). Files are UTF-8
with a line a paragraph and a blank line between documents; without blank lines each line is a document. One
document in ten, by the hash of its text, is held out and gives the percentiles of perplexity. The same text
gives the same folder, byte for byte.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.errors import InputError, ModelError
from pipeline.text.perplexity import (
    CALIBRATION_FILE,
    FORMAT,
    KENLM_FILE,
    SENTENCEPIECE_FILE,
    normalise_for_lm,
    open_model,
    score_texts,
    sha256_of,
)

_HELD_OUT_ONE_IN: Final = 10
_DOCUMENTS_MIN: Final = 10
_BUILD_FOLDER: Final = Path(__file__).resolve().parents[2] / "build" / "kenlm" / "bin"


def find_program(name: str) -> Path:
    """Path of `lmplz` or `build_binary`: in $GLOTMILL_LMPLZ_DIR, build/kenlm/bin or the PATH.

    Raises ModelError.
    """
    folder = os.environ.get("GLOTMILL_LMPLZ_DIR")
    for path in ([Path(folder) / name] if folder else []) + [_BUILD_FOLDER / name]:
        if path.is_file():
            return path
    if on_path := shutil.which(name):
        return Path(on_path)
    raise ModelError(f"{name} is not in $GLOTMILL_LMPLZ_DIR, build/kenlm/bin or the PATH; build it with 'make lmplz'")


def train(
    text_paths: str | Path | Sequence[str | Path],
    language: str,
    output: str | Path,
    vocabulary_size: int = 4000,
    order: int = 5,
    prune: Sequence[int] = (0, 0, 1),
    source: str = "",
) -> Path:
    """Train a model of `language` into the folder `output`, which is replaced, and return it.

    `prune` is lmplz's: counts at or below which n-grams of each order are left out. `source` is noted in the
    calibration. The vocabulary is made smaller where the text does not hold as many pieces. Raises InputError
    for fewer than ten documents, ModelError when a program is missing or fails.
    """
    lmplz, build_binary = find_program("lmplz"), find_program("build_binary")
    documents = read_documents(text_paths)
    held_out = [document for document in documents if _is_held_out(document)]
    training = [document for document in documents if not _is_held_out(document)]
    if len(documents) < _DOCUMENTS_MIN or not held_out or not training:
        raise InputError(f"{language}: {len(documents)} documents of reference text are too few to train and calibrate")
    lines = [line for document in training for line in normalise_for_lm(document).split("\n") if line]
    output = Path(output)
    with _Folder(output) as folder:
        _train_pieces(lines, folder / SENTENCEPIECE_FILE, vocabulary_size)
        pieces_path, arpa = folder / "pieces.txt", folder / "lm.arpa"
        pieces = _open_pieces(folder / SENTENCEPIECE_FILE)
        with pieces_path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(" ".join(pieces.encode(line, out_type=str)) + "\n" for line in lines)
        _run(
            [lmplz, "--order", order, "--discount_fallback", "--prune", *prune, "-S", "1G", "-T",
             folder / "lmplz", "--text", pieces_path, "--arpa", arpa]
        )  # fmt: skip
        _run([build_binary, "-q", 8, "-b", 8, "trie", arpa, folder / KENLM_FILE])
        pieces_path.unlink()
        arpa.unlink()
        about = {
            "language": language,
            "order": order,
            "prune": list(prune),
            "vocabulary_size": pieces.get_piece_size(),
            "training_documents": len(training),
            "training_lines": len(lines),
            "strip_marks": False,
            "source": source,
        }
        _calibrate(folder, held_out, about)
    return output


def import_model(
    sentencepiece_path: str | Path,
    kenlm_path: str | Path,
    output: str | Path,
    reference: str | Path | Sequence[str | Path],
    language: str = "",
    strip_marks: bool = True,
    source: str = "",
) -> Path:
    """Make a folder of a SentencePiece and KenLM pair, such as CCNet's.

    It is calibrated on all documents of `reference`. `strip_marks` says that the pair was trained as CCNet's
    were, on text without combining marks. Raises InputError for fewer than ten documents, ModelError for
    files of another kind.
    """
    documents = read_documents(reference)
    if len(documents) < _DOCUMENTS_MIN:
        raise InputError(f"{reference}: {len(documents)} documents of reference text are too few to calibrate")
    for path in (sentencepiece_path, kenlm_path):
        if not Path(path).is_file():
            raise ModelError(f"{path}: no such file")
    output = Path(output)
    with _Folder(output) as folder:
        shutil.copyfile(sentencepiece_path, folder / SENTENCEPIECE_FILE)
        shutil.copyfile(kenlm_path, folder / KENLM_FILE)
        _calibrate(folder, documents, {"language": language, "strip_marks": strip_marks, "source": source})
    return output


def read_documents(paths: str | Path | Sequence[str | Path]) -> list[str]:
    """Documents of text files: blocks between blank lines, or lines where there is no blank line.

    Raises InputError.
    """
    documents: list[str] = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        try:
            text = Path(path).read_text(encoding="utf-8").strip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as UTF-8 ({error})") from error
        documents += text.split("\n\n" if "\n\n" in text else "\n")
    return [document for document in documents if document.strip()]


def _is_held_out(document: str) -> bool:
    return hashlib.sha1(document.encode()).digest()[0] % _HELD_OUT_ONE_IN == 0


def _train_pieces(lines: Iterable[str], path: Path, vocabulary_size: int) -> None:
    import sentencepiece

    sentencepiece.set_random_generator_seed(0)
    try:
        with path.open("wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=file,
                vocab_size=vocabulary_size,
                hard_vocab_limit=False,
                character_coverage=0.9995,
                # normalise_for_lm has done it; NFKC would split Thai vowels
                normalization_rule_name="identity",
                num_threads=1,
                minloglevel=2,
            )
    except RuntimeError as error:
        raise ModelError(f"SentencePiece cannot make {vocabulary_size} pieces of this text: {error}") from error


def _open_pieces(path: Path) -> Any:
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def _run(command: Sequence[object]) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise ModelError(f"{Path(words[0]).name} failed with {done.returncode}: {done.stderr.strip()[-500:]}")


def _calibrate(folder: Path, documents: Sequence[str], about: dict[str, Any]) -> None:
    pieces, model = open_model(folder / SENTENCEPIECE_FILE, folder / KENLM_FILE)
    scores = score_texts(pieces, model, documents, bool(about["strip_marks"]))
    perplexities = [score.document for score in scores if score is not None]
    if not perplexities:
        raise InputError("no document of the reference has text to calibrate on")
    calibration = {
        "format": FORMAT,
        **about,
        "calibration_documents": len(perplexities),
        "percentiles": [round(float(value), 4) for value in np.percentile(perplexities, np.arange(101))],
        "sha256": {name: sha256_of(folder / name) for name in (SENTENCEPIECE_FILE, KENLM_FILE)},
    }
    (folder / CALIBRATION_FILE).write_text(json.dumps(calibration, indent=1) + "\n", encoding="utf-8")


class _Folder:
    """A temporary folder beside `output`: takes its place when the block ends well, else it goes."""

    def __init__(self, output: Path) -> None:
        self.output = output

    def __enter__(self) -> Path:
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f".{self.output.name}.", dir=self.output.parent))
        return self.folder

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.folder)
            return
        self.folder.chmod(0o755)  # mkdtemp's 0700 would hide the model from other users
        if self.output.exists():
            shutil.rmtree(self.output)
        self.folder.rename(self.output)
