"""Where things lie in an output folder, and how batches of shards are read."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.execution.commit import read_json
from pipeline.execution.storage import Location


def shard_name(file_path: str) -> str:
    """A file name for a shard's outputs: stem and a hash of the whole path, so that equal stems differ.

    >>> shard_name("a/CC-MAIN-1.warc.gz")
    'CC-MAIN-1-36a65274'
    """
    stem = re.sub(r"(\.warc|\.wet|\.arc|\.gz|\.zst)+$", "", Path(file_path).name)
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", stem)[:80]
    return f"{safe}-{hashlib.sha256(file_path.encode()).hexdigest()[:8]}"


Item = TypeVar("Item")


@dataclass(frozen=True)
class Layout:
    """Paths of one output folder."""

    root: Location

    @property
    def run(self) -> Location:
        """The plan and the resolved config."""
        return self.root / "run.json"

    def annotated(self, shard: str) -> Location:
        """Documents of a shard."""
        return self.root / "annotated" / f"{shard}.parquet"

    def annotated_manifest(self, shard: str) -> Location:
        """Manifest of a shard."""
        return self.root / "annotated" / f"{shard}.json"

    def dropped(self, shard: str) -> Location:
        """Dropped records of a shard."""
        return self.root / "dropped" / f"{shard}.parquet"

    def histograms(self, batch: int) -> Location:
        """Histograms of every metric by label, of one batch."""
        return self.root / "histograms" / f"batch-{batch:05d}.parquet"

    @property
    def histogram_index(self) -> Location:
        """What the histograms were made from."""
        return self.root / "histograms" / "index.json"

    def signatures(self, batch: int) -> Location:
        """Signature columns of a batch, sorted by group, a run of row groups per group."""
        return self.root / "signatures" / f"batch-{batch:05d}.parquet"

    def gathered(self, number: int) -> Location:
        """Signature columns of many batches, where a task cannot open all; deleted once they are clustered."""
        return self.root / "signatures" / "gathered" / f"part-{number:05d}.parquet"

    def edges(self, task: int, key: str) -> Location:
        """Documents of a large group that share a key, smallest first; deleted once they are clustered."""
        return self.root / "clusters" / "edges" / f"part-{task:05d}" / f"{key}.parquet"

    def clusters(self, task: int) -> Location:
        """Clusters of the groups of one task, in dense order."""
        return self.root / "clusters" / f"part-{task:05d}.parquet"

    def cluster_updates(self, task: int) -> Location:
        """Of the groups of a task the documents of earlier outputs whose clusters have new members."""
        return self.root / "clusters" / "updates" / f"part-{task:05d}.parquet"

    @property
    def cluster_index(self) -> Location:
        """Group -> cluster file and rows per batch."""
        return self.root / "clusters" / "index.json"

    def host_lines(self, shard: str) -> Location:
        """For each document of a shard what of it repeats across its host."""
        return self.root / "host_lines" / f"{shard}.parquet"

    def host_lines_batch(self, batch: int) -> Location:
        """Totals of a batch by label: exists when its shards are marked; beside it the histograms."""
        return self.root / "host_lines" / f"batch-{batch:05d}.json"

    @property
    def host_lines_index(self) -> Location:
        """What was marked, with which settings, and totals by label."""
        return self.root / "host_lines" / "index.json"

    @property
    def host_line_counts(self) -> Location:
        """How many documents of a batch have a line, by hash; kept, so that other thresholds need no counting."""
        return self.root / "host_lines" / "counts"

    @property
    def host_line_scratch(self) -> Location:
        """What the tasks of host_lines hand to each other; deleted when it ends."""
        return self.root / "host_lines" / "scratch"

    def lookup(self, batch: int) -> Location:
        """Hashes of ids, URLs and domains of a batch, sorted."""
        return self.root / "lookup" / f"batch-{batch:05d}.parquet"

    @property
    def lookup_index(self) -> Location:
        """Shards of each batch of lookup/."""
        return self.root / "lookup" / "index.json"

    @property
    def contamination(self) -> Location:
        """Which documents overlap with evaluation sets."""
        return self.root / "contamination"

    @property
    def removals(self) -> Location:
        """What was taken out, and stays out of every selection: hashes, no URLs."""
        return self.root / "removals"

    def selection(self, name: str) -> Location:
        """One configuration's result."""
        return self.root / "selections" / name

    def manifest_batch(self, number: int) -> Location:
        """Manifests of a batch of the plan in one file: 90,000 shards need not be opened one by one."""
        return self.root / "annotated" / f"batch-{number:05d}.json"

    def quarantined(self, shard: str) -> Location:
        """Why a shard could not be annotated; exists only for one that failed every attempt."""
        return self.root / "quarantine" / f"{shard}.failed.json"

    def missing(self) -> list[str]:
        """Shards of the plan that are quarantined, as the end of annotate found them."""
        names: list[str] = read_json(self.run).get("missing", [])
        return names

    def shards(self) -> list[str]:
        """Shards of the plan, in plan order, that are annotated and not quarantined."""
        plan = read_json(self.run)
        missing = set(plan.get("missing", []))
        names = [name for path in plan["inputs"] if (name := shard_name(path)) not in missing]
        ended = "manifest_batches" in plan
        return names if ended else [name for name in names if self.annotated_manifest(name).exists()]

    def unfinished(self) -> list[str]:
        """Shards of the plan that are neither annotated nor quarantined: annotate has not ended."""
        known = {*self.shards(), *self.missing()}
        return [name for path in read_json(self.run)["inputs"] if (name := shard_name(path)) not in known]

    def manifests(self) -> list[dict[str, Any]]:
        """Annotate manifests in plan order; those of whole batches once annotate has ended, which run.json says."""
        count = read_json(self.run).get("manifest_batches")
        if count is not None:
            return [one for number in range(count) for one in read_json(self.manifest_batch(number))]
        return [read_json(self.annotated_manifest(shard)) for shard in self.shards()]


def batches(shards: list[str], size: int) -> list[list[str]]:
    """Consecutive shards, `size` to a batch.

    >>> batches(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    return [shards[start : start + size] for start in range(0, len(shards), size)]


def filled(items: Iterable[Item], size: Callable[[Item], int], capacity: int) -> list[list[Item]]:
    """Consecutive items in lists, each of which takes no more once it has reached the capacity.

    >>> filled([3, 1, 5, 1], int, 4)
    [[3, 1], [5], [1]]
    """
    lists: list[list[Item]] = []
    so_far = capacity
    for one in items:
        if so_far >= capacity:
            lists.append([])
            so_far = 0
        lists[-1].append(one)
        so_far += size(one)
    return lists
