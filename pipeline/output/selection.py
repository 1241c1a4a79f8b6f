"""Where the files of a selection lie, of one that is finished and of one that is being made.

A selection is made in `selections/<name>.partial/`, with files that its tasks hand to each other, and renamed to
`selections/<name>/` once its manifest is written.
"""

from dataclasses import dataclass

from pipeline.execution.storage import Location

SCRATCH_FOLDERS = ("filtered", "outcomes", "samples", "sorted_runs")  # deleted before a selection becomes visible


@dataclass(frozen=True)
class SelectionFolder:
    """Paths inside the folder of one selection. The paths of the files of clean/ are those of its manifest."""

    root: Location

    @property
    def manifest(self) -> Location:
        """The SelectionManifest; the selection is finished when it exists."""
        return self.root / "manifest.json"

    def decisions(self, shard_group: int) -> Location:
        """The outcome of every document of a shard group with its reasons, in the order of the signatures."""
        return self.root / "decisions" / f"shard-group-{shard_group:05d}.parquet"

    @property
    def histograms(self) -> Location:
        """Histograms of every metric by label, of all documents."""
        return self.root / "histograms.parquet"

    @property
    def sample(self) -> Location:
        """A sample of the documents of each outcome and label, with URL and metrics."""
        return self.root / "sample.parquet"

    @property
    def card(self) -> Location:
        """The dataset card."""
        return self.root / "README.md"

    @property
    def report(self) -> Location:
        """The report as a page of HTML."""
        return self.root / "report" / "index.html"

    @property
    def take_down_journal(self) -> Location:
        """Files of clean/ that `glotmill remove` is rewriting; absent once it has ended."""
        return self.root / "removing.json"

    def filtered(self, shard_group: int) -> Location:
        """Scratch: which rules fire for the documents of a shard group, in the order of the signatures."""
        return self.root / "filtered" / f"shard-group-{shard_group:05d}.parquet"

    def outcomes(self, task: int) -> Location:
        """Scratch: the outcomes of the documents of a task's groups, sorted by group."""
        return self.root / "outcomes" / f"part-{task:05d}.parquet"

    def sample_of(self, shard_group: int) -> Location:
        """Scratch: the sample of a shard group."""
        return self.root / "samples" / f"shard-group-{shard_group:05d}.parquet"

    def sorted_run(self, shard_group: int, number: int) -> Location:
        """Scratch: kept documents of a shard group, sorted by label and as clean/ is."""
        return self.root / "sorted_runs" / f"shard-group-{shard_group:05d}-run-{number:05d}.parquet"

    def merged_run(self, level: int, number: int) -> Location:
        """Scratch: a sorted run that was merged from others, after `level` waves of merges."""
        return self.root / "sorted_runs" / f"level-{level}-{number:05d}.parquet"
