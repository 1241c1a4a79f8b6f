"""A selection brought to the state that the take-downs ask for.

The files of clean/ that hold a document are rewritten one by one, each at once, then sample and decisions, then the
manifest; a journal names the files until all is done.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.run_settings import RebalanceConfig, SelectConfig
from pipeline.errors import ConfigError
from pipeline.execution.commit import committed, read_manifest, write_manifest
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.execution.storage import matching, readable
from pipeline.operations.remove.describe import SelectionTakeDown, decision_rows
from pipeline.operations.remove.rewrite import CleanChanges, LeavingRow, rewrite_files
from pipeline.output.decisions import in_signature_order
from pipeline.output.grouped_parquet import SortedFiles, write_by_group
from pipeline.output.output import Output
from pipeline.output.parts import sort_key_of
from pipeline.output.selection import SelectionFolder
from pipeline.output.take_downs import REPLACEABLE, take_down_names, taken_out_rows
from pipeline.passes.boilerplate.mark import are_marked
from pipeline.passes.rebalance.rebalance import rebalance
from pipeline.passes.select.columns import CLUSTER_FACTS, FROM_FILTER, FROM_KEEP, KEEP_READS
from pipeline.passes.select.keep import choose_again
from pipeline.passes.select.sample import bottom_k
from pipeline.passes.select.select import fingerprint_of
from pipeline.passes.select.write import clean_rows, split_of, texts_of
from pipeline.report.page import write_report
from pipeline.schema.manifests import MixtureManifest, SelectionManifest
from pipeline.schema.outcomes import Outcome


@dataclass(frozen=True)
class KeptDocument:
    """Which document a cluster keeps, as the decision on a member of it says."""

    id: str | None
    is_itself: bool  # the column is_kept_document


@dataclass
class DecisionChange:
    """What changes in the decision on a document; None where it stays."""

    removed: int | None = None  # TAKEN_OUT or REPLACEABLE
    outcome: Outcome | None = None
    kept_document: KeptDocument | None = None


Changes = dict[int, dict[int, DecisionChange]]  # shard group -> row of its decisions


@dataclass(frozen=True)
class Selection:
    """A selection that documents are taken out of, and the shards of its shard groups."""

    output: Output
    folder: SelectionFolder
    manifest: SelectionManifest
    shard_groups: list[list[str]]

    @property
    def settings(self) -> SelectConfig:
        """Those that the selection was made with."""
        return SelectConfig.model_validate(self.manifest.select)


def carry_out(output: Output, name: str, shard_groups: list[list[str]], take_down: SelectionTakeDown) -> None:
    """Bring a selection to the state that the take-downs ask for; adds to `take_down` what was done."""
    selection = Selection(
        output, SelectionFolder(output.selection(name)), output.selection_manifest(name), shard_groups
    )
    manifest, folder = selection.manifest, selection.folder
    pending = [record for record in take_down_names(output) if record not in manifest.take_downs]
    if not pending and not folder.take_down_journal.exists():
        return
    changes, groups = _taken_out(selection, pending)
    for group in groups:
        _keep_again(selection, group, changes)
    changes_of_clean = _changes_of_clean(selection, changes)
    take_down.replacements = sum(table.num_rows for table in changes_of_clean.coming.values())
    rewritten = rewrite_files(folder, manifest.files, changes_of_clean, selection.settings.row_group_rows)
    take_down.files = rewritten.rewritten
    _change_sample(folder, changes)
    for shard_group, of_shard_group in changes.items():  # last of the data: changes are what differs from decisions/
        _change_decisions(folder, shard_group, of_shard_group)
    take_downs = sorted({*manifest.take_downs, *pending})
    changed = msgspec.structs.replace(
        manifest,
        fingerprint=fingerprint_of(manifest.settings, take_downs),
        take_downs=take_downs,
        outcomes=_count_outcomes(folder, len(shard_groups)),
        files=rewritten.files,
    )
    write_manifest(folder.manifest, changed)
    take_down.stale_mixtures = _make_mixtures_again(output, name)
    write_report(output, name)
    folder.take_down_journal.unlink()


def _taken_out(selection: Selection, pending: list[str]) -> tuple[Changes, set[str]]:
    """What the records change in the decisions, and the groups of documents whose kept documents are chosen again."""
    changes: Changes = {}
    groups: set[str] = set()
    for shard_group, shards in enumerate(selection.shard_groups):
        if not (rows := taken_out_rows(selection.output, pending, shard_group, shards)):
            continue
        levels = decision_rows(in_signature_order(selection.output, shards), shards, rows)
        path = readable(selection.folder.decisions(shard_group))
        before = pq.read_table(path, columns=["group", "removed"])
        for row, level in levels.items():
            level_before = before["removed"][row].as_py()
            change = DecisionChange(removed=max(level, level_before), outcome=Outcome.REMOVED)
            changes.setdefault(shard_group, {})[row] = change
            if level == REPLACEABLE:
                groups.add(before["group"][row].as_py())
    return changes, groups


def _keep_again(selection: Selection, group: str, changes: Changes) -> None:
    """Add what choosing the kept documents of a group again changes; takes some 400 bytes a document of it."""
    shard_groups = range(len(selection.shard_groups))
    with SortedFiles([selection.folder.decisions(number) for number in shard_groups], "group") as decisions:
        chosen_before = ["outcome", "kept_document", "is_kept_document"]
        before = decisions.read(group, [*KEEP_READS, "minhash_cluster_id", *CLUSTER_FACTS, *chosen_before])
        row_ranges = [decisions.row_range(number, group) for number in shard_groups]
    removed = before["removed"].to_numpy().copy()
    firsts = np.cumsum([0, *(count for _, count in row_ranges)])  # row of `before` at which a shard group begins
    for shard_group, (start, count) in enumerate(row_ranges):
        for row, change in changes.get(shard_group, {}).items():
            if start <= row < start + count:
                removed[firsts[shard_group] + row - start] = change.removed
    before = before.set_column(before.column_names.index("removed"), "removed", pa.array(removed, pa.int8()))
    after = choose_again(selection.settings, before)
    old, new = (
        {name: table[name].to_numpy(zero_copy_only=False) for name in chosen_before} for table in (before, after)
    )
    stays_empty = (old["outcome"] == Outcome.EMPTY_AFTER_EDITS) & (new["outcome"] == Outcome.KEPT)
    new["outcome"] = np.where(stays_empty, old["outcome"], new["outcome"])
    differs = np.any([old[name] != new[name] for name in chosen_before], axis=0)
    for number in np.flatnonzero(differs).tolist():
        shard_group = int(np.searchsorted(firsts, number, side="right")) - 1
        row = int(row_ranges[shard_group][0] + number - firsts[shard_group])
        change = changes.setdefault(shard_group, {}).setdefault(row, DecisionChange())
        change.outcome = Outcome.named(new["outcome"][number])
        change.kept_document = KeptDocument(new["kept_document"][number], bool(new["is_kept_document"][number]))


def _changes_of_clean(selection: Selection, changes: Changes) -> CleanChanges:
    """Rows that leave clean/, and rows that come in.

    Where edits leave nothing of a text that would come in, the outcome in `changes` becomes EMPTY_AFTER_EDITS. Raises
    ConfigError where boilerplate is to be removed from what comes in and is marked with other settings by now.
    """
    changes_of_clean = CleanChanges()
    coming: dict[str, list[pa.Table]] = {}
    for shard_group, of_shard_group in changes.items():
        decisions = pq.read_table(readable(selection.folder.decisions(shard_group)))
        rows = sorted(row for row, change in of_shard_group.items() if change.outcome is not None)
        promoted = []
        for row, before in zip(rows, decisions.take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
            is_kept = of_shard_group[row].outcome == Outcome.KEPT
            if is_kept and before["outcome"] != Outcome.KEPT:
                promoted.append(row)
            elif not is_kept and before["outcome"] in (Outcome.KEPT, Outcome.REMOVED):
                # removed: by a command that was interrupted
                key = sort_key_of(before["minhash_cluster_size"], before["id"])
                split = split_of(before["minhash_cluster_id"], selection.settings.test_fraction)
                leaving = changes_of_clean.leaving.setdefault(before["label"], {})
                leaving[before["id"]] = LeavingRow(key, split)
        if promoted:
            for table in _promoted_rows(selection, shard_group, promoted, decisions, of_shard_group):
                for label in sorted(set(table["label"].to_pylist())):
                    coming.setdefault(label, []).append(table.filter(pc.equal(table["label"], label)))
    changes_of_clean.coming |= {label: pa.concat_tables(tables) for label, tables in coming.items()}
    return changes_of_clean


def _promoted_rows(
    selection: Selection,
    shard_group: int,
    promoted: list[int],
    decisions: pa.Table,
    changes: dict[int, DecisionChange],
) -> Iterator[pa.Table]:
    """The rows of clean/ for documents that are kept now, `promoted` being their rows in the decisions."""
    boilerplate, settings = selection.manifest.boilerplate, selection.settings
    removes_boilerplate = boilerplate is not None and boilerplate.remove
    if boilerplate is not None and removes_boilerplate and not are_marked(selection.output, boilerplate.fingerprint):
        raise ConfigError(
            f"{selection.folder.root}: boilerplate/ was made with other settings since, so no document can be put in "
            "place of one that is taken out: make the selection again with `glotmill select`, which carries out the "
            "take-down"
        )
    shards = selection.shard_groups[shard_group]
    locations = in_signature_order(selection.output, shards).take(pa.array(promoted))
    added = decisions.take(pa.array(promoted)).select([*FROM_KEEP, *FROM_FILTER])
    kept_documents = [kept.id if (kept := changes[row].kept_document) else None for row in promoted]
    for name, values in (
        ("outcome", [Outcome.KEPT.value] * len(promoted)),
        ("kept_document", kept_documents),
    ):
        added = added.set_column(added.column_names.index(name), name, pa.array(values, pa.string()))
    for number, shard in enumerate(shards):
        of_shard = np.flatnonzero(locations["shard"].to_numpy() == number)
        for table in texts_of(selection.output, shard, locations["row"].to_numpy()[of_shard], removes_boilerplate):
            chosen, of_shard = of_shard[: table.num_rows], of_shard[table.num_rows :]
            columns = {name: added[name].take(pa.array(chosen)) for name in added.column_names}
            rows, empty = clean_rows(settings, table, columns)
            for position in chosen[empty]:
                changes[promoted[position]].outcome = Outcome.EMPTY_AFTER_EDITS
            yield rows


def _change_decisions(folder: SelectionFolder, shard_group: int, changes: dict[int, DecisionChange]) -> None:
    """Write the decisions of a shard group again with what changed."""
    table = pq.read_table(readable(folder.decisions(shard_group)))
    chosen = {row: kept for row, change in changes.items() if (kept := change.kept_document) is not None}
    values_of_column: dict[str, dict[int, int | str | bool | None]] = {
        "removed": {row: change.removed for row, change in changes.items() if change.removed is not None},
        "outcome": {row: change.outcome.value for row, change in changes.items() if change.outcome is not None},
        "kept_document": {row: kept.id for row, kept in chosen.items()},
        "is_kept_document": {row: kept.is_itself for row, kept in chosen.items()},
    }
    for name, by_row in values_of_column.items():
        mask = np.zeros(table.num_rows, dtype=bool)
        mask[list(by_row)] = True
        values = pa.array([by_row[row] for row in sorted(by_row)], table.schema.field(name).type)
        column = pc.replace_with_mask(table[name].combine_chunks(), pa.array(mask), values)
        table = table.set_column(table.column_names.index(name), name, column)
    with committed(folder.decisions(shard_group)) as temporary:
        write_by_group(temporary, table)


def _change_sample(folder: SelectionFolder, changes: Changes) -> None:
    """The sample names URLs: rows of what was taken out go, others get their outcome."""
    outcomes: dict[str, Outcome] = {}
    for shard_group, of_shard_group in changes.items():
        ids = pq.read_table(readable(folder.decisions(shard_group)), columns=["id"])["id"]
        for row, change in of_shard_group.items():
            if change.outcome is not None:
                outcomes[ids[row].as_py()] = change.outcome
    table = pq.read_table(readable(folder.sample))
    before = zip(table["id"].to_pylist(), table["outcome"].to_pylist(), strict=True)
    values = [str(outcomes.get(record_id, outcome)) for record_id, outcome in before]
    table = table.set_column(table.column_names.index("outcome"), "outcome", pa.array(values, pa.string()))
    with committed(folder.sample) as temporary:
        left = bottom_k(table.filter(pc.not_equal(table["outcome"], Outcome.REMOVED.value)))
        pq.write_table(left, temporary, compression="zstd")


def _count_outcomes(folder: SelectionFolder, shard_group_count: int) -> dict[str, dict[str, int]]:
    """Documents by label and outcome, as the decisions have them."""
    counts: dict[str, Counter[str]] = {}
    for shard_group in range(shard_group_count):
        table = pq.read_table(readable(folder.decisions(shard_group)), columns=["label", "outcome"])
        for row in table.group_by(["label", "outcome"]).aggregate([([], "count_all")]).to_pylist():
            counts.setdefault(row["label"], Counter())[row["outcome"]] += row["count_all"]
    return {label: dict(sorted(counts[label].items())) for label in sorted(counts)}


def _make_mixtures_again(output: Output, name: str) -> list[str]:
    """Compute mixtures again, which read no text; returns those that this command does not know how to."""
    folder = output.selection(name)
    stale = []
    for path in matching(folder / "mixtures", "*.json"):
        mixture = read_manifest(path, MixtureManifest)
        if path.name == f"{mixture.weights}.json" and mixture.changed is None:
            settings = {"weights": mixture.weights, "max_repeats": mixture.settings.max_repeats}
            rebalance(RebalanceConfig.model_validate(settings), folder, InlineExecutor())
        else:
            stale.append(path.name)
    return stale
