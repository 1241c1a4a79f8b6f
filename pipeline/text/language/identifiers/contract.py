"""What an identifier is: a model that gives labels and scores to texts, and how it is had by its name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.text.language.fasttext_models import load_fasttext


class LabelModel(Protocol):
    """A model in memory."""

    def predict(
        self, texts: Sequence[str], k: int, threshold: float
    ) -> tuple[Sequence[Sequence[str]], Sequence[Sequence[float]]]:
        """At most `k` labels of each text and their scores, from `threshold` on, best first.

        A text is one line and has a letter.
        """
        ...


@dataclass(frozen=True, slots=True)
class Identifier:
    """A model by its name in the config.

    `locate` gives its file, for an identifier without one that of its code, and raises ModelError where it cannot be
    had. `load` reads a file, which has the digest `sha256` where that is known, and raises ModelError where it is
    damaged. `prepare` makes of a line what the model
    was trained on. Labels are any that `labels.normalise_label` knows; one in the form `tur_Latn` stays as it is.
    """

    name: str
    locate: Callable[[], Path]
    sha256: str | None = None
    load: Callable[[Path, str | None], LabelModel] = load_fasttext
    prepare: Callable[[str], str] = str
