"""The funnel: how many documents there were of each label, and what became of them."""

from collections import Counter
from dataclasses import dataclass

from pipeline.output.output import Output
from pipeline.schema.outcomes import Outcome

FUNNEL_COLUMNS = ("documents", *(outcome.value for outcome in Outcome))


@dataclass(frozen=True)
class FunnelRow:
    """The documents of a label."""

    label: str
    counts: dict[str, int]  # by FUNNEL_COLUMNS: all, and those of each outcome


@dataclass(frozen=True)
class Funnel:
    """What became of the records of a run that could hold a document."""

    rows: list[FunnelRow]  # most documents first
    dropped: Counter[str]  # records that gave no document, by reason

    def total(self, column: str) -> int:
        """The documents of all labels in a column of FUNNEL_COLUMNS."""
        return sum(row.counts[column] for row in self.rows)

    @property
    def read(self) -> int:
        """Records that could hold a document."""
        return self.dropped.total() + self.total("documents")


def funnel_of(output: Output, selection: str) -> Funnel:
    """The funnel of a selection, from manifests. Raises InputError where there is no such selection."""
    dropped: Counter[str] = Counter()
    for shard in output.manifests():
        dropped.update(shard.dropped)
    rows = [
        FunnelRow(
            label,
            {
                "documents": sum(outcomes.values()),
                **{outcome.value: outcomes.get(outcome, 0) for outcome in Outcome},
            },
        )
        for label, outcomes in output.selection_manifest(selection).outcomes.items()
    ]
    return Funnel(sorted(rows, key=lambda row: (-row.counts["documents"], row.label)), dropped)
