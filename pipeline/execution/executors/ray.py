"""Tasks on Ray Core: CPU and memory asked for by task, a bounded window in flight, attempts counted here.

Ray itself retries nothing: with its own retries a task that runs out of memory is started again for ever. Ray brings
the function's name and arguments to the workers, not our code: the nodes have the same image, or the same
PYTHONPATH when they start, or the job has a `--working-dir`.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.metrics import Counter, Gauge

from pipeline.errors import ConfigError, PipelineError
from pipeline.execution.tasks import Executor, is_fatal

WINDOW_PER_CPU = 2
REFRESH_SECONDS = 10.0  # workers of a cluster come and go while tasks run

logger = logging.getLogger(__name__)


@dataclass
class _Cluster:
    """What the nodes that are alive have: CPUs in all, and the memory of the largest that has a CPU."""

    cpus: int = 0
    memory_bytes: int = 0
    seen_at: float = -REFRESH_SECONDS

    def refresh(self) -> None:
        if time.monotonic() - self.seen_at < REFRESH_SECONDS:
            return
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        nodes = [resources for resources in nodes if resources.get("CPU", 0) >= 1]
        self.cpus = int(sum(resources["CPU"] for resources in nodes))
        self.memory_bytes = int(max((resources.get("memory", 0) for resources in nodes), default=0))
        self.seen_at = time.monotonic()
        if not self.cpus:
            logger.warning("no node of the Ray cluster has a CPU for tasks; waiting for workers")


class RayExecutor:
    """Joins the cluster of RAY_ADDRESS (as `ray job submit` sets it), else starts a local one with `workers` CPUs.

    A task asks for one CPU and `task_memory_bytes`, or what the largest node has if that is less; after it was
    killed for want of memory, for twice as much. Counters go to Ray's metrics: `glotmill_tasks_ended` by function and
    outcome, `glotmill_tasks_in_flight`.
    """

    def __init__(self, workers: int, task_memory_bytes: int) -> None:
        self.task_memory_bytes = task_memory_bytes
        self.owned = not ray.is_initialized()
        if self.owned:
            _connect(workers)
        self.cluster = _Cluster()
        self.ended = Counter("glotmill_tasks_ended", "Tasks that ended", tag_keys=("function", "outcome"))
        self.in_flight = Gauge("glotmill_tasks_in_flight", "Tasks given to Ray that have not ended")

    def run(
        self, function: Callable[..., Any], tasks: Sequence[Any], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        """See Executor.run; the order is that of completion."""
        remote = ray.remote(max_retries=0, num_cpus=1)(_guarded)
        queue = [(position, 1, self.task_memory_bytes) for position in reversed(range(len(tasks)))]
        flying: dict[Any, tuple[int, int, int]] = {}
        try:
            while queue or flying:
                self.cluster.refresh()
                while queue and len(flying) < max(1, self.cluster.cpus) * WINDOW_PER_CPU:
                    position, attempt, memory = queue.pop()
                    remote_task = remote.options(memory=min(memory, self.cluster.memory_bytes or memory))
                    flying[remote_task.remote(function, tasks[position])] = (position, attempt, memory)
                self.in_flight.set(len(flying))
                ready, _ = ray.wait(list(flying), num_returns=1, timeout=REFRESH_SECONDS)
                if not ready:
                    continue
                position, attempt, memory = flying.pop(ready[0])
                try:
                    result, fatal, error = ray.get(ready[0])
                except ray.exceptions.RayError as caught:
                    first_line = str(caught).partition("\n")[0]  # Ray's texts have pages
                    result, fatal, error = None, None, f"{type(caught).__name__}: {first_line}"
                    memory *= 2 if isinstance(caught, ray.exceptions.OutOfMemoryError) else 1
                again = error is not None and attempt < attempts
                outcome = "refused" if fatal else "done" if error is None else "retried" if again else "failed"
                self.ended.inc(tags={"function": function.__name__, "outcome": outcome})
                if fatal is not None:
                    raise fatal
                if error is None:
                    yield position, result, None
                elif again:
                    logger.warning("%s %d, attempt %d of %d: %s", function.__name__, position, attempt, attempts, error)
                    queue.append((position, attempt + 1, memory))
                else:
                    yield position, None, error
        finally:
            self.in_flight.set(0)
            for task in flying:  # given up: a cluster would go on with what nobody waits for
                ray.cancel(task, force=True)

    def close(self) -> None:
        """Stop the local Ray that this executor started, or leave the cluster."""
        if self.owned:
            ray.shutdown()


def make(workers: int, task_memory_bytes: int) -> Executor:
    """The executor of a Ray cluster. Raises ConfigError if the cluster of RAY_ADDRESS cannot be joined."""
    return RayExecutor(workers, task_memory_bytes)


def _connect(workers: int) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        ray.init(num_cpus=workers, include_dashboard=False, **options)
        return
    try:
        host, _, port = address.rpartition(":")
        if port.isdecimal() and "/" not in host:  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ConfigError(
            f"RAY_ADDRESS={address}: cannot join this Ray cluster: {error}\n"
            "Give the HOST:PORT that `ray start --head` printed (not 8265, the dashboard). If the cluster asks for a\n"
            "token, export RAY_AUTH_MODE=token and its RAY_AUTH_TOKEN here too. No RAY_ADDRESS: a local Ray starts."
        ) from error


def _guarded(function: Callable[..., Any], task: Any) -> tuple[Any, PipelineError | None, str | None]:
    try:
        return function(task), None, None
    except Exception as error:  # reported to the driver, which counts attempts
        if isinstance(error, PipelineError) and is_fatal(error):
            return None, error, None
        return None, None, f"{type(error).__name__}: {error}"
