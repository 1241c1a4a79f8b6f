"""Where things lie in an output folder, and how shards are grouped. Every path inside it is made here."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

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

    def histograms(self, shard_group: int) -> Location:
        """Histograms of every metric by label, of one shard group."""
        return self.root / "histograms" / f"shard-group-{shard_group:05d}.parquet"

    @property
    def histogram_index(self) -> Location:
        """What the histograms were made from."""
        return self.root / "histograms" / "index.json"

    def signatures(self, shard_group: int) -> Location:
        """Signature columns of a shard group, sorted by group, a run of row groups per group."""
        return self.root / "signatures" / f"shard-group-{shard_group:05d}.parquet"

    def gathered(self, number: int) -> Location:
        """Signature columns of many shard groups, where a task cannot open all; deleted once they are clustered."""
        return self.root / "signatures" / "gathered" / f"part-{number:05d}.parquet"

    def edges(self, task: int, key: str) -> Location:
        """Documents of a large group that share a key, smallest first; deleted once they are clustered."""
        return self.root / "clusters" / "edges" / f"part-{task:05d}" / f"{key}.parquet"

    def clusters(self, task: int) -> Location:
        """Clusters of the groups of one task, in dense order."""
        return self.root / "clusters" / f"part-{task:05d}.parquet"

    def cluster_size_updates(self, task: int) -> Location:
        """Of the groups of a task the documents of earlier outputs whose clusters have new members."""
        return self.root / "clusters" / "size_updates" / f"part-{task:05d}.parquet"

    @property
    def cluster_index(self) -> Location:
        """Group -> cluster file and rows per shard group."""
        return self.root / "clusters" / "index.json"

    def boilerplate(self, shard: str) -> Location:
        """For each document of a shard what of it repeats across its host."""
        return self.root / "boilerplate" / f"{shard}.parquet"

    def boilerplate_totals(self, shard_group: int) -> Location:
        """Totals of a shard group by label: exists when its shards are marked; beside it the histograms."""
        return self.root / "boilerplate" / f"shard-group-{shard_group:05d}.json"

    @property
    def boilerplate_index(self) -> Location:
        """What was marked, with which settings, and totals by label."""
        return self.root / "boilerplate" / "index.json"

    @property
    def boilerplate_counts(self) -> Location:
        """How many documents of a shard group have a line, by hash; kept, so that other thresholds need no counting."""
        return self.root / "boilerplate" / "counts"

    @property
    def boilerplate_scratch(self) -> Location:
        """What the tasks of boilerplate hand to each other; deleted when it ends."""
        return self.root / "boilerplate" / "scratch"

    def document_index(self, shard_group: int) -> Location:
        """Hashes of ids, URLs and domains of a shard group, sorted."""
        return self.root / "document_index" / f"shard-group-{shard_group:05d}.parquet"

    @property
    def document_index_manifest(self) -> Location:
        """Shards of each shard group of document_index/."""
        return self.root / "document_index" / "index.json"

    @property
    def contamination(self) -> Location:
        """Which documents overlap with evaluation sets."""
        return self.root / "contamination"

    @property
    def take_downs(self) -> Location:
        """What was taken out, and stays out of every selection: hashes, no URLs."""
        return self.root / "take_downs"

    def selection(self, name: str) -> Location:
        """One configuration's result."""
        return self.root / "selections" / name

    def shard_group_manifest(self, number: int) -> Location:
        """Manifests of a shard group of the plan in one file: 90,000 shards need not be opened one by one."""
        return self.root / "annotated" / f"shard-group-{number:05d}.json"

    def cached_failures(self, shard: str) -> Location:
        """Pages of a shard that stopped two fresh extraction processes, by sha256 of the page."""
        return self.root / "quarantine" / f"{shard}.json"

    def quarantined(self, shard: str) -> Location:
        """Why a shard could not be annotated; exists only for one that failed every attempt."""
        return self.root / "quarantine" / f"{shard}.failed.json"


def shard_groups(shards: list[str], size: int) -> list[list[str]]:
    """Consecutive shards, `size` to a shard group.

    >>> shard_groups(["a", "b", "c"], 2)
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
