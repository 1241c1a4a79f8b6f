"""Where the files of an output folder are, and how shards are grouped.

Paths inside a selection are made in selection.py, and the names of the parts of clean/ in parts.py.
"""

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
        return self.histograms_folder / f"shard-group-{shard_group:05d}.parquet"

    @property
    def histograms_folder(self) -> Location:
        """Folder of the histograms and their index."""
        return self.root / "histograms"

    @property
    def histogram_index(self) -> Location:
        """What the histograms were made from."""
        return self.histograms_folder / "index.json"

    def signatures(self, shard_group: int) -> Location:
        """Signature columns of a shard group, sorted by group; each group has row groups of its own."""
        return self.root / "signatures" / f"shard-group-{shard_group:05d}.parquet"

    @property
    def gathered_folder(self) -> Location:
        """Folder of `gathered`."""
        return self.root / "signatures" / "gathered"

    def gathered(self, number: int) -> Location:
        """Signature columns of many shard groups, where a task cannot open all; deleted once they are clustered."""
        return self.gathered_folder / f"part-{number:05d}.parquet"

    def edges(self, task: int, key: str) -> Location:
        """What is known of a large group before it is clustered: the edges between documents that share a key, or under
        the name `already_read` which rows repeat a record; deleted once they are clustered."""
        return self.edges_folder / f"part-{task:05d}" / f"{key}.parquet"

    @property
    def edges_folder(self) -> Location:
        """Folder of `edges`, of all tasks."""
        return self.root / "clusters" / "edges"

    def clusters(self, task: int) -> Location:
        """Clusters of the groups of one task, in the order of the signatures."""
        return self.root / "clusters" / f"part-{task:05d}.parquet"

    @property
    def cluster_size_updates_folder(self) -> Location:
        """Folder of `cluster_size_updates`."""
        return self.root / "clusters" / "size_updates"

    def cluster_size_updates(self, task: int) -> Location:
        """Of the groups of a task the documents of baselines whose clusters have new members; absent without any."""
        return self.cluster_size_updates_folder / f"part-{task:05d}.parquet"

    @property
    def cluster_index(self) -> Location:
        """For each group of documents its file of clusters and its rows by shard group."""
        return self.root / "clusters" / "index.json"

    def boilerplate(self, shard: str) -> Location:
        """For each document of a shard the lines that repeat across its host, and the metric of them."""
        return self.root / "boilerplate" / f"{shard}.parquet"

    def boilerplate_totals(self, shard_group: int) -> Location:
        """Totals of a shard group by label; exists when all its shards are marked."""
        return self.root / "boilerplate" / f"shard-group-{shard_group:05d}.json"

    def boilerplate_histograms(self, shard_group: int) -> Location:
        """Histograms of the metric of boilerplate by label, of one shard group."""
        return self.root / "boilerplate" / f"histograms-{shard_group:05d}.parquet"

    @property
    def boilerplate_index(self) -> Location:
        """Which clusters and settings the marks are of, and totals by label."""
        return self.root / "boilerplate" / "index.json"

    def line_counts(self, shard_group: int) -> Location:
        """How many documents of a shard group have a line, by hash; kept, so that other thresholds need no counting."""
        return self.root / "boilerplate" / "counts" / f"shard-group-{shard_group:05d}.parquet"

    def line_counts_manifest(self, shard_group: int) -> Location:
        """What the line counts of a shard group were made from, and the rows of each range of hashes."""
        return self.root / "boilerplate" / "counts" / f"shard-group-{shard_group:05d}.json"

    @property
    def boilerplate_scratch(self) -> Location:
        """Files that the tasks of boilerplate hand to each other; deleted when the pass ends."""
        return self.root / "boilerplate" / "scratch"

    def host_hashes(self, shard_group: int) -> Location:
        """Scratch of boilerplate: the hash of each document's host and words."""
        return self.boilerplate_scratch / f"hosts-{shard_group:05d}.parquet"

    def first_on_host(self, task: int) -> Location:
        """Scratch of boilerplate: whether a document is the first of its cluster on its host."""
        return self.boilerplate_scratch / f"first-{task:05d}.parquet"

    def merged_line_counts(self, level: int, number: int) -> Location:
        """Scratch of boilerplate: line counts of many shard groups in one file, merged `level` times."""
        return self.boilerplate_scratch / f"level-{level}-{number:05d}.parquet"

    def repeated_lines(self, task: int) -> Location:
        """Scratch of boilerplate: the lines that enough documents have, of some ranges of hashes."""
        return self.boilerplate_scratch / f"repeated-{task:05d}.parquet"

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
        """Folder of the take-downs: what was taken out, and stays out of every selection."""
        return self.root / "take_downs"

    def take_down(self, name: str) -> Location:
        """What one command took out: hashes, no URLs."""
        return self.take_downs / f"{name}.json"

    def selection(self, name: str) -> Location:
        """Folder of a selection: the result of one configuration."""
        return self.root / "selections" / name

    def selection_manifest_path(self, name: str) -> Location:
        """Manifest of a selection; exists when the selection is finished."""
        return self.selection(name) / "manifest.json"

    def decisions(self, name: str, shard_group: int) -> Location:
        """The decisions of a selection on the documents of a shard group, in the order of the signatures."""
        return self.selection(name) / "decisions" / f"shard-group-{shard_group:05d}.parquet"

    def shard_group_manifest(self, number: int) -> Location:
        """Manifests of a shard group of the plan in one file: 90,000 shards need not be opened one by one."""
        return self.root / "annotated" / f"shard-group-{number:05d}.json"

    def cached_failures(self, shard: str) -> Location:
        """Pages of a shard, which may be sound otherwise, that stopped two fresh extraction processes: sha256 of the
        page -> drop reason."""
        return self.root / "quarantine" / f"{shard}.json"

    def quarantined(self, shard: str) -> Location:
        """Why a whole shard could not be annotated; exists only for one that failed every attempt."""
        return self.root / "quarantine" / f"{shard}.failed.json"


def shard_groups(shards: list[str], size: int) -> list[list[str]]:
    """Consecutive shards, `size` to a shard group.

    >>> shard_groups(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    return [shards[start : start + size] for start in range(0, len(shards), size)]


def filled(items: Iterable[Item], size: Callable[[Item], int], capacity: int) -> list[list[Item]]:
    """Consecutive items in lists; a list takes no further item once the sizes of its items reach `capacity`.

    >>> filled([3, 1, 5, 1], int, 4)
    [[3, 1], [5], [1]]
    """
    lists: list[list[Item]] = []
    total = capacity
    for item in items:
        if total >= capacity:
            lists.append([])
            total = 0
        lists[-1].append(item)
        total += size(item)
    return lists
