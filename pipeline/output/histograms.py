"""Histograms of metrics by label, as files: Parquet with one row for each label and metric."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.grouped_parquet import read_file
from pipeline.rules.histogram import NULL, OVER, UNDER, Counts

Histograms = dict[tuple[str, str], Counts]  # (label, metric) -> counts


def write_histograms(path: Location, histograms: Histograms) -> None:
    """Write one row for each label and metric, sorted by both; the edges of its bins are `edges_of(metric)`."""
    keys = sorted(histograms)
    cells = np.array([histograms[key] for key in keys], dtype=np.int64).reshape(len(keys), NULL + 1)
    table = pa.table(
        {
            "label": pa.array([label for label, _ in keys], type=pa.string()),
            "metric": pa.array([metric for _, metric in keys], type=pa.string()),
            "underflow": cells[:, UNDER],
            "overflow": cells[:, OVER],
            "nulls": cells[:, NULL],
            "counts": pa.FixedSizeListArray.from_arrays(cells[:, 1:OVER].ravel(), OVER - 1),
        }
    )
    with committed(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_histograms(path: Location) -> Histograms:
    """Read what `write_histograms` wrote: (label, metric) -> counts of underflow, the 256 bins, overflow and nulls."""
    table = read_file(path)
    bins = table["counts"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, OVER - 1)
    sides = [table[name].to_numpy() for name in ("underflow", "overflow", "nulls")]
    cells = np.column_stack([sides[0], bins, sides[1], sides[2]])
    keys = zip(table["label"].to_pylist(), table["metric"].to_pylist(), strict=True)
    return dict(zip(keys, cells, strict=True))
