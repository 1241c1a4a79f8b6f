"""The text of documents that were taken out is emptied in annotated/, too."""

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed, read_manifest, sha256_of, write_json, write_manifest
from pipeline.execution.storage import Location, readable
from pipeline.output.output import Output
from pipeline.output.take_downs import take_down_names, taken_out_rows
from pipeline.schema.columns import ANNOTATED
from pipeline.schema.manifests import ShardManifest


def purge_texts(output: Output, shard_groups: list[list[str]]) -> list[str]:
    """Empty the text of everything that was ever taken out, in annotated/; measurements stay. Returns the shards."""
    purged: dict[str, ShardManifest] = {}
    for shard_group, shards in enumerate(shard_groups):
        rows = taken_out_rows(output, take_down_names(output), shard_group, shards)
        for shard in sorted(rows):
            _empty_texts(output.annotated(shard), sorted(rows[shard]))
            manifest = read_manifest(output.annotated_manifest(shard), ShardManifest)
            digests = msgspec.structs.replace(manifest.sha256, annotated=sha256_of(output.annotated(shard)))
            purged[shard] = msgspec.structs.replace(manifest, sha256=digests)
            write_manifest(output.annotated_manifest(shard), purged[shard])
    for number in range(output.plan.shard_group_count or 0):
        manifests = [purged.get(manifest.shard, manifest) for manifest in output.group_manifests(number)]
        write_json(output.shard_group_manifest(number), msgspec.to_builtins(manifests))
    return sorted(purged)


def _empty_texts(path: Location, rows: list[int]) -> None:
    """Write a file of annotated/ again with the text and the edits of some rows empty."""
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
