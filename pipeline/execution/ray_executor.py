"""Tasks on Ray Core: a bounded window in flight, attempts counted by us (Ray retries out-of-memory kills for ever)."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray

from pipeline.errors import PipelineError
from pipeline.execution.executors import is_fatal

WINDOW_PER_CPU = 2


class RayExecutor:
    """Joins the cluster of RAY_ADDRESS (as `ray job submit` sets it), else starts a local one with `workers` CPUs."""

    def __init__(self, workers: int) -> None:
        self.owned = not ray.is_initialized()
        if self.owned:
            address = os.environ.get("RAY_ADDRESS")
            options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
            if address:
                ray.init(address=address, **options)
            else:
                ray.init(num_cpus=workers, include_dashboard=False, **options)
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self.window = max(1, int(resources.get("CPU", workers))) * WINDOW_PER_CPU

    def run(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        """See Executor.run; the order is that of completion."""
        remote = ray.remote(max_retries=0, num_cpus=1)(_guarded)
        queue = [(position, 1) for position in reversed(range(len(arguments)))]
        flying: dict[Any, tuple[int, int]] = {}
        try:
            while queue or flying:
                while queue and len(flying) < self.window:
                    position, attempt = queue.pop()
                    flying[remote.remote(function, arguments[position])] = (position, attempt)
                ready, _ = ray.wait(list(flying), num_returns=1)
                position, attempt = flying.pop(ready[0])
                try:
                    result, fatal, error = ray.get(ready[0])
                except ray.exceptions.RayError as caught:
                    result, fatal, error = None, None, f"{type(caught).__name__}: {caught}"
                if fatal is not None:
                    raise fatal
                if error is None:
                    yield position, result, None
                elif attempt < attempts:
                    queue.append((position, attempt + 1))
                else:
                    yield position, None, error
        finally:  # given up: a cluster would go on with what nobody waits for
            for task in flying:
                ray.cancel(task, force=True)

    def close(self) -> None:
        """Stop the local Ray that this executor started."""
        if self.owned:
            ray.shutdown()


def _guarded(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, PipelineError | None, str | None]:
    try:
        return function(*arguments), None, None
    except Exception as error:  # reported to the driver, which counts attempts
        if isinstance(error, PipelineError) and is_fatal(error):
            return None, error, None
        return None, None, f"{type(error).__name__}: {error}"
