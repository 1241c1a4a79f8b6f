"""Who takes part in clusters, and what invalidates them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import read_manifest
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.operations.run import reselect, run
from pipeline.output.baselines import Baselines
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from pipeline.passes.deduplicate.collate import CollateTask, collate_shard_group
from pipeline.passes.deduplicate.deduplicate import DeduplicateSettings, deduplicate
from pipeline.passes.deduplicate.eligible import Eligibility
from pipeline.passes.statistics import StatisticsSettings, compute_statistics, resolve_rules
from pipeline.schema.manifests import ClusterIndex, ClusterSizeStatistics
from tests.make_warc import conversion_record, write_records

STORY = (
    "The harbour was quiet when the first boats came back with the morning tide, and the people who had waited on "
    "the wall began to walk down to the water. Nobody spoke about the storm that had kept them awake for three nights, "
    "but everyone looked at the masts and counted them, and then counted them again. An old woman with a basket of "
    "bread stood beside the steps and gave a loaf to each of the men as they climbed up, because that is what her "
    "mother had done and it had always brought them luck. The children ran between the nets and shouted the names of "
    "the boats, and by noon the whole village knew that none of them had been lost."
)
PAGES = {
    "passes": STORY,
    "passes-too": STORY + " It was a good day.",
    "two-lines": STORY.replace("luck. The", "luck.\nThe"),  # fails line_count
    "other-script": STORY + " Все лодки вернулись домой ещё до полудня.",  # fails script_fraction
}
RULES: dict[str, Any] = {"line_count": {"max": 1}, "script_fraction": {"min": 0.98}}


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """Four near-duplicates, two of which fail a rule: one on the label, one on another metric; annotated."""
    root = tmp_path_factory.mktemp("near")
    records = [
        conversion_record(f"https://a.example/{name}", text, f"<urn:test:{name}>") for name, text in PAGES.items()
    ]
    write_records(root / "near.warc.wet.gz", records)
    settings = {
        "inputs": [str(root / "near.warc.wet.gz")],
        "output": str(root / "output"),
        "select": {"keep": ["first_seen"]},
    }
    config = RunConfig.model_validate(settings)
    run(config, {"rules": RULES})
    return config


def with_eligible(config: RunConfig, eligible: str, **more: Any) -> RunConfig:
    settings = config.model_dump() | {"selection": eligible}
    settings["dedup"] = settings["dedup"] | {"eligible": eligible} | more
    return RunConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("eligible", "sizes"),
    [
        ("all", {"passes": 4, "passes-too": 4, "two-lines": 4, "other-script": 4}),
        ("above_language_floor", {"passes": 3, "passes-too": 3, "two-lines": 3, "other-script": 1}),
        ("passing", {"passes": 2, "passes-too": 2, "two-lines": 1, "other-script": 1}),
    ],
)
def test_only_eligible_documents_have_clusters(eligible: str, sizes: dict[str, int], near: RunConfig) -> None:
    config = with_eligible(near, eligible)
    layout = Output(Path(config.output))
    reselect(config, layout, {"rules": RULES})
    rows = {row["id"].strip("<>").rpartition(":")[2]: row for row in read_decisions(layout, eligible).to_pylist()}
    assert {name: row["minhash_cluster_size"] for name, row in rows.items()} == sizes
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "passes": "kept",
        "passes-too": "duplicate",
        "two-lines": "failed_rules",
        "other-script": "failed_rules",
    }
    outside = {name for name, row in rows.items() if not row["is_eligible"]}
    assert outside == {name for name, size in sizes.items() if size == 1}
    statistics = layout.selection_manifest(eligible).cluster_statistics["eng_Latn"]
    size = max(sizes.values())
    assert statistics == [ClusterSizeStatistics(cluster_size=size, documents=size, failed=size - 2)]
    # documents outside are in no cluster that rebalancing looks at
    audit(layout, eligible)


@pytest.mark.parametrize(
    ("eligible", "changed", "again"),
    [
        ("all", {"script_fraction": {"min": 0.5}}, False),
        ("above_language_floor", {"line_count": {"max": 9}}, False),
        ("above_language_floor", {"script_fraction": {"min": 0.5}}, True),
        ("above_language_floor", {"script_fraction": {"source": "the same bound of another source"}}, False),
        ("passing", {"line_count": {"max": 9}}, True),
    ],
)
def test_a_changed_threshold_invalidates_clusters_only_where_it_says_who_is_eligible(
    eligible: str, changed: dict[str, Any], again: bool, near: RunConfig
) -> None:
    config = with_eligible(near, eligible)
    layout, executor = Output(Path(config.output)), InlineExecutor()

    def fingerprint_with(rules: dict[str, Any]) -> str:
        settings = StatisticsSettings.of(config, {"rules": rules})
        resolved = resolve_rules(settings, layout, executor, compute_statistics(settings, layout, executor))
        settings_of_pass = DeduplicateSettings.of(config)
        return deduplicate(settings_of_pass, layout, executor, resolved.languages, Baselines()).fingerprint

    before = fingerprint_with(RULES)
    written = layout.clusters(0).stat().st_mtime_ns
    after = fingerprint_with({metric: rule | changed.get(metric, {}) for metric, rule in RULES.items()})
    assert (after != before, layout.clusters(0).stat().st_mtime_ns != written) == (again, again)


def test_a_percentile_may_say_who_is_eligible(near: RunConfig) -> None:
    config = with_eligible(near, "above_language_floor")
    settings = config.model_dump()
    settings["select"] = settings["select"] | {"percentile_documents": 4}
    config = RunConfig.model_validate(settings)
    layout = Output(Path(config.output))
    reselect(config, layout, {"rules": {"script_fraction": {"min": {"percentile": 50}}}})
    decisions = pq.read_table(layout.selection("above_language_floor") / "decisions" / "shard-group-00000.parquet")
    assert sum(decisions["is_eligible"].to_pylist()) == 3


def test_without_rules_every_document_is_eligible(near: RunConfig) -> None:
    config = with_eligible(near, "passing")
    settings = config.model_dump() | {"selection": "measured"}
    settings["select"] = settings["select"] | {"rules": False}
    config = RunConfig.model_validate(settings)
    layout = Output(Path(config.output))
    reselect(config, layout, {"rules": RULES})
    rows = read_decisions(layout, "measured").to_pylist()
    assert [row["minhash_cluster_size"] for row in rows] == [4] * 4
    assert sorted(row["outcome"] for row in rows) == ["duplicate"] * 3 + ["kept"]


@pytest.mark.parametrize("large_group_rows", [1, 8, 1_000_000])
def test_a_record_that_was_read_before_counts_in_no_cluster_whichever_task_links_it(
    large_group_rows: int, near: RunConfig, tmp_path: Path
) -> None:
    again = tmp_path / "again.warc.wet.gz"
    again.write_bytes(Path(near.inputs[0]).read_bytes())
    settings = near.model_dump() | {"inputs": [near.inputs[0], str(again)], "output": str(tmp_path / "output")}
    settings["dedup"] |= {"eligible": "all", "shard_group_size": 1, "large_group_rows": large_group_rows}
    rows = read_decisions(run(RunConfig.model_validate(settings)), "main").to_pylist()
    assert Counter((row["outcome"], row["minhash_cluster_size"]) for row in rows) == {
        ("kept", 4): 1,
        ("duplicate", 4): 3,
        ("already_read", 1): 4,
    }


def test_collating_in_pieces_gives_the_same_files(
    near: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for rows in (2_000_000, 1):
        monkeypatch.setattr("pipeline.passes.deduplicate.collate.COLLATE_ROWS", rows)
        shards = Output(Path(near.output)).shards() * 3
        source, target = Output(Path(near.output)), Output(tmp_path / str(rows))
        (tmp_path / str(rows)).mkdir()
        (tmp_path / str(rows) / "annotated").symlink_to(source.root / "annotated")
        task = CollateTask(target, 0, shards, Eligibility(), near.dedup.bands, near.dedup.rows)
        documents = collate_shard_group(task)
        written.append((documents, Path(str(target.signatures(0))).read_bytes()))
    assert written[0] == written[1]
    assert sum(written[0][0].values()) == 3 * len(PAGES)


@pytest.mark.parametrize(("groups", "size"), [({}, 1), ({"iberian": ["spa_Latn", "por_Latn"]}, 2)])
def test_labels_of_one_group_are_deduplicated_together_and_keep_their_own_folders(
    groups: dict[str, list[str]], size: int, tmp_path: Path
) -> None:
    # languages are told from the first characters alone, so that near-duplicates have different ones
    starts = {
        "spa_Latn": "Los pescadores esperaban en el puerto y contaban los barcos que volvieron.",
        "por_Latn": "As mulheres traziam pão quente para os homens que não tinham dormido.",
    }
    records = [
        conversion_record(f"https://a.example/{label}", f"{start} {STORY}", f"<urn:test:{label}>")
        for label, start in starts.items()
    ]
    write_records(tmp_path / "two.warc.wet.gz", records)
    settings = {
        "inputs": [str(tmp_path / "two.warc.wet.gz")],
        "output": str(tmp_path / "output"),
        "lid": {"max_characters": 60},
        "dedup": {"eligible": "all", "groups": groups},
        "select": {"keep": ["first_seen"], "rules": False},
    }
    layout = run(RunConfig.model_validate(settings), {})
    rows = read_decisions(layout, "main").to_pylist()
    assert {row["label"]: row["minhash_cluster_size"] for row in rows} == {"spa_Latn": size, "por_Latn": size}
    assert set(read_manifest(layout.cluster_index, ClusterIndex).groups) == (set(groups) or set(starts))
    kept = sorted(row["label"] for row in rows if row["outcome"] == "kept")
    assert kept == (["por_Latn"] if groups else ["por_Latn", "spa_Latn"])  # a segment is sorted by label
    folders = sorted(path.parent.name for path in (layout.selection("main") / "clean").rglob("*.parquet"))
    assert folders == kept
    audit(layout, "main")
