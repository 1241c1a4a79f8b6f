"""Tasks one after the other in this process: for small runs, tests and debugging."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeline.execution.tasks import Executor, is_fatal

logger = logging.getLogger(__name__)


class InlineExecutor:
    """Runs tasks in this process, for small runs, tests, debugging and `explain`."""

    def run(
        self, function: Callable[..., Any], tasks: Sequence[Any], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        """See Executor.run; the order is that of the tasks."""
        for position, task in enumerate(tasks):
            error = None
            for attempt in range(1, attempts + 1):
                try:
                    result = function(task)
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


def make(workers: int, task_memory_bytes: int) -> Executor:
    """The executor of this process, which has one worker and whatever memory there is."""
    return InlineExecutor()
