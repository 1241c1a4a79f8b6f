"""decide: every rule that fires, for every document of a shard group, from the metric columns alone."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from pipeline.config.language_files import LanguageConfig
from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.grouped_parquet import read_file, write_by_group
from pipeline.output.measurements import measured
from pipeline.output.output import Output
from pipeline.output.take_downs import STAYS, taken_out_rows
from pipeline.passes.select.columns import FILTER_READS
from pipeline.passes.select.decontaminate import overlaps, with_overlap
from pipeline.rules.fired import bucket_of, rules_fired_by
from pipeline.rules.histogram import HOST_BOILERPLATE, values_of


def signature_order(layout: Output, shards: list[str], columns: list[str]) -> pa.Table:
    """Rows of a shard group in signature order: by group, then shard and row."""
    tables = []
    for number, shard in enumerate(shards):
        table = read_file(layout.annotated(shard), [*columns, "group"] if "group" not in columns else columns)
        table = table.append_column("shard", pa.array(np.full(table.num_rows, number, np.int32)))
        tables.append(table.append_column("row", pa.array(np.arange(table.num_rows))))
    return pa.concat_tables(tables).sort_by([("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])


def filter_shard_group(
    config: RunConfig,
    layout: Output,
    partial: Location,
    shard_group: int,
    shards: list[str],
    languages: dict[str, LanguageConfig],
    take_downs: list[str],
) -> None:
    """Every rule that fires for every document of a shard group.

    In memory are the metric columns of a shard, and what is decided of the shard group, some 400 bytes a document with
    its sorted copy.
    """
    taken_out = taken_out_rows(layout, take_downs, shard_group, shards)
    overlapping = overlaps(layout, shard_group) if config.select.decontaminate else {}
    tables = []
    for number, shard in enumerate(shards):
        columns = [*FILTER_READS, "id_hash"]
        metrics = measured(layout, shard, config.models, columns, boilerplate=config.boilerplate.enabled)
        table = _filter(config, metrics, languages)
        table = with_overlap(table, config.select.decontaminate, overlapping.get(number, {}))
        removed = np.full(table.num_rows, STAYS, dtype=np.int8)
        for row, level in taken_out.get(shard, {}).items():
            removed[row] = level
        place = {"shard": np.full(table.num_rows, number, np.int32), "row": np.arange(table.num_rows)}
        tables.append(with_columns(table, {"removed": pa.array(removed)} | {n: pa.array(v) for n, v in place.items()}))
    decisions = pa.concat_tables(tables).sort_by([("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])
    with committed(partial / "filtered" / f"shard-group-{shard_group:05d}.parquet") as path:
        write_by_group(path, decisions)


def _filter(config: RunConfig, table: pa.Table, languages: dict[str, LanguageConfig]) -> pa.Table:
    labels = table["label"].combine_chunks().dictionary_encode()
    here = [languages[label] for label in labels.dictionary.to_pylist()]
    language_of = labels.indices.to_numpy().astype(np.int64)
    head, middle = (
        np.array([getattr(one.perplexity, name) for one in here], np.float64)[language_of]
        for name in ("head", "middle")
    )
    bucket = bucket_of(values_of(table, "perplexity_percentile"), head, middle)
    rules = here if config.select.rules else [LanguageConfig(name="no rules")] * len(here)
    fired, failed = rules_fired_by(table, rules, language_of)
    added = {"perplexity_bucket": pa.array(bucket, pa.string()), "rules_fired": fired, "failed": pa.array(failed)}
    return with_columns(table.select([*FILTER_READS, "id_hash", "perplexity_percentile", HOST_BOILERPLATE]), added)


def with_columns(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table
