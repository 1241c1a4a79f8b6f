"""Names that stand in files, each with its meaning in one sentence; the reference pages are made from them."""

from enum import StrEnum
from typing import Self


class Described(StrEnum):
    """A string that stands in a column, and what it says there."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        """A member that is the string `name`."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        return member

    @classmethod
    def named(cls, name: str) -> Self:
        """The member that is this string, as a column has it. Raises ValueError where there is none."""
        return cls(name)  # type: ignore[call-arg]  # a call of the class looks a member up by its value
