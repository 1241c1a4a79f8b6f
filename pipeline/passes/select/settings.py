"""The part of a run's config that a selection depends on."""

from dataclasses import dataclass

from pipeline.config.run_settings import BoilerplateConfig, RunConfig, SelectConfig


@dataclass(frozen=True)
class SelectionSettings:
    """The settings of select, and what it needs of others to read measurements and to cut its work into tasks."""

    name: str  # of the selection
    select: SelectConfig
    boilerplate: BoilerplateConfig
    models: (
        str  # folder of language models, whose calibrations give perplexity_percentile; "" for those that come along
    )
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
            shard_group_size=config.dedup.shard_group_size,
            large_group_rows=config.dedup.large_group_rows,
        )
