"""decontaminate: which documents overlap with evaluation sets. Text is read once for all sets, and only if asked for.

Gives contamination/: a row for each document and set that overlap, by shard group; filter joins them as it does
metrics. A document overlaps with a set where `ngram` consecutive words of it stand in an item of the set.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import DecontaminateConfig, EvaluationSet
from pipeline.dedup.overlap import Ngrams, ngrams_of, overlap_fractions
from pipeline.dedup.shingles import normalise_words
from pipeline.errors import ConfigError
from pipeline.execution.commit import committed, finished, write_manifest
from pipeline.execution.storage import Location, local_copy, locate, readable, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.layout import Layout, shard_groups
from pipeline.output.output import Output
from pipeline.schema.manifests import ContaminationIndex, EvaluationSetOverlap
from pipeline.text.words.segmenters import segment_with_icu

FORMAT = 1
OVERLAP = "evaluation_overlap"  # in rules_fired
SCHEMA = pa.schema([("shard", pa.int32()), ("row", pa.int64()), ("set", pa.string()), ("fraction", pa.float64())])
Overlaps = dict[int, dict[str, float]]  # row of a shard -> evaluation set -> fraction of the document's words


def items_of(evaluation_set: EvaluationSet) -> list[str]:
    """The texts of an evaluation set: lines of a text, or every string in the named fields of JSONL or Parquet.

    Raises ConfigError for a file that is not there, has another form, lacks a field, or gives no item.
    """
    try:
        with local_copy(locate(evaluation_set.path)) as path:
            items = [text for text in _read(path, evaluation_set) if text.strip()]
    except FileNotFoundError:
        raise ConfigError(f"select.decontaminate: {evaluation_set.path}: no such file") from None
    except (OSError, ValueError) as error:  # pyarrow, json and unicode errors are ValueErrors
        raise ConfigError(f"select.decontaminate: {evaluation_set.path}: cannot be read: {error}") from None
    if not items:
        fields = ", ".join(evaluation_set.fields)
        raise ConfigError(f"select.decontaminate: {evaluation_set.path}: there is no text in {fields}")
    return items


def _read(path: Path, evaluation_set: EvaluationSet) -> Iterator[str]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        yield from _read_parquet(path, evaluation_set)
        return
    open_text: Any = gzip.open if path.name.endswith(".gz") else open
    with open_text(path, "rt", encoding="utf-8") as file:
        if name.endswith((".jsonl", ".json", ".ndjson")):
            yield from _read_json_lines(file, evaluation_set)
        else:
            yield from file


def _read_parquet(path: Path, evaluation_set: EvaluationSet) -> Iterator[str]:
    names = pq.read_schema(path).names
    for field in evaluation_set.fields:
        if field not in names:
            raise ConfigError(
                f"select.decontaminate: {evaluation_set.path}: no column {field}; it has {', '.join(names)}"
            )
        yield from _strings(pq.read_table(path, columns=[field])[field].to_pylist())


def _read_json_lines(lines: Iterator[str], evaluation_set: EvaluationSet) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        row = json.loads(line) if line.strip() else None
        for field in evaluation_set.fields if row is not None else ():
            if not isinstance(row, dict) or field not in row:
                fields = f"; it has {', '.join(row)}" if isinstance(row, dict) else ""
                raise ConfigError(
                    f"select.decontaminate: {evaluation_set.path}, line {number}: no field {field}{fields}"
                )
            yield from _strings(row[field])


def _strings(value: Any) -> Iterator[str]:
    """Every string in nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


@dataclass(frozen=True)
class OverlapTask:
    """A shard group whose documents are compared with the evaluation sets."""

    output: Layout
    shard_group: int
    shards: list[str]  # of the shard group
    shortest: int  # words; a shorter item is found only where it is the whole document
    fingerprint: str  # of contamination/: which n-grams lie there


def decontaminate(
    settings: DecontaminateConfig | None, shard_group_size: int, output: Output, executor: Executor
) -> str:
    """Write contamination/ where it is asked for; returns its fingerprint, "" where it is not.

    Done work for the same evaluation files and documents is kept.
    """
    if settings is None:
        return ""
    manifests = output.manifests()
    sets = {evaluation_set.name: items_of(evaluation_set) for evaluation_set in settings.files}
    contents = {name: fingerprint(items) for name, items in sets.items()}
    documents = [manifest.sha256.annotated for manifest in manifests]
    key = fingerprint([FORMAT, contents, settings.ngram, settings.shortest, shard_group_size, documents])
    index = output.contamination / "index.json"
    if finished(index, ContaminationIndex, key) is not None:
        return key
    remove_tree(output.contamination)
    ngrams = {name: ngrams_of(map(segment_with_icu, items), settings.ngram) for name, items in sets.items()}
    with committed(output.contamination / "ngrams.parquet") as path:
        pq.write_table(_table_of(ngrams), path, compression="zstd")
    groups = shard_groups([manifest.shard for manifest in manifests], shard_group_size)
    tasks = [OverlapTask(output, number, shards, settings.shortest, key) for number, shards in enumerate(groups)]
    counts: dict[str, Counter[str]] = {name: Counter() for name in sets}
    for of_shard_group in run_all(executor, overlap_of_shard_group, tasks):
        for name, of_set in of_shard_group.items():
            counts[name].update(of_set)
    overlap_of_sets = {
        name: EvaluationSetOverlap(
            items=len(items),
            ngrams=sum(map(len, ngrams[name].values())),
            documents=dict(sorted(counts[name].items())),
        )
        for name, items in sets.items()
    }
    write_manifest(index, ContaminationIndex(fingerprint=key, sets=overlap_of_sets))
    return key


def _table_of(ngrams: dict[str, Ngrams]) -> pa.Table:
    tables = [
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
    return pa.concat_tables(tables)


@lru_cache(maxsize=1)
def _ngrams(layout: Layout, _fingerprint: str) -> dict[str, Ngrams]:
    """The n-grams of every evaluation set; a process reads them once for all its tasks."""
    table = pq.read_table(readable(layout.contamination / "ngrams.parquet"))
    names, lengths = (table[name].to_numpy(zero_copy_only=False) for name in ("set", "length"))
    hashes = table["hash"].to_numpy()
    return {
        name: {
            int(length): hashes[(names == name) & (lengths == length)] for length in np.unique(lengths[names == name])
        }
        for name in sorted(set(names))
    }


def overlap_of_shard_group(task: OverlapTask) -> dict[str, Counter[str]]:
    """Write which documents of a shard group overlap with which set; returns them counted by set and label."""
    sets = _ngrams(task.output, task.fingerprint)
    rows: list[dict[str, Any]] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in sets}
    for number, shard in enumerate(task.shards):
        with pq.ParquetFile(readable(task.output.annotated(shard)), pre_buffer=True) as file:
            row = 0
            for row_group in range(file.num_row_groups):
                table = file.read_row_group(row_group, columns=["text", "label"])
                for text, label in zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True):
                    words = normalise_words(segment_with_icu(text))
                    for name, fraction in overlap_fractions(words, sets, task.shortest).items():
                        rows.append({"shard": number, "row": row, "set": name, "fraction": fraction})
                        counts[name][label] += 1
                    row += 1
    with committed(_overlap_path(task.output, task.shard_group)) as path:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="zstd")
    return counts


def _overlap_path(layout: Layout, shard_group: int) -> Location:
    return layout.contamination / f"shard-group-{shard_group:05d}.parquet"


def overlaps(layout: Layout, shard_group: int) -> dict[int, Overlaps]:
    """What overlaps in a shard group, by number of the shard within it."""
    of_shard: dict[int, Overlaps] = {}
    for row in pq.read_table(readable(_overlap_path(layout, shard_group))).to_pylist():
        of_shard.setdefault(row["shard"], {}).setdefault(row["row"], {})[row["set"]] = row["fraction"]
    return of_shard


def with_overlap(filtered: pa.Table, settings: DecontaminateConfig | None, overlaps_of_shard: Overlaps) -> pa.Table:
    """The documents of a shard with a column evaluation_overlap; those that overlap too much fail."""
    if settings is None:
        return filtered.append_column(OVERLAP, pa.nulls(filtered.num_rows, pa.string()))
    fired = filtered["rules_fired"].to_pylist()
    failed = filtered["failed"].to_pylist()
    texts = ["{}"] * filtered.num_rows
    for row, of_sets in overlaps_of_shard.items():
        texts[row] = json.dumps(of_sets, ensure_ascii=False, sort_keys=True)
        if settings.drop and max(of_sets.values()) > settings.max_overlap:
            fired[row] = [*fired[row], OVERLAP]
            failed[row] = True
    for name, values in (("rules_fired", fired), ("failed", failed)):
        column = pa.array(values, filtered.schema.field(name).type)
        filtered = filtered.set_column(filtered.column_names.index(name), name, column)
    return filtered.append_column(OVERLAP, pa.array(texts, pa.string()))
