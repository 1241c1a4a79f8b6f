"""Where tasks run: inline, one after the other, or on Ray. Nothing else in the code knows which.

A task is (function, arguments): the function reads named inputs, writes named outputs and returns a manifest. It
must be importable and its arguments picklable. Both executors give the same files.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from pipeline.errors import ConfigError, InputError, PipelineError

logger = logging.getLogger(__name__)


class Executor(Protocol):
    """Runs one function over many argument tuples."""

    def run(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        """(position, result, error text or None) for each task, in order of completion.

        A PipelineError is the user's to mend and propagates, but for an InputError, which concerns one task: that and
        any other error is tried again, `attempts` times.
        """
        ...

    def close(self) -> None:
        """Give back processes and memory."""
        ...


class InlineExecutor:
    """Runs tasks in this process, for small runs, tests, debugging and `explain`."""

    def run(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        """See Executor.run; the order is that of the arguments."""
        for position, one in enumerate(arguments):
            error = None
            for attempt in range(1, attempts + 1):
                try:
                    result = function(*one)
                except Exception as caught:  # a bug, a lost machine or file: retried, then reported by name
                    if is_fatal(caught):
                        raise
                    error = f"{type(caught).__name__}: {caught}"
                    logger.exception("%s attempt %d failed", function.__name__, attempt)
                    continue
                yield position, result, None
                break
            else:
                yield position, None, error

    def close(self) -> None:
        """Nothing to give back."""


def is_fatal(error: Exception) -> bool:
    """Whether an error of a task ends the run: one that is the user's to mend and not the fault of one input."""
    return isinstance(error, PipelineError) and not isinstance(error, InputError)


def make_executor(kind: str, workers: int, task_memory_bytes: int) -> Executor:
    """The executor that the config names; Ray is only imported when it is asked for.

    Raises ConfigError if Ray is not installed or its cluster cannot be joined.
    """
    if kind == "ray":
        if not find_spec("ray"):
            raise ConfigError('executor = "ray": Ray is not installed; install the extra `ray`, or use "inline"')
        from pipeline.execution.ray import RayExecutor

        return RayExecutor(workers, task_memory_bytes)
    return InlineExecutor()


def run_all(executor: Executor, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The result of every task, in the order of the arguments. Raises RuntimeError for the first that failed."""
    results: list[Any] = [None] * len(arguments)
    for position, result, error in executor.run(function, arguments):
        if error:
            raise RuntimeError(f"{function.__name__} {position} failed: {error}")
        results[position] = result
    return results
