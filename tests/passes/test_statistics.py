"""Histograms, samples and percentile rules of the demonstration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.language_files import LanguageConfig, OffRule, Percentile, Rule, load_language_config
from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError
from pipeline.execution.commit import read_json, write_json
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.operations.explain import explain, rules_of
from pipeline.operations.tune import measured, removal_by_threshold, removal_from_histogram, what_if
from pipeline.output.baselines import Baselines
from pipeline.output.decisions import read_decisions
from pipeline.output.histograms import read_histograms
from pipeline.output.output import Output
from pipeline.passes.select.sample import SAMPLE, bottom_k
from pipeline.passes.select.select import select
from pipeline.passes.select.settings import SelectionSettings
from pipeline.passes.statistics import (
    Rules,
    StatisticsSettings,
    compute_statistics,
    read_statistics,
    resolve_rules,
)
from pipeline.report.histograms import histogram_section
from pipeline.rules.histogram import NULL, values_of
from pipeline.rules.percentiles import bounded
from pipeline.schema.manifests import PercentileBound
from pipeline.schema.metrics import BUILT_IN

Resolve = Callable[[dict[str, Any]], Rules]


@pytest.fixture(scope="module")
def resolve(demo: Output, demo_config: RunConfig) -> Resolve:
    """The demonstration's rules with overrides; 38 documents are enough for a percentile."""
    config = demo_config.model_copy(
        update={"select": demo_config.select.model_copy(update={"percentile_documents": 38})}
    )
    return lambda rules: resolve_rules(
        StatisticsSettings.of(config, {"rules": rules}), demo, InlineExecutor(), read_statistics(demo)
    )


def test_histograms_hold_every_document_once(demo: Output) -> None:
    histograms = read_histograms(demo.selection("main") / "histograms.parquet")
    documents = {
        label: sum(outcomes.values())
        for label, outcomes in read_json(demo.selection("main") / "manifest.json")["outcomes"].items()
    }
    assert {key: int(counts.sum()) for key, counts in histograms.items()} == {
        key: documents[key[0]] for key in histograms
    }
    assert {label for label, _ in histograms} == set(documents)
    russian = measured(demo, "rus_Cyrl")
    assert histograms["rus_Cyrl", "perplexity"][NULL] == russian["perplexity"].null_count


@pytest.mark.parametrize("shard_group_size", [1, 3])
def test_batches_of_any_size_give_the_same_histograms(
    shard_group_size: int, demo: Output, demo_config: RunConfig, tmp_path: Path
) -> None:
    for name in ("annotated", "run.json"):
        (tmp_path / name).symlink_to(demo.root / name)
    config = demo_config.model_copy(
        update={"dedup": demo_config.dedup.model_copy(update={"shard_group_size": shard_group_size})}
    )
    settings = StatisticsSettings.of(config, {})
    again, before = compute_statistics(settings, Output(tmp_path), InlineExecutor()), read_statistics(demo)
    assert len(list((tmp_path / "histograms").glob("shard-group-*"))) == -(-8 // shard_group_size)
    assert {key: counts.tolist() for key, counts in again.items()} == {
        key: counts.tolist() for key, counts in before.items()
    }


@pytest.mark.parametrize("side", ["min", "max"])
def test_the_histogram_brackets_what_the_columns_tell_exactly(side: Any, demo: Output) -> None:
    thresholds = [0.25, 0.3, 0.5, 0.77, 0.999]
    ranges = removal_from_histogram(demo, "rus_Cyrl", "alphabetic_word_fraction", side, thresholds)
    exact = removal_by_threshold(demo, "rus_Cyrl", "alphabetic_word_fraction", side, thresholds)
    assert [
        (one.threshold, one.at_least <= other.removed <= one.at_most, one.documents)
        for one, other in zip(ranges, exact, strict=True)
    ] == [(other.threshold, True, other.documents) for other in exact]
    assert ranges[0].at_least == ranges[0].at_most  # a quarter is an edge


def test_the_sample_is_the_documents_of_least_id_hash(demo: Output) -> None:
    sample = pq.read_table(demo.selection("main") / "sample.parquet")
    outcomes = read_decisions(demo, "main")
    assert sorted(sample["id"].to_pylist()) == sorted(outcomes["id"].to_pylist())  # no outcome has 100 documents here
    assert SAMPLE == 100
    few = bottom_k(sample, k=3).to_pylist()
    for label, outcome in {(row["label"], row["outcome"]) for row in few}:
        rows = [row for row in sample.to_pylist() if (row["label"], row["outcome"]) == (label, outcome)]
        least = sorted(row["id_hash"] for row in rows)[:3]
        assert [row["id_hash"] for row in few if (row["label"], row["outcome"]) == (label, outcome)] == least
    by_id = {row["id"]: row for row in outcomes.to_pylist()}
    assert [row["id"] for row in few if by_id[row["id"]]["rules_fired"] != row["rules_fired"]] == []


def test_samples_of_pieces_merge_to_that_of_the_whole(demo: Output) -> None:
    sample = pq.read_table(demo.selection("main") / "sample.parquet")
    cut = [sample.slice(start, 100) for start in range(0, sample.num_rows, 100)]
    merged = pa.concat_tables([bottom_k(piece, k=4) for piece in reversed(cut)])
    assert bottom_k(merged, k=4).equals(bottom_k(sample, k=4))


@pytest.mark.parametrize("metric", ["perplexity", "line_count", "c4_line_fraction", "perplexity_percentile"])
@pytest.mark.parametrize("percentile", [0, 10, 50, 90, 100])
def test_a_percentile_is_the_value_of_the_nearest_rank(
    metric: str, percentile: float, demo: Output, resolve: Resolve
) -> None:
    rules = resolve({metric: {"max": {"percentile": percentile}}})
    bound = next(one for one in rules.percentiles if one.label == "rus_Cyrl")
    values = np.sort(values_of(measured(demo, "rus_Cyrl"), metric))
    values = values[~np.isnan(values)]
    expected = float(np.quantile(values, percentile / 100, method="inverted_cdf"))
    assert bound == PercentileBound(
        label="rus_Cyrl",
        metric=metric,
        side="max",
        percentile=percentile,
        documents=len(values),
        value=expected,
    )
    rule = rules.languages["rus_Cyrl"].rules[metric]
    assert isinstance(rule, Rule)
    assert rule.max == expected
    assert rule.source.endswith(f"percentile {percentile} of {len(values)} documents")


def test_a_label_with_too_few_documents_has_no_percentile_rule_and_says_so(resolve: Resolve) -> None:
    rules = resolve({"perplexity": {"min": 2, "max": {"percentile": 90}}, "line_count": {"min": {"percentile": 10}}})
    small = rules.languages["tha_Thai"].rules
    assert small["line_count"] == OffRule(off=True, source="no min, too few for percentile 10: 9 documents")
    kept = small["perplexity"]
    assert isinstance(kept, Rule)
    assert (kept.min, kept.max) == (2, None)
    told = {(one.metric, one.value) for one in rules.percentiles if one.label == "tha_Thai"}
    assert told == {("perplexity", None), ("line_count", None)}


def test_both_ends_may_be_percentiles(resolve: Resolve, demo: Output) -> None:
    rule = (
        resolve({"line_count": {"min": {"percentile": 10}, "max": {"percentile": 90}}})
        .languages["rus_Cyrl"]
        .rules["line_count"]
    )
    assert isinstance(rule, Rule)
    low, high = rule.interval()
    values = values_of(measured(demo, "rus_Cyrl"), "line_count")
    assert (values < low).mean() <= 0.1
    assert (values > high).mean() <= 0.1
    assert low < high


def test_a_percentile_that_crosses_a_fixed_bound_is_refused_by_name(resolve: Resolve) -> None:
    with pytest.raises(
        ConfigError, match=r"--set: .*rules.word_count \(percentile 90 of \d+ documents\): .*min 1000000.0 is above max"
    ):
        resolve({"word_count": {"min": 1e6, "max": {"percentile": 90}}})


def test_a_language_file_may_state_a_percentile(tmp_path: Path) -> None:
    (tmp_path / "default.toml").write_text(
        'name = "any"\n[rules]\nperplexity = { max = { percentile = 90 }, source = "CulturaX" }\n', encoding="utf-8"
    )
    language = load_language_config("xyz_Latn", tmp_path)
    assert language.rules["perplexity"] == Rule(max=Percentile(percentile=90), source="CulturaX")
    (tmp_path / "xyz_Latn.toml").write_text("[rules]\nperplexity = { max = { percentile = 190 } }\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"xyz_Latn.toml: rules.perplexity.max.percentile = 190.*less than or equal"):
        load_language_config("xyz_Latn", tmp_path)


def test_crossed_percentiles_are_an_empty_interval() -> None:
    with pytest.raises(ValueError, match="empty interval: min percentile 90 is above max percentile 10"):
        Rule(min=Percentile(percentile=90), max=Percentile(percentile=10))


def test_a_bound_without_a_value_goes_and_the_other_stays() -> None:
    language = LanguageConfig(
        name="x", label="xyz_Latn", rules={"line_count": Rule(min=1, max=Percentile(percentile=9))}
    )
    bound = PercentileBound(label="xyz_Latn", metric="line_count", side="max", percentile=9, documents=4, value=None)
    rule = bounded(language, [bound]).rules["line_count"]
    assert isinstance(rule, Rule)
    assert rule.interval() == (1, np.inf)


@pytest.fixture(scope="module")
def tight(demo: Output, demo_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """A selection of the demonstration with a percentile rule, in a folder of its own."""
    root = tmp_path_factory.mktemp("tight")
    for name in ("annotated", "dropped", "signatures", "clusters", "histograms", "document_index", "run.json"):
        (root / name).symlink_to(demo.root / name)
    settings = demo_config.select.model_copy(update={"percentile_documents": 38})
    config = demo_config.model_copy(update={"select": settings, "selection": "tight"})
    layout, executor = Output(root), InlineExecutor()
    given = StatisticsSettings.of(config, {"rules": {"line_count": {"max": {"percentile": 90}}}})
    rules = resolve_rules(given, layout, executor, read_statistics(demo))
    select(SelectionSettings.of(config), layout, executor, rules, read_statistics(demo), Baselines())
    return layout


def test_a_percentile_rule_decides_and_is_explained(tight: Output, demo: Output) -> None:
    manifest = read_json(tight.selection("tight") / "manifest.json")
    bound = next(one for one in manifest["percentiles"] if one["label"] == "rus_Cyrl")
    above = int((values_of(measured(demo, "rus_Cyrl"), "line_count") > bound["value"]).sum())
    assert 1 <= above <= bound["documents"] // 10
    assert manifest["rules_fired"]["rus_Cyrl"]["line_count"] == above
    rows = [row for row in read_decisions(tight, "tight").to_pylist() if "line_count" in row["rules_fired"]]
    (explanation,) = explain(tight, "tight", rows[0]["id"])
    rule = next(rule for rule in explanation.rules if rule.metric == "line_count")
    assert rule.max is not None
    assert (rule.fired, rule.value > rule.max) == (True, True)
    assert rule.origin.startswith("percentile 90 of ")
    shown = rules_of(tight, "tight", "rus_Cyrl").rules["line_count"]
    assert isinstance(shown, Rule)
    assert shown.max == bound["value"]


def test_what_if_takes_percentiles_of_the_same_documents(tight: Output) -> None:
    change = what_if(tight, "zho_Hani", {"rules": {"line_count": {"max": {"percentile": 90}}}})
    assert change.fired_after.get("line_count") is None  # 79 documents are fewer than the run's own 100
    assert change.newly_failed == 0


def test_what_if_runs_only_the_rules_that_the_run_runs(demo: Output, tmp_path: Path) -> None:
    for path in demo.root.iterdir():
        if path.name != "run.json":
            (tmp_path / path.name).symlink_to(path)
    plan = read_json(demo.run)
    plan["config"]["select"]["rules"] = ["lines"]
    write_json(tmp_path / "run.json", plan)
    impossible = {"rules": {"word_count": {"min": 1e9, "max": 2e9}, "line_count": {"min": 1e9, "max": 2e9}}}
    change = what_if(Output(tmp_path), "rus_Cyrl", impossible)  # both are counts, which read the whole document
    assert change.newly_failed == 0
    fraction = {"rules": {"bullet_line_fraction": {"min": 0.9999, "max": 1.0}}}
    assert what_if(Output(tmp_path), "rus_Cyrl", fraction).fired_after["bullet_line_fraction"] > 0
    assert set(what_if(Output(tmp_path), "rus_Cyrl", {}).fired_before) <= {
        name for name, metric in BUILT_IN.items() if metric.reads == "lines"
    }


def test_the_report_draws_each_rule_with_its_bounds(tight: Output) -> None:
    html = histogram_section(tight, "tight")
    languages = read_json(tight.selection("tight") / "manifest.json")["language_configs"]
    active = sum(len(LanguageConfig.model_validate(one).active_rules()) for one in languages.values())
    assert html.count("<svg") == active
    assert html.count("<line") >= active
    bound = rules_of(tight, "tight", "rus_Cyrl").rules["line_count"]
    assert isinstance(bound, Rule)
    assert f"max {bound.max:g} removes" in html[html.index("rus_Cyrl, ") :]
