"""deduplicate: signature columns gathered by group, linked band by band, clustered and verified.

Collate writes one file a batch, sorted by group, so that a task reads the rows of its groups by projection: no
shuffle and no file per language. A group's dense index is the position of a document in (batch, shard, row) order.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.run_settings import LanguageConfig, RunConfig, fingerprint
from pipeline.dedup.components import count_roots, flatten, new_parent, sizes_at_roots, union_edges
from pipeline.dedup.lsh import link
from pipeline.dedup.verify import Verifier
from pipeline.errors import PipelineError
from pipeline.execution.commit import committed, finished, write_json
from pipeline.execution.storage import Location, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.baselines import open_index, updated
from pipeline.output.grouped_parquet import (
    Names,
    SortedFiles,
    ahead,
    cheap_compression,
    pack,
    read_file,
    rechunked,
    write_by_group,
)
from pipeline.output.layout import Layout, batches
from pipeline.passes.statistics import calibrations, measured
from pipeline.rules.fired import rules_fired
from pipeline.rules.histogram import HOST_BOILERPLATE

FORMAT = 4
READ = ["group", "id", "id_hash", "exact_hash", "bands", "minima"]
FLOOR = ("language_score", "script_fraction")  # the rules on the label itself
COLLATE_ROWS = 2_000_000  # documents of a batch that are sorted at a time
ROW_GROUP_ROWS = 100_000
MAX_GROUP_ROWS = 2**32 - 1  # a dense index is a uint32, the last of which means none
ALREADY_READ = "already_read"
FOR_CLUSTERS = ["id", "id_hash", "in_population"]  # of a group, beside its keys

Rows = Callable[[list[str]], Iterator[pa.Table]]  # columns of a group in dense order, from the start, table by table


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
    tasks, results = cluster_signatures(config, layout, executor, files, totals, before)
    for folder in (layout.edges(0, ALREADY_READ).parent.parent, layout.gathered(0).parent):
        remove_tree(folder)
    index = {"fingerprint": fingerprint_, "batches": groups_of_shards, "groups": {}, "singled_out": 0}
    index |= {"index": earlier.documents, "index_rows": earlier.rows_by_output}
    for task, (groups, result) in enumerate(zip(tasks, results, strict=True)):
        index["singled_out"] += result["overflow"]
        for group in groups:
            rows = [of_batch.get(group, 0) for of_batch in collated]
            index["groups"][group] = {"task": task, "rows": rows, "clusters": result["clusters"][group]}
    write_json(layout.cluster_index, index)
    return index


def cluster_signatures(
    config: RunConfig,
    layout: Layout,
    executor: Executor,
    files: list[Location],
    totals: Mapping[str, int],
    before: Mapping[str, int] | None = None,
) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """Link and cluster groups of `totals` documents: the groups of each task, and what `cluster_groups` returned.

    The first documents of a group, `before` says how many, are of earlier outputs.
    """
    tasks = pack(totals, config.dedup.large_group_rows)
    large = [(task, names[0]) for task, names in enumerate(tasks) if totals[names[0]] >= config.dedup.large_group_rows]
    keys = config.dedup.keys
    run_all(executor, mark_already_read, [(layout, files, task, group) for task, group in large])
    run_all(executor, link_key, [(layout, files, task, group, key) for task, group in large for key in keys])
    results = run_all(
        executor,
        cluster_groups,
        [
            (config, layout, files, task, {group: totals[group] for group in groups}, keys, before or {})
            for task, groups in enumerate(tasks)
        ],
    )
    return tasks, results


def population_rules(config: RunConfig, languages: dict[str, LanguageConfig]) -> dict[str, LanguageConfig]:
    """The rules that a document has to pass to take part in clusters, by label; empty where all take part.

    `above_language_floor`: the rules on the label itself, its score and its script. `passing`: all of them, but for one
    on what host_lines measures, which needs the clusters.
    """
    if config.dedup.population == "all" or not config.select.rules:
        return {}
    if config.dedup.population == "passing":
        return {label: _without(language, HOST_BOILERPLATE) for label, language in languages.items()}
    floors = {
        label: {metric: language.rules[metric] for metric in FLOOR if metric in language.rules}
        for label, language in languages.items()
    }
    return {label: languages[label].model_copy(update={"rules": rules}) for label, rules in floors.items()}


def _without(language: LanguageConfig, metric: str) -> LanguageConfig:
    rules = {name: rule for name, rule in language.rules.items() if name != metric}
    return language.model_copy(update={"rules": rules})


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

    A document outside the population gets null keys, so that it is a cluster of its own. Shards of COLLATE_ROWS
    documents or more are sorted at a time, about 1 kB a document with its copies, and their files merged.
    """
    rows: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="glotmill-collate-") as scratch,
        committed(layout.signatures(batch)) as path,
    ):
        pieces: list[Location] = []
        waiting: list[pa.Table] = []
        for number, shard in enumerate(shards):
            waiting.append(_signatures_of(config, layout, number, shard, population))
            last = number + 1 == len(shards)
            if last or sum(table.num_rows for table in waiting) >= COLLATE_ROWS:
                piece = path if last and not pieces else Path(scratch, f"piece-{len(pieces):05d}.parquet")
                pieces.append(piece)
                rows.update(_write_groups(pa.concat_tables(waiting), piece))
                waiting = []
        if len(pieces) > 1:
            _write_merged(pieces, path)
    return dict(rows)


def _signatures_of(
    config: RunConfig, layout: Layout, number: int, shard: str, population: dict[str, LanguageConfig]
) -> pa.Table:
    """The signature columns of a shard, in its order."""
    table = read_file(layout.annotated(shard), READ)
    part = _takes_part(config, layout, shard, population) if population else np.ones(table.num_rows, dtype=bool)
    bands = fixed_rows(table["bands"], config.dedup.bands * 8).view("<u8")  # (n, bands) uint64, 0 is null
    exact = table["exact_hash"].fill_null(0).to_numpy().astype(np.uint64)
    bands[~part] = 0
    exact[~part] = 0
    minima = fixed_rows(table["minima"], config.dedup.bands * config.dedup.rows)
    return pa.table(
        {
            "group": table["group"],
            "shard": np.full(table.num_rows, number, np.int32),
            "row": np.arange(table.num_rows),
            "id": table["id"],
            "id_hash": table["id_hash"],
            "in_population": part,
            "exact_hash": exact,
        }
        | {f"band_{band:02d}": np.ascontiguousarray(bands[:, band]) for band in range(config.dedup.bands)}
        | {
            "minima": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(minima.shape[1]), len(minima), [None, pa.py_buffer(minima)]
            ),
            "signed": pa.compute.binary_length(table["bands"]).to_numpy() > 0,
        }
    )


def _write_groups(table: pa.Table, path: Path) -> dict[str, int]:
    """Write rows by group, which keep their order within it; returns how many each has."""
    groups = table["group"].combine_chunks().dictionary_encode()
    rows: dict[str, int] = {}
    with signature_writer(path, table.schema) as writer:
        for group in sorted(groups.dictionary.to_pylist()):
            code = groups.dictionary.index(group)
            here = table.filter(pa.compute.equal(groups.indices, code.cast(groups.indices.type)))
            rows[group] = here.num_rows
            writer.write_table(here.combine_chunks(), row_group_size=ROW_GROUP_ROWS)
    return rows


def _write_merged(files: list[Location], path: Path) -> None:
    """One file of many: rows sorted by group and then as the files are."""
    with SortedFiles(files, "group") as sorted_:
        schema = sorted_.files[0].schema_arrow
        with signature_writer(path, schema) as writer:
            for group in sorted_.values():
                for table in sorted_.chunks(group, schema.names, ROW_GROUP_ROWS):
                    writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def signature_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Writer of signatures or clusters; no dictionaries, as hashes and ids hardly repeat."""
    return pq.ParquetWriter(path, schema, compression=cheap_compression(schema), use_dictionary=["group"])


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
    with committed(layout.gathered(number)) as path:
        _write_merged(files, path)


def _seen_before(ids: np.ndarray) -> np.ndarray:
    """Which rows repeat an id of an earlier row; (n,) bool."""
    seen = np.zeros(len(ids), dtype=bool)
    seen[link(ids)[1]] = True
    return seen


def mark_already_read(layout: Layout, files: list[Location], task: int, group: str) -> None:
    """Write which rows of a large group repeat a record; its link tasks leave them out."""
    with SortedFiles(files, "group") as signatures:
        ids = signatures.array(group, "id_hash")
    _save(layout.edges(task, ALREADY_READ), {ALREADY_READ: _seen_before(ids)})


def link_key(layout: Layout, files: list[Location], task: int, group: str, key: str) -> None:
    """Write the edges (a, b), uint32, between documents of a large group that share one key.

    Takes 9 bytes a document, 12 for each of the rows that `link` scatters at a time, and 8 an edge.
    """
    with SortedFiles(files, "group") as signatures:
        values = signatures.array(group, key)
    a, b = link(values, _read_mark(layout.edges(task, ALREADY_READ)))
    _save(layout.edges(task, key), {"a": a, "b": b})


def _save(path: Location, columns: dict[str, np.ndarray]) -> None:
    with committed(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="lz4", use_dictionary=False)


def _read_mark(path: Location) -> np.ndarray:
    """What `mark_already_read` wrote."""
    mark: np.ndarray = read_file(path, [ALREADY_READ])[ALREADY_READ].to_numpy()
    return mark


def cluster_groups(
    config: RunConfig,
    layout: Layout,
    files: list[Location],
    task: int,
    groups: dict[str, int],
    keys: list[str],
    before: Mapping[str, int],
) -> dict[str, Any]:
    """Cluster each group of a task and write leader and size of every document, in dense order.

    The first documents of a group, `before` says how many, are of earlier outputs: of those only changes are written.

    Of a large group only arrays of numbers are in memory, about 25 bytes a document, and the ids of the leaders that
    lead others.
    """
    clusters: dict[str, int] = {}
    updates: list[pa.Table] = []
    overflow = 0
    with committed(layout.clusters(task)) as path, SortedFiles(files, "group") as signatures:
        writer: pq.ParquetWriter | None = None
        for group, total in groups.items():
            large = total >= config.dedup.large_group_rows
            if large:
                rows = partial(_read_ahead, signatures, group)
                already_read = _read_mark(layout.edges(task, ALREADY_READ))
                edges = ahead(_edges_on_disk(layout, task, keys))
            else:
                table = signatures.read(
                    group, FOR_CLUSTERS + keys + (["minima", "signed"] if config.dedup.verified else [])
                )
                rows = partial(_slices, table)
                already_read = _seen_before(table["id_hash"].to_numpy())
                edges = (link(table[key].to_numpy(), already_read) for key in keys)
            leader, over = _leaders(config, total, rows, edges)
            overflow += over
            earlier = before.get(group, 0)
            clusters[group] = len(np.unique(leader[earlier:])) if earlier else count_roots(leader)
            tables = _clusters(group, leader, already_read, rows)
            if earlier:
                changed, tables = updated(tables, rows(["id"]), leader, already_read, earlier)
                updates.append(changed)
            for found in ahead(tables) if large else tables:
                writer = writer or signature_writer(path, found.schema)
                writer.write_table(found, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()
    if updates:
        with committed(layout.cluster_updates(task)) as path:
            write_by_group(path, pa.concat_tables(updates))
    return {"clusters": clusters, "overflow": overflow}


def _read_ahead(signatures: SortedFiles, group: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    return ahead(signatures.chunks(group, columns, ROW_GROUP_ROWS))


def _slices(table: pa.Table, columns: Sequence[str]) -> Iterator[pa.Table]:
    return rechunked([table.select(columns)], ROW_GROUP_ROWS)


def _edges_on_disk(layout: Layout, task: int, keys: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What the link tasks of a large group found, a piece of one key at a time."""
    for key in keys:
        with pq.ParquetFile(readable(layout.edges(task, key))) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                yield table["a"].to_numpy(), table["b"].to_numpy()


def _leaders(
    config: RunConfig, total: int, rows: Rows, edges: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[npt.NDArray[np.uint32], int]:
    """The leader of each document of a group, (total,) uint32, and how many were singled out."""
    parent = new_parent(total)
    for a, b in edges:
        union_edges(parent, a, b)
    roots: npt.NDArray[np.uint32] = flatten(parent).astype(np.uint32, copy=False)
    if not config.dedup.verified:
        return roots, 0
    width = config.dedup.bands * config.dedup.rows
    verifier = Verifier(roots, width, config.dedup.verify_threshold, config.dedup.max_leaders)
    for table in rows(["minima", "signed", "exact_hash"]):
        array = table["minima"].combine_chunks()
        minima = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
        verifier.feed(
            minima.reshape(-1, width),
            table["signed"].to_numpy(zero_copy_only=False),
            table["exact_hash"].to_numpy(),
        )
    return verifier.leaders.astype(np.uint32, copy=False), verifier.overflow_count


def _clusters(group: str, leader: np.ndarray, already_read: np.ndarray, rows: Rows) -> Iterator[pa.Table]:
    """The rows of the clusters file, a row group at a time. A document that leads itself has no `leader_id`."""
    sizes = sizes_at_roots(leader, already_read)
    names = Names(sizes >= 2, partial(rows, ["id"]))
    first = 0
    for table in rows(["in_population"]):
        here = slice(first, first + table.num_rows)
        leaders = leader[here]
        itself = leaders == np.arange(first, first + table.num_rows)
        first += table.num_rows
        yield pa.table(
            {
                "group": pa.repeat(group, table.num_rows),
                "leader": pa.array(leaders),
                "leader_id": names.of(leaders, itself),
                "size": pa.array(np.where(already_read[here], 1, sizes[leaders]).astype(np.int64)),
                "already_read": pa.array(already_read[here]),
                "in_population": table["in_population"],
            }
        )
