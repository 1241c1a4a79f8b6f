"""Outputs of which only annotate has run, of documents that a test makes up; and what select must make of them.

`expected` is the obvious version of deduplicate and select with all documents in memory, oldest output first. It knows
no shard_groups, tasks, files or arrays.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.dependencies import annotate_state
from pipeline.config.language_files import LanguageConfig, Rule
from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import sha256_of, write_manifest
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.kernels.hashing import hash64
from pipeline.output.baselines import configured_baselines
from pipeline.output.document_index import build_document_index, url_key
from pipeline.output.layout import shard_name
from pipeline.output.output import Output
from pipeline.output.take_downs import request_of, save
from pipeline.passes.deduplicate.deduplicate import DeduplicateSettings, deduplicate
from pipeline.passes.select.select import select as make_selection
from pipeline.passes.select.settings import SelectionSettings
from pipeline.passes.statistics import Rules, StatisticsSettings, compute_statistics
from pipeline.schema.columns import ANNOTATED, DROPPED
from pipeline.schema.manifests import OUTPUT_FORMAT, RunPlan, ShardDigests, ShardManifest
from pipeline.text.urls import host_of, normalize_url, registered_domain

GROUPS = {"aaa_Latn": "iberian", "bbb_Latn": "iberian", "ccc_Cyrl": "ccc_Cyrl"}
FLOOR, SHORTEST = 0.3, 10
BANDS = 2


@dataclass(frozen=True)
class Document:
    """What select can know of a document; equal `words`, or equal bands (0 is none), are one cluster."""

    id: str
    label: str = "aaa_Latn"
    url: str = "https://a.example/"
    words: int = 0
    bands: tuple[int, int] = (0, 0)
    word_count: int = 20
    language_score: float = 0.9
    character_count: int = 100
    perplexity: float | None = None
    date: str | None = None
    empty: bool = False  # refinement leaves nothing of it

    def fails(self) -> bool:
        """Whether a rule fires."""
        return self.word_count < SHORTEST or self.language_score < FLOOR


@dataclass
class MadeOutput:
    """A run: its shards; and what was taken out of it: id, url or domain, the word, whether clusters keep another."""

    shards: list[list[Document]]
    take_downs: list[tuple[Any, str, bool]] = field(default_factory=list)
    keep: tuple[str, ...] = ("longest", "first_seen")
    rules: bool = True
    keep_before_rules: bool = False
    url_duplicates: bool = True

    def __post_init__(self) -> None:
        """A shard is sorted as annotate sorts it."""
        self.shards = [sorted(shard, key=lambda one: (GROUPS[one.label], one.label)) for shard in self.shards]

    @property
    def documents(self) -> list[Document]:
        """All, in plan order."""
        return [one for shard in self.shards for one in shard]

    @property
    def comparable(self) -> list[Document]:
        """All, in plan order, those that are not eligible without a key."""
        return [
            replace(one, words=0, bands=(0, 0)) if self.rules and one.language_score < FLOOR else one
            for one in self.documents
        ]


def write(
    root: Path, output: MadeOutput, index: Sequence[Path] = (), select: Mapping[str, Any] | None = None, **dedup: Any
) -> Output:
    """The output in `root` after deduplicate and select, over earlier ones."""
    config = RunConfig.model_validate(
        {
            "output": str(root),
            "baseline": [str(one) for one in index],
            "dedup": {"bands": BANDS, "rows": 1, "verify": False} | dedup,
            "select": {
                "keep": output.keep,
                "rules": output.rules,
                "keep_before_rules": output.keep_before_rules,
                "url_duplicates": output.url_duplicates,
            }
            | dict(select or {}),
        }
    )
    if not (root / "run.json").exists():
        annotate(root, config, output)
    layout = Output(root)
    inline = InlineExecutor()
    build_document_index(layout, config.dedup.shard_group_size, inline)
    for kind, word, keep_another in output.take_downs:
        save(layout, [request_of(kind, word)], keep_another)
    floor, shortest = Rule(min=FLOOR), Rule(min=SHORTEST)
    languages = {
        label: LanguageConfig(name=label, label=label, rules={"language_score": floor, "word_count": shortest})
        for label in GROUPS
    }
    deduplicate(DeduplicateSettings.of(config), layout, inline, languages, configured_baselines(config))
    histograms = compute_statistics(StatisticsSettings.of(config, {}), layout, inline)
    rules, baselines = Rules(languages, []), configured_baselines(config)
    make_selection(SelectionSettings.of(config), layout, inline, rules, histograms, baselines)
    return layout


def annotate(root: Path, config: RunConfig, output: MadeOutput) -> None:
    """What annotate would have left."""
    inputs = [f"/crawl/{root.name}-{number}" for number in range(len(output.shards))]
    for folder in ("annotated", "dropped"):
        (root / folder).mkdir(parents=True)
    for path, documents in zip(inputs, output.shards, strict=True):
        name = shard_name(path)
        paths = root / "annotated" / f"{name}.parquet", root / "dropped" / f"{name}.parquet"
        rows = [_row(name, place, one) for place, one in enumerate(documents)]
        pq.write_table(pa.Table.from_pylist(rows, schema=ANNOTATED), paths[0], row_group_size=3)
        pq.write_table(DROPPED.empty_table(), paths[1])
        manifest = ShardManifest(
            fingerprint="",
            shard=name,
            file_path=path,
            file_bytes=0,
            record_bytes=0,
            records_by_type={"response": len(documents)},
            document_records=len(documents),
            unreadable_ranges=[],
            documents=len(documents),
            dropped={},
            rows_by_label=dict(Counter(one.label for one in documents)),
            characters=sum(one.character_count for one in documents),
            runs=[len(documents)],
            sha256=ShardDigests(annotated=sha256_of(paths[0]), dropped=sha256_of(paths[1])),
        )
        write_manifest(root / "annotated" / f"{name}.json", manifest)
    plan = RunPlan(
        format=OUTPUT_FORMAT,
        inputs=inputs,
        annotate=annotate_state(config),
        config=config.model_dump(mode="json"),
        rule_overrides={},
    )
    write_manifest(root / "run.json", plan)


def _row(shard: str, place: int, one: Document) -> dict[str, Any]:
    defaults = {
        field_.name: 0.5 if pa.types.is_floating(field_.type) else 1 if pa.types.is_integer(field_.type) else ""
        for field_ in ANNOTATED
        if not pa.types.is_list(field_.type)
    }
    text = "x" * one.character_count
    normal = normalize_url(one.url)
    signed = any(one.bands)
    return defaults | {
        **{name: getattr(one, name) for name in ("id", "label", "url", "word_count", "language_score", "date")},
        "perplexity": one.perplexity,
        "character_count": one.character_count,
        "language": one.label[:3],
        "language_script": one.label[4:],
        "group": GROUPS[one.label],
        "file_path": f"/crawl/{shard}",
        "warc_offset": place,
        "id_hash": hash64(one.id),
        "url_hash": hash64(normal) if normal else None,
        "domain_hash": hash64(registered_domain(host_of(one.url))),
        "exact_hash": hash64(f"words {one.words}") if one.words else None,
        "bands": np.array([hash64(f"band {band}") if band else 0 for band in one.bands], "<u8").tobytes() if signed
        else b"",
        "minima": bytes(BANDS) if signed else b"",
        "text": text,
        "encoding_repaired": False,
        "edit_starts": [0] if one.empty else [],
        "edit_ends": [len(text)] if one.empty else [],
        "edit_texts": [""] if one.empty else [],
    }  # fmt: skip


# What follows is the oracle.


@dataclass
class Outcome:
    """What becomes of a document."""

    outcome: str = "duplicate"
    kept_document: str | None = None
    cluster: str = ""
    size: int = 1
    kept_by_baseline: str | None = None
    holds: bool = False  # stands for its cluster and its URL in later outputs


def expected(outputs: Sequence[MadeOutput]) -> list[list[Outcome]]:
    """The outcome on every document of every output, in plan order; each output has those before it as its index."""
    outcomes: list[list[Outcome]] = []
    for number, output in enumerate(outputs):
        outcomes.append([Outcome() for _ in output.documents])
        for group in sorted(set(GROUPS.values())):
            _judge(outputs[: number + 1], outcomes, group)
    return outcomes


def sizes_over(outputs: Sequence[MadeOutput]) -> dict[tuple[str, str], int]:
    """Cluster size by (group, id) of what was not read before, over all documents of these outputs."""
    documents = [one for output in outputs for one in output.comparable]
    found = {}
    for group in set(GROUPS.values()):
        members = _once(one for one in documents if GROUPS[one.label] == group)
        found |= {(group, one.id): len(cluster) for cluster in _clusters(members) for one in cluster}
    return found


def _once(documents: Iterable[Document]) -> list[Document]:
    return list({one.id: one for one in reversed(list(documents))}.values())[::-1]


def _clusters(documents: Sequence[Document]) -> list[list[Document]]:
    """Documents that are joined by a chain of equal keys; oldest first."""
    clusters: list[list[Document]] = []
    for one in documents:
        joined = [cluster for cluster in clusters if any(_alike(one, other) for other in cluster)]
        clusters = [cluster for cluster in clusters if cluster not in joined]
        clusters.append([member for cluster in joined for member in cluster] + [one])
    order = {one.id: place for place, one in enumerate(documents)}
    return [sorted(cluster, key=lambda one: order[one.id]) for cluster in clusters]


def _alike(one: Document, other: Document) -> bool:
    bands = zip(one.bands, other.bands, strict=True)
    return (one.words == other.words != 0) or any(a == b != 0 for a, b in bands)


def _judge(outputs: Sequence[MadeOutput], outcomes: Sequence[list[Outcome]], group: str) -> None:
    """The outcomes of the last output on one group."""
    output = outputs[-1]
    take_downs = [one for so_far in outputs for one in so_far.take_downs]
    earlier: dict[str, tuple[Document, Outcome]] = {}  # first reading of each id
    for before, known in zip(outputs[:-1], outcomes[:-1], strict=True):
        for one, told in zip(before.comparable, known, strict=True):
            if GROUPS[one.label] == group:
                earlier.setdefault(one.id, (one, told))
    new: dict[str, tuple[Document, Outcome]] = {}
    for one, told in zip(output.comparable, outcomes[-1], strict=True):
        if GROUPS[one.label] == group:
            if one.id in earlier or one.id in new:
                told.outcome, told.cluster = "removed" if _level(one, take_downs) else "already_read", one.id
            else:
                new[one.id] = one, told
    levels = {one.id: _level(one, take_downs) for one, _ in new.values()}
    kept: list[Document] = []
    urls = {normalize_url(one.url) for one, told in earlier.values() if told.holds} - {""}
    for cluster in _clusters([one for one, _ in (*earlier.values(), *new.values())]):
        held = next((one.id for one in cluster if one.id in earlier and earlier[one.id][1].holds), None)
        able = [
            one
            for one in cluster
            if one.id in new
            and (not failing(one, output) or output.keep_before_rules)
            and levels[one.id] < 2
            and held is None
        ]
        best = max(able, key=lambda one: keep_priority(one, output.keep), default=None)  # the first of equals
        for one in cluster:
            if one.id in new:
                told = new[one.id][1]
                told.cluster, told.size, told.kept_by_baseline = cluster[0].id, len(cluster), held
                told.kept_document = held or (best.id if best else None)
                if failing(one, output) and (one is best or not output.keep_before_rules):
                    told.outcome = "failed_rules"
        if best is not None and not failing(best, output):
            kept.append(best)
    for one in kept:
        url = normalize_url(one.url)
        same = [other for other in _in_order(kept, new) if url and normalize_url(other.url) == url]
        first = max(same, key=lambda other: keep_priority(other, output.keep), default=one)
        stands = not output.url_duplicates or (first is one and url not in urls)
        told = new[one.id][1]
        told.outcome = ("empty_after_edits" if one.empty else "kept") if stands else "url_duplicate"
        told.holds = stands and (levels[one.id] == 1 or (levels[one.id] == 0 and not one.empty))
    for one, told in new.values():
        if levels[one.id]:
            told.outcome = "removed"


def _in_order(documents: Iterable[Document], new: dict[str, Any]) -> list[Document]:
    order = {one: place for place, one in enumerate(new)}
    return sorted(documents, key=lambda one: order[one.id])


def failing(one: Document, output: MadeOutput) -> bool:
    """Whether it fails the output's rules."""
    return output.rules and one.fails()


def keep_priority(one: Document, keep: Sequence[str]) -> list[float]:
    """More is better."""
    never = float("-inf")
    values = {
        "longest": one.character_count,
        "lowest_perplexity": never if one.perplexity is None else -one.perplexity,
        "newest": never if one.date is None else float("".join(sign for sign in one.date if sign.isdigit())),
        "best_language_score": one.language_score,
    }
    before = keep[: keep.index("first_seen")] if "first_seen" in keep else keep
    return [values[policy] for policy in before]


def _level(one: Document, take_downs: Iterable[tuple[str, str, bool]]) -> int:
    asked = [again for kind, word, again in take_downs if _is(one, kind, word)]
    return 0 if not asked else 2 if any(asked) else 1


def _is(one: Document, kind: str, word: str) -> bool:
    if kind == "id":
        return one.id.strip("<>") == word.strip("<>")
    if kind == "url":
        return url_key(one.url) == url_key(word)
    host = one.url.split("/")[2]
    return host == word or host.endswith("." + word)
