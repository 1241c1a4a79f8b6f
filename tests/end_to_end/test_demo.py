"""The demonstration ends as samples/truth.jsonl.gz says."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import read_json
from pipeline.operations.run import run
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.passes.audit import audit

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
REASONS = {
    "blocked": {"blocked_word", "blocked_domain", "blocked_url"},
    "not_html": {"not_html"},
    "status": {"http_status"},
    "empty": {"empty_body", "no_text"},
    "undecodable": {"undecodable"},
    "hostile": {"no_text"},  # options only; it hangs lexbor, and our tokeniser reads it in milliseconds
    "unreadable": {"truncated_record", "corrupt_record"},
}
LID_LABELS = {"cmn_Hani": "zho_Hani", "arb_Arab": "ara_Arab", "swh_Latn": "swa_Latn"}
NOT_IN_LID = {"dzo_Tibt"}
Rows = dict[str, list[dict[str, Any]]]


def by_id(table: pa.Table) -> Rows:
    rows: Rows = defaultdict(list)
    for row in table.to_pylist():
        rows[row["id"]].append(row)
    return rows


@pytest.fixture(scope="module")
def truth() -> list[dict[str, Any]]:
    with gzip.open(SAMPLES / "truth.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def annotated(demo: Output) -> Rows:
    columns = ["id", "url", "text", "label", "encoding"]
    return by_id(pa.concat_tables([pq.read_table(demo.annotated(one), columns=columns) for one in demo.shards()]))


@pytest.fixture(scope="module")
def dropped(demo: Output) -> Rows:
    return by_id(pa.concat_tables([pq.read_table(demo.dropped(one)) for one in demo.shards()]))


@pytest.fixture(scope="module")
def decisions(demo: Output) -> Rows:
    return by_id(read_decisions(demo, "main"))


@pytest.fixture(scope="module")
def manifest(demo: Output) -> dict[str, Any]:
    read: dict[str, Any] = read_json(demo.selection("main") / "manifest.json")
    return read


def test_every_record_is_once_in_annotated_or_dropped_but_the_one_without_a_readable_header(
    demo: Output, truth: list[dict[str, Any]], annotated: Rows, dropped: Rows
) -> None:
    count = {one["record_id"]: len(annotated.get(one["record_id"], [])) for one in truth}
    for identity in count:
        count[identity] += len(dropped.get(identity, []))
    assert [identity for identity, times in count.items() if times > 1] == []
    lost = [one for one in truth if count[one["record_id"]] == 0]
    assert [(one["file"], one["kind"]) for one in lost] == [("broken/corrupt-member.warc.gz", "unreadable")]
    unreadable_ranges = [
        (Path(manifest.file_path).name, lost.reason)
        for manifest in demo.manifests()
        for lost in manifest.unreadable_ranges
    ]
    assert unreadable_ranges == [("corrupt-member.warc.gz", "unreadable")]
    assert set(annotated) | set(dropped) <= set(count)


@pytest.mark.parametrize("kind", REASONS)
def test_records_of_a_bad_kind_are_dropped_for_its_reason(
    kind: str, truth: list[dict[str, Any]], annotated: Rows, dropped: Rows
) -> None:
    ids = [one["record_id"] for one in truth if one["kind"] == kind]
    reasons = [row["drop_reason"] for identity in ids for row in dropped.get(identity, [])]
    assert set(reasons) <= REASONS[kind]
    assert len(reasons) == len(ids) - (kind == "unreadable")  # the corrupt member is an unreadable range, see above
    assert [identity for identity in ids if identity in annotated] == []


def test_the_must_have_sentences_are_in_the_text(truth: list[dict[str, Any]], annotated: Rows) -> None:
    wanted = [one for one in truth if one["must_have"] and one["record_id"] in annotated]
    misses = [one for one in wanted if one["must_have"] not in annotated[one["record_id"]][0]["text"]]
    assert len(wanted) >= 850
    assert 1 - len(misses) / len(wanted) >= 0.95, [(one["url"], one["must_have"]) for one in misses]


def test_languages_agree_where_lid_176_can_name_them(truth: list[dict[str, Any]], annotated: Rows) -> None:
    pairs = [
        (LID_LABELS.get(one["language"], one["language"]), row["label"], one["url"])
        for one in truth
        if one["language"] and one["language"] not in NOT_IN_LID and one["kind"] != "junk"
        for row in annotated.get(one["record_id"], [])
        if len(row["text"]) > 300
    ]
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(pairs) >= 800
    assert 1 - len(wrong) / len(pairs) >= 0.9, wrong


def groups_of(truth: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in truth:
        if one["duplicate_group"] and one["kind"] in ("article", "exact_duplicate", "near_duplicate"):
            groups[one["duplicate_group"]].append(one)
    return groups


def test_duplicates_are_in_the_cluster_of_their_original(truth: list[dict[str, Any]], decisions: Rows) -> None:
    pairs: list[tuple[str, str, str]] = []
    for members in groups_of(truth).values():
        original = next(one for one in members if one["kind"] == "article")
        for one in members:
            if one is not original and one["jaccard"] is not None and one["jaccard"] >= 0.85:
                pairs.append((original["record_id"], one["record_id"], one["url"]))
    cluster = {identity: rows[0]["minhash_cluster_id"] for identity, rows in decisions.items()}
    misses = [url for first, second, url in pairs if cluster[first] != cluster[second]]
    assert len(pairs) >= 90
    assert 1 - len(misses) / len(pairs) >= 0.9, misses


def test_no_two_documents_of_a_cluster_are_kept(decisions: Rows) -> None:
    kept = Counter(row["minhash_cluster_id"] for rows in decisions.values() for row in rows if row["outcome"] == "kept")
    assert len(kept) >= 400
    assert [cluster for cluster, count in kept.items() if count > 1] == []


def test_exact_copies_are_never_kept_twice(truth: list[dict[str, Any]], decisions: Rows) -> None:
    copies: dict[str, set[str]] = defaultdict(set)
    for one in truth:
        if one["kind"] == "exact_duplicate":
            copies[one["duplicate_group"]].add(one["record_id"])
    twice = {
        group: [identity for identity in members if decisions[identity][0]["outcome"] == "kept"]
        for group, members in copies.items()
    }
    assert len(copies) >= 5
    assert {group: kept for group, kept in twice.items() if len(kept) > 1} == {}


def test_thirty_copies_are_a_cluster_of_thirty(truth: list[dict[str, Any]], decisions: Rows) -> None:
    thirty = [decisions[one["record_id"]][0] for one in groups_of(truth)["thirty-por"]]
    assert len(thirty) == 30
    assert len({row["minhash_cluster_id"] for row in thirty}) == 1
    assert {row["minhash_cluster_size"] >= 30 for row in thirty} == {True}
    assert sum(row["outcome"] == "kept" for row in thirty) <= 1


def test_the_longest_member_of_its_cluster_stays(truth: list[dict[str, Any]], decisions: Rows) -> None:
    group = groups_of(truth)["longest-ita"]
    chosen = [one["record_id"] for one in group if one["representative"]]  # a key of samples/truth.jsonl.gz
    assert [one["record_id"] for one in group if decisions[one["record_id"]][0]["outcome"] == "kept"] == chosen


def test_the_same_url_is_kept_once(truth: list[dict[str, Any]], decisions: Rows) -> None:
    groups: dict[str, list[str]] = defaultdict(list)
    for one in truth:
        if str(one["duplicate_group"]).startswith("url-"):
            groups[one["duplicate_group"]].append(decisions[one["record_id"]][0]["outcome"])
    assert len(groups) >= 1
    assert {name: outcomes for name, outcomes in groups.items() if outcomes.count("kept") > 1} == {}


def test_the_audit_passes_with_checksums(demo: Output, annotated: Rows) -> None:
    lines = audit(demo, "main")
    assert lines == [
        f"8 shards: bytes and records agree, {len(annotated)} documents",
        f"selection main: each of {len(annotated)} documents has exactly one outcome",
    ]


def test_a_second_run_writes_no_data_again(demo: Output, demo_config: RunConfig) -> None:
    def times() -> dict[str, int]:
        folders = ("annotated", "dropped", "signatures", "clusters", "selections/main/clean")
        return {
            str(path.relative_to(demo.root)): path.stat().st_mtime_ns
            for folder in folders
            for path in (demo.root / folder).rglob("*")
            if path.is_file() and not path.match("annotated/shard-group-*.json")
        }

    before = times()
    run(demo_config)
    assert len(before) >= 30
    assert times() == before


def test_clean_files_are_sorted_by_cluster_size_and_hash_of_id(demo: Output, manifest: dict[str, Any]) -> None:
    import xxhash

    sizes = 0
    for files in manifest["files"].values():
        for file in files:
            table = pq.read_table(demo.selection("main") / file["path"], columns=["minhash_cluster_size", "id"])
            keys = [
                (row["minhash_cluster_size"], xxhash.xxh64_intdigest(row["id"].encode()), row["id"])
                for row in table.to_pylist()
            ]
            assert keys == sorted(keys), file["path"]
            sizes += len({key[0] for key in keys})
    assert sizes > len(manifest["files"])


def test_runs_of_a_cluster_size_agree_with_the_rows_of_the_file(demo: Output, manifest: dict[str, Any]) -> None:
    columns = ["minhash_cluster_size", "character_count", "segment_count"]
    for files in manifest["files"].values():
        for file in files:
            rows = pq.read_table(demo.selection("main") / file["path"], columns=columns).to_pylist()
            assert len(rows) == file["rows"]
            rows_of_runs = [part["rows"] for part in file["runs"]]
            assert [part["first_row"] for part in file["runs"]] == [
                sum(rows_of_runs[:number]) for number in range(len(rows_of_runs))
            ]
            for part in file["runs"]:
                rows_of_part = rows[part["first_row"] : part["first_row"] + part["rows"]]
                assert {row["minhash_cluster_size"] for row in rows_of_part} == {part["cluster_size"]}
                assert sum(row["character_count"] for row in rows_of_part) == part["characters"]
                assert sum(row["segment_count"] for row in rows_of_part) == part["tokens"]


def test_character_count_of_a_clean_row_is_the_length_of_its_text(demo: Output, manifest: dict[str, Any]) -> None:
    wrong = [
        (row["url"], row["character_count"], len(row["text"]))
        for files in manifest["files"].values()
        for file in files
        for row in pq.read_table(
            demo.selection("main") / file["path"], columns=["url", "text", "character_count"]
        ).to_pylist()
        if row["character_count"] != len(row["text"])
    ]
    assert wrong == []


def test_fates_sum_to_documents_by_language(
    demo: Output, manifest: dict[str, Any], annotated: Rows, decisions: Rows
) -> None:
    labels = Counter(row["label"] for rows in annotated.values() for row in rows)
    assert {label: sum(outcomes.values()) for label, outcomes in manifest["outcomes"].items()} == labels
    told: Counter[str] = Counter()
    for outcomes in manifest["outcomes"].values():
        told.update(outcomes)
    assert told == Counter(row["outcome"] for rows in decisions.values() for row in rows)
    assert told["kept"] == sum(file["rows"] for files in manifest["files"].values() for file in files)
