"""What all settings share: unknown keys are refused, values do not change, labels are written in one way."""

import re

from pydantic import BaseModel, ConfigDict

LABEL_PATTERN = re.compile(r"^[a-z]{2,3}_[A-Z][a-z]{3}$")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def checked_label(label: str) -> str:
    if not LABEL_PATTERN.match(label):
        raise ValueError(f"{label!r} is no language label; write ISO 639-3 and script, such as tur_Latn")
    return label
