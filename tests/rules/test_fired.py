"""Rules are closed intervals over metric columns."""

import math

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config.language_files import LanguageConfig, OffRule, Rule
from pipeline.errors import ConfigError
from pipeline.rules.fired import bucket_of, percentile_of, rules_fired


def language(**rules: Rule | OffRule) -> LanguageConfig:
    return LanguageConfig(name="Turkish", label="tur_Latn", rules=rules)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(min=2), [True, False, False, False]),
        (Rule(max=3), [False, False, False, True]),
        (Rule(min=2, max=3), [True, False, False, True]),
    ],
)
def test_the_ends_of_an_interval_belong_to_it(rule: Rule, expected: list[bool]) -> None:
    fired, failed = rules_fired(pa.table({"word_count": [1, 2, 3, 4]}), language(word_count=rule))
    assert failed.tolist() == expected
    assert fired == [["word_count"] if one else [] for one in expected]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_a_null_metric_fires_no_rule(kind: pa.DataType) -> None:
    table = pa.table({"word_count": pa.array([None, 1, None], type=kind)})
    fired, failed = rules_fired(table, language(word_count=Rule(min=5, max=9)))
    assert (fired, failed.tolist()) == ([[], ["word_count"], []], [False, True, False])


def test_every_rule_that_fires_is_named_in_the_order_of_the_rules() -> None:
    table = pa.table({"b": [0.0, 9.0], "a": [9.0, 0.0], "c": [9.0, 9.0]})
    one = language(c=Rule(max=1), a=Rule(max=1), b=Rule(max=1))
    assert rules_fired(table, one)[0] == [["c", "a"], ["c", "b"]]


def test_a_rule_that_is_off_fires_never() -> None:
    fired, failed = rules_fired(pa.table({"a": [9]}), language(a=OffRule(off=True)))
    assert (fired, failed.tolist()) == ([[]], [False])


def test_a_rule_on_an_unknown_metric_names_file_and_key() -> None:
    with pytest.raises(ConfigError) as caught:
        rules_fired(pa.table({"a": [9]}), language(wrod_count=Rule(min=1)))
    assert str(caught.value) == "lang_configs/tur_Latn.toml: rules.wrod_count: no such metric"


def test_no_rows_give_no_decisions() -> None:
    fired, failed = rules_fired(pa.table({"a": pa.array([], pa.int64())}), language(a=Rule(min=1)))
    assert (fired, failed.tolist()) == ([], [])


def test_percentiles_lie_between_those_of_the_reference_and_stop_at_its_ends() -> None:
    reference = np.arange(101.0) * 10
    found = percentile_of(np.array([-5.0, 0.0, 255.0, 1000.0, 9999.0, np.nan]), reference)
    assert found[:5].tolist() == [0.0, 0.0, 25.5, 100.0, 100.0]
    assert math.isnan(found[5])


def test_buckets_are_bounded_below_by_their_percentile() -> None:
    found = bucket_of(np.array([0.0, 29.99, 30.0, 59.99, 60.0, 100.0, np.nan]), 30, 60)
    assert found.tolist() == ["head", "head", "middle", "middle", "tail", "tail", None]
