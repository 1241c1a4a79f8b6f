"""mix: another data mixture of a selection, and on request its files, shuffled."""

from typing import Any

from pipeline.errors import ConfigError
from pipeline.execution.executors import make_executor
from pipeline.execution.lock import sole_run
from pipeline.execution.storage import check_reachable, locate_output
from pipeline.operations.materialize import materialize
from pipeline.output.mixtures import load_mixture, mixture_path
from pipeline.output.output import Output
from pipeline.passes.rebalance.rebalance import make_mixture
from pipeline.passes.rebalance.settings import MixtureSettings


def make_and_write_mixture(
    output: Output,
    selection: str,
    given: dict[str, Any],
    execution: dict[str, Any],
    target: str | None = None,
    shards: int | None = None,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Make a mixture of a selection, and where `target` is given its shuffled files; what is None is as the run has it.

    Returns both manifests. Raises ConfigError for settings that cannot be.
    """
    stored = output.config(**execution)
    defaults = {"weights": stored.rebalance.weights, "max_repeats": stored.rebalance.max_repeats}
    settings = MixtureSettings(**(defaults | {key: value for key, value in given.items() if value is not None}))
    folder = output.selection(selection)
    written = None
    if target:
        check_reachable(locate_output(target))
    elif shards:
        raise ConfigError("--shards: is of --materialize FOLDER only")
    with sole_run(output.root):
        executor = make_executor(stored.executor, stored.workers, stored.execution.task_memory_bytes)
        try:
            mixture = make_mixture(settings, folder, executor)
            if target:
                made = load_mixture(mixture_path(folder, settings.name))
                written = materialize(made, locate_output(target), executor, seed, shards)
        finally:
            executor.close()
    return mixture, written
