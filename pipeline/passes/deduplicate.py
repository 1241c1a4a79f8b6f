"""deduplicate: signature columns gathered by group, linked band by band, clustered and verified.

Collate writes one file a batch, sorted by group, so that a task reads the rows of its groups by projection: no
shuffle and no file per language. A group's dense index is the position of a document in (batch, shard, row) order.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it
import pyarrow.parquet as pq

from pipeline.config import LanguageConfig, RunConfig, fingerprint
from pipeline.dedup.components import flatten, union_edges
from pipeline.dedup.lsh import link
from pipeline.dedup.verify import verify
from pipeline.execution.executors import Executor, run_all
from pipeline.execution.manifests import committed, finished, write_json
from pipeline.execution.storage import Location, readable
from pipeline.passes.layout import Layout, batches
from pipeline.passes.survey import calibrations, measured
from pipeline.stages.decide import rules_fired
from pipeline.stages.measure_quality import band_matrix

FORMAT = 2
READ = ["group", "id", "id_hash", "exact_hash", "bands", "minima"]
FLOOR = ("language_score", "script_fraction")  # the rules on the label itself
TASK_ROWS = 1_000_000
ROW_GROUP_ROWS = 100_000


def deduplicate(
    config: RunConfig, layout: Layout, executor: Executor, languages: dict[str, LanguageConfig]
) -> dict[str, Any]:
    """Find the clusters of every group; returns the cluster index. Done work with the same fingerprint is kept.

    `languages` are the rules with every bound a number. Only those that bound `dedup.population` are read.
    """
    population = population_rules(config, languages)
    annotated = [one["sha256"]["annotated"] for one in layout.manifests()]
    key = fingerprint([FORMAT, config.dedup_settings(), _population_settings(config, population), annotated])
    if (index := finished(layout.cluster_index, key)) is not None:
        return index
    layout.cluster_index.unlink(missing_ok=True)  # of other settings: what it names is about to be replaced
    groups_of_shards = batches(layout.shards(), config.dedup.batch_shards)
    arguments = [(config, layout, number, shards, population) for number, shards in enumerate(groups_of_shards)]
    collated: list[dict[str, int]] = run_all(executor, collate_batch, arguments)
    tasks = _pack(collated)
    counts = [{group: [rows.get(group, 0) for rows in collated] for group in groups} for groups in tasks]
    arguments_of_tasks = [(config, layout, number, groups) for number, groups in enumerate(counts)]
    results = run_all(executor, cluster_groups, arguments_of_tasks)
    index = {"fingerprint": key, "batches": groups_of_shards, "groups": {}, "singled_out": 0}
    for number, (groups, result) in enumerate(zip(counts, results, strict=True)):
        index["singled_out"] += result["overflow"]
        for group, rows in groups.items():
            index["groups"][group] = {"task": number, "rows": rows, "clusters": result["clusters"][group]}
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


def _pack(collated: list[dict[str, int]]) -> list[list[str]]:
    """Groups in tasks of about TASK_ROWS rows; a large group has a task of its own."""
    totals: dict[str, int] = {}
    for rows in collated:
        for group, count in rows.items():
            totals[group] = totals.get(group, 0) + count
    tasks: list[list[str]] = []
    filled = TASK_ROWS
    for group in sorted(totals):
        if filled + totals[group] > TASK_ROWS:
            tasks.append([])
            filled = 0
        tasks[-1].append(group)
        filled += totals[group]
    return tasks


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
    signed = np.array([bool(value) for value in everything["bands"].to_pylist()], dtype=bool)
    bands = band_matrix(everything["bands"], config.dedup.bands)
    exact = everything["exact_hash"].fill_null(0).to_numpy().astype(np.uint64)
    outside = ~everything["in_population"].to_numpy()
    bands[outside] = 0
    exact[outside] = 0
    columns: dict[str, Any] = {
        name: everything[name] for name in ("group", "shard", "row", "id", "id_hash", "in_population")
    }
    columns["exact_hash"] = exact
    columns |= {f"band_{band:02d}": bands[:, band] for band in range(config.dedup.bands)}
    width = config.dedup.bands * config.dedup.rows
    minima = [value or bytes(width) for value in everything["minima"].to_pylist()]
    columns["minima"] = pa.array(minima, type=pa.binary(width))
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


def read_group(path: Location, group: str, columns: list[str]) -> pa.Table:
    """The rows of one group of a file that is sorted by group, by its row groups' statistics."""
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        place = file.schema_arrow.get_field_index("group")
        wanted = [
            number
            for number in range(file.num_row_groups)
            if file.metadata.row_group(number).column(place).statistics.min == group
        ]
        return file.read_row_groups(wanted, columns=columns)


def cluster_groups(config: RunConfig, layout: Layout, task: int, groups: dict[str, list[int]]) -> dict[str, Any]:
    """Cluster each group of a task and write leader and size of every document, in dense order."""
    clusters: dict[str, int] = {}
    overflow = 0
    with committed(layout.clusters(task)) as path:
        writer: pq.ParquetWriter | None = None
        for group, rows in groups.items():
            table, over = _cluster(config, layout, group, rows)
            clusters[group] = len(np.unique(table["leader"].to_numpy()))
            overflow += over
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if writer:
            writer.close()
    return {"clusters": clusters, "overflow": overflow}


def _cluster(config: RunConfig, layout: Layout, group: str, rows: list[int]) -> tuple[pa.Table, int]:
    def column(names: list[str]) -> pa.Table:
        parts = [read_group(layout.signatures(batch), group, names) for batch, count in enumerate(rows) if count]
        return pa.concat_tables(parts)

    total = sum(rows)
    first = column(["id", "id_hash", "exact_hash", "signed", "in_population"])
    ids, exact = first["id_hash"].to_numpy(), first["exact_hash"].to_numpy()
    already_read = np.ones(total, dtype=bool)
    already_read[np.unique(ids, return_index=True)[1]] = False
    index = np.arange(total, dtype=np.uint32)
    parent = np.arange(total, dtype=np.uint32)
    keys = [exact, *(None for _ in range(config.dedup.bands))]
    for number, known in enumerate(keys):
        values = known if known is not None else column([f"band_{number - 1:02d}"]).column(0).to_numpy()
        a, b = link(np.where(already_read, np.uint64(0), values), index)
        union_edges(parent, a, b)
    leader: npt.NDArray[np.uint32] = flatten(parent).astype(np.uint32)
    overflow = 0
    if config.dedup.verify:
        minima = column(["minima"])["minima"].combine_chunks()
        width = config.dedup.bands * config.dedup.rows
        matrix = np.frombuffer(minima.buffers()[1], dtype=np.uint8, count=total * width, offset=minima.offset * width)
        signed = first["signed"].to_numpy(zero_copy_only=False)
        leader, overflow = verify(
            leader,
            matrix.reshape(total, width),
            signed,
            exact,
            config.dedup.verify_threshold,
            config.dedup.max_leaders,
        )
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
