"""deduplicate: signature columns gathered by group, linked band by band, clustered and verified.

Collate writes one file a batch, sorted by group, so that a task reads the rows of its groups by projection: no
shuffle and no file per language. A group's dense index is the position of a document in (batch, shard, row) order.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it
import pyarrow.parquet as pq

from pipeline.config import Rule, RunConfig, fingerprint, load_language_config
from pipeline.dedup.components import flatten, union_edges
from pipeline.dedup.lsh import link
from pipeline.dedup.verify import verify
from pipeline.execution.executors import Executor
from pipeline.execution.manifests import committed, finished, sha256_of, write_json
from pipeline.passes.layout import Layout, batches
from pipeline.stages.measure_quality import band_matrix

FORMAT = 1
READ = ["group", "label", "language_score", "id", "id_hash", "exact_hash", "bands", "minima"]
TASK_ROWS = 1_000_000
ROW_GROUP_ROWS = 100_000


def deduplicate(config: RunConfig, layout: Layout, executor: Executor) -> dict[str, Any]:
    """Find the clusters of every group; returns the cluster index. Done work with the same fingerprint is kept."""
    manifests = layout.manifests()
    floors = _floors(config, manifests)
    key = fingerprint([FORMAT, config.dedup_settings(), floors, [one["sha256"]["annotated"] for one in manifests]])
    if (index := finished(layout.cluster_index, key)) is not None:
        return index
    groups_of_shards = batches(layout.shards(), config.dedup.batch_shards)
    arguments = [(config, layout, number, shards, floors) for number, shards in enumerate(groups_of_shards)]
    collated: list[dict[str, int]] = [{} for _ in arguments]
    for position, rows, error in executor.run(collate_batch, arguments):
        if error:
            raise RuntimeError(f"collate of batch {position} failed: {error}")
        collated[position] = rows
    tasks = _pack(collated)
    counts = [{group: [rows.get(group, 0) for rows in collated] for group in groups} for groups in tasks]
    arguments_of_tasks = [(config, layout, number, groups) for number, groups in enumerate(counts)]
    results: list[dict[str, Any]] = [{} for _ in tasks]
    for position, result, error in executor.run(cluster_groups, arguments_of_tasks):
        if error:
            raise RuntimeError(f"clustering of task {position} failed: {error}")
        results[position] = result
    index = {"fingerprint": key, "batches": groups_of_shards, "groups": {}, "singled_out": 0}
    for number, (groups, result) in enumerate(zip(counts, results, strict=True)):
        index["singled_out"] += result["overflow"]
        for group, rows in groups.items():
            index["groups"][group] = {"task": number, "rows": rows, "clusters": result["clusters"][group]}
    write_json(layout.cluster_index, index)
    return index


def _floors(config: RunConfig, manifests: list[dict[str, Any]]) -> dict[str, float]:
    """Each label's minimum language score, where the population of clusters is bounded by it."""
    if config.dedup.population == "all":
        return {}
    folder = Path(config.language_configs) if config.language_configs else None
    labels = sorted({label for manifest in manifests for label in manifest["rows_by_label"]})
    rules = {label: load_language_config(label, folder).rules.get("language_score") for label in labels}
    return {label: rule.min or 0.0 for label, rule in rules.items() if isinstance(rule, Rule)}


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
    config: RunConfig, layout: Layout, batch: int, shards: list[str], floors: dict[str, float]
) -> dict[str, int]:
    """Write the signature columns of a batch, sorted by group and then (shard, row); returns rows by group."""
    tables = []
    for number, shard in enumerate(shards):
        table = pq.read_table(layout.annotated(shard), columns=READ)
        where = [pa.array(np.full(table.num_rows, number, np.int32)), pa.array(np.arange(table.num_rows))]
        tables.append(table.append_column("shard", where[0]).append_column("row", where[1]))
    everything = pa.concat_tables(tables).combine_chunks()
    order = pa.compute.sort_indices(everything, [("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])
    everything = everything.take(order)
    signed = np.array([bool(value) for value in everything["bands"].to_pylist()], dtype=bool)
    bands = band_matrix(everything["bands"], config.dedup.bands)
    exact = everything["exact_hash"].fill_null(0).to_numpy().astype(np.uint64)
    for label, floor in floors.items():
        out = (everything["label"].to_numpy(zero_copy_only=False) == label) & (
            everything["language_score"].to_numpy() < floor
        )
        bands[out] = 0
        exact[out] = 0
    columns: dict[str, Any] = {name: everything[name] for name in ("group", "shard", "row", "id", "id_hash")}
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


def read_group(path: Path, group: str, columns: list[str]) -> pa.Table:
    """The rows of one group of a file that is sorted by group, by its row groups' statistics."""
    with pq.ParquetFile(path) as file:
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
    return {"clusters": clusters, "overflow": overflow, "sha256": sha256_of(layout.clusters(task))}


def _cluster(config: RunConfig, layout: Layout, group: str, rows: list[int]) -> tuple[pa.Table, int]:
    def column(names: list[str]) -> pa.Table:
        parts = [read_group(layout.signatures(batch), group, names) for batch, count in enumerate(rows) if count]
        return pa.concat_tables(parts)

    total = sum(rows)
    first = column(["id", "id_hash", "exact_hash", "signed"])
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
        }
    ), int(overflow)
