"""remove: documents are taken out of finished selections, and stay out of later ones.

The record of removal is written first, so whatever happens then, the next `remove` or `select` goes on from it. Of a
selection the files of clean/ that hold a document are rewritten one by one, each at once, then sample and decisions,
then the manifest; `removing.json` names the files until all is done. An interrupted removal is finished by the same
command.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.run_settings import RunConfig, SelectConfig, fingerprint
from pipeline.errors import ConfigError
from pipeline.execution.commit import committed, read_json, sha256_of, write_json
from pipeline.execution.lock import sole_run
from pipeline.execution.storage import Location, matching, names, readable, remove_tree
from pipeline.execution.tasks import InlineExecutor
from pipeline.operations.clean_up import REPLACED, UNFINISHED
from pipeline.output.document_index import Kind
from pipeline.output.grouped_parquet import SortedFiles, rows_of, write_by_group
from pipeline.output.layout import Layout
from pipeline.output.take_downs import (
    REPLACEABLE,
    Match,
    Request,
    matches,
    removal_names,
    removed_rows,
    request_of,
    save,
)
from pipeline.passes.boilerplate.boilerplate import are_marked
from pipeline.passes.rebalance.rebalance import rebalance
from pipeline.passes.select.select import (
    FACTS_OF_CLUSTER,
    FROM_DECISION,
    FROM_ELECTION,
    ORDER,
    TO_ELECT,
    PartWriter,
    batch_order,
    bottom_k,
    clean_rows,
    fates_of_group,
    fingerprint_of,
    order_key,
    split_of,
    texts_of,
)
from pipeline.report.page import write_report
from pipeline.schema.columns import ANNOTATED
from pipeline.stages.measure_quality import hash64

JOURNAL = "removing.json"
LISTED = 20  # other members of a cluster that are named
LISTED_CLUSTERS = 100  # whose members are named; of all they are counted
Gone = dict[str, dict[str, tuple[int, str]]]  # label -> id -> cluster size, split
Edits = dict[int, dict[int, dict[str, Any]]]  # batch -> place in its decisions -> column -> value


@dataclass
class Orphans:
    """A cluster whose representative is taken out: at most LISTED of its other members, and how many there are."""

    representative: str
    others: list[dict[str, str]] = field(default_factory=list)  # id, url, fate
    count: int = 0


@dataclass
class Removed:
    """What was, or would be, taken out of a selection."""

    fates: Counter[str] = field(default_factory=Counter)  # of the documents before
    orphans: list[Orphans] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # of clean/ that were rewritten
    elected: int = 0  # representatives that took a place
    stale_mixes: list[str] = field(default_factory=list)  # of settings that cannot be computed again


@dataclass
class Removal:
    """What a command did."""

    documents: int
    dropped: int  # records that had been dropped anyway
    unknown: list[str]  # words that no record has
    selections: dict[str, Removed]
    purged: list[str] = field(default_factory=list)  # shards


def remove(
    layout: Layout,
    words: dict[Kind, list[str]],
    selections: list[str] | None = None,
    re_elect: bool = False,
    purge: bool = False,
    dry_run: bool = False,
) -> Removal:
    """Take out every document with one of these ids, URLs (in their normal form) or domains.

    `selections` are the ones to rewrite now, all by default; the record concerns later ones, too. With `re_elect` the
    clusters of what is taken out elect another representative. `purge` also empties the text in annotated/. Raises
    InputError for a word that is none of its kind, ConfigError for a selection that is not there or that was made over
    other shards.
    """
    if not layout.lookup_index.exists():
        raise ConfigError(f"{layout.root}: no lookup/ yet; `glotmill run` makes it once all shards are annotated")
    requests = {request_of(kind, word): word for kind, found in words.items() for word in found}
    grouped: list[list[str]] = read_json(layout.lookup_index)["batches"]
    with sole_run(layout.root):
        chosen = _chosen(layout, selections, fingerprint(grouped))
        found = [match for number, shards in enumerate(grouped) for match in matches(layout, number, shards, requests)]
        hits = {match.digest for match in found}
        places = {match.place for match in found}
        outcome = Removal(
            documents=sum(not place.dropped for place in places),
            dropped=sum(place.dropped for place in places),
            unknown=[word for request, word in requests.items() if not hits.intersection(request.digests)],
            selections={name: _describe(layout, name, grouped, found) for name in chosen},
        )
        if dry_run:
            return outcome
        taking = _of_documents(requests, found)
        if taking:
            save(layout, taking, re_elect)
        for name, told in outcome.selections.items():
            _apply(layout, name, grouped, told)
        for name in names(layout.root / "selections") if taking else ():
            if name.endswith((REPLACED, UNFINISHED)):  # they hold the text, too
                remove_tree(layout.root / "selections" / name)
        if purge:
            outcome.purged = _purge(layout, grouped)
        return outcome


def _of_documents(requests: dict[Request, str], found: list[Match]) -> list[Request]:
    digests = {match.digest for match in found if not match.place.dropped}
    return [request for request in requests if digests.intersection(request.digests)]


def _chosen(layout: Layout, wanted: list[str] | None, shards: str) -> list[str]:
    folder = layout.root / "selections"
    there = [name for name in names(folder) if (folder / name / "manifest.json").exists()]
    there = [name for name in there if not name.endswith((REPLACED, UNFINISHED))]
    if unknown := [name for name in wanted or [] if name not in there]:
        raise ConfigError(f"{layout.root}: no selection {', '.join(unknown)}; there are {', '.join(there) or 'none'}")
    for name in wanted or there:
        manifest = read_json(folder / name / "manifest.json")
        if manifest.get("shards") != shards or "host_lines" not in manifest:
            raise ConfigError(
                f"{folder / name}: made over other shards than lookup/ has, or by an older version; make it again with "
                f"`glotmill select --selection {name}`, or delete it"
            )
    return wanted or there


def _decisions(folder: Location, batch: int) -> Location:
    return folder / "decisions" / f"batch-{batch:05d}.parquet"


def _places(where: pa.Table, shards: list[str], rows: dict[str, dict[int, int]]) -> dict[int, int]:
    """Place in the decisions of a batch -> value, from shard -> row -> value."""
    number = {shard: place for place, shard in enumerate(shards)}
    wanted = {(number[shard] << 40) | row: value for shard, of in rows.items() for row, value in of.items()}
    keys = (where["shard"].to_numpy().astype(np.int64) << 40) | where["row"].to_numpy()
    found = np.flatnonzero(np.isin(keys, np.array(list(wanted), dtype=np.int64)))
    return {int(place): wanted[int(keys[place])] for place in found}


def _describe(layout: Layout, name: str, grouped: list[list[str]], found: list[Match]) -> Removed:
    """What the selection has of the documents found, and who else is in the clusters that they represent."""
    folder = layout.selection(name)
    told = Removed()
    clusters: dict[str, Orphans] = {}
    for batch, shards in enumerate(grouped):
        rows: dict[str, dict[int, int]] = {}
        for one in found:
            if one.place.batch == batch and not one.place.dropped:
                rows.setdefault(one.place.shard, {})[one.place.row] = 0
        if rows:
            where = batch_order(layout, shards, ["label"])
            columns = ["id", "fate", "minhash_cluster_id"]
            table = pq.read_table(readable(_decisions(folder, batch)), columns=columns)
            for row in table.take(pa.array(list(_places(where, shards, rows)), pa.int64())).to_pylist():
                told.fates[row["fate"]] += 1
                if row["fate"] == "kept":
                    clusters[row["minhash_cluster_id"]] = Orphans(row["id"])
    if clusters:
        _list_others(layout, folder, grouped, clusters, {one.id for one in found})
    told.orphans = [one for _, one in sorted(clusters.items()) if one.count]
    return told


def _list_others(
    layout: Layout, folder: Location, grouped: list[list[str]], clusters: dict[str, Orphans], gone: set[str]
) -> None:
    named = set(sorted(clusters)[:LISTED_CLUSTERS])
    for batch, shards in enumerate(grouped):
        columns = ["id", "fate", "minhash_cluster_id"]
        table = pq.read_table(readable(_decisions(folder, batch)), columns=columns)
        inside = np.flatnonzero(pc.is_in(table["minhash_cluster_id"], pa.array(list(clusters))).to_numpy())
        where = None
        for place, row in zip(inside, table.take(pa.array(inside)).to_pylist(), strict=True):
            if row["id"] in gone or row["fate"] in ("removed", "already_read"):
                continue
            cluster = clusters[row["minhash_cluster_id"]]
            cluster.count += 1
            if row["minhash_cluster_id"] in named and len(cluster.others) < LISTED:
                where = where if where is not None else batch_order(layout, shards, ["label"])
                path = layout.annotated(shards[where["shard"][place].as_py()])
                (found,) = rows_of(path, [where["row"][place].as_py()], ["url"])
                cluster.others.append({"id": row["id"], "url": found["url"][0].as_py(), "fate": row["fate"]})


def _apply(layout: Layout, name: str, grouped: list[list[str]], told: Removed) -> None:
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
    told.files = _rewrite_files(folder, manifest, settings, gone, come)
    _edit_sample(folder, edits)
    for batch, of_batch in edits.items():  # last of the data: edits are what differs from the decisions
        _edit_decisions(_decisions(folder, batch), of_batch)
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
        levels = _places(batch_order(layout, shards, ["label"]), shards, rows)
        before = pq.read_table(readable(_decisions(folder, batch)), columns=["group", "removed"])
        for place, level in levels.items():
            known = before["removed"][place].as_py()
            edits.setdefault(batch, {})[place] = {"removed": max(level, known), "fate": "removed"}
            if level == REPLACEABLE:
                again.add(before["group"][place].as_py())
    return edits, again


def _elect_again(settings: SelectConfig, folder: Location, group: str, batch_count: int, edits: Edits) -> None:
    """Add to the edits what another election in the group changes; some 400 bytes a document of it are in memory."""
    files = [_decisions(folder, batch) for batch in range(batch_count)]
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
        decisions = pq.read_table(readable(_decisions(folder, batch)))
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


def _rewrite_files(
    folder: Location,
    manifest: dict[str, Any],
    settings: SelectConfig,
    gone: Gone,
    come: dict[str, pa.Table],
) -> list[str]:
    """Rewrite the files concerned and their entries in the manifest; returns their paths."""
    additions: dict[str, pa.Table] = {}
    concerned: dict[str, str] = {}  # path -> label
    for label in sorted(gone.keys() | come.keys()):
        files = manifest["files"].setdefault(label, [])
        parts = {split: [file for file in files if file["split"] == split] for split in ("train", "test")}
        firsts = {split: [file["first"] for file in of_split] for split, of_split in parts.items()}
        for record_id, (size, split) in gone.get(label, {}).items():
            for path in _files_with(parts[split], firsts[split], order_key(size, record_id)):
                concerned[path] = label
        for path, rows in _files_for(files, label, come[label]).items() if label in come else ():
            concerned[path] = label
            additions[path] = rows
    journal = folder / JOURNAL
    concerned |= read_json(journal) if journal.exists() else {}
    write_json(journal, concerned)
    for path, label in sorted(concerned.items()):
        files = manifest["files"].setdefault(label, [])
        split = "test" if (folder / path).name.startswith("test") else "train"
        leave = set(gone.get(label, {}))
        entry = _rewrite(folder, path, split, settings.row_group_rows, leave, additions.get(path))
        others = [file for file in files if file["path"] != path]
        found = [*others, entry] if entry else others
        manifest["files"][label] = sorted(found, key=lambda file: (file["split"] == "test", file["path"]))
    return sorted(concerned)


def _files_with(files: list[dict[str, Any]], firsts: list[Any], key: list[Any]) -> list[str]:
    """The files of a split whose range has the key: one, or two where it is the first of one."""
    places = range(max(0, bisect_left(firsts, key) - 1), bisect_right(firsts, key))
    return [files[place]["path"] for place in places]


def _files_for(files: list[dict[str, Any]], label: str, rows: pa.Table) -> dict[str, pa.Table]:
    """The file that each row belongs into, by its split and place in the order; a first one where there is none."""
    paths = []
    for row in rows.select(["id", "minhash_cluster_size", "split"]).to_pylist():
        parts = [file for file in files if file["split"] == row["split"]]
        place = bisect_right([file["first"] for file in parts], order_key(row["minhash_cluster_size"], row["id"]))
        first = f"clean/{label}/{'part' if row['split'] == 'train' else 'test'}-00000.parquet"
        paths.append(parts[max(0, place - 1)]["path"] if parts else first)
    where = pa.array(paths, pa.string())
    return {path: rows.filter(pc.equal(where, path)) for path in sorted(set(paths))}


def _rewrite(
    folder: Location, path: str, split: str, row_group_rows: int, leave: set[str], add: pa.Table | None
) -> dict[str, Any] | None:
    """Write a file again without some rows and with others; returns its entry. An empty one is deleted."""
    with ExitStack() as open_files:
        writer: PartWriter | None = None
        for table in _merged_with(folder / path, add):
            table = table.filter(pc.invert(pc.is_in(table["id"], pa.array(sorted(leave), pa.string()))))
            if table.num_rows:
                writer = writer or open_files.enter_context(PartWriter(folder, path, split, row_group_rows))
                writer.write(table)
        if writer is not None:
            return writer.close()
    (folder / path).unlink(missing_ok=True)
    return None


def _merged_with(path: Location, add: pa.Table | None) -> Iterator[pa.Table]:
    """The rows of a file, a row group at a time, with others at their place; of two with the same id the file's."""
    order = [(name, "ascending") for name in ORDER]
    waiting = add.sort_by(order) if add is not None else None
    if path.exists():
        with pq.ParquetFile(readable(path), pre_buffer=True) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                if waiting is None:
                    yield table
                    continue
                hashes = pa.array([hash64(one) for one in table["id"].to_pylist()], pa.uint64())
                table = table.append_column("id_hash", hashes)
                waiting = waiting.filter(pc.invert(pc.is_in(waiting["id"], table["id"].combine_chunks())))
                last = tuple(table[name][-1].as_py() for name in ORDER)
                keys = list(zip(*(waiting[name].to_pylist() for name in ORDER), strict=True))
                count = bisect_right(keys, last)
                ready = waiting.slice(0, count).select(table.column_names).cast(table.schema)
                yield pa.concat_tables([table, ready]).sort_by(order)
                waiting = waiting.slice(count)
    if waiting is not None and waiting.num_rows:
        yield waiting


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
        ids = pq.read_table(readable(_decisions(folder, batch)), columns=["id"])["id"]
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
        table = pq.read_table(readable(_decisions(folder, batch)), columns=["label", "fate"])
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


def _purge(layout: Layout, grouped: list[list[str]]) -> list[str]:
    """Empty the text of everything that was ever taken out, in annotated/; measurements stay. Returns the shards."""
    purged: dict[str, dict[str, Any]] = {}
    for batch, shards in enumerate(grouped):
        rows = removed_rows(layout, removal_names(layout), batch, shards)
        for shard in sorted(rows):
            _empty_texts(layout.annotated(shard), sorted(rows[shard]))
            manifest = read_json(layout.annotated_manifest(shard))
            manifest["sha256"]["annotated"] = sha256_of(layout.annotated(shard))
            write_json(layout.annotated_manifest(shard), manifest)
            purged[shard] = manifest
    for number in range(read_json(layout.run).get("manifest_batches", 0)):
        manifests = [purged.get(one["shard"], one) for one in read_json(layout.manifest_batch(number))]
        write_json(layout.manifest_batch(number), manifests)
    return sorted(purged)


def _empty_texts(path: Location, rows: list[int]) -> None:
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
            for name, empty in (("text", ""), ("span_starts", []), ("span_ends", []), ("span_texts", [])):
                values = [value if stay else empty for value, stay in zip(table[name].to_pylist(), stays, strict=True)]
                column = pa.array(values, ANNOTATED.field(name).type)
                table = table.set_column(table.column_names.index(name), name, column)
            writer.write_table(table, row_group_size=table.num_rows)
