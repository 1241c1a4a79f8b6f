"""write: the text of survivors, read once, edited, and put into sorted runs; every fate counted."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.config.run_settings import RunConfig, SelectConfig
from pipeline.execution.commit import committed
from pipeline.execution.storage import Location
from pipeline.output.grouped_parquet import SortedFiles, read_file, rows_of, write_by_group
from pipeline.output.layout import Layout
from pipeline.passes.boilerplate.mark import SPANS, with_host_lines
from pipeline.passes.select.columns import FROM_DECISION, FROM_ELECTION, KEPT_WITH_DECISION, PLACE
from pipeline.passes.select.filter import with_columns
from pipeline.passes.select.sample import sample_batch
from pipeline.passes.select.sorted_runs import SortedRuns
from pipeline.schema.columns import DECISION
from pipeline.text.refine import splice, with_removed


def split_of(cluster_id: str, test_fraction: float) -> str:
    """train or test: a draw by hash of the cluster, so that no near-duplicate of a test document is in train."""
    import xxhash

    return "test" if xxhash.xxh64_intdigest(cluster_id.encode()) < test_fraction * 2**64 else "train"


def write_batch(
    config: RunConfig, layout: Layout, partial: Location, batch: int, shards: list[str], groups: dict[str, Any]
) -> dict[str, Any]:
    """Read the text of survivors once, splice the stored spans, sort; count every fate.

    In memory are a row group of a shard, a run of `run_bytes` with its sorted copy, and decisions and fates of the
    batch, some 500 bytes a document.
    """
    decided = read_file(partial / "decided" / f"batch-{batch:05d}.parquet")
    where, decisions = decided.select([*PLACE, "label"]), decided.drop_columns(PLACE)
    found = []
    here = sorted(group for group, entry in groups.items() if entry["rows"][batch])
    for task in sorted({groups[group]["task"] for group in here}):
        with SortedFiles([partial / "fates" / f"part-{task:05d}.parquet"], "group") as elected:
            for group in (one for one in here if groups[one]["task"] == task):
                rows = groups[group]["rows"]
                names = list(dict.fromkeys([*FROM_ELECTION, *KEPT_WITH_DECISION]))
                found.append((group, elected.read_range(group, names, sum(rows[:batch]), rows[batch])))
    fates = pa.concat_tables([table for _, table in sorted(found, key=lambda one: one[0])] or [_no_fates()])
    facts = {name: fates[name] for name in FROM_ELECTION}
    facts |= {name: decisions[name] for name in FROM_DECISION}
    runs = SortedRuns(partial / "parts", batch, config.select.run_bytes)
    shard_of, row_of = where["shard"].to_numpy(), where["row"].to_numpy()
    is_kept = pa.compute.equal(fates["fate"], "kept").to_numpy()
    lost = np.zeros(len(is_kept), dtype=bool)
    for number, shard in enumerate(shards):
        kept = np.flatnonzero((shard_of == number) & is_kept)
        kept = kept[np.argsort(row_of[kept])]
        for table in texts_of(layout, shard, row_of[kept], config.host_lines.strip):
            chosen, kept = kept[: table.num_rows], kept[table.num_rows :]
            columns = {name: column.take(pa.array(chosen)) for name, column in facts.items()}
            table, empty = clean_rows(config.select, table, columns)
            lost[chosen[empty]] = True
            runs.add(table)
    runs.flush()
    fate = pa.compute.if_else(pa.array(lost), "empty_after_refine", fates["fate"])
    decisions = with_columns(decisions, {"fate": fate} | {name: fates[name] for name in KEPT_WITH_DECISION})
    sample_batch(config, layout, partial, batch, shards, where, decisions)
    with committed(partial / "decisions" / f"batch-{batch:05d}.parquet") as path:
        write_by_group(path, decisions)
    return {"rows": dict(runs.rows), "text_bytes": dict(runs.text_bytes), "runs": runs.names, **_count(decisions)}


def _no_fates() -> pa.Table:
    """What elect says of a batch without documents."""
    names = dict.fromkeys([*FROM_ELECTION, *KEPT_WITH_DECISION])
    return pa.schema([(name, DECISION[name][0]) for name in names]).empty_table()


def texts_of(layout: Layout, shard: str, rows: Sequence[int], strip: bool) -> Iterator[pa.Table]:
    """The rows of annotated/ that `clean_rows` takes; with `strip` they say which lines repeat across their host."""
    tables = rows_of(layout.annotated(shard), rows)
    return with_host_lines(tables, layout, shard, rows) if strip else tables


def clean_rows(settings: SelectConfig, table: pa.Table, facts: dict[str, pa.Array]) -> tuple[pa.Table, np.ndarray]:
    """Rows of annotated/ as clean/ has them, with what was decided on them; and which of them lost all text, (n,) bool,
    and are not among them."""
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
    """By label: documents of each fate, rules fired, and [cluster size, documents, documents that fail] by size."""
    fates: dict[str, dict[str, int]] = {}
    for label, fate, count in _sums(decisions.select(["label", "fate"]), ([], "count_all")):
        fates.setdefault(label, {})[fate] = count
    fired: dict[str, dict[str, int]] = {label: {} for label in fates}
    rules = decisions["rules_fired"].combine_chunks()
    each = {"label": decisions["label"].take(pa.compute.list_parent_indices(rules)), "rule": rules.flatten()}
    for label, rule, count in _sums(pa.table(each), ([], "count_all")):
        fired[label][rule] = count
    members = decisions.filter(pa.compute.and_not(decisions["in_population"], decisions["already_read"]))
    members = members.select(["label", "minhash_cluster_size", "failed"])
    statistics: dict[str, list[list[int]]] = {}
    for label, size, documents, failed in _sums(members, ([], "count_all"), ("failed", "sum")):
        statistics.setdefault(label, []).append([size, documents, failed])
    return {"fates": fates, "fired": fired, "statistics": statistics}


def _sums(table: pa.Table, *sums: tuple[Any, str]) -> list[tuple[Any, ...]]:
    """The values of the first two columns and these sums, by the values."""
    keys = table.column_names[:2]
    found = table.group_by(keys).aggregate(list(sums))
    names = [*keys, *(f"{name}_{how}" if name else how for name, how in sums)]
    return list(zip(*(found[name].to_pylist() for name in names), strict=True))


def _refine(table: pa.Table, mask: bool) -> pa.Table:
    """The table with its texts as they are written: what is masked spliced in, lines of the host taken out."""
    stripped = SPANS[0] in table.column_names
    changed = np.zeros(table.num_rows, dtype=bool)
    for name in [*(["span_starts"] if mask else []), *(SPANS[:1] if stripped else [])]:
        changed |= pa.compute.list_value_length(table[name]).to_numpy() > 0
    fewer = np.zeros(table.num_rows, dtype=np.int64)
    if changed.any():
        rows = np.flatnonzero(changed)
        names = ["text", "span_starts", "span_ends", "span_texts", *(SPANS if stripped else ())]
        found = table.select(names).take(pa.array(rows)).columns
        refined = []
        for row, text, *spans in zip(rows, *(column.to_pylist() for column in found), strict=True):
            masks = list(zip(*spans[:3], strict=True)) if mask else []
            whole = splice(text, masks).strip() if masks else text
            lines = list(zip(*spans[3:], strict=True))
            refined.append(splice(text, with_removed(masks, lines)).strip() if lines else whole)
            fewer[row] = len(whole) - len(refined[-1])
        texts = table["text"].combine_chunks()
        texts = pa.compute.replace_with_mask(texts, pa.array(changed), pa.array(refined, texts.type))
        place = table.column_names.index("text")
        table = table.set_column(place, table.field(place), texts)
    lengths = pa.compute.utf8_length(table["text"]).cast(pa.int64())
    table = table.set_column(table.column_names.index("character_count"), "character_count", lengths)
    return table.append_column("stripped_character_count", pa.array(fewer))
