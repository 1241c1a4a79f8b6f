"""A selection brought to the state that the take-downs ask for.

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
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.execution.storage import Location, matching, readable
from pipeline.operations.remove.describe import SelectionTakeDown, decisions_of, places_of
from pipeline.operations.remove.rewrite import JOURNAL, Gone, rewrite_files
from pipeline.output.grouped_parquet import SortedFiles, write_by_group
from pipeline.output.output import Output
from pipeline.output.take_downs import REPLACEABLE, take_down_names, taken_out_rows
from pipeline.passes.boilerplate.mark import are_marked
from pipeline.passes.rebalance.rebalance import rebalance
from pipeline.passes.select.columns import FACTS_OF_CLUSTER, FROM_DECISION, FROM_KEEP, KEEP_READS
from pipeline.passes.select.filter import signature_order
from pipeline.passes.select.keep import outcomes_of_clusters
from pipeline.passes.select.sample import bottom_k
from pipeline.passes.select.select import fingerprint_of
from pipeline.passes.select.write import clean_rows, split_of, texts_of
from pipeline.report.page import write_report

Edits = dict[int, dict[int, dict[str, Any]]]  # shard group -> place in its decisions -> column -> value


def carry_out(layout: Output, name: str, grouped: list[list[str]], told: SelectionTakeDown) -> None:
    """Bring a selection to the state that the take-downs ask for."""
    folder = layout.selection(name)
    manifest = read_json(folder / "manifest.json")
    journal = folder / JOURNAL
    pending = [one for one in take_down_names(layout) if one not in manifest["take_downs"]]
    if not pending and not journal.exists():
        return
    settings = SelectConfig.model_validate(manifest["select"])
    edits, again = _taken_out(layout, folder, grouped, pending)
    for group in again:
        _keep_again(settings, folder, group, len(grouped), edits)
    gone, come = _changes_of_clean(layout, folder, settings, manifest["boilerplate"], grouped, edits)
    told.replacements = sum(table.num_rows for table in come.values())
    told.files = rewrite_files(folder, manifest, settings, gone, come)
    _edit_sample(folder, edits)
    for shard_group, of_shard_group in edits.items():  # last of the data: edits are what differs from the decisions
        _edit_decisions(decisions_of(folder, shard_group), of_shard_group)
    manifest["outcomes"] = _count_outcomes(folder, len(grouped))
    manifest["take_downs"] = sorted({*manifest["take_downs"], *pending})
    manifest["fingerprint"] = fingerprint_of(manifest["settings"], manifest["take_downs"])
    write_json(folder / "manifest.json", manifest)
    told.stale_mixtures = _mixture_again(layout, name)
    write_report(layout, name)
    journal.unlink()


def _taken_out(
    layout: Output, folder: Location, grouped: list[list[str]], pending: list[str]
) -> tuple[Edits, set[str]]:
    """What the records change in the decisions, and the groups that are decided again."""
    edits: Edits = {}
    again: set[str] = set()
    for shard_group, shards in enumerate(grouped):
        if not (rows := taken_out_rows(layout, pending, shard_group, shards)):
            continue
        levels = places_of(signature_order(layout, shards, ["label"]), shards, rows)
        before = pq.read_table(readable(decisions_of(folder, shard_group)), columns=["group", "removed"])
        for place, level in levels.items():
            known = before["removed"][place].as_py()
            edits.setdefault(shard_group, {})[place] = {"removed": max(level, known), "outcome": "removed"}
            if level == REPLACEABLE:
                again.add(before["group"][place].as_py())
    return edits, again


def _keep_again(settings: SelectConfig, folder: Location, group: str, shard_group_count: int, edits: Edits) -> None:
    """Add to the edits what keeping other documents in the group changes; takes some 400 bytes a document of it."""
    files = [decisions_of(folder, shard_group) for shard_group in range(shard_group_count)]
    with SortedFiles(files, "group") as decisions:
        names_ = [*KEEP_READS, "minhash_cluster_id", *FACTS_OF_CLUSTER, "outcome", "kept_document", "is_kept_document"]
        table = decisions.read(group, names_)
        row_ranges = [decisions.row_range(shard_group, group) for shard_group in range(shard_group_count)]
    removed = table["removed"].to_numpy().copy()
    firsts = np.cumsum([0, *(count for _, count in row_ranges)])
    for shard_group, (start, count) in enumerate(row_ranges):
        for place, edit in edits.get(shard_group, {}).items():
            if start <= place < start + count:
                removed[firsts[shard_group] + place - start] = edit["removed"]
    table = table.set_column(table.column_names.index("removed"), "removed", pa.array(removed, pa.int8()))
    clusters = table["minhash_cluster_id"].to_numpy(zero_copy_only=False)
    new = [one.to_numpy(zero_copy_only=False) for one in outcomes_of_clusters(settings, table, clusters, table)]
    old = [table[name].to_numpy(zero_copy_only=False) for name in ("outcome", "kept_document", "is_kept_document")]
    new[0] = np.where((old[0] == "empty_after_edits") & (new[0] == "kept"), old[0], new[0])
    differs = np.any([a != b for a, b in zip(old, new, strict=True)], axis=0)
    for number in np.flatnonzero(differs).tolist():
        shard_group = int(np.searchsorted(firsts, number, side="right")) - 1
        row = int(row_ranges[shard_group][0] + number - firsts[shard_group])
        edit = {"outcome": new[0][number], "kept_document": new[1][number], "is_kept_document": bool(new[2][number])}
        edits.setdefault(shard_group, {}).setdefault(row, {}).update(edit)


def _changes_of_clean(
    layout: Output,
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
    removes_boilerplate = lines is not None and lines["remove"]
    for shard_group, of_shard_group in edits.items():
        decisions = pq.read_table(readable(decisions_of(folder, shard_group)))
        places = sorted(place for place, edit in of_shard_group.items() if "outcome" in edit)
        promoted = []
        for place, row in zip(places, decisions.take(pa.array(places, pa.int64())).to_pylist(), strict=True):
            kept = of_shard_group[place]["outcome"] == "kept"
            if kept and row["outcome"] != "kept":
                promoted.append(place)
            elif not kept and row["outcome"] in ("kept", "removed"):  # removed: by a command that was interrupted
                split = split_of(row["minhash_cluster_id"], settings.test_fraction)
                gone.setdefault(row["label"], {})[row["id"]] = row["minhash_cluster_size"], split
        if not promoted:
            continue
        if lines is not None and removes_boilerplate and not are_marked(layout, lines):
            raise ConfigError(
                f"{folder}: boilerplate/ is of other settings by now, so nothing can take a place there: make the "
                "selection again with `glotmill select`, which carries out the removal"
            )
        where = signature_order(layout, grouped[shard_group], ["label"]).take(pa.array(promoted))
        facts = decisions.take(pa.array(promoted)).select([*FROM_KEEP, *FROM_DECISION])
        for name in ("outcome", "kept_document"):
            values = pa.array([of_shard_group[place].get(name) for place in promoted], pa.string())
            facts = facts.set_column(facts.column_names.index(name), name, values)
        for number, shard in enumerate(grouped[shard_group]):
            here = np.flatnonzero(where["shard"].to_numpy() == number)
            for table in texts_of(layout, shard, where["row"].to_numpy()[here], removes_boilerplate):
                chosen, here = here[: table.num_rows], here[table.num_rows :]
                columns = {name: facts[name].take(pa.array(chosen)) for name in facts.column_names}
                rows, empty = clean_rows(settings, table, columns)
                for place in chosen[empty]:
                    of_shard_group[promoted[place]]["outcome"] = "empty_after_edits"
                for label in sorted(set(rows["label"].to_pylist())):
                    come.setdefault(label, []).append(rows.filter(pc.equal(rows["label"], label)))
    return gone, {label: pa.concat_tables(tables) for label, tables in come.items()}


def _edit_decisions(path: Location, edits: dict[int, dict[str, Any]]) -> None:
    table = pq.read_table(readable(path))
    for name in ("removed", "outcome", "kept_document", "is_kept_document"):
        changed = {place: edit[name] for place, edit in edits.items() if name in edit}
        mask = np.zeros(table.num_rows, dtype=bool)
        mask[list(changed)] = True
        values = pa.array([changed[place] for place in sorted(changed)], table.schema.field(name).type)
        column = pc.replace_with_mask(table[name].combine_chunks(), pa.array(mask), values)
        table = table.set_column(table.column_names.index(name), name, column)
    with committed(path) as temporary:
        write_by_group(temporary, table)


def _edit_sample(folder: Location, edits: Edits) -> None:
    """The sample names URLs: rows of what was taken out go, others get their outcome."""
    outcomes: dict[str, str] = {}
    for shard_group, of_shard_group in edits.items():
        ids = pq.read_table(readable(decisions_of(folder, shard_group)), columns=["id"])["id"]
        outcomes |= {ids[place].as_py(): edit["outcome"] for place, edit in of_shard_group.items() if "outcome" in edit}
    path = folder / "sample.parquet"
    table = pq.read_table(readable(path))
    values = [
        outcomes.get(one, outcome)
        for one, outcome in zip(*(table[n].to_pylist() for n in ("id", "outcome")), strict=True)
    ]
    table = table.set_column(table.column_names.index("outcome"), "outcome", pa.array(values, pa.string()))
    with committed(path) as temporary:
        left = bottom_k(table.filter(pc.not_equal(table["outcome"], "removed")))
        pq.write_table(left, temporary, compression="zstd")


def _count_outcomes(folder: Location, shard_group_count: int) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for shard_group in range(shard_group_count):
        table = pq.read_table(readable(decisions_of(folder, shard_group)), columns=["label", "outcome"])
        for row in table.group_by(["label", "outcome"]).aggregate([([], "count_all")]).to_pylist():
            counts.setdefault(row["label"], Counter())[row["outcome"]] += row["count_all"]
    return {label: dict(sorted(counts[label].items())) for label in sorted(counts)}


def _mixture_again(layout: Output, name: str) -> list[str]:
    """Compute mixtures again, which read no text; returns those that this command does not know how to."""
    stored = layout.plan.config | {"selection": name, "output": str(layout.root)}
    stale = []
    for path in matching(layout.selection(name) / "mixtures", "*.json"):
        mixture = read_json(path)
        if path.name == f"{mixture.get('weights')}.json" and "changed" not in mixture:
            weights = {"weights": mixture["weights"], "max_repeats": mixture["settings"]["max_repeats"]}
            settings = RunConfig.model_validate(stored | {"rebalance": stored["rebalance"] | weights})
            rebalance(settings, layout, InlineExecutor())
        else:
            stale.append(path.name)
    return stale
