"""GlotLID v3, 1.7 GB. It takes text as it is. Looked up in the card of its repository, not run here."""

from pathlib import Path

from pipeline.text.language.fasttext_models import from_hub
from pipeline.text.language.identifiers.contract import Identifier


def locate() -> Path:
    """The file on the hub."""
    return from_hub("glotlid-v3", "cis-lmu/glotlid", "model_v3.bin")


IDENTIFIER = Identifier("glotlid-v3", locate)
