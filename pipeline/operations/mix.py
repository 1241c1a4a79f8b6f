"""mix: another mixture of a finished selection, and where asked for its texts as shuffled files."""

from dataclasses import dataclass

from pipeline.config.run_settings import RunConfig
from pipeline.execution.executors import make_executor
from pipeline.execution.lock import sole_run
from pipeline.execution.storage import Location, check_reachable, locate_output
from pipeline.operations.materialize import materialize
from pipeline.output.mixtures import Mixture
from pipeline.output.output import Output
from pipeline.passes.rebalance.rebalance import make_mixture
from pipeline.schema.manifests import MaterializedMixture, MixtureManifest, MixtureSettings


@dataclass(frozen=True)
class ShuffledFiles:
    """Where the texts of a mixture are written, in how many files (None: by their size), and the seed of the order."""

    folder: str
    shards: int | None = None
    seed: int = 0


def mix(
    config: RunConfig, output: Output, selection: Location, settings: MixtureSettings, files: ShuffledFiles | None
) -> tuple[MixtureManifest, MaterializedMixture | None]:
    """Write a mixture of the selection in the folder `selection` of `output`, and its shuffled files if any are wanted.

    Of the config only what says where tasks run is read. Returns both manifests. Raises ConfigError for settings that
    cannot be and for a folder that cannot be written, BusyError when another run has the output.
    """
    target = locate_output(files.folder) if files else None
    if target is not None:
        check_reachable(target)
    with sole_run(output.root):
        executor = make_executor(config.executor, config.workers, config.execution.task_memory_bytes)
        try:
            mixture = make_mixture(settings, selection, executor)
            if files is None or target is None:
                return mixture, None
            return mixture, materialize(Mixture(selection, mixture), target, executor, files.seed, files.shards)
        finally:
            executor.close()
