"""What the passes of one run hand to each other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.config.run_settings import RunConfig
from pipeline.execution.progress import Progress, silent
from pipeline.execution.tasks import Executor
from pipeline.output.histograms import Histograms
from pipeline.output.output import Output
from pipeline.passes.statistics import Rules


@dataclass
class RunState:
    """The settings of a run, where it writes and works, and what its passes have found so far.

    `inputs` are what annotate reads, and `skipped` those of them that stay quarantined. `histograms` are filled by
    statistics and boilerplate; `rules` are set by statistics, with every percentile bound a number, and once more by
    boilerplate, whose metric rules may bound.
    """

    config: RunConfig
    output: Output
    executor: Executor
    rule_overrides: dict[str, Any]
    inputs: Sequence[str] = ()
    skipped: Collection[str] = ()
    accept_missing: bool = False
    progress: Progress = silent
    histograms: Histograms = field(default_factory=dict)
    rules: Rules | None = None

    @property
    def resolved_rules(self) -> Rules:
        """The rules, once statistics has resolved them."""
        assert self.rules is not None, "statistics comes before what needs rules"
        return self.rules
