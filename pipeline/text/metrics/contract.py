"""What a metric is: a function of a text that registers itself, with its unit, range and source."""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

from pipeline.text.metrics.view import TextView
from pipeline.text.reads import Reads

DECIMALS = 4  # metrics are stored to 1e-4, far below the distance between two thresholds
Value = int | float | None
_F = TypeVar("_F", bound=Callable[..., Value])


@dataclass(frozen=True)
class WordLists:
    """A language's word lists, in lower case; an empty list makes its metrics undefined."""

    stop_words: frozenset[str] = frozenset()
    flagged_words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its column, its report line and its function."""

    name: str
    dtype: Literal["int64", "float64"]
    description: str  # first sentence of the function's docstring
    low: float  # lower edge of its histogram
    high: float  # upper edge; larger values are counted beyond it
    function: Callable[[TextView, WordLists], Value]
    reads: Reads


METRICS: dict[str, Metric] = {}
_NO_LISTS = WordLists()


@overload
def metric(function: _F) -> _F: ...


@overload
def metric(*, reads: Reads = "words", low: float = 0.0, high: float = 1.0) -> Callable[[_F], _F]: ...


def metric(function: Any = None, *, reads: Reads = "words", low: float = 0.0, high: float = 1.0) -> Any:
    """Enter a function of a view, or of a view and word lists, in METRICS; its name is the column's.

    It is `int64` if it is annotated to return an int, else `float64`. `reads` says what a text must have for the value
    to mean something, so that rules on excerpts can leave out metrics of lines and of whole documents.
    """

    def register(function: _F) -> _F:
        name = function.__name__
        text = (inspect.getdoc(function) or "").replace("\n", " ")
        sentence = re.split(r"(?<=[.;])\s", text, maxsplit=1)[0]
        takes_lists = len(inspect.signature(function).parameters) == 2
        counts = function.__annotations__["return"] in (int, int | None)
        METRICS[name] = Metric(
            name=name,
            dtype="int64" if counts else "float64",
            description=sentence.rstrip(".;"),
            low=low,
            high=high,
            function=function if takes_lists else functools.wraps(function)(lambda view, lists: function(view)),
            reads=reads,
        )
        return function

    return register if function is None else register(function)


def measure(view: TextView, lists: WordLists = _NO_LISTS) -> dict[str, Value]:
    """Value of every metric, in METRICS' order, floats rounded to 1e-4; None where undefined.

    >>> measure(TextView.of(""))["word_count"], measure(TextView.of(""))["mean_word_length"]
    (0, None)
    """
    values: dict[str, Value] = {}
    for name, entry in METRICS.items():
        value = entry.function(view, lists)
        values[name] = round(value, DECIMALS) if value and isinstance(value, float) else value
    return values
