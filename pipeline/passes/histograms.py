"""The report's histograms: for each language, each metric that has a rule, with the rule's bounds marked."""

from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from pipeline.config import LanguageConfig
from pipeline.execution.manifests import read_json
from pipeline.passes.layout import Layout
from pipeline.passes.survey import read_histograms
from pipeline.stages.histogram import BINS, NULL, OVER, UNDER, Counts, bounds_of, cells_of, edges_of, removed_range

TEMPLATE = Path(__file__).with_name("histograms.html.j2")
LANGUAGES = 50  # shown, those with most documents first: a page must still open
BINS_A_BAR = 4
HEIGHT = 40  # of a drawing that is BINS wide


def histogram_section(layout: Layout, selection: str) -> str:
    """A piece of HTML for the report of a selection, drawings in it as SVG."""
    folder = layout.selection(selection)
    manifest = read_json(folder / "manifest.json")
    histograms = read_histograms(folder / "histograms.parquet")
    documents = {label: sum(fates.values()) for label, fates in manifest["fates"].items()}
    shown = sorted(documents, key=lambda label: (-documents[label], label))[:LANGUAGES]
    languages = []
    for label in shown:
        language = LanguageConfig.model_validate(manifest["language_configs"][label])
        drawings = [
            _drawing(metric, histograms[label, metric], *rule.interval())
            for metric, rule in language.active_rules().items()
        ]
        languages.append({"label": label, "documents": documents[label], "drawings": drawings})
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    facts = {"languages": languages, "hidden": len(documents) - len(shown), "width": BINS, "height": HEIGHT}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts)


def _drawing(metric: str, counts: Counts, low: float, high: float) -> dict[str, Any]:
    """One metric: bars as a path, bounds as places from 0 to BINS, and how many documents each removes."""
    bars = counts[UNDER + 1 : OVER].reshape(-1, BINS_A_BAR).sum(axis=1)
    heights = np.round(HEIGHT * np.sqrt(bars / max(1, bars.max())), 1)  # square roots: the tails show
    path = "".join(
        f"M{bar * BINS_A_BAR} {HEIGHT}v{-height:g}h{BINS_A_BAR}v{height:g}"
        for bar, height in enumerate(heights)
        if height
    )
    edges = edges_of(metric)
    marks = []
    for side, bound in (("min", low), ("max", high)):
        if np.isfinite(bound):
            at_least, at_most = removed_range(metric, counts, side, bound)
            removed = f"{at_least}" if at_least == at_most else f"{at_least} to {at_most}"
            marks.append({"side": side, "bound": f"{bound:g}", "place": _place(metric, bound), "removed": removed})
    return {
        "metric": metric,
        "path": path,
        "marks": marks,
        "first": f"{edges[0]:g}",
        "last": f"{edges[-1]:g}",
        "under": int(counts[UNDER]),
        "over": int(counts[OVER]),
        "nulls": int(counts[NULL]),
    }


def _place(metric: str, value: float) -> float:
    """Where a value lies on the axis, 0 to BINS; linear inside its bin."""
    cell = int(cells_of(metric, np.array([value]))[0])
    if cell in (UNDER, OVER):
        return 0.0 if cell == UNDER else float(BINS)
    low, high = bounds_of(metric, cell)
    return round(cell - 1 + (value - low) / (high - low), 1)
