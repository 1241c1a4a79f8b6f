"""OpenLID v2, 1.2 GB, which was trained on letters alone. Looked up in the card of its repository, not run here."""

from pathlib import Path

from pipeline.text.language.fasttext_models import from_hub, letters_of
from pipeline.text.language.identifiers.contract import Identifier


def locate() -> Path:
    """The file on the hub."""
    return from_hub("openlid-v2", "laurievb/OpenLID-v2", "model.bin")


IDENTIFIER = Identifier("openlid-v2", locate, prepare=letters_of)
