"""A sample of the documents of each outcome and label, drawn by hash of id, with URL and every metric.

It is what a person looks at to judge a rule. Drawing by hash gives the same documents however work is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.output.layout import Layout
from pipeline.output.measurements import measured
from pipeline.output.take_downs import STAYS
from pipeline.passes.select.columns import SAMPLED
from pipeline.passes.select.filter import with_columns

SAMPLE = 100  # documents of each outcome and label in sample.parquet
FROM_DECISIONS = ("outcome", "rules_fired", "minhash_cluster_size")


@dataclass(frozen=True)
class Measurements:
    """Where the measurements of a shard group are read."""

    output: Layout
    shards: list[str]
    models: str
    metrics: Sequence[str]  # names of all
    boilerplate: bool  # whether lines that repeat across a host were measured


def sample_of_shard_group(source: Measurements, locations: pa.Table, decisions: pa.Table) -> pa.Table:
    """The bottom-k sample of a shard group: where each document was read, every metric, and what became of it.

    `locations` (LOCATION and label) and `decisions` have a row for each document of the shard group, in the same order.
    """
    drawn = with_columns(locations, {name: decisions[name] for name in FROM_DECISIONS})
    drawn = drawn.filter(pa.compute.equal(decisions["removed"], STAYS))  # the sample names URLs
    drawn = bottom_k(drawn, ["shard", "row"])
    tables = []
    for number, shard in enumerate(source.shards):
        of_shard = drawn.filter(pa.compute.equal(drawn["shard"], number))
        if of_shard.num_rows or number == 0:  # a shard group without documents has the columns, too
            columns = source.metrics, SAMPLED
            table = measured(source.output, shard, source.models, *columns, boilerplate=source.boilerplate)
            added = {name: of_shard[name] for name in FROM_DECISIONS}
            tables.append(with_columns(table.take(of_shard["row"]), added))
    return pa.concat_tables(tables)


def bottom_k(table: pa.Table, ties: Sequence[str] = ("id", "file_path", "warc_offset"), k: int = SAMPLE) -> pa.Table:
    """The k rows of least id_hash of each label and outcome; bottom_k of pieces' bottom_k is that of the whole."""
    table = table.sort_by([(name, "ascending") for name in ("label", "outcome", "id_hash", *ties)])
    labels, outcomes = (table[name].to_numpy(zero_copy_only=False) for name in ("label", "outcome"))
    is_first = np.ones(table.num_rows, dtype=bool)
    is_first[1:] = (labels[1:] != labels[:-1]) | (outcomes[1:] != outcomes[:-1])
    starts = np.flatnonzero(is_first)
    rank = np.arange(table.num_rows) - np.repeat(starts, np.diff(np.append(starts, table.num_rows)))
    return table.filter(pa.array(rank < k))
