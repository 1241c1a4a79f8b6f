"""fastText's lid.176, compressed, which comes with the package; licence in pipeline/models/README.md."""

from importlib import resources
from pathlib import Path

from pipeline.text.language.identifiers.contract import Identifier


def locate() -> Path:
    """The file in the package."""
    return Path(str(resources.files("pipeline").joinpath("models/lid.176.ftz")))


IDENTIFIER = Identifier("lid.176", locate, sha256="8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83")
