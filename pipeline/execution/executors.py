"""Which executor the config names."""

from importlib.util import find_spec

from pipeline.errors import ConfigError
from pipeline.execution.inline import InlineExecutor
from pipeline.execution.tasks import Executor


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
