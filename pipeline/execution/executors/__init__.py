"""Where tasks run: in this process, on Ray, ...

An executor is a module of this package, and has the name of its module. It defines

- `make(workers: int, task_memory_bytes: int) -> Executor`: the executor for so many processes, whose tasks take about
  so much memory each. It raises ConfigError where it cannot be had, such as a cluster that does not answer.

Every executor gives the same files. Its libraries are imported with the module, which is loaded where the config names
it and nowhere else.
"""

from pipeline.errors import ConfigError
from pipeline.execution.tasks import Executor
from pipeline.registry import load

PACKAGE = "execution.executors"


def make_executor(kind: str, workers: int, task_memory_bytes: int) -> Executor:
    """The executor that the config names.

    Raises ConfigError if there is no such executor, if its library is not installed, or if it cannot be had.
    """
    try:
        module = load(PACKAGE, kind, "executor")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'executor = "{kind}": {error.name} is not installed; install the extra `{kind}`, or use "inline"'
        ) from error
    executor: Executor = module.make(workers, task_memory_bytes)
    return executor
