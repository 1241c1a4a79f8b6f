"""write: the text of kept documents, read once, edited, and put into sorted runs; every outcome counted.

Takes what filter and keep wrote in the scratch folders of the selection, and gives its decisions/, a sample of each
shard group and sorted runs for merge.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import BoilerplateConfig, SelectConfig
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.grouped_parquet import SortedFiles, read_file, rows_of, write_by_group
from pipeline.output.layout import Layout
from pipeline.output.selection import SelectionFolder
from pipeline.passes.boilerplate.mark import RANGE_COLUMNS, with_boilerplate
from pipeline.passes.select.columns import FROM_FILTER, FROM_KEEP, KEPT_WITH_DECISION, LOCATION
from pipeline.passes.select.filter import with_columns
from pipeline.passes.select.sample import Measurements, sample_of_shard_group
from pipeline.passes.select.sorted_runs import SortedRunWriter
from pipeline.schema.columns import DECISION
from pipeline.schema.manifests import ClusterGroup, ClusterSizeStatistics
from pipeline.schema.outcomes import Outcome
from pipeline.text.edits import apply_edits, with_removed


@dataclass(frozen=True)
class WriteTask:
    """A shard group whose kept documents are written."""

    output: Layout
    folder: SelectionFolder  # in which the selection is made
    shard_group: int
    shards: list[str]  # of the shard group
    groups: dict[str, ClusterGroup]  # by which the outcomes of the shard group are found
    select: SelectConfig
    boilerplate: BoilerplateConfig
    models: str
    metrics: Sequence[str]  # names of all


@dataclass(frozen=True)
class OutcomeCounts:
    """Counts over the documents of a shard group, by label."""

    outcomes: dict[str, dict[str, int]]  # by outcome
    rules_fired: dict[str, dict[str, int]]  # by metric
    cluster_statistics: dict[str, list[ClusterSizeStatistics]]  # in any order


@dataclass(frozen=True)
class WrittenShardGroup:
    """What `write_shard_group` wrote: runs with the rows and bytes of text of each label in them, and counts."""

    runs: list[Location]
    rows: dict[str, int]
    text_bytes: dict[str, int]
    counts: OutcomeCounts


def split_of(cluster_id: str, test_fraction: float) -> str:
    """train or test: a draw by hash of the cluster, so that no near-duplicate of a test document is in train."""
    import xxhash

    return "test" if xxhash.xxh64_intdigest(cluster_id.encode()) < test_fraction * 2**64 else "train"


def write_shard_group(task: WriteTask) -> WrittenShardGroup:
    """Read the text of the kept documents of a shard group once, apply the stored edits, sort; count every outcome.

    In memory are a row group of a shard, a run of `run_bytes` with its sorted copy, and decisions and outcomes of the
    shard group, some 500 bytes a document.
    """
    filtered = read_file(task.folder.filtered(task.shard_group))
    locations, decisions = filtered.select([*LOCATION, "label"]), filtered.drop_columns(LOCATION)
    outcomes = _read_outcomes(task)
    added = {name: outcomes[name] for name in FROM_KEEP} | {name: decisions[name] for name in FROM_FILTER}
    runs = SortedRunWriter(task.folder, task.shard_group, task.select.run_bytes)
    shard_of, row_of = locations["shard"].to_numpy(), locations["row"].to_numpy()
    is_kept = pa.compute.equal(outcomes["outcome"], Outcome.KEPT.value).to_numpy()
    is_empty = np.zeros(len(is_kept), dtype=bool)
    for number, shard in enumerate(task.shards):
        kept = np.flatnonzero((shard_of == number) & is_kept)
        kept = kept[np.argsort(row_of[kept])]
        for table in texts_of(task.output, shard, row_of[kept], task.boilerplate.remove):
            chosen, kept = kept[: table.num_rows], kept[table.num_rows :]
            columns = {name: column.take(pa.array(chosen)) for name, column in added.items()}
            table, empty = clean_rows(task.select, table, columns)
            is_empty[chosen[empty]] = True
            runs.add(table)
    runs.flush()
    outcome = pa.compute.if_else(pa.array(is_empty), Outcome.EMPTY_AFTER_EDITS.value, outcomes["outcome"])
    decisions = with_columns(decisions, {"outcome": outcome} | {name: outcomes[name] for name in KEPT_WITH_DECISION})
    source = Measurements(task.output, task.shards, task.models, task.metrics, task.boilerplate.enabled)
    with committed(task.folder.sample_of(task.shard_group)) as path:
        pq.write_table(sample_of_shard_group(source, locations, decisions), path, compression="zstd")
    with committed(task.folder.decisions(task.shard_group)) as path:
        write_by_group(path, decisions)
    return WrittenShardGroup(runs.runs, dict(runs.rows), dict(runs.text_bytes), _count(decisions))


def _read_outcomes(task: WriteTask) -> pa.Table:
    """What keep says of the documents of a shard group, in the order of the signatures."""
    names = list(dict.fromkeys([*FROM_KEEP, *KEPT_WITH_DECISION]))
    own = {name: group for name, group in task.groups.items() if group.rows[task.shard_group]}
    tables: dict[str, pa.Table] = {}
    for keep_task in sorted({group.task for group in own.values()}):
        with SortedFiles([task.folder.outcomes(keep_task)], "group") as files:
            for name, group in own.items():
                if group.task == keep_task:
                    first = sum(group.rows[: task.shard_group])
                    tables[name] = files.read_range(name, names, first, group.rows[task.shard_group])
    if not tables:  # a shard group without documents
        return pa.schema([(name, DECISION[name][0]) for name in names]).empty_table()
    return pa.concat_tables([tables[name] for name in sorted(tables)])


def texts_of(layout: Layout, shard: str, rows: Sequence[int], with_ranges: bool) -> Iterator[pa.Table]:
    """The rows of annotated/ that `clean_rows` takes; `with_ranges` of lines that repeat across their host, too."""
    tables = rows_of(layout.annotated(shard), rows)
    return with_boilerplate(tables, layout, shard, rows) if with_ranges else tables


def clean_rows(settings: SelectConfig, table: pa.Table, added: Mapping[str, pa.Array]) -> tuple[pa.Table, np.ndarray]:
    """Rows of annotated/ as clean/ has them, with the columns `added`; and which of the rows lost all text, (n,) bool.

    Those that lost all text are not among the rows that are returned.
    """
    table = _with_edited_text(with_columns(table, added), settings.mask)
    empty = pa.compute.equal(table["text"], "").to_numpy(zero_copy_only=False)
    splits = pa.repeat("train", table.num_rows)
    if settings.test_fraction:
        clusters = table["minhash_cluster_id"].to_pylist()
        splits = pa.array([split_of(cluster, settings.test_fraction) for cluster in clusters], pa.string())
    table = table.append_column("split", splits)
    return table.filter(pa.array(~empty)) if empty.any() else table, empty


def _count(decisions: pa.Table) -> OutcomeCounts:
    outcomes: dict[str, dict[str, int]] = {}
    for label, outcome, count in _sums(decisions.select(["label", "outcome"]), ([], "count_all")):
        outcomes.setdefault(label, {})[outcome] = count
    fired: dict[str, dict[str, int]] = {label: {} for label in outcomes}
    rules = decisions["rules_fired"].combine_chunks()
    each = {"label": decisions["label"].take(pa.compute.list_parent_indices(rules)), "rule": rules.flatten()}
    for label, rule, count in _sums(pa.table(each), ([], "count_all")):
        fired[label][rule] = count
    members = decisions.filter(pa.compute.and_not(decisions["is_eligible"], decisions["already_read"]))
    members = members.select(["label", "minhash_cluster_size", "failed"])
    statistics: dict[str, list[ClusterSizeStatistics]] = {}
    for label, size, documents, failed in _sums(members, ([], "count_all"), ("failed", "sum")):
        of_size = ClusterSizeStatistics(cluster_size=size, documents=documents, failed=failed)
        statistics.setdefault(label, []).append(of_size)
    return OutcomeCounts(outcomes, fired, statistics)


def _sums(table: pa.Table, *sums: tuple[Any, str]) -> list[tuple[Any, ...]]:
    """The values of the first two columns and these sums, by the values."""
    keys = table.column_names[:2]
    summed = table.group_by(keys).aggregate(list(sums))
    names = [*keys, *(f"{name}_{how}" if name else how for name, how in sums)]
    return list(zip(*(summed[name].to_pylist() for name in names), strict=True))


def _with_edited_text(table: pa.Table, mask: bool) -> pa.Table:
    """The table with its texts as they are written: edits applied where `mask`, boilerplate of the host removed.

    `character_count` becomes that of the text as written; `removed_character_count` (int64) is added.
    """
    removes_boilerplate = RANGE_COLUMNS[0] in table.column_names
    changed = np.zeros(table.num_rows, dtype=bool)
    for name in [*(["edit_starts"] if mask else []), *(RANGE_COLUMNS[:1] if removes_boilerplate else [])]:
        changed |= pa.compute.list_value_length(table[name]).to_numpy() > 0
    removed_characters = np.zeros(table.num_rows, dtype=np.int64)
    if changed.any():
        rows = np.flatnonzero(changed)
        names = ["text", "edit_starts", "edit_ends", "edit_texts", *(RANGE_COLUMNS if removes_boilerplate else ())]
        columns = table.select(names).take(pa.array(rows)).columns
        edited = []
        for row, text, *ranges in zip(rows, *(column.to_pylist() for column in columns), strict=True):
            edits = list(zip(*ranges[:3], strict=True)) if mask else []
            with_boilerplate_lines = apply_edits(text, edits).strip() if edits else text
            lines = list(zip(*ranges[3:], strict=True))
            written = apply_edits(text, with_removed(edits, lines)).strip() if lines else with_boilerplate_lines
            edited.append(written)
            removed_characters[row] = len(with_boilerplate_lines) - len(written)
        texts = table["text"].combine_chunks()
        texts = pa.compute.replace_with_mask(texts, pa.array(changed), pa.array(edited, texts.type))
        column = table.column_names.index("text")
        table = table.set_column(column, table.field(column), texts)
    lengths = pa.compute.utf8_length(table["text"]).cast(pa.int64())
    table = table.set_column(table.column_names.index("character_count"), "character_count", lengths)
    return table.append_column("removed_character_count", pa.array(removed_characters))
