"""filter: every rule that fires, for every document of a shard group, from the metric columns alone.

Takes annotated/ and the rules of each label, and gives the scratch folder `filtered/` of the selection: a row a
document, in the order of the signatures, with the rules that fired, whether the document fails, and whether it was
taken out. No text is read, so another threshold costs little.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.config.language_files import LanguageConfig
from pipeline.config.run_settings import BoilerplateConfig, SelectConfig
from pipeline.execution.commit import committed
from pipeline.output.decisions import SIGNATURE_ORDER
from pipeline.output.grouped_parquet import write_by_group
from pipeline.output.measurements import measured
from pipeline.output.output import Output
from pipeline.output.selection import SelectionFolder
from pipeline.output.take_downs import STAYS, taken_out_rows
from pipeline.passes.select.columns import FILTER_READS
from pipeline.passes.select.decontaminate import overlaps, with_overlap
from pipeline.rules.fired import bucket_of, rules_fired_by
from pipeline.rules.histogram import values_of
from pipeline.schema.metrics import HOST_BOILERPLATE


@dataclass(frozen=True)
class FilterTask:
    """A shard group whose documents are held against the rules."""

    output: Output
    folder: SelectionFolder  # in which the selection is made
    shard_group: int
    shards: list[str]  # of the shard group
    languages: dict[str, LanguageConfig]  # the rules of each label, every bound a number
    take_downs: list[str]  # names of those that are carried out
    select: SelectConfig
    boilerplate: BoilerplateConfig
    models: str


def filter_shard_group(task: FilterTask) -> None:
    """Write every rule that fires for every document of a shard group.

    In memory are the metric columns of a shard, and what is filtered of the shard group, some 400 bytes a document with
    its sorted copy.
    """
    levels = taken_out_rows(task.output, task.take_downs, task.shard_group, task.shards)
    overlaps_of_shards = overlaps(task.output, task.shard_group) if task.select.decontaminate else {}
    ruled = {metric for language in task.languages.values() for metric in language.active_rules()}
    metrics = sorted({*ruled, "perplexity_percentile", HOST_BOILERPLATE})
    tables = []
    for number, shard in enumerate(task.shards):
        columns = [*FILTER_READS, "id_hash"]
        table = measured(task.output, shard, task.models, metrics, columns, boilerplate=task.boilerplate.enabled)
        table = _with_rules_fired(table, task.languages, bool(task.select.rules))
        table = with_overlap(table, task.select.decontaminate, overlaps_of_shards.get(number, {}))
        removed = np.full(table.num_rows, STAYS, dtype=np.int8)
        for row, level in levels.get(shard, {}).items():
            removed[row] = level
        added = {
            "removed": pa.array(removed),
            "shard": pa.array(np.full(table.num_rows, number, np.int32)),
            "row": pa.array(np.arange(table.num_rows)),
        }
        tables.append(with_columns(table, added))
    with committed(task.folder.filtered(task.shard_group)) as path:
        write_by_group(path, pa.concat_tables(tables).sort_by(SIGNATURE_ORDER))


def _with_rules_fired(table: pa.Table, languages: Mapping[str, LanguageConfig], apply_rules: bool) -> pa.Table:
    """The documents of a shard with the rules that fire, whether they fail, and their perplexity bucket."""
    labels = table["label"].combine_chunks().dictionary_encode()
    language_of_label = [languages[label] for label in labels.dictionary.to_pylist()]
    label_of_row = labels.indices.to_numpy().astype(np.int64)
    head, middle = (
        np.array([getattr(language.perplexity, name) for language in language_of_label], np.float64)[label_of_row]
        for name in ("head", "middle")
    )
    bucket = bucket_of(values_of(table, "perplexity_percentile"), head, middle)
    rules = language_of_label if apply_rules else [LanguageConfig(name="no rules")] * len(language_of_label)
    fired, failed = rules_fired_by(table, rules, label_of_row)
    added = {"perplexity_bucket": pa.array(bucket, pa.string()), "rules_fired": fired, "failed": pa.array(failed)}
    return with_columns(table.select([*FILTER_READS, "id_hash", "perplexity_percentile", HOST_BOILERPLATE]), added)


def with_columns(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """The table with these columns behind its own."""
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table
