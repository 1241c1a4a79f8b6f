"""A crawl is added to an earlier output: only it is read, and the two together are as one run over everything."""

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.reading import merge
from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError, FormatError
from pipeline.execution.commit import read_json, read_manifest, write_json
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.execution.storage import matching
from pipeline.operations.remove.remove import remove
from pipeline.operations.run import reselect, run
from pipeline.output.baselines import configured_baselines
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.passes.audit import audit
from pipeline.passes.deduplicate.deduplicate import DeduplicateSettings, deduplicate
from pipeline.passes.statistics import StatisticsSettings, read_statistics, resolve_rules
from pipeline.schema.manifests import ClusterIndex
from tests.outputs import over_some_files


def selected(
    demo: Output, config: RunConfig, root: Path, inputs: slice, index: tuple[Output, ...] = (), **more: Any
) -> Output:
    """The passes after annotate over some files of the demo."""
    if not root.exists():
        over_some_files(demo, root, inputs)
    settings = config.model_dump() | {"output": str(root), "baseline": [str(one.root) for one in index]} | more
    settings["dedup"] |= {"shard_group_size": 2, "large_group_rows": 60}  # shard groups, and large groups
    reselect(RunConfig.model_validate(settings), Output(root), {})
    return Output(root)


@pytest.fixture(scope="module")
def runs(demo: Output, demo_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Output]:
    """Files 1 and 2, then 3 and 4 added to them; and all in one run."""
    root = tmp_path_factory.mktemp("index")
    first = selected(demo, demo_config, root / "first", slice(1, 3))
    second = selected(demo, demo_config, root / "second", slice(3, 5), (first,))
    return {"first": first, "second": second, "whole": selected(demo, demo_config, root / "whole", slice(1, 5))}


def rows(layout: Output) -> dict[str, dict[str, Any]]:
    """Decisions on what was not read before, by id."""
    found = read_decisions(layout, "main").to_pylist()
    return {row["id"]: row for row in found if row["outcome"] != "already_read"}


def test_clusters_and_sizes_are_those_of_one_run_over_everything(runs: dict[str, Output]) -> None:
    first, second, whole = (rows(runs[name]) for name in ("first", "second", "whole"))
    assert set(first) | set(second) == set(whole)
    keys = ("minhash_cluster_id", "minhash_cluster_size")
    assert [one for one in second if [second[one][key] for key in keys] != [whole[one][key] for key in keys]] == []
    index = read_manifest(runs["second"].cluster_index, ClusterIndex)
    tasks = {entry.task for entry in index.groups.values()}
    updates = [
        row
        for task in tasks
        if runs["second"].cluster_size_updates(task).exists()
        for row in pq.read_table(runs["second"].cluster_size_updates(task)).to_pylist()
    ]
    assert len(updates) > 20
    sizes = {one: row["minhash_cluster_size"] for one, row in first.items()}
    sizes |= {row["id"]: row["size"] for row in updates}
    assert {one for one in sizes if sizes[one] != whole[one]["minhash_cluster_size"]} == set()
    assert {row["centre_id"] for row in updates} <= set(whole)


@pytest.mark.parametrize(("large_group_rows", "rows_at_a_time"), [(1, 100_000), (1, 7), (10_000_000, 7)])
def test_added_clusters_and_updates_are_the_same_however_a_group_is_cut(
    large_group_rows: int,
    rows_at_a_time: int,
    demo_config: RunConfig,
    runs: dict[str, Output],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = clustered(runs["second"])
    for module in ("collate", "cluster"):
        monkeypatch.setattr(f"pipeline.passes.deduplicate.{module}.ROW_GROUP_ROWS", rows_at_a_time)
    settings = demo_config.model_dump() | {"output": str(tmp_path), "baseline": [str(runs["first"].root)]}
    settings["dedup"] |= {"shard_group_size": 2, "large_group_rows": large_group_rows}
    config = RunConfig.model_validate(settings)
    for name in ("annotated", "dropped", "histograms"):
        (tmp_path / name).symlink_to(runs["second"].root / name)
    (tmp_path / "run.json").symlink_to(runs["second"].run)
    layout, executor = Output(tmp_path), InlineExecutor()
    rules = resolve_rules(StatisticsSettings.of(config, {}), layout, executor, read_statistics(layout))
    deduplicate(DeduplicateSettings.of(config), layout, executor, rules.languages, configured_baselines(config))
    found = clustered(layout)
    assert [table.num_rows for table in found] == [table.num_rows for table in expected]
    assert min(table.num_rows for table in expected) > 20
    assert found[0].equals(expected[0])
    assert found[1].equals(expected[1])


def clustered(layout: Output) -> tuple[pa.Table, pa.Table]:
    """All rows of clusters/ and of the cluster-size updates."""
    folders = layout.root / "clusters", layout.cluster_size_updates_folder
    clusters, updates = (
        pa.concat_tables([pq.read_table(path) for path in matching(folder, "*.parquet")]) for folder in folders
    )
    return clusters.sort_by("group"), updates.sort_by("group")


def test_no_cluster_is_kept_twice_and_a_duplicate_names_the_earlier_document(runs: dict[str, Output]) -> None:
    first, second = rows(runs["first"]), rows(runs["second"])
    both = [row for found in (first, second) for row in found.values() if row["outcome"] == "kept"]
    whole = rows(runs["whole"])
    kept = Counter(whole[row["id"]]["minhash_cluster_id"] for row in both)
    assert [cluster for cluster, count in kept.items() if count > 1] == []
    # and every cluster with a passing member is kept, unless its URL is
    passing = {row["minhash_cluster_id"] for row in whole.values() if row["outcome"] in ("kept", "duplicate")}
    by_url = {row["minhash_cluster_id"] for row in second.values() if row["outcome"] == "url_duplicate"}
    assert passing - set(kept) <= by_url
    named = [
        row["kept_document"] for row in second.values() if row["outcome"] == "duplicate" and row["kept_by_baseline"]
    ]
    assert len(named) > 10
    assert {first[one]["outcome"] for one in named} == {"kept"}
    audit(runs["second"], "main")


def test_a_document_that_failed_the_rules_blocks_nobody(
    demo: Output, demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    blocked = [
        row for row in rows(runs["second"]).values() if row["kept_by_baseline"] and row["outcome"] == "duplicate"
    ]
    strict = tmp_path / "strict"
    over_some_files(demo, strict, slice(1, 3))
    settings = demo_config.model_dump() | {"output": str(strict)}
    settings["dedup"] |= {"shard_group_size": 2, "eligible": "all"}
    reselect(RunConfig.model_validate(settings), Output(strict), {"rules": {"word_count": {"min": 1e6, "max": 1e7}}})
    assert {row["outcome"] for row in rows(Output(strict)).values()} == {"failed_rules"}
    added = rows(selected(demo, demo_config, tmp_path / "added", slice(3, 5), (Output(strict),)))
    assert [row["kept_by_baseline"] for row in added.values() if row["kept_by_baseline"]] == []
    freed = {added[row["id"]]["minhash_cluster_id"] for row in blocked}
    assert freed <= {row["minhash_cluster_id"] for row in added.values() if row["outcome"] in ("kept", "url_duplicate")}
    assert max(row["minhash_cluster_size"] for row in added.values()) > 20  # they count all the same


def test_a_crawl_added_twice_changes_nothing(
    demo: Output, demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    again = selected(demo, demo_config, tmp_path / "again", slice(3, 5), (runs["first"], runs["second"]))
    outcomes = Counter(row["outcome"] for row in read_decisions(again, "main").to_pylist())
    assert set(outcomes) == {"already_read"}
    updates = matching(again.cluster_size_updates_folder, "*.parquet")
    assert sum(pq.read_table(path).num_rows for path in updates) == 0 < len(updates)
    assert list((again.selection("main") / "clean").rglob("*.parquet")) == []
    audit(again, "main")


def test_what_was_taken_out_of_an_earlier_output_holds_its_place_unless_given_up(
    demo: Output, demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    victim = next(one["kept_by_baseline"] for one in rows(runs["second"]).values() if one["kept_by_baseline"])
    first = Output(tmp_path / "first")
    shutil.copytree(runs["first"].root, first.root, symlinks=True)
    remove(first, {"id": [victim]})
    later = selected(demo, demo_config, tmp_path / "later", slice(3, 5), (first,))
    before = later.cluster_index.stat().st_mtime_ns
    assert victim in {row["kept_by_baseline"] for row in rows(later).values()}
    remove(first, {"id": [victim]}, keep_another=True)
    selected(demo, demo_config, later.root, slice(3, 5), (first,))
    assert victim not in {row["kept_by_baseline"] for row in rows(later).values()}
    assert later.cluster_index.stat().st_mtime_ns == before  # another decision there asks for no clustering here


def changed_plan(folder: Path, source: Output, changes: dict[str, Any]) -> str:
    """A folder with the clusters and selections of an output, and with changes laid over its run.json."""
    for name in ("clusters", "selections"):
        (folder / name).symlink_to(source.root / name)
    write_json(folder / "run.json", merge(read_json(source.run), changes))
    return str(folder)


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"scheme": {"bands": 9}}, r"dedup\.bands: 9 -> 14"),
        ({"scheme": {"groups": {"iberian": ["spa_Latn", "por_Latn"]}}}, r"dedup\.groups\.iberian"),
        ({"segmenter": "whitespace"}, "segmenter: whitespace -> icu"),
        ({"refine": "before_signing"}, "refine: before_signing -> at_write"),
    ],
)
def test_a_baseline_of_another_scheme_or_group_list_or_of_other_words_is_refused_with_the_difference(
    settings: dict[str, Any], difference: str, demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    folder = changed_plan(tmp_path, runs["first"], {"annotate": {"settings": settings}})
    with pytest.raises(ConfigError, match=rf"(?s){re.escape(folder)}.*take its settings.*\n{difference}"):
        configured_baselines(demo_config.model_copy(update={"baseline": (folder,)}))


def test_a_baseline_whose_labels_another_identifier_gave_is_refused_with_both_and_the_remedy(
    demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    digest = read_json(runs["first"].run)["annotate"]["files"]["lid lid.176"]
    other = {"settings": {"lid": {"model": "glotlid-v3"}}, "files": {"lid glotlid-v3": "0" * 64}}
    folder = changed_plan(tmp_path, runs["first"], {"annotate": other})
    with pytest.raises(ConfigError) as caught:
        configured_baselines(demo_config.model_copy(update={"baseline": (folder,)}))
    assert f"baseline: {folder}: " in str(caught.value)
    assert f"were identified with glotlid-v3 (sha256 {'0' * 64})" in str(caught.value)
    assert f"those of this run with lid.176 (sha256 {digest})" in str(caught.value)
    assert 'Either set lid.model = "glotlid-v3" for this run, or read its inputs again with lid.176' in str(
        caught.value
    )


def test_a_baseline_whose_labels_another_file_of_the_same_identifier_gave_is_refused(
    demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    folder = changed_plan(tmp_path, runs["first"], {"annotate": {"files": {"lid lid.176": "0" * 64}}})
    with pytest.raises(ConfigError) as caught:
        configured_baselines(demo_config.model_copy(update={"baseline": (folder,)}))
    assert f"were identified with lid.176 (sha256 {'0' * 64})" in str(caught.value)
    assert "Either give this run the file that the baseline was made with, or read its inputs again" in str(
        caught.value
    )


@pytest.mark.parametrize("written", [1, 999])
def test_a_baseline_of_another_output_format_is_refused_before_work_with_both_and_the_remedy(
    written: int, demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    folder = changed_plan(tmp_path, runs["first"], {"format": written})
    config = demo_config.model_copy(update={"baseline": (folder,), "output": str(tmp_path / "new")})
    with pytest.raises(FormatError) as caught:
        run(config)
    assert str(caught.value) == (
        f"baseline: {folder}: was written in output format {written}, and this version reads format 2; read its inputs "
        "again with this version into another folder and name that one, or leave this baseline out"
    )
    assert not (tmp_path / "new").exists()


def test_a_baseline_that_is_not_there_or_not_finished_is_refused(
    demo_config: RunConfig, runs: dict[str, Output], tmp_path: Path
) -> None:
    def opening(*layouts: Path) -> None:
        configured_baselines(demo_config.model_copy(update={"baseline": tuple(map(str, layouts))}))

    with pytest.raises(ConfigError, match="no finished output"):
        opening(tmp_path)
    (tmp_path / "run.json").symlink_to(runs["first"].run)  # begun, and not ended
    with pytest.raises(ConfigError, match="no finished output"):
        opening(tmp_path)
    (tmp_path / "clusters").symlink_to(runs["first"].root / "clusters")
    with pytest.raises(ConfigError, match="its selection main is not there"):
        opening(tmp_path)
    with pytest.raises(ConfigError, match="1 earlier outputs that are not given before it"):
        opening(runs["second"].root)
    with pytest.raises(ConfigError, match="oldest first"):
        opening(runs["second"].root, runs["first"].root)
    opening(runs["first"].root, runs["second"].root)
    own = demo_config.model_copy(update={"baseline": (str(tmp_path),), "output": f"{tmp_path}/../{tmp_path.name}"})
    with pytest.raises(ConfigError, match="the output of this run itself"):
        configured_baselines(own)
