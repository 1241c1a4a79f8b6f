"""Outputs that were made over ours, and the cluster sizes that they say our documents have now.

An output that was made over earlier ones writes, for each of their documents whose cluster has grown, its row among the
earlier documents of its group and the size of the cluster now (`clusters/size_updates/`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pipeline.errors import ConfigError
from pipeline.execution.commit import read_manifest
from pipeline.execution.storage import check_reachable, locate, readable
from pipeline.output.baselines import fingerprint_of_documents
from pipeline.output.output import Output
from pipeline.schema.manifests import ClusterIndex

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LaterOutput:
    """An output made over ours, and where among its documents and files those of ours are."""

    output: Output
    fingerprint: str  # of its clusters
    tasks: dict[str, int]  # group -> number of its file of cluster-size updates
    rows_before: dict[str, int]  # documents of each group that come before ours

    def sizes(self, group: str, first_row: int, rows: int) -> Iterator[tuple[Integers, Integers]]:
        """The rows, from `first_row`, and new sizes of those of our documents of a group whose cluster has grown.

        Looked at are our documents `first_row` to `first_row + rows` of the group, in the order of the signatures.
        """
        start = self.rows_before.get(group, 0) + first_row
        path = self.output.cluster_size_updates(self.tasks[group]) if group in self.tasks else None
        if path is None or not path.exists():
            return
        with pq.ParquetFile(readable(path)) as file:
            columns = [file.schema_arrow.get_field_index(name) for name in ("group", "baseline_row")]
            for number in range(file.num_row_groups):
                metadata = file.metadata.row_group(number)
                groups, baseline_rows = (metadata.column(column).statistics for column in columns)
                if groups.min == group and baseline_rows.min < start + rows and baseline_rows.max >= start:
                    table = file.read_row_group(number, columns=["baseline_row", "size"])
                    row = table["baseline_row"].to_numpy() - start
                    inside = (row >= 0) & (row < rows)
                    yield row[inside], table["size"].to_numpy()[inside]


def open_later_outputs(output: Output, paths: Iterable[str]) -> list[LaterOutput]:
    """The outputs at `paths`, oldest first. Raises ConfigError for one that was not made over ours and those before."""
    documents = [fingerprint_of_documents(read_manifest(output.cluster_index, ClusterIndex))]
    later_outputs = []
    for path in paths:
        later = Output(locate(path))
        check_reachable(later.root)
        if not later.cluster_index.exists():
            raise ConfigError(f"--updates {path}: no finished output; name folders that `run` has ended")
        index = read_manifest(later.cluster_index, ClusterIndex)
        if missing := [earlier for earlier in documents if earlier not in index.baseline]:
            over = "this output" if missing[0] == documents[0] else "those before it"
            raise ConfigError(
                f"--updates {path}: was not made over {over} as it is now: its sizes do not count all documents; name "
                "outputs that have this one and each other as `baseline`, oldest first"
            )
        rows_before: dict[str, int] = {}
        for rows in index.baseline_rows[: index.baseline.index(documents[0])]:
            for group, count in rows.items():
                rows_before[group] = rows_before.get(group, 0) + count
        tasks = {group: entry.task for group, entry in index.groups.items()}
        later_outputs.append(LaterOutput(later, index.fingerprint, tasks, rows_before))
        documents.append(fingerprint_of_documents(index))
    return later_outputs
