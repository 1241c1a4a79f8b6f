"""The notebook runs on a real output folder, and its two forms hold the same code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.operations.tune import metric_quantiles, removal_by_threshold, what_if
from pipeline.output.output import Output

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "notebooks" / "tune_thresholds.py"
NOTEBOOK = ROOT / "notebooks" / "tune_thresholds.ipynb"
RUN_CELLS = """
import json, sys
namespace = {"__name__": "__main__"}
for number, cell in enumerate(json.load(open(sys.argv[1], encoding="utf-8"))["cells"]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), namespace)
"""


def notebook() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return loaded


def script_cells() -> list[tuple[str, str]]:
    parts = re.split(r"^# %%(.*)\n", SCRIPT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    cells = []
    for kind, body in zip(parts[::2], parts[1::2], strict=True):
        if "[markdown]" in kind:
            lines = [re.sub(r"^# ?", "", line) for line in body.strip("\n").split("\n")]
            cells.append(("markdown", "\n".join(lines)))
        else:
            cells.append(("code", body.strip("\n")))
    return cells


def test_both_forms_hold_the_same_cells() -> None:
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook()["cells"]]
    assert cells == script_cells()


def test_outputs_are_stripped() -> None:
    code = [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_cells_run_on_the_demo(demo: Output) -> None:
    environment = os.environ | {
        "GLOTMILL_OUTPUT": str(demo.root),
        "GLOTMILL_LANGUAGE": "rus_Cyrl",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN_CELLS, str(NOTEBOOK)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rus_Cyrl: ")
    assert "word_count min" in done.stdout


def test_quantiles_ascend(demo: Output) -> None:
    found = metric_quantiles(demo, "rus_Cyrl")
    assert {"word_count", "language_score"} <= {one.metric for one in found}
    assert all(list(one.values) == sorted(one.values) for one in found)


def test_a_higher_minimum_removes_no_fewer(demo: Output) -> None:
    found = removal_by_threshold(demo, "rus_Cyrl", "word_count", "min", [0, 50, 100, 1e9])
    removed = [one.removed for one in found]
    assert removed == sorted(removed)
    assert removed[0] == 0
    assert removed[-1] == found[-1].documents


def test_what_if_agrees_with_itself(demo: Output) -> None:
    change = what_if(demo, "rus_Cyrl", {"rules": {"word_count": {"min": 1e9, "max": 2e9}}})
    assert change.failed_after == change.documents
    assert change.failed_after == change.failed_before + change.newly_failed - change.newly_passed
    assert change.fired_after["word_count"] == change.documents
