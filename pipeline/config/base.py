"""What all settings share: unknown keys are refused, values do not change, labels are written in one way."""

import re

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from pipeline.registry import names_of

LABEL_PATTERN = re.compile(r"^[a-z]{2,3}_[A-Z][a-z]{3}$")


class Strict(BaseModel):
    """A part of the settings: an unknown key is an error, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def one_of(package: str) -> AfterValidator:
    """A validator of names: a module of that package of ours must have the name; see `pipeline/registry.py`."""

    def check(name: str) -> str:
        if name not in (names := names_of(package)):
            raise PydanticCustomError("choice", "must be one of {names}", {"names": ", ".join(names)})
        return name

    return AfterValidator(check)


def checked_label(label: str) -> str:
    """The label, where it is well-formed. Raises ValueError, which says how one is written."""
    if not LABEL_PATTERN.match(label):
        raise ValueError(f"{label!r} is no language label; write ISO 639-3 and script, such as tur_Latn")
    return label
