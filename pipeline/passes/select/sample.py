"""A sample of the documents of each outcome and language, by hash of id."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.layout import Layout
from pipeline.output.measurements import measured
from pipeline.output.take_downs import STAYS
from pipeline.passes.select.columns import SAMPLED
from pipeline.passes.select.filter import with_columns

SAMPLE = 100  # documents of each outcome and language in sample.parquet


def sample_shard_group(
    config: RunConfig,
    layout: Layout,
    partial: Location,
    shard_group: int,
    shards: list[str],
    where: pa.Table,
    decisions: pa.Table,
) -> None:
    """Write the shard_group's bottom-k sample: where each document was read, every metric, and what became of it."""
    draw = with_columns(where, {name: decisions[name] for name in ("outcome", "rules_fired", "minhash_cluster_size")})
    draw = draw.filter(pa.compute.equal(decisions["removed"], STAYS))  # the sample names URLs
    draw = bottom_k(draw, ["shard", "row"])
    tables = []
    for number, shard in enumerate(shards):
        here = draw.filter(pa.compute.equal(draw["shard"], number))
        if here.num_rows or number == 0:  # a shard group without documents has the columns, too
            table = measured(layout, shard, config.models, SAMPLED, boilerplate=config.boilerplate.enabled)
            table = table.take(here["row"])
            for name in ("outcome", "rules_fired", "minhash_cluster_size"):
                table = table.append_column(name, here[name])
            tables.append(table)
    with committed(partial / "samples" / f"shard-group-{shard_group:05d}.parquet") as path:
        pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def bottom_k(table: pa.Table, ties: Sequence[str] = ("id", "file_path", "warc_offset"), k: int = SAMPLE) -> pa.Table:
    """The k rows of least id_hash of each label and outcome; bottom_k of pieces' bottom_k is that of the whole."""
    table = table.sort_by([(name, "ascending") for name in ("label", "outcome", "id_hash", *ties)])
    keys = [table[name].to_numpy(zero_copy_only=False) for name in ("label", "outcome")]
    fresh = np.ones(table.num_rows, dtype=bool)
    fresh[1:] = (keys[0][1:] != keys[0][:-1]) | (keys[1][1:] != keys[1][:-1])
    starts = np.flatnonzero(fresh)
    rank = np.arange(table.num_rows) - np.repeat(starts, np.diff(np.append(starts, table.num_rows)))
    return table.filter(pa.array(rank < k))
