"""A selection brought to the state that the records of removal ask for.

The files of clean/ that hold a document are rewritten one by one, each at once, then sample and decisions, then the
manifest; a journal names the files until all is done.
"""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig, SelectConfig
from pipeline.errors import ConfigError
from pipeline.execution.commit import committed, read_json, write_json
from pipeline.execution.inline import InlineExecutor
from pipeline.execution.storage import Location, matching, readable
from pipeline.operations.remove.describe import Removed, decisions_of, places_of
from pipeline.operations.remove.rewrite import JOURNAL, Gone, rewrite_files
from pipeline.output.grouped_parquet import SortedFiles, write_by_group
from pipeline.output.layout import Layout
from pipeline.output.take_downs import REPLACEABLE, removal_names, removed_rows
from pipeline.passes.boilerplate.mark import are_marked
from pipeline.passes.rebalance.rebalance import rebalance
from pipeline.passes.select.columns import FACTS_OF_CLUSTER, FROM_DECISION, FROM_ELECTION, TO_ELECT
from pipeline.passes.select.filter import batch_order
from pipeline.passes.select.keep import fates_of_group
from pipeline.passes.select.sample import bottom_k
from pipeline.passes.select.select import fingerprint_of
from pipeline.passes.select.write import clean_rows, split_of, texts_of
from pipeline.report.page import write_report

Edits = dict[int, dict[int, dict[str, Any]]]  # batch -> place in its decisions -> column -> value


def carry_out(layout: Layout, name: str, grouped: list[list[str]], told: Removed) -> None:
    """Bring a selection to the state that the records of removal ask for."""
    folder = layout.selection(name)
    manifest = read_json(folder / "manifest.json")
    journal = folder / JOURNAL
    pending = [one for one in removal_names(layout) if one not in manifest["removals"]]
    if not pending and not journal.exists():
        return
    settings = SelectConfig.model_validate(manifest["select"])
    edits, again = _taken_out(layout, folder, grouped, pending)
    for group in again:
        _elect_again(settings, folder, group, len(grouped), edits)
    gone, come = _changes_of_clean(layout, folder, settings, manifest["host_lines"], grouped, edits)
    told.elected = sum(table.num_rows for table in come.values())
    told.files = rewrite_files(folder, manifest, settings, gone, come)
    _edit_sample(folder, edits)
    for batch, of_batch in edits.items():  # last of the data: edits are what differs from the decisions
        _edit_decisions(decisions_of(folder, batch), of_batch)
    manifest["fates"] = _count_fates(folder, len(grouped))
    manifest["removals"] = sorted({*manifest["removals"], *pending})
    manifest["fingerprint"] = fingerprint_of(manifest["settings"], manifest["removals"])
    write_json(folder / "manifest.json", manifest)
    told.stale_mixes = _mix_again(layout, name)
    write_report(layout, name)
    journal.unlink()


def _taken_out(
    layout: Layout, folder: Location, grouped: list[list[str]], pending: list[str]
) -> tuple[Edits, set[str]]:
    """What the records change in the decisions, and the groups that elect again."""
    edits: Edits = {}
    again: set[str] = set()
    for batch, shards in enumerate(grouped):
        if not (rows := removed_rows(layout, pending, batch, shards)):
            continue
        levels = places_of(batch_order(layout, shards, ["label"]), shards, rows)
        before = pq.read_table(readable(decisions_of(folder, batch)), columns=["group", "removed"])
        for place, level in levels.items():
            known = before["removed"][place].as_py()
            edits.setdefault(batch, {})[place] = {"removed": max(level, known), "fate": "removed"}
            if level == REPLACEABLE:
                again.add(before["group"][place].as_py())
    return edits, again


def _elect_again(settings: SelectConfig, folder: Location, group: str, batch_count: int, edits: Edits) -> None:
    """Add to the edits what another election in the group changes; some 400 bytes a document of it are in memory."""
    files = [decisions_of(folder, batch) for batch in range(batch_count)]
    with SortedFiles(files, "group") as decisions:
        names_ = [*TO_ELECT, "minhash_cluster_id", *FACTS_OF_CLUSTER, "fate", "representative", "elected"]
        table = decisions.read(group, names_)
        spans = [decisions.span(batch, group) for batch in range(batch_count)]
    removed = table["removed"].to_numpy().copy()
    firsts = np.cumsum([0, *(count for _, count in spans)])
    for batch, (start, count) in enumerate(spans):
        for place, edit in edits.get(batch, {}).items():
            if start <= place < start + count:
                removed[firsts[batch] + place - start] = edit["removed"]
    table = table.set_column(table.column_names.index("removed"), "removed", pa.array(removed, pa.int8()))
    clusters = table["minhash_cluster_id"].to_numpy(zero_copy_only=False)
    new = [one.to_numpy(zero_copy_only=False) for one in fates_of_group(settings, table, clusters, table)]
    old = [table[name].to_numpy(zero_copy_only=False) for name in ("fate", "representative", "elected")]
    new[0] = np.where((old[0] == "empty_after_refine") & (new[0] == "kept"), old[0], new[0])
    differs = np.any([a != b for a, b in zip(old, new, strict=True)], axis=0)
    for number in np.flatnonzero(differs).tolist():
        batch = int(np.searchsorted(firsts, number, side="right")) - 1
        row = int(spans[batch][0] + number - firsts[batch])
        edit = {"fate": new[0][number], "representative": new[1][number], "elected": bool(new[2][number])}
        edits.setdefault(batch, {}).setdefault(row, {}).update(edit)


def _changes_of_clean(
    layout: Layout,
    folder: Location,
    settings: SelectConfig,
    lines: dict[str, Any] | None,
    grouped: list[list[str]],
    edits: Edits,
) -> tuple[Gone, dict[str, pa.Table]]:
    """By label: rows that leave clean/, and rows that come in. Rows that lost all text in
    refinement become edits."""
    gone: Gone = {}
    come: dict[str, list[pa.Table]] = {}
    strip = lines is not None and lines["strip"]
    for batch, of_batch in edits.items():
        decisions = pq.read_table(readable(decisions_of(folder, batch)))
        places = sorted(place for place, edit in of_batch.items() if "fate" in edit)
        elected = []
        for place, row in zip(places, decisions.take(pa.array(places, pa.int64())).to_pylist(), strict=True):
            kept = of_batch[place]["fate"] == "kept"
            if kept and row["fate"] != "kept":
                elected.append(place)
            elif not kept and row["fate"] in ("kept", "removed"):  # removed: by a command that was interrupted
                split = split_of(row["minhash_cluster_id"], settings.test_fraction)
                gone.setdefault(row["label"], {})[row["id"]] = row["minhash_cluster_size"], split
        if not elected:
            continue
        if lines is not None and strip and not are_marked(layout, lines):
            raise ConfigError(
                f"{folder}: host_lines/ is of other settings by now, so nothing can take a place there: make the "
                "selection again with `glotmill select`, which carries out the removal"
            )
        where = batch_order(layout, grouped[batch], ["label"]).take(pa.array(elected))
        facts = decisions.take(pa.array(elected)).select([*FROM_ELECTION, *FROM_DECISION])
        for name in ("fate", "representative"):
            values = pa.array([of_batch[place].get(name) for place in elected], pa.string())
            facts = facts.set_column(facts.column_names.index(name), name, values)
        for number, shard in enumerate(grouped[batch]):
            here = np.flatnonzero(where["shard"].to_numpy() == number)
            for table in texts_of(layout, shard, where["row"].to_numpy()[here], strip):
                chosen, here = here[: table.num_rows], here[table.num_rows :]
                columns = {name: facts[name].take(pa.array(chosen)) for name in facts.column_names}
                rows, empty = clean_rows(settings, table, columns)
                for place in chosen[empty]:
                    of_batch[elected[place]]["fate"] = "empty_after_refine"
                for label in sorted(set(rows["label"].to_pylist())):
                    come.setdefault(label, []).append(rows.filter(pc.equal(rows["label"], label)))
    return gone, {label: pa.concat_tables(tables) for label, tables in come.items()}


def _edit_decisions(path: Location, edits: dict[int, dict[str, Any]]) -> None:
    table = pq.read_table(readable(path))
    for name in ("removed", "fate", "representative", "elected"):
        changed = {place: edit[name] for place, edit in edits.items() if name in edit}
        mask = np.zeros(table.num_rows, dtype=bool)
        mask[list(changed)] = True
        values = pa.array([changed[place] for place in sorted(changed)], table.schema.field(name).type)
        column = pc.replace_with_mask(table[name].combine_chunks(), pa.array(mask), values)
        table = table.set_column(table.column_names.index(name), name, column)
    with committed(path) as temporary:
        write_by_group(temporary, table)


def _edit_sample(folder: Location, edits: Edits) -> None:
    """The sample names URLs: rows of what was taken out go, others get their fate."""
    fates: dict[str, str] = {}
    for batch, of_batch in edits.items():
        ids = pq.read_table(readable(decisions_of(folder, batch)), columns=["id"])["id"]
        fates |= {ids[place].as_py(): edit["fate"] for place, edit in of_batch.items() if "fate" in edit}
    path = folder / "sample.parquet"
    table = pq.read_table(readable(path))
    values = [fates.get(one, fate) for one, fate in zip(*(table[n].to_pylist() for n in ("id", "fate")), strict=True)]
    table = table.set_column(table.column_names.index("fate"), "fate", pa.array(values, pa.string()))
    with committed(path) as temporary:
        left = bottom_k(table.filter(pc.not_equal(table["fate"], "removed")))
        pq.write_table(left, temporary, compression="zstd")


def _count_fates(folder: Location, batch_count: int) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for batch in range(batch_count):
        table = pq.read_table(readable(decisions_of(folder, batch)), columns=["label", "fate"])
        for row in table.group_by(["label", "fate"]).aggregate([([], "count_all")]).to_pylist():
            counts.setdefault(row["label"], Counter())[row["fate"]] += row["count_all"]
    return {label: dict(sorted(counts[label].items())) for label in sorted(counts)}


def _mix_again(layout: Layout, name: str) -> list[str]:
    """Compute mixes again, which read no text; returns those that this command does not know how to."""
    stored = read_json(layout.run)["config"] | {"selection": name, "output": str(layout.root)}
    stale = []
    for path in matching(layout.selection(name) / "mixes", "*.json"):
        mix = read_json(path)
        if path.name == f"{mix.get('weights')}.json" and "changed" not in mix:
            weights = {"weights": mix["weights"], "max_repeats": mix["settings"]["max_repeats"]}
            settings = RunConfig.model_validate(stored | {"rebalance": stored["rebalance"] | weights})
            rebalance(settings, layout, InlineExecutor())
        else:
            stale.append(path.name)
    return stale
