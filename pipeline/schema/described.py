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
    def of(cls, name: str) -> Self:
        """The member that is the string `name`. Raises ValueError, which names it, where none is."""
        for member in cls:
            if member == name:
                return member
        raise ValueError(f"{name!r} is not in {cls.__name__}: it has to be declared there, with its meaning")
