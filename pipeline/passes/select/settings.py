"""The part of a run's config that a selection depends on."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config.run_settings import BoilerplateConfig, RunConfig, SelectConfig
from pipeline.config.user_stages import known_metrics


@dataclass(frozen=True)
class SelectionSettings:
    """The settings of select, and what it needs of others to read measurements and to cut its work into tasks."""

    name: str  # of the selection
    select: SelectConfig
    boilerplate: BoilerplateConfig
    models: str  # folder of language models, whose calibrations give perplexity_percentile; "" for Glotmill's own
    metrics: Sequence[str]  # names of all that are measured
    shard_group_size: int  # shards
    large_group_rows: int  # documents that fill a task

    @classmethod
    def of(cls, config: RunConfig) -> "SelectionSettings":
        """Those of a run."""
        return cls(
            name=config.selection,
            select=config.select,
            boilerplate=config.boilerplate,
            models=config.models,
            metrics=list(known_metrics(config.stages)),
            shard_group_size=config.dedup.shard_group_size,
            large_group_rows=config.dedup.large_group_rows,
        )
