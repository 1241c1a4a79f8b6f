"""Where things lie in an output folder, and how batches of shards are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.execution.manifests import read_json
from pipeline.passes.annotate import shard_name


@dataclass(frozen=True)
class Layout:
    """Paths of one output folder."""

    root: Path

    @property
    def run(self) -> Path:
        """The plan and the resolved config."""
        return self.root / "run.json"

    def annotated(self, shard: str) -> Path:
        """Documents of a shard."""
        return self.root / "annotated" / f"{shard}.parquet"

    def annotated_manifest(self, shard: str) -> Path:
        """Manifest of a shard."""
        return self.root / "annotated" / f"{shard}.json"

    def dropped(self, shard: str) -> Path:
        """Dropped records of a shard."""
        return self.root / "dropped" / f"{shard}.parquet"

    def histograms(self, batch: int) -> Path:
        """Histograms of every metric by label, of one batch."""
        return self.root / "histograms" / f"batch-{batch:05d}.parquet"

    @property
    def histogram_index(self) -> Path:
        """What the histograms were made from."""
        return self.root / "histograms" / "index.json"

    def signatures(self, batch: int) -> Path:
        """Signature columns of a batch, sorted by group, a run of row groups per group."""
        return self.root / "signatures" / f"batch-{batch:05d}.parquet"

    def gathered(self, number: int) -> Path:
        """Signature columns of many batches, where a task cannot open all; deleted once they are clustered."""
        return self.root / "signatures" / "gathered" / f"part-{number:05d}.parquet"

    def edges(self, task: int, key: str) -> Path:
        """Documents of a large group that share a key, smallest first; deleted once they are clustered."""
        return self.root / "clusters" / "edges" / f"part-{task:05d}" / f"{key}.parquet"

    def clusters(self, task: int) -> Path:
        """Clusters of the groups of one task, in dense order."""
        return self.root / "clusters" / f"part-{task:05d}.parquet"

    @property
    def cluster_index(self) -> Path:
        """Group -> cluster file and rows per batch."""
        return self.root / "clusters" / "index.json"

    def selection(self, name: str) -> Path:
        """One configuration's result."""
        return self.root / "selections" / name

    def shards(self) -> list[str]:
        """Shards of the plan, in plan order, that are annotated."""
        plan = read_json(self.run)
        names = [shard_name(path) for path in plan["inputs"]]
        return [name for name in names if self.annotated_manifest(name).exists()]

    def manifests(self) -> list[dict[str, Any]]:
        """Annotate manifests in plan order."""
        return [read_json(self.annotated_manifest(shard)) for shard in self.shards()]


def batches(shards: list[str], size: int) -> list[list[str]]:
    """Consecutive shards, `size` to a batch.

    >>> batches(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    return [shards[start : start + size] for start in range(0, len(shards), size)]
