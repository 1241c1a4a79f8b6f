"""write: the text of survivors, read once, edited, and put into sorted runs; every outcome counted."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.config.run_settings import RunConfig, SelectConfig
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.grouped_parquet import SortedFiles, read_file, rows_of, write_by_group
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.mark import RANGE_COLUMNS, with_boilerplate
from pipeline.passes.select.columns import FROM_DECISION, FROM_KEEP, KEPT_WITH_DECISION, PLACE
from pipeline.passes.select.filter import with_columns
from pipeline.passes.select.sample import sample_shard_group
from pipeline.passes.select.sorted_runs import SortedRuns
from pipeline.schema.columns import DECISION
from pipeline.schema.manifests import ClusterGroup
from pipeline.text.edits import apply_edits, with_removed


def split_of(cluster_id: str, test_fraction: float) -> str:
    """train or test: a draw by hash of the cluster, so that no near-duplicate of a test document is in train."""
    import xxhash

    return "test" if xxhash.xxh64_intdigest(cluster_id.encode()) < test_fraction * 2**64 else "train"


def write_shard_group(
    config: RunConfig,
    layout: Layout,
    partial: Location,
    shard_group: int,
    shards: list[str],
    groups: dict[str, ClusterGroup],
) -> dict[str, Any]:
    """Read the text of survivors once, apply the stored edits, sort; count every outcome.

    In memory are a row group of a shard, a run of `run_bytes` with its sorted copy, and decisions and outcomes of the
    shard group, some 500 bytes a document.
    """
    filtered = read_file(partial / "filtered" / f"shard-group-{shard_group:05d}.parquet")
    where, decisions = filtered.select([*PLACE, "label"]), filtered.drop_columns(PLACE)
    found = []
    here = sorted(group for group, entry in groups.items() if entry.rows[shard_group])
    for task in sorted({groups[group].task for group in here}):
        with SortedFiles([partial / "outcomes" / f"part-{task:05d}.parquet"], "group") as kept_files:
            for group in (one for one in here if groups[one].task == task):
                rows = groups[group].rows
                names = list(dict.fromkeys([*FROM_KEEP, *KEPT_WITH_DECISION]))
                found.append((group, kept_files.read_range(group, names, sum(rows[:shard_group]), rows[shard_group])))
    outcomes = pa.concat_tables([table for _, table in sorted(found, key=lambda one: one[0])] or [_no_outcomes()])
    facts = {name: outcomes[name] for name in FROM_KEEP}
    facts |= {name: decisions[name] for name in FROM_DECISION}
    runs = SortedRuns(partial / "parts", shard_group, config.select.run_bytes)
    shard_of, row_of = where["shard"].to_numpy(), where["row"].to_numpy()
    is_kept = pa.compute.equal(outcomes["outcome"], "kept").to_numpy()
    lost = np.zeros(len(is_kept), dtype=bool)
    for number, shard in enumerate(shards):
        kept = np.flatnonzero((shard_of == number) & is_kept)
        kept = kept[np.argsort(row_of[kept])]
        for table in texts_of(layout, shard, row_of[kept], config.boilerplate.remove):
            chosen, kept = kept[: table.num_rows], kept[table.num_rows :]
            columns = {name: column.take(pa.array(chosen)) for name, column in facts.items()}
            table, empty = clean_rows(config.select, table, columns)
            lost[chosen[empty]] = True
            runs.add(table)
    runs.flush()
    outcome = pa.compute.if_else(pa.array(lost), "empty_after_edits", outcomes["outcome"])
    decisions = with_columns(decisions, {"outcome": outcome} | {name: outcomes[name] for name in KEPT_WITH_DECISION})
    sample_shard_group(config, layout, partial, shard_group, shards, where, decisions)
    with committed(partial / "decisions" / f"shard-group-{shard_group:05d}.parquet") as path:
        write_by_group(path, decisions)
    return {"rows": dict(runs.rows), "text_bytes": dict(runs.text_bytes), "runs": runs.names, **_count(decisions)}


def _no_outcomes() -> pa.Table:
    """What keep says of a shard group without documents."""
    names = dict.fromkeys([*FROM_KEEP, *KEPT_WITH_DECISION])
    return pa.schema([(name, DECISION[name][0]) for name in names]).empty_table()


def texts_of(layout: Layout, shard: str, rows: Sequence[int], with_ranges: bool) -> Iterator[pa.Table]:
    """The rows of annotated/ that `clean_rows` takes, `with_ranges` of lines that repeat across their host, too."""
    tables = rows_of(layout.annotated(shard), rows)
    return with_boilerplate(tables, layout, shard, rows) if with_ranges else tables


def clean_rows(settings: SelectConfig, table: pa.Table, facts: dict[str, pa.Array]) -> tuple[pa.Table, np.ndarray]:
    """Rows of annotated/ as clean/ has them, with what was filtered on them; and which of them lost all text, (n,)
    bool, and are not among them."""
    for name, column in facts.items():
        table = table.append_column(name, column)
    table = _refine(table, settings.mask)
    empty = pa.compute.equal(table["text"], "").to_numpy(zero_copy_only=False)
    splits = pa.repeat("train", table.num_rows)
    if settings.test_fraction:
        ids = table["minhash_cluster_id"].to_pylist()
        splits = pa.array([split_of(one, settings.test_fraction) for one in ids], pa.string())
    table = table.append_column("split", splits)
    return table.filter(pa.array(~empty)) if empty.any() else table, empty


def _count(decisions: pa.Table) -> dict[str, Any]:
    """By label: documents of each outcome, rules fired, and [cluster size, documents, documents that fail] by size."""
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
    statistics: dict[str, list[list[int]]] = {}
    for label, size, documents, failed in _sums(members, ([], "count_all"), ("failed", "sum")):
        statistics.setdefault(label, []).append([size, documents, failed])
    return {"outcomes": outcomes, "fired": fired, "statistics": statistics}


def _sums(table: pa.Table, *sums: tuple[Any, str]) -> list[tuple[Any, ...]]:
    """The values of the first two columns and these sums, by the values."""
    keys = table.column_names[:2]
    found = table.group_by(keys).aggregate(list(sums))
    names = [*keys, *(f"{name}_{how}" if name else how for name, how in sums)]
    return list(zip(*(found[name].to_pylist() for name in names), strict=True))


def _refine(table: pa.Table, mask: bool) -> pa.Table:
    """The table with its texts as they are written: what is masked spliced in, lines of the host taken out."""
    removes_boilerplate = RANGE_COLUMNS[0] in table.column_names
    changed = np.zeros(table.num_rows, dtype=bool)
    for name in [*(["edit_starts"] if mask else []), *(RANGE_COLUMNS[:1] if removes_boilerplate else [])]:
        changed |= pa.compute.list_value_length(table[name]).to_numpy() > 0
    fewer = np.zeros(table.num_rows, dtype=np.int64)
    if changed.any():
        rows = np.flatnonzero(changed)
        names = ["text", "edit_starts", "edit_ends", "edit_texts", *(RANGE_COLUMNS if removes_boilerplate else ())]
        found = table.select(names).take(pa.array(rows)).columns
        refined = []
        for row, text, *edits in zip(rows, *(column.to_pylist() for column in found), strict=True):
            masks = list(zip(*edits[:3], strict=True)) if mask else []
            whole = apply_edits(text, masks).strip() if masks else text
            lines = list(zip(*edits[3:], strict=True))
            refined.append(apply_edits(text, with_removed(masks, lines)).strip() if lines else whole)
            fewer[row] = len(whole) - len(refined[-1])
        texts = table["text"].combine_chunks()
        texts = pa.compute.replace_with_mask(texts, pa.array(changed), pa.array(refined, texts.type))
        place = table.column_names.index("text")
        table = table.set_column(place, table.field(place), texts)
    lengths = pa.compute.utf8_length(table["text"]).cast(pa.int64())
    table = table.set_column(table.column_names.index("character_count"), "character_count", lengths)
    return table.append_column("removed_character_count", pa.array(fewer))
