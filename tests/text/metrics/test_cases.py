"""tests/cases/metrics.toml: what each metric gives, by hand, the same in every script."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.text.metrics.contract import METRICS, WordLists, measure
from pipeline.text.metrics.view import TextView

FILE = tomllib.loads((Path(__file__).parents[2] / "cases" / "metrics.toml").read_text(encoding="utf-8"))
SCRIPTS: dict[str, dict[str, Any]] = FILE["scripts"]
GROUPS = {"synthetic", "found", "negative", "known failure"}


def filled(template: str, script: dict[str, Any]) -> str:
    """The template in a script; three dots stay an ellipsis."""
    signs = dict(zip("ABCDEF", script["words"], strict=True)) | {".": script["mark"], "0": script["digit"]}
    return re.sub(r"[A-F0]|(?<!\.)\.(?!\.)", lambda match: signs[match[0]], template)


def cases() -> list[Any]:
    found = []
    for case in FILE["case"]:
        texts = {"": case["text"]}
        if case["group"] == "synthetic":
            texts = {name: filled(case["text"], script) for name, script in SCRIPTS.items()}
        marks = [pytest.mark.xfail(strict=True, reason=case["why"])] if case["group"] == "known failure" else []
        for name, text in texts.items():
            label = f"{case['label']}, {name}" if name else case["label"]
            found.append(pytest.param(name, text, case["expected"], id=label, marks=marks))
    return found


@pytest.mark.parametrize(("script", "text", "expected"), cases())
def test_a_metric_gives_what_was_worked_out_by_hand(script: str, text: str, expected: dict[str, Any]) -> None:
    words = SCRIPTS[script or "Latn"]["words"]
    values = measure(TextView.of(text), WordLists(frozenset({words[0], words[3]}), frozenset({words[1]})))
    shown = {metric: "undefined" if values[metric] is None else values[metric] for metric in expected}
    assert shown == expected


def test_every_metric_has_cases_in_five_scripts_or_more() -> None:
    scripts: dict[str, set[str]] = defaultdict(set)
    for script, _, expected in (case.values for case in cases()):
        for metric in expected:
            scripts[metric].add(script)
    assert {metric: names for metric in METRICS if len(names := scripts[metric] - {""}) < 5} == {}


def test_every_case_says_why_and_is_of_a_known_group() -> None:
    assert {case["group"] for case in FILE["case"]} == GROUPS
    assert [case["label"] for case in FILE["case"] if len(case["why"]) < 10] == []
    assert {len(word) for script in SCRIPTS.values() for word in script["words"]} == {2}
