"""The text of documents that were taken out is emptied in annotated/, too."""

from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.user_stages import annotated_schema
from pipeline.execution.commit import committed, read_manifest, sha256_of, write_json, write_manifest
from pipeline.execution.storage import Location, readable
from pipeline.output.output import Output
from pipeline.output.take_downs import take_down_names, taken_out_rows
from pipeline.schema.columns import ANNOTATED
from pipeline.schema.manifests import ShardManifest

# Columns of ours that a text could be had or known from, and what stands there once it is purged.
FROM_TEXT: Final[dict[str, Any]] = {"text": "", "edit_starts": [], "edit_ends": [], "edit_texts": []}


def purge_texts(output: Output, shard_groups: list[list[str]]) -> list[str]:
    """Empty the text of everything that was ever taken out, in annotated/; measurements stay. Returns the shards."""
    schema = annotated_schema(output.config().stages)
    purged: dict[str, ShardManifest] = {}
    for shard_group, shards in enumerate(shard_groups):
        rows = taken_out_rows(output, take_down_names(output), shard_group, shards)
        for shard in sorted(rows):
            _empty_texts(output.annotated(shard), schema, sorted(rows[shard]))
            manifest = read_manifest(output.annotated_manifest(shard), ShardManifest)
            digests = msgspec.structs.replace(manifest.sha256, annotated=sha256_of(output.annotated(shard)))
            purged[shard] = msgspec.structs.replace(manifest, sha256=digests)
            write_manifest(output.annotated_manifest(shard), purged[shard])
    for number in range(output.plan.shard_group_count or 0):
        manifests = [purged.get(manifest.shard, manifest) for manifest in output.group_manifests(number)]
        write_json(output.shard_group_manifest(number), msgspec.to_builtins(manifests))
    return sorted(purged)


def _empty_texts(path: Location, schema: pa.Schema, rows: list[int]) -> None:
    """Write a file of annotated/ again with the text and the edits of some rows empty.

    Columns of the user's own that are no numbers may hold pieces of the text, and become null there.
    """
    with (
        pq.ParquetFile(readable(path), pre_buffer=True) as file,
        committed(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_index=True) as writer,
    ):
        emptied = _emptied(schema)
        first = 0
        for number in range(file.num_row_groups):
            table = file.read_row_group(number)
            stays = ~np.isin(np.arange(first, first + table.num_rows), rows)
            first += table.num_rows
            for name, empty in emptied.items():
                values = [value if stay else empty for value, stay in zip(table[name].to_pylist(), stays, strict=True)]
                position = table.column_names.index(name)
                table = table.set_column(position, name, pa.array(values, schema.field(name).type))
            writer.write_table(table.cast(schema), row_group_size=table.num_rows)


def _emptied(schema: pa.Schema) -> dict[str, Any]:
    """The columns of a file of annotated/ that say what stands in a text, with the value that says nothing."""
    own = {field.name: None for field in schema if field.name not in ANNOTATED.names and not _is_number(field.type)}
    return {**FROM_TEXT, **own}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
