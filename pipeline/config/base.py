"""What all settings share: unknown keys are refused, values do not change, labels are written in one way."""

import re
from dataclasses import dataclass

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from pipeline.registry import names_of

LABEL_PATTERN = re.compile(r"^[a-z]{2,3}_[A-Z][a-z]{3}$")


class Strict(BaseModel):
    """A part of the settings: an unknown key is an error, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class ModuleName:
    """A check that a module of a package of ours has a name; see `pipeline/registry.py`."""

    package: str

    def __call__(self, name: str) -> str:
        """The name. Raises PydanticCustomError, which lists the names that there are, for another."""
        if name not in (names := names_of(self.package)):
            raise PydanticCustomError("choice", "must be one of {names}", {"names": ", ".join(names)})
        return name


def one_of(package: str) -> AfterValidator:
    """A validator of names of modules of that package."""
    return AfterValidator(ModuleName(package))


def checked_label(label: str) -> str:
    """The label, where it is well-formed. Raises ValueError, which says how one is written."""
    if not LABEL_PATTERN.match(label):
        raise ValueError(f"{label!r} is no language label; write ISO 639-3 and script, such as tur_Latn")
    return label
