"""Where tasks run: inline, one after the other, or on Ray. Nothing else in the code knows which.

A task is a frozen dataclass that says what is to be done, and the function of the pass that does it: it reads named
inputs, writes named outputs and returns what it counted. The function must be importable, the dataclass picklable.
Every executor gives the same files.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from pipeline.errors import InputError, PipelineError

logger = logging.getLogger(__name__)


class Executor(Protocol):
    """Runs one function over many tasks.

    Functions and tasks can be pickled. Tasks that run at the same time run in processes of their own, since a process
    has one sandboxed extractor.
    """

    def run(
        self, function: Callable[..., Any], tasks: Sequence[Any], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        """(position, result, error text or None) for each task, in order of completion.

        A PipelineError is the user's to mend and propagates, but for an InputError, which concerns one task: that and
        any other error is tried again, `attempts` times.
        """
        ...

    def close(self) -> None:
        """Give back processes and memory."""
        ...


def is_fatal(error: Exception) -> bool:
    """Whether an error of a task ends the run: one that is the user's to mend and not the fault of one input."""
    return isinstance(error, PipelineError) and not isinstance(error, InputError)


def run_all(executor: Executor, function: Callable[..., Any], tasks: Sequence[Any]) -> list[Any]:
    """The result of every task, in the order of the tasks. Raises RuntimeError for the first that failed."""
    results: list[Any] = [None] * len(tasks)
    for position, result, error in executor.run(function, tasks):
        if error:
            raise RuntimeError(f"{function.__name__} {position} failed: {error}")
        results[position] = result
    return results
