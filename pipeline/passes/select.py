"""select: decide (by batch, metric columns only), elect (by group), write (by batch, text read once), merge (by label).

The result is written as `<name>.partial` and becomes visible by renaming the folder; the one before stays as
`<name>~1`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it
import pyarrow.parquet as pq

from pipeline.columns import CLEAN_FIRST, CLEAN_NOT
from pipeline.config import LanguageConfig, RunConfig, fingerprint
from pipeline.execution.executors import Executor, run_all
from pipeline.execution.manifests import committed, finished, read_json, sha256_of, write_json
from pipeline.execution.storage import Location, matching, move_tree, readable, remove_tree
from pipeline.passes.deduplicate import read_group
from pipeline.passes.layout import Layout
from pipeline.passes.survey import Histograms, Rules, measured, write_histograms
from pipeline.stages.decide import bucket_of, rules_fired
from pipeline.stages.elect import FATE_NAMES, Members, elect
from pipeline.stages.histogram import values_of
from pipeline.text.refine import splice

FORMAT = 2
SAMPLE = 100  # documents of each fate and language in sample.parquet
DECIDED_FROM = ["group", "label", "id", "url_hash", "character_count", "perplexity", "date", "language_score"]
FROM_ELECTION = ["fate", "representative", "minhash_cluster_id", "minhash_cluster_size"]
SAMPLED = ["id", "id_hash", "url", "file_path", "warc_offset"]


def select(
    config: RunConfig, layout: Layout, executor: Executor, rules: Rules, histograms: Histograms
) -> dict[str, Any]:
    """Make one selection; returns its manifest. A finished one with the same fingerprint is kept."""
    index = read_json(layout.cluster_index)
    language_configs = {label: one.model_dump(mode="json") for label, one in rules.languages.items()}
    selecting = config.model_dump(mode="json")["select"]
    settings = [FORMAT, selecting, language_configs, index["fingerprint"], layout.missing()]
    key = fingerprint(settings)
    final = layout.selection(config.selection)
    if (manifest := finished(final / "manifest.json", key)) is not None:
        return manifest
    partial = final.with_name(f"{final.name}.partial")
    remove_tree(partial)
    partial.mkdir(parents=True)
    numbers = range(len(index["batches"]))
    run_all(
        executor,
        decide_batch,
        [(config, layout, partial, n, index["batches"][n], rules.languages) for n in numbers],
    )
    by_task: dict[int, dict[str, list[int]]] = {}
    for group, entry in index["groups"].items():
        by_task.setdefault(entry["task"], {})[group] = entry["rows"]
    run_all(
        executor,
        elect_groups,
        [(config, layout, partial, task, groups) for task, groups in sorted(by_task.items())],
    )
    written = run_all(
        executor,
        write_batch,
        [(config, layout, partial, n, index["batches"][n], index["groups"]) for n in numbers],
    )
    labels = sorted({label for one in written for label in one["rows"]})
    merged = run_all(executor, merge_label, [(config, partial, label, len(numbers)) for label in labels])
    write_histograms(partial / "histograms.parquet", histograms)
    samples = [partial / "samples" / f"batch-{n:05d}.parquet" for n in numbers]
    with committed(partial / "sample.parquet") as path:
        pq.write_table(
            bottom_k(pa.concat_tables([pq.read_table(readable(one)) for one in samples])), path, compression="zstd"
        )
    fates: dict[str, Counter[str]] = {}
    fired: dict[str, Counter[str]] = {}
    for one in written:
        for target, source in ((fates, one["fates"]), (fired, one["fired"])):
            for label, counts in source.items():
                target.setdefault(label, Counter()).update(counts)
    manifest = {
        "fingerprint": key,
        "selection": config.selection,
        "missing": layout.missing(),
        "fates": {label: dict(sorted(counts.items())) for label, counts in sorted(fates.items())},
        "rules_fired": {label: dict(counts.most_common()) for label, counts in sorted(fired.items())},
        "cluster_statistics": _statistics(written),
        "files": {label: files for label, files in zip(labels, merged, strict=True)},
        "language_configs": language_configs,
        "percentiles": [asdict(one) for one in rules.percentiles],
        "select": config.model_dump(mode="json")["select"],
    }
    for folder in ("parts", "samples"):
        remove_tree(partial / folder)
    write_json(partial / "manifest.json", manifest)
    _publish(partial, final)
    return manifest


def _publish(partial: Location, final: Location) -> None:
    if (final / "manifest.json").exists():
        before = final.with_name(f"{final.name}~1")
        remove_tree(before)
        move_tree(final, before, last="manifest.json")
    remove_tree(final)
    move_tree(partial, final, last="manifest.json")


def _statistics(written: list[dict[str, Any]]) -> dict[str, list[list[int]]]:
    """Per label [cluster size, documents, documents that fail], by size: what rebalancing needs."""
    sums: dict[str, dict[int, list[int]]] = {}
    for one in written:
        for label, rows in one["statistics"].items():
            for size, documents, failed in rows:
                entry = sums.setdefault(label, {}).setdefault(size, [0, 0])
                entry[0] += documents
                entry[1] += failed
    return {label: [[size, *sums[label][size]] for size in sorted(sums[label])] for label in sorted(sums)}


def _read_batch(layout: Layout, shards: list[str], columns: list[str]) -> pa.Table:
    """Rows of a batch in signature order: by group, then shard and row."""
    tables = []
    for number, shard in enumerate(shards):
        table = pq.read_table(
            readable(layout.annotated(shard)), columns=[*columns, "group"] if "group" not in columns else columns
        )
        table = table.append_column("shard", pa.array(np.full(table.num_rows, number, np.int32)))
        tables.append(table.append_column("row", pa.array(np.arange(table.num_rows))))
    return pa.concat_tables(tables).sort_by([("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])


def decide_batch(
    config: RunConfig,
    layout: Layout,
    partial: Location,
    batch: int,
    shards: list[str],
    languages: dict[str, LanguageConfig],
) -> None:
    """Every rule that fires for every document of a batch; metric columns of a shard are in memory at a time."""
    tables = []
    for number, shard in enumerate(shards):
        table = _decide(config, measured(layout, shard, config.models, DECIDED_FROM), languages)
        table = table.append_column("shard", pa.array(np.full(table.num_rows, number, np.int32)))
        tables.append(table.append_column("row", pa.array(np.arange(table.num_rows))))
    decisions = pa.concat_tables(tables).sort_by([("group", "ascending"), ("shard", "ascending"), ("row", "ascending")])
    decisions = decisions.drop_columns(["shard", "row"])
    groups = decisions["group"].to_numpy(zero_copy_only=False)
    with (
        committed(partial / "decisions" / f"batch-{batch:05d}.parquet") as path,
        pq.ParquetWriter(path, decisions.schema, compression="zstd") as writer,
    ):
        for group in sorted(set(groups)):
            writer.write_table(decisions.filter(pa.array(groups == group)))


def _decide(config: RunConfig, table: pa.Table, languages: dict[str, LanguageConfig]) -> pa.Table:
    labels = table["label"].to_numpy(zero_copy_only=False)
    percentiles = values_of(table, "perplexity_percentile")
    bucket: list[str | None] = [None] * table.num_rows
    fired: list[list[str]] = [[] for _ in range(table.num_rows)]
    failed = np.zeros(table.num_rows, dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        language = languages[label]
        cuts = language.perplexity
        for row, name in zip(rows, bucket_of(percentiles[rows], cuts.head, cuts.middle), strict=True):
            bucket[row] = name
        if config.select.rules:
            names, failed[rows] = rules_fired(table.take(pa.array(rows)), language)
            for row, one in zip(rows, names, strict=True):
                fired[row] = one
    return table.select([*DECIDED_FROM, "perplexity_percentile"]).append_column(
        "perplexity_bucket", pa.array(bucket, type=pa.string())
    ).append_column("rules_fired", pa.array(fired, type=pa.list_(pa.string()))).append_column(
        "failed", pa.array(failed)
    )  # fmt: skip


def elect_groups(config: RunConfig, layout: Layout, partial: Location, task: int, groups: dict[str, list[int]]) -> None:
    """The fate and representative of every document of a task's groups, in dense order."""
    with committed(partial / "fates" / f"part-{task:05d}.parquet") as path:
        writer: pq.ParquetWriter | None = None
        for group, rows in groups.items():
            table = _elect_group(config, layout, partial, task, group, rows)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
        if writer:
            writer.close()


def _elect_group(
    config: RunConfig, layout: Layout, partial: Location, task: int, group: str, rows: list[int]
) -> pa.Table:
    names = ["id", "url_hash", "character_count", "perplexity", "date", "language_score", "failed"]
    decisions = pa.concat_tables(
        [
            read_group(partial / "decisions" / f"batch-{batch:05d}.parquet", group, names)
            for batch, count in enumerate(rows)
            if count
        ]
    )
    clusters = read_group(
        layout.clusters(task), group, ["leader", "leader_id", "size", "already_read", "in_population"]
    )
    members = Members(
        leader=clusters["leader"].to_numpy(),
        failed=decisions["failed"].to_numpy(),
        already_read=clusters["already_read"].to_numpy(),
        url_hash=decisions["url_hash"].fill_null(0).to_numpy(),
        characters=decisions["character_count"].to_numpy(),
        perplexity=decisions["perplexity"].to_numpy(zero_copy_only=False),
        date=decisions["date"].fill_null("").to_numpy(zero_copy_only=False).astype(str),
        language_score=decisions["language_score"].to_numpy(),
    )
    fate, representative = elect(
        members, config.select.keep, config.select.url_duplicates, config.select.elect_before_rules
    )
    ids = decisions["id"].combine_chunks()
    return pa.table(
        {
            "group": pa.array([group] * len(fate)),
            "fate": pa.array(FATE_NAMES[fate]),
            "representative": ids.take(pa.array(np.maximum(representative, 0), mask=representative < 0)),
            "minhash_cluster_id": clusters["leader_id"],
            "minhash_cluster_size": clusters["size"],
            "in_population": clusters["in_population"],
        }
    )


def _is_test(cluster_id: str, fraction: float) -> bool:
    """A draw by hash of the cluster, so that no near-duplicate of a test document is in train."""
    import xxhash

    return xxhash.xxh64_intdigest(cluster_id.encode()) < fraction * 2**64


def write_batch(
    config: RunConfig, layout: Layout, partial: Location, batch: int, shards: list[str], groups: dict[str, Any]
) -> dict[str, Any]:
    """Read the text of survivors once, splice the stored spans, sort; count every fate."""
    decisions = pq.read_table(readable(partial / "decisions" / f"batch-{batch:05d}.parquet"))
    found = []
    for group in sorted(group for group, entry in groups.items() if entry["rows"][batch]):
        entry = groups[group]
        table = read_group(
            partial / "fates" / f"part-{entry['task']:05d}.parquet",
            group,
            [*FROM_ELECTION, "in_population"],
        )
        found.append(table.slice(sum(entry["rows"][:batch]), entry["rows"][batch]))
    fates = pa.concat_tables(found)
    facts = {name: fates[name] for name in FROM_ELECTION}
    facts |= {name: decisions[name] for name in ("perplexity_percentile", "perplexity_bucket", "rules_fired")}
    where = _read_batch(layout, shards, ["label", "id_hash"])
    fate = np.array(fates["fate"].to_pylist(), dtype=object)
    tables = []
    for number, shard in enumerate(shards):
        here = np.flatnonzero((where["shard"].to_numpy() == number) & (fate == "kept"))
        if not len(here):
            continue
        rows = where["row"].to_numpy()[here]
        table = pq.read_table(readable(layout.annotated(shard))).take(pa.array(rows))
        for name, column in facts.items():
            table = table.append_column(name, column.take(pa.array(here)))
        table = table.append_column("position", pa.array(here))
        tables.append(_refine(table, config.select.mask))
    label_of = where["label"].to_numpy(zero_copy_only=False)
    rows_by_label: dict[str, int] = {}
    if tables:
        kept = pa.concat_tables(tables)
        empty = kept.filter(pa.compute.equal(kept["text"], ""))
        fate[empty["position"].to_numpy()] = "empty_after_refine"
        kept = kept.filter(pa.compute.not_equal(kept["text"], "")).drop_columns(["position"])
        splits = ["test" if _is_test(one, config.select.test_fraction) else "train"
                  for one in kept["minhash_cluster_id"].to_pylist()]  # fmt: skip
        kept = kept.append_column("split", pa.array(splits, type=pa.string()))
        labels = kept["label"].to_numpy(zero_copy_only=False)
        with (
            committed(partial / "parts" / f"batch-{batch:05d}.parquet") as path,
            pq.ParquetWriter(path, kept.schema, compression="lz4") as writer,
        ):
            for label in sorted(set(labels)):
                rows_by_label[label] = int((labels == label).sum())
                writer.write_table(kept.filter(pa.array(labels == label)))
    _sample(config, layout, partial, batch, shards, where, fate, fates, decisions)
    decided = decisions.append_column("fate", pa.array(fate.tolist(), type=pa.string()))
    for name in ("minhash_cluster_id", "minhash_cluster_size", "representative", "in_population"):
        decided = decided.append_column(name, fates[name])
    with committed(partial / "decisions" / f"batch-{batch:05d}.parquet") as path:
        pq.write_table(decided, path, compression="zstd")
    return {"rows": rows_by_label, **_count(label_of, fate, decisions, fates)}


def _sample(
    config: RunConfig,
    layout: Layout,
    partial: Location,
    batch: int,
    shards: list[str],
    where: pa.Table,
    fate: np.ndarray,
    fates: pa.Table,
    decisions: pa.Table,
) -> None:
    """Write the batch's bottom-k sample: where each document was read, every metric, and what became of it."""
    draw = where.select(["label", "id_hash"]).append_column("fate", pa.array(fate.tolist(), type=pa.string()))
    draw = draw.append_column("rules_fired", decisions["rules_fired"])
    draw = draw.append_column("minhash_cluster_size", fates["minhash_cluster_size"])
    draw = draw.append_column("shard", where["shard"]).append_column("row", where["row"])
    draw = bottom_k(draw, ["shard", "row"])
    tables = []
    for number, shard in enumerate(shards):
        here = draw.filter(pa.compute.equal(draw["shard"], number))
        if here.num_rows or number == 0:  # a batch without documents has the columns, too
            table = measured(layout, shard, config.models, SAMPLED).take(here["row"])
            for name in ("fate", "rules_fired", "minhash_cluster_size"):
                table = table.append_column(name, here[name])
            tables.append(table)
    with committed(partial / "samples" / f"batch-{batch:05d}.parquet") as path:
        pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def bottom_k(table: pa.Table, ties: Sequence[str] = ("id", "file_path", "warc_offset"), k: int = SAMPLE) -> pa.Table:
    """The k rows of least id_hash of each label and fate; bottom_k of pieces' bottom_k is that of the whole."""
    table = table.sort_by([(name, "ascending") for name in ("label", "fate", "id_hash", *ties)])
    keys = [table[name].to_numpy(zero_copy_only=False) for name in ("label", "fate")]
    fresh = np.ones(table.num_rows, dtype=bool)
    fresh[1:] = (keys[0][1:] != keys[0][:-1]) | (keys[1][1:] != keys[1][:-1])
    starts = np.flatnonzero(fresh)
    rank = np.arange(table.num_rows) - np.repeat(starts, np.diff(np.append(starts, table.num_rows)))
    return table.filter(pa.array(rank < k))


def _count(labels: np.ndarray, fate: np.ndarray, decisions: pa.Table, fates: pa.Table) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = {}
    fired: dict[str, Counter[str]] = {}
    statistics: dict[str, dict[int, list[int]]] = {}
    rows = zip(
        labels,
        fate,
        decisions["rules_fired"].to_pylist(),
        decisions["failed"].to_pylist(),
        fates["minhash_cluster_size"].to_pylist(),
        fates["in_population"].to_pylist(),
        strict=True,
    )
    for label, one, rules, failed, size, in_population in rows:
        counts.setdefault(label, Counter())[one] += 1
        fired.setdefault(label, Counter()).update(rules)
        if in_population and one != "already_read":
            entry = statistics.setdefault(label, {}).setdefault(size, [0, 0])
            entry[0] += 1
            entry[1] += failed
    return {
        "fates": {label: dict(one) for label, one in counts.items()},
        "fired": {label: dict(one) for label, one in fired.items()},
        "statistics": {
            label: [[size, *entry] for size, entry in sorted(sizes.items())] for label, sizes in statistics.items()
        },
    }


def _refine(table: pa.Table, mask: bool) -> pa.Table:
    texts = table["text"].to_pylist()
    if mask:
        spans = zip(
            table["span_starts"].to_pylist(),
            table["span_ends"].to_pylist(),
            table["span_texts"].to_pylist(),
            strict=True,
        )
        texts = [
            splice(text, list(zip(*one, strict=True))).strip() if one[0] else text
            for text, one in zip(texts, spans, strict=True)
        ]
    lengths = pa.array([len(text) for text in texts], type=pa.int64())
    table = table.set_column(table.column_names.index("character_count"), "character_count", lengths)
    place = table.column_names.index("text")
    return table.set_column(place, "text", pa.array(texts, type=pa.large_string()))


def merge_label(config: RunConfig, partial: Location, label: str, batch_count: int) -> list[dict[str, Any]]:
    """A label's rows of all batches in parts of about `part_bytes`, each sorted by cluster size and hash of id."""
    files: list[dict[str, Any]] = []
    buffer: list[pa.Table] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if buffer:
            _write_part(config, partial, label, pa.concat_tables(buffer), files)
        buffer.clear()
        size = 0

    for batch in range(batch_count):
        path = partial / "parts" / f"batch-{batch:05d}.parquet"
        if path.exists():
            with pq.ParquetFile(readable(path), pre_buffer=True) as file:
                place = file.schema_arrow.get_field_index("label")
                for number in range(file.num_row_groups):
                    if file.metadata.row_group(number).column(place).statistics.min == label:
                        buffer.append(file.read_row_group(number))
                        size += buffer[-1].nbytes
            if size >= config.select.part_bytes * 2:  # about half remains after compression
                flush()
    flush()
    return files


def _write_part(config: RunConfig, partial: Location, label: str, table: pa.Table, files: list[dict[str, Any]]) -> None:
    order = [("minhash_cluster_size", "ascending"), ("id_hash", "ascending"), ("id", "ascending")]
    columns = [*CLEAN_FIRST, *(n for n in table.column_names if n not in CLEAN_FIRST and n not in CLEAN_NOT)]
    for split in ("train", "test"):
        part = table.filter(pa.compute.equal(table["split"], split)).sort_by(order).select(columns)
        if not part.num_rows:
            continue
        number = sum(1 for one in files if one["split"] == split)
        name = f"{'part' if split == 'train' else 'test'}-{number:05d}.parquet"
        path = partial / "clean" / label / name
        with committed(path) as temporary:
            pq.write_table(
                part,
                temporary,
                compression="zstd",
                compression_level=3,
                row_group_size=config.select.row_group_rows,
                write_page_index=True,
                write_page_checksum=True,
                use_dictionary=["dump", "language", "language_script", "file_path", "encoding", "script"],
            )
            size, digest = temporary.stat().st_size, sha256_of(temporary)
        files.append(
            {
                "path": f"clean/{label}/{name}",
                "split": split,
                "rows": part.num_rows,
                "bytes": size,
                "sha256": digest,
                "characters": int(sum(part["character_count"].to_pylist())),
                "run_lengths": _run_lengths(part),
            }
        )


def _run_lengths(part: pa.Table) -> list[list[int]]:
    """[cluster size, first row, rows, characters, words] for each run of equal cluster size."""
    runs: list[list[int]] = []
    rows = zip(
        part["minhash_cluster_size"].to_pylist(),
        part["character_count"].to_pylist(),
        part["segment_count"].to_pylist(),
        strict=True,
    )
    for row, (size, characters, words) in enumerate(rows):
        if not runs or runs[-1][0] != size:
            runs.append([size, row, 0, 0, 0])
        runs[-1][2] += 1
        runs[-1][3] += characters
        runs[-1][4] += words
    return runs


def fates_of(layout: Layout, selection: str) -> pa.Table:
    """The decisions of a selection on every document, in the order of the signatures."""
    files = matching(layout.selection(selection) / "decisions", "batch-*.parquet")
    return pa.concat_tables([pq.read_table(readable(path)) for path in files])
