"""deduplicate: signature columns gathered by group, linked band by band, clustered and verified.

Collate writes one file a batch, sorted by group, so that a task reads the rows of its groups by projection: no
shuffle and no file per language. A group's dense index is the position of a document in (batch, shard, row) order.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import LanguageConfig, RunConfig, fingerprint
from pipeline.dedup.components import flatten, new_parent, union_edges
from pipeline.dedup.lsh import link
from pipeline.dedup.verify import Verifier
from pipeline.errors import PipelineError
from pipeline.execution.executors import Executor, run_all
from pipeline.execution.manifests import committed, finished, write_json
from pipeline.execution.storage import Location, readable, remove_tree
from pipeline.passes.index import open_index, updated
from pipeline.passes.layout import Layout, batches
from pipeline.passes.sorted_files import SortedFiles, pack, write_by_group
from pipeline.passes.survey import calibrations, measured
from pipeline.stages.decide import rules_fired

FORMAT = 3
READ = ["group", "id", "id_hash", "exact_hash", "bands", "minima"]
FLOOR = ("language_score", "script_fraction")  # the rules on the label itself
LINK_ROWS = 500_000_000  # rows of one key that are sorted at a time; about 24 bytes each
ROW_GROUP_ROWS = 100_000
MAX_GROUP_ROWS = 2**32  # a dense index is stored as uint32
ALREADY_READ = "already_read"


def deduplicate(
    config: RunConfig, layout: Layout, executor: Executor, languages: dict[str, LanguageConfig]
) -> dict[str, Any]:
    """Find the clusters of every group; returns the cluster index. Done work with the same fingerprint is kept.

    `languages` are the rules with every bound a number. Only those that bound `dedup.population` are read.
    """
    population = population_rules(config, languages)
    annotated = [one["sha256"]["annotated"] for one in layout.manifests()]
    earlier = open_index(config)
    settings = [config.dedup_settings(), _population_settings(config, population), earlier.clusters]
    fingerprint_ = fingerprint([FORMAT, *settings, annotated])
    if (index := finished(layout.cluster_index, fingerprint_)) is not None:
        return index
    layout.cluster_index.unlink(missing_ok=True)  # of other settings: what it names is about to be replaced
    remove_tree(layout.cluster_updates(0).parent)
    groups_of_shards = batches(layout.shards(), config.dedup.batch_shards)
    arguments = [(config, layout, number, shards, population) for number, shards in enumerate(groups_of_shards)]
    collated: list[dict[str, int]] = run_all(executor, collate_batch, arguments)
    own = [layout.signatures(batch) for batch in range(len(groups_of_shards))]
    files = _gather(config, layout, executor, [*earlier.signatures, *own])
    totals: Counter[str] = Counter()
    for rows_of_batch in collated:
        totals.update(rows_of_batch)
    before = {group: earlier.rows[group] for group in totals if group in earlier.rows}
    totals.update(before)
    if too_large := [group for group, rows in totals.items() if rows > MAX_GROUP_ROWS]:
        raise PipelineError(
            f"{', '.join(too_large)}: more than {MAX_GROUP_ROWS} documents in a group; run fewer crawls"
        )
    tasks = pack(totals, config.dedup.large_group_rows)
    large = [(task, names[0]) for task, names in enumerate(tasks) if totals[names[0]] >= config.dedup.large_group_rows]
    keys = ["exact_hash", *(f"band_{band:02d}" for band in range(config.dedup.bands))]
    run_all(executor, mark_already_read, [(layout, files, task, group) for task, group in large])
    run_all(executor, link_key, [(layout, files, task, group, key) for task, group in large for key in keys])
    results = run_all(
        executor,
        cluster_groups,
        [
            (config, layout, files, task, {group: totals[group] for group in groups}, keys, before)
            for task, groups in enumerate(tasks)
        ],
    )
    for folder in (layout.edges(0, ALREADY_READ).parent.parent, layout.gathered(0).parent):
        remove_tree(folder)
    index = {"fingerprint": fingerprint_, "batches": groups_of_shards, "groups": {}, "singled_out": 0}
    index["index"] = earlier.documents
    for task, (groups, result) in enumerate(zip(tasks, results, strict=True)):
        index["singled_out"] += result["overflow"]
        for group in groups:
            rows = [of_batch.get(group, 0) for of_batch in collated]
            index["groups"][group] = {"task": task, "rows": rows, "clusters": result["clusters"][group]}
    write_json(layout.cluster_index, index)
    return index


def population_rules(config: RunConfig, languages: dict[str, LanguageConfig]) -> dict[str, LanguageConfig]:
    """The rules that a document has to pass to take part in clusters, by label; empty where all take part.

    `above_language_floor`: the rules on the label itself, its score and its script. `passing`: all of them.
    """
    if config.dedup.population == "all" or not config.select.rules:
        return {}
    if config.dedup.population == "passing":
        return languages
    floors = {
        label: {metric: language.rules[metric] for metric in FLOOR if metric in language.rules}
        for label, language in languages.items()
    }
    return {label: languages[label].model_copy(update={"rules": rules}) for label, rules in floors.items()}


def _population_settings(config: RunConfig, population: dict[str, LanguageConfig]) -> list[Any]:
    """What decides on the population: bounds, not their sources, and the reference of perplexity percentiles."""
    bounds = {
        label: {metric: [rule.min, rule.max] for metric, rule in language.active_rules().items()}
        for label, language in population.items()
    }
    calibrated = [label for label, rules in bounds.items() if "perplexity_percentile" in rules]
    return [bounds, calibrations(calibrated, config.models)]


def _takes_part(config: RunConfig, layout: Layout, shard: str, population: dict[str, LanguageConfig]) -> np.ndarray:
    """Which documents of a shard take part in clusters, (rows,) bool: those that pass their population's rules."""
    metrics = sorted({metric for language in population.values() for metric in language.active_rules()})
    table = measured(layout, shard, config.models, metrics=metrics)
    labels = table["label"].to_numpy(zero_copy_only=False)
    part = np.ones(table.num_rows, dtype=bool)
    for label in np.unique(labels):
        if label in population:
            rows = np.flatnonzero(labels == label)
            part[rows] = ~rules_fired(table.take(pa.array(rows)), population[label])[1]
    return part


def collate_batch(
    config: RunConfig, layout: Layout, batch: int, shards: list[str], population: dict[str, LanguageConfig]
) -> dict[str, int]:
    """Write the signature columns of a batch, sorted by group and then (shard, row); returns rows by group.

    A document outside the population gets null keys, so that it is a cluster of its own.
    """
    tables = []
    for number, shard in enumerate(shards):
        table = pq.read_table(readable(layout.annotated(shard)), columns=READ)
        part = _takes_part(config, layout, shard, population) if population else np.ones(table.num_rows, dtype=bool)
        more = {
            "shard": np.full(table.num_rows, number, np.int32),
            "row": np.arange(table.num_rows),
            "in_population": part,
        }
        for name, values in more.items():
            table = table.append_column(name, pa.array(values))
        tables.append(table)
    everything = pa.concat_tables(tables).combine_chunks()
    order = pa.compute.sort_indices(everything, [("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])
    everything = everything.take(order)
    bands = fixed_rows(everything["bands"], config.dedup.bands * 8).view("<u8")  # (n, bands) uint64, 0 is null
    signed = pa.compute.binary_length(everything["bands"]).to_numpy() > 0
    exact = everything["exact_hash"].fill_null(0).to_numpy().astype(np.uint64)
    outside = ~everything["in_population"].to_numpy()
    bands[outside] = 0
    exact[outside] = 0
    columns: dict[str, Any] = {
        name: everything[name] for name in ("group", "shard", "row", "id", "id_hash", "in_population")
    }
    columns["exact_hash"] = exact
    columns |= {f"band_{band:02d}": bands[:, band] for band in range(config.dedup.bands)}
    minima = fixed_rows(everything["minima"], config.dedup.bands * config.dedup.rows)
    columns["minima"] = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(minima.shape[1]), len(minima), [None, pa.py_buffer(minima.tobytes())]
    )
    columns["signed"] = signed
    table = pa.table(columns)
    rows: dict[str, int] = {}
    with (
        committed(layout.signatures(batch)) as path,
        pq.ParquetWriter(path, table.schema, compression="zstd") as out_,
    ):
        groups = table["group"].to_numpy(zero_copy_only=False)
        starts = [0, *(np.flatnonzero(groups[1:] != groups[:-1]) + 1).tolist(), table.num_rows] if len(groups) else [0]
        for start, end in zip(starts[:-1], starts[1:], strict=True):
            rows[str(groups[start])] = end - start
            out_.write_table(table.slice(start, end - start), row_group_size=ROW_GROUP_ROWS)
    return rows


def fixed_rows(values: pa.ChunkedArray, width: int) -> np.ndarray:
    """(n, width) uint8 of binary values that have `width` bytes, zeros where they are empty."""
    array = values.combine_chunks()
    rows = np.zeros((len(array), width), dtype=np.uint8)
    if not len(array):
        return rows
    filled = pa.compute.binary_length(array).to_numpy(zero_copy_only=False) > 0
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64, count=len(array) + 1, offset=array.offset * 8)
    data = np.frombuffer(array.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    rows[filled] = data.reshape(-1, width)
    return rows


def _gather(config: RunConfig, layout: Layout, executor: Executor, files: list[Location]) -> list[Location]:
    """The signature files in dense order: those of the batches, or, where they are too many, of many batches each."""
    if len(files) <= config.dedup.collate_files:
        return files
    pieces = [
        files[start : start + config.dedup.collate_files] for start in range(0, len(files), config.dedup.collate_files)
    ]
    run_all(executor, gather_batches, [(layout, number, piece) for number, piece in enumerate(pieces)])
    return [layout.gathered(number) for number in range(len(pieces))]


def gather_batches(layout: Layout, number: int, files: list[Location]) -> None:
    """Write the rows of many batches as one file, sorted by group and then as the batches are."""
    with (
        SortedFiles(files, "group") as batches_,
        committed(layout.gathered(number)) as path,
        pq.ParquetWriter(path, batches_.files[0].schema_arrow, compression="zstd") as writer,
    ):
        for group in batches_.values():
            for stream in batches_.streams(group):
                for table in stream:
                    writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def _seen_before(ids: np.ndarray) -> np.ndarray:
    """Which rows repeat an id of an earlier row; (n,) bool."""
    seen = np.zeros(len(ids), dtype=bool)
    seen[link(ids, np.arange(len(ids), dtype=np.uint32))[1]] = True
    return seen


def mark_already_read(layout: Layout, files: list[Location], task: int, group: str) -> None:
    """Write which rows of a large group repeat a record; its link tasks leave them out."""
    with SortedFiles(files, "group") as signatures:
        ids = signatures.read(group, ["id_hash"])["id_hash"].to_numpy()
    _save(layout.edges(task, ALREADY_READ), {ALREADY_READ: _seen_before(ids)})


def link_key(layout: Layout, files: list[Location], task: int, group: str, key: str) -> None:
    """Write the edges (2, m) uint32 between documents of a large group that share one key."""
    with SortedFiles(files, "group") as signatures:
        values = signatures.read(group, [key])[key].to_numpy()
    (already_read,) = _load(layout.edges(task, ALREADY_READ))
    a, b = edges_of(values, already_read)
    _save(layout.edges(task, key), {"a": a, "b": b})


def _save(path: Location, columns: dict[str, np.ndarray]) -> None:
    with committed(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="lz4")


def _load(path: Location) -> list[np.ndarray]:
    """The columns that `_save` wrote."""
    return [column.to_numpy() for column in pq.read_table(readable(path)).columns]


def edges_of(keys: np.ndarray, already_read: np.ndarray, rows_at_a_time: int = LINK_ROWS) -> np.ndarray:
    """Links of equal keys, (2, m) uint32; keys are sorted range by range, about `rows_at_a_time` of them."""
    ranges = -(-len(keys) // rows_at_a_time)
    place = (keys >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32)  # below `ranges`; keys are hashes: even
    found = []
    for number in range(ranges):
        rows = np.flatnonzero((place == number) & ~already_read)
        found.append(np.stack(link(keys[rows], rows.astype(np.uint32))))
    return np.concatenate(found, axis=1) if found else np.empty((2, 0), np.uint32)


def cluster_groups(
    config: RunConfig,
    layout: Layout,
    files: list[Location],
    task: int,
    groups: dict[str, int],
    keys: list[str],
    before: dict[str, int],
) -> dict[str, Any]:
    """Cluster each group of a task and write leader and size of every document, in dense order.

    The first documents of a group, `before` says how many, are of earlier outputs: of those only changes are written.
    """
    clusters: dict[str, int] = {}
    updates: list[pa.Table] = []
    overflow = 0
    with committed(layout.clusters(task)) as path, SortedFiles(files, "group") as signatures:
        writer: pq.ParquetWriter | None = None
        for group, total in groups.items():
            large = total >= config.dedup.large_group_rows
            table, over = _cluster(config, signatures, group, keys, partial(layout.edges, task) if large else None)
            if earlier := before.get(group, 0):
                ids = signatures.read(group, ["id"])["id"].combine_chunks()
                updates.append(updated(group, table, ids, earlier))
                table = table.slice(earlier)
            clusters[group] = len(np.unique(table["leader"].to_numpy()))
            overflow += over
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()
    if updates:
        with committed(layout.cluster_updates(task)) as path:
            write_by_group(path, pa.concat_tables(updates))
    return {"clusters": clusters, "overflow": overflow}


def _cluster(
    config: RunConfig, signatures: SortedFiles, group: str, keys: list[str], linked: Callable[[str], Location] | None
) -> tuple[pa.Table, int]:
    """Clusters of one group; `linked` names the edges by key where other tasks found them."""
    first = signatures.read(group, ["id", "in_population", *([] if linked else ["id_hash"])])
    total = first.num_rows
    already_read = _load(linked(ALREADY_READ))[0] if linked else _seen_before(first["id_hash"].to_numpy())
    parent = new_parent(total)
    if linked:
        for key in keys:
            union_edges(parent, *_load(linked(key)))
    else:
        columns = signatures.read(group, keys)
        for key in keys:
            union_edges(parent, *edges_of(columns[key].to_numpy(), already_read))
    leader: npt.NDArray[np.uint32] = flatten(parent).astype(np.uint32)
    overflow = 0
    if config.dedup.verify:
        width = config.dedup.bands * config.dedup.rows
        verifier = Verifier(leader, width, config.dedup.verify_threshold, config.dedup.max_leaders)
        for stream in signatures.streams(group, ["minima", "signed", "exact_hash"]):
            for table in stream:
                array = table["minima"].combine_chunks()
                rows = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
                verifier.feed(
                    rows.reshape(-1, width),
                    table["signed"].to_numpy(zero_copy_only=False),
                    table["exact_hash"].to_numpy(),
                )
        leader, overflow = verifier.leaders.astype(np.uint32, copy=False), verifier.overflow_count
    sizes = np.bincount(leader[~already_read], minlength=total)[leader]
    names = first["id"].combine_chunks()
    return pa.table(
        {
            "group": pa.array([group] * total),
            "leader": pa.array(leader.astype(np.uint32)),
            "leader_id": names.take(pa.array(leader.astype(np.int64))),
            "size": pa.array(np.where(already_read, 1, sizes).astype(np.int64)),
            "already_read": pa.array(already_read),
            "in_population": first["in_population"],
        }
    ), int(overflow)
