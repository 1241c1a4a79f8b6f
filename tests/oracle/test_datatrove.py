"""The metrics of Gopher, FineWeb and C4 against datatrove's own filters, given the same words."""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.utils import text as datatrove_text

from pipeline.config.language_files import load_language_config
from pipeline.output.decisions import read_decisions
from pipeline.output.output import Output
from pipeline.text.characters import PUNCTUATION, SYMBOLS, TERMINAL
from pipeline.text.metrics.contract import DECIMALS, METRICS, WordLists, measure
from pipeline.text.metrics.view import TextView
from tests.oracle.datatrove_values import METRIC_OF_REASON, Values, datatrove_reason, datatrove_values

FOLDER = Path(__file__).parent
TEXTS: list[dict[str, Any]] = tomllib.loads((FOLDER / "texts.toml").read_text(encoding="utf-8"))["text"]
LISTED = tomllib.loads((FOLDER / "differences.toml").read_text(encoding="utf-8"))["difference"]
C4 = {"c4_line_fraction", "lorem_ipsum_count", "curly_bracket_count"}
COMPARED = {*METRIC_OF_REASON.values(), *C4}
PRECISION = 0.5 * 10**-DECIMALS + 1e-9

Difference = tuple[float | None, float | None]


def differences(theirs: Values, ours: dict[str, Any]) -> dict[str, Difference]:
    """Metrics that differ by more than our rounding, with datatrove's value and ours; of those that it reached."""
    found = {}
    for metric, value in theirs.items():
        own = ours[metric]
        if metric in ("lorem_ipsum_count", "curly_bracket_count"):
            own = float(own > 0)  # it drops the document at the first
        if value is None or own is None:
            if value is not own:
                found[metric] = (value, own)
        elif abs(value - own) > PRECISION:
            found[metric] = (round(value, DECIMALS), own)
    return found


def pairs_of(entry: dict[str, Any]) -> dict[str, Difference]:
    def number(value: float | str) -> float | None:
        return None if value == "undefined" else float(value)

    return dict.fromkeys(entry["metrics"], (number(entry["datatrove"]), number(entry["glotmill"])))


def listed(label: str) -> dict[str, Difference]:
    """The differences that differences.toml has for a text, or for "any"."""
    return {metric: pair for entry in LISTED if entry["text"] == label for metric, pair in pairs_of(entry).items()}


ANYWHERE = set(listed("any").items())


def found_in(case: dict[str, Any]) -> dict[str, Difference]:
    stop_words = case.get("stop_words", ["the"])
    ours = measure(TextView.of(case["text"]), WordLists(frozenset(stop_words)))
    return differences(datatrove_values(case["text"], stop_words), ours)


@pytest.mark.parametrize("case", TEXTS, ids=[case["label"] for case in TEXTS])
def test_a_text_differs_from_datatrove_exactly_where_the_list_says(case: dict[str, Any]) -> None:
    assert dict(found_in(case).items() - ANYWHERE) == listed(case["label"])


def test_what_may_differ_anywhere_does_differ_somewhere() -> None:
    assert ANYWHERE - {pair for case in TEXTS for pair in found_in(case).items()} == set()


def test_every_difference_has_a_reason_and_a_text() -> None:
    labels = {case["label"] for case in TEXTS}
    assert len(labels) == len(TEXTS)
    assert [entry for entry in LISTED if entry["text"] not in {*labels, "any"} or len(entry["reason"]) < 20] == []


def test_datatrove_reaches_every_metric_that_is_its_own() -> None:
    assert set(METRICS) >= COMPARED
    reached = {metric for case in TEXTS for metric in datatrove_values(case["text"], ["the"])}
    assert reached == COMPARED


def test_character_sets_are_datatrove_s() -> None:
    assert set(datatrove_text.PUNCTUATION) == PUNCTUATION
    assert datatrove_text.TERMINAL_PUNCTUATION == TERMINAL
    assert datatrove_text.PUNCTUATION_SET == SYMBOLS


@pytest.fixture(scope="module")
def documents(demo: Output) -> list[dict[str, Any]]:
    """Some documents of the demonstration, 15 a language, as annotated, with the rules that fired."""
    tables = [pq.read_table(demo.annotated(shard)) for shard in demo.shards()]
    fired = {row["id"]: row["rules_fired"] for row in read_decisions(demo, "main").to_pylist()}
    chosen, taken = [], Counter[str]()
    for row in pa.concat_tables(tables).to_pylist():
        taken[row["label"]] += 1
        if taken[row["label"]] <= 15:
            chosen.append(row | {"rules_fired": fired[row["id"]]})
    return chosen


def test_stored_metrics_of_the_demonstration_are_datatrove_s(documents: list[dict[str, Any]]) -> None:
    found = []
    for row in documents:
        stop_words = list(load_language_config(row["label"]).stop_words)
        theirs = datatrove_values(row["text"], stop_words)
        if not stop_words:
            del theirs["stop_word_count"]  # without a list ours is undefined, theirs 0
        found += [(row["id"], *item) for item in differences(theirs, row).items() - ANYWHERE]
    assert len({row["label"].partition("_")[2] for row in documents}) >= 10
    assert found == []


def test_verdicts_on_the_demonstration_are_those_of_datatrove_s_filters(documents: list[dict[str, Any]]) -> None:
    wrong, dropped = [], set()
    for row in documents:
        reason = datatrove_reason(row["text"], load_language_config(row["label"]))
        fired = COMPARED.intersection(row["rules_fired"])
        if bool(fired) != (reason is not None) or (reason is not None and reason not in fired):
            wrong.append((row["id"], row["label"], reason, fired))
        dropped.add(reason)
    assert wrong == []
    assert len(dropped) >= 4  # kept, and some rules on either side
