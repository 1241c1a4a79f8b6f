"""Text of removed documents taken out of annotated/, too."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed, read_json, sha256_of, write_json
from pipeline.execution.storage import Location, readable
from pipeline.output.output import Output
from pipeline.output.take_downs import take_down_names, taken_out_rows
from pipeline.schema.columns import ANNOTATED


def purge_texts(layout: Output, grouped: list[list[str]]) -> list[str]:
    """Empty the text of everything that was ever taken out, in annotated/; measurements stay. Returns the shards."""
    purged: dict[str, dict[str, Any]] = {}
    for shard_group, shards in enumerate(grouped):
        rows = taken_out_rows(layout, take_down_names(layout), shard_group, shards)
        for shard in sorted(rows):
            _empty_texts(layout.annotated(shard), sorted(rows[shard]))
            manifest = read_json(layout.annotated_manifest(shard))
            manifest["sha256"]["annotated"] = sha256_of(layout.annotated(shard))
            write_json(layout.annotated_manifest(shard), manifest)
            purged[shard] = manifest
    for number in range(layout.plan.shard_group_count or 0):
        manifests = [purged.get(one["shard"], one) for one in read_json(layout.shard_group_manifest(number))]
        write_json(layout.shard_group_manifest(number), manifests)
    return sorted(purged)


def _empty_texts(path: Location, rows: list[int]) -> None:
    with (
        pq.ParquetFile(readable(path), pre_buffer=True) as file,
        committed(path) as temporary,
        pq.ParquetWriter(temporary, ANNOTATED, compression="zstd", write_page_index=True) as writer,
    ):
        first = 0
        for number in range(file.num_row_groups):
            table = file.read_row_group(number)
            stays = ~np.isin(np.arange(first, first + table.num_rows), rows)
            first += table.num_rows
            for name, empty in (("text", ""), ("edit_starts", []), ("edit_ends", []), ("edit_texts", [])):
                values = [value if stay else empty for value, stay in zip(table[name].to_pylist(), stays, strict=True)]
                column = pa.array(values, ANNOTATED.field(name).type)
                table = table.set_column(table.column_names.index(name), name, column)
            writer.write_table(table, row_group_size=table.num_rows)
