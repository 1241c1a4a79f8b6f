"""decontaminate: which documents overlap with evaluation sets. Text is read once for all sets, and only if asked for.

Gives contamination/: a row for each document and set that overlap, by shard group; decide joins them as it does
metrics.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import DecontaminateConfig, EvaluationSet, RunConfig
from pipeline.dedup.overlap import Ngrams, ngrams_of, overlap_fractions
from pipeline.dedup.shingles import normalise_words
from pipeline.errors import ConfigError
from pipeline.execution.commit import committed, finished_json, write_json
from pipeline.execution.storage import local_copy, locate, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.layout import shard_groups
from pipeline.output.output import Output
from pipeline.text.words.segmenters import segment_with_icu

FORMAT = 1
OVERLAP = "evaluation_overlap"  # in rules_fired
SCHEMA = pa.schema([("shard", pa.int32()), ("row", pa.int64()), ("set", pa.string()), ("fraction", pa.float64())])


def items_of(one: EvaluationSet) -> list[str]:
    """The texts of an evaluation set: lines of a text, or every string in the named fields of JSONL or Parquet.

    Raises ConfigError for a file that is not there, has another form, lacks a field, or gives no item.
    """
    try:
        with local_copy(locate(one.path)) as path:
            items = [text for text in _read(path, one) if text.strip()]
    except FileNotFoundError:
        raise ConfigError(f"select.decontaminate: {one.path}: no such file") from None
    except (OSError, ValueError) as error:  # pyarrow, json and unicode errors are ValueErrors
        raise ConfigError(f"select.decontaminate: {one.path}: cannot be read: {error}") from None
    if not items:
        raise ConfigError(f"select.decontaminate: {one.path}: no text in {', '.join(one.fields)}")
    return items


def _read(path: Path, one: EvaluationSet) -> Iterator[str]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        for field in one.fields:
            if field not in (names := pq.read_schema(path).names):
                raise ConfigError(f"select.decontaminate: {one.path}: no column {field}; it has {', '.join(names)}")
            yield from _strings(pq.read_table(path, columns=[field])[field].to_pylist())
        return
    opened: Any = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        if not name.endswith((".jsonl", ".json", ".ndjson")):
            yield from file
            return
        for number, line in enumerate(file, 1):
            row = json.loads(line) if line.strip() else None
            for field in one.fields if row is not None else ():
                if not isinstance(row, dict) or field not in row:
                    has = f"; it has {', '.join(row)}" if isinstance(row, dict) else ""
                    raise ConfigError(f"select.decontaminate: {one.path}, line {number}: no field {field}{has}")
                yield from _strings(row[field])


def _strings(value: Any) -> Iterator[str]:
    """Every string in nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def decontaminate(config: RunConfig, layout: Output, executor: Executor) -> str:
    """Write contamination/ where the config asks for it; returns its fingerprint, "" where it does not.

    Done work for the same evaluation files and documents is kept.
    """
    settings = config.select.decontaminate
    if settings is None:
        return ""
    manifests = layout.manifests()
    sets = {one.name: items_of(one) for one in settings.files}
    contents = {name: fingerprint(items) for name, items in sets.items()}
    documents = [one.sha256.annotated for one in manifests]
    key = fingerprint([FORMAT, contents, settings.ngram, settings.shortest, config.dedup.shard_group_size, documents])
    if finished_json(layout.contamination / "index.json", key) is not None:
        return key
    remove_tree(layout.contamination)
    ngrams = {name: ngrams_of(map(segment_with_icu, items), settings.ngram) for name, items in sets.items()}
    with committed(layout.contamination / "ngrams.parquet") as path:
        pq.write_table(_table_of(ngrams), path, compression="zstd")
    of_shard_groups = shard_groups([one.shard for one in manifests], config.dedup.shard_group_size)
    counts: dict[str, Counter[str]] = {name: Counter() for name in sets}
    for of_shard_group in run_all(
        executor,
        overlap_of_shard_group,
        [(settings, layout, number, shards, key) for number, shards in enumerate(of_shard_groups)],
    ):
        for name, of_set in of_shard_group.items():
            counts[name].update(of_set)
    told = {
        name: {
            "items": len(items),
            "ngrams": sum(map(len, ngrams[name].values())),
            "documents": dict(sorted(counts[name].items())),
        }
        for name, items in sets.items()
    }
    write_json(layout.contamination / "index.json", {"fingerprint": key, "sets": told})
    return key


def _table_of(ngrams: dict[str, Ngrams]) -> pa.Table:
    parts = [
        pa.table(
            {
                "set": pa.array([name] * len(hashes), pa.string()),
                "length": pa.array(np.full(len(hashes), length)),
                "hash": hashes,
            }
        )
        for name, of_set in ngrams.items()
        for length, hashes in of_set.items()
    ]
    return pa.concat_tables(parts)


@lru_cache(maxsize=1)
def _ngrams(layout: Output, _fingerprint: str) -> dict[str, Ngrams]:
    table = pq.read_table(readable(layout.contamination / "ngrams.parquet"))
    names, lengths = (table[name].to_numpy(zero_copy_only=False) for name in ("set", "length"))
    hashes = table["hash"].to_numpy()
    return {
        name: {
            int(length): hashes[(names == name) & (lengths == length)] for length in np.unique(lengths[names == name])
        }
        for name in sorted(set(names))
    }


def overlap_of_shard_group(
    settings: DecontaminateConfig, layout: Output, shard_group: int, shards: list[str], key: str
) -> dict[str, Counter[str]]:
    """Write which documents of a shard group overlap with which set; returns them counted by set and label."""
    sets = _ngrams(layout, key)
    rows: list[dict[str, Any]] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in sets}
    for number, shard in enumerate(shards):
        with pq.ParquetFile(readable(layout.annotated(shard)), pre_buffer=True) as file:
            row = 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=["text", "label"])
                for text, label in zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True):
                    words = normalise_words(segment_with_icu(text))
                    for name, fraction in overlap_fractions(words, sets, settings.shortest).items():
                        rows.append({"shard": number, "row": row, "set": name, "fraction": fraction})
                        counts[name][label] += 1
                    row += 1
    with committed(layout.contamination / f"shard-group-{shard_group:05d}.parquet") as path:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="zstd")
    return counts


def overlaps(layout: Output, shard_group: int) -> dict[int, dict[int, dict[str, float]]]:
    """Shard of a shard group -> row -> evaluation set -> fraction of the document's words."""
    found: dict[int, dict[int, dict[str, float]]] = {}
    for one in pq.read_table(readable(layout.contamination / f"shard-group-{shard_group:05d}.parquet")).to_pylist():
        found.setdefault(one["shard"], {}).setdefault(one["row"], {})[one["set"]] = one["fraction"]
    return found


def with_overlap(
    decisions: pa.Table, settings: DecontaminateConfig | None, found: dict[int, dict[str, float]]
) -> pa.Table:
    """Decisions on a shard with a column evaluation_overlap, and with what overlaps too much failed."""
    if settings is None:
        return decisions.append_column(OVERLAP, pa.nulls(decisions.num_rows, pa.string()))
    fired = decisions["rules_fired"].to_pylist()
    failed = decisions["failed"].to_pylist()
    texts = ["{}"] * decisions.num_rows
    for row, of_sets in found.items():
        texts[row] = json.dumps(of_sets, ensure_ascii=False, sort_keys=True)
        if settings.drop and max(of_sets.values()) > settings.max_overlap:
            fired[row] = [*fired[row], OVERLAP]
            failed[row] = True
    for name, values in (("rules_fired", fired), ("failed", failed)):
        column = pa.array(values, decisions.schema.field(name).type)
        decisions = decisions.set_column(decisions.column_names.index(name), name, column)
    return decisions.append_column(OVERLAP, pa.array(texts, pa.string()))
