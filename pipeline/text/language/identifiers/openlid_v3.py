"""OpenLID v3, 1.2 GB, which was trained on letters alone. Looked up in the card of its repository, not run here."""

from pathlib import Path

from pipeline.text.language.fasttext_models import from_hub, letters_of
from pipeline.text.language.identifiers.contract import Identifier


def locate() -> Path:
    """The file on the hub."""
    return from_hub("openlid-v3", "HPLT/OpenLID-v3", "openlid-v3.bin")


IDENTIFIER = Identifier("openlid-v3", locate, prepare=letters_of)
