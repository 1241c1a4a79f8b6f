"""The report's histograms: for each language, each metric that has a rule, with the rule's bounds marked."""

from dataclasses import dataclass

import numpy as np

from pipeline.config.language_files import LanguageConfig
from pipeline.config.user_stages import known_metrics
from pipeline.output.histograms import read_histograms
from pipeline.output.output import Output
from pipeline.output.selection import SelectionFolder
from pipeline.report.templates import render
from pipeline.rules.histogram import BINS, NULL, OVER, UNDER, Counts, bounds_of, cells_of, edges_of, removed_range
from pipeline.schema.metrics import MetricColumn

LANGUAGES = 50  # shown, those with most documents first: a page must still open
BINS_A_BAR = 4
HEIGHT = 40  # of a drawing that is BINS wide


@dataclass(frozen=True, slots=True)
class Mark:
    """A bound of a rule."""

    side: str  # min or max
    bound: str
    position: float  # on the axis, 0 to BINS
    removed: str  # how many documents, a range where the bound lies inside a bin


@dataclass(frozen=True, slots=True)
class Drawing:
    """One metric. The template finds a field of these faster than a key of a mapping, and there are thousands."""

    metric: str
    path: str  # the bars, in SVG
    marks: list[Mark]
    first: str  # edge of the axis
    last: str
    under: int  # documents beside the axis
    over: int
    nulls: int


@dataclass(frozen=True)
class LanguageDrawings:
    """The metrics of a language that have a rule, in the order of the rules."""

    label: str
    documents: int
    drawings: list[Drawing]


def histogram_section(output: Output, selection: str) -> str:
    """A piece of HTML for the report of a selection, drawings in it as SVG."""
    manifest = output.selection_manifest(selection)
    histograms = read_histograms(SelectionFolder(output.selection(selection)).histograms)
    documents = {label: sum(outcomes.values()) for label, outcomes in manifest.outcomes.items()}
    shown = sorted(documents, key=lambda label: (-documents[label], label))[:LANGUAGES]
    metrics = known_metrics(output.config().stages)
    languages = []
    for label in shown:
        language = LanguageConfig.model_validate(manifest.language_configs[label])
        drawings = [
            _drawing(metrics[metric], histograms[label, metric], *rule.interval())
            for metric, rule in language.active_rules().items()
        ]
        languages.append(LanguageDrawings(label, documents[label], drawings))
    facts = {"languages": languages, "hidden": len(documents) - len(shown), "width": BINS, "height": HEIGHT}
    return render("histograms.html.j2", facts, trim_blocks=True, lstrip_blocks=True)


def _drawing(metric: MetricColumn, counts: Counts, low: float, high: float) -> Drawing:
    bars = counts[UNDER + 1 : OVER].reshape(-1, BINS_A_BAR).sum(axis=1)
    heights = np.round(HEIGHT * np.sqrt(bars / max(1, bars.max())), 1)  # square roots: the tails show
    path = "".join(
        f"M{bar * BINS_A_BAR} {HEIGHT}v{-height:g}h{BINS_A_BAR}v{height:g}"
        for bar, height in enumerate(heights.tolist())
        if height
    )
    edges = edges_of(metric)
    marks = []
    for side, bound in (("min", low), ("max", high)):
        if np.isfinite(bound):
            at_least, at_most = removed_range(metric, counts, side, bound)
            removed = f"{at_least}" if at_least == at_most else f"{at_least} to {at_most}"
            marks.append(Mark(side, f"{bound:g}", _position(metric, bound), removed))
    under, over, nulls = (int(counts[cell]) for cell in (UNDER, OVER, NULL))
    return Drawing(metric.name, path, marks, f"{edges[0]:g}", f"{edges[-1]:g}", under, over, nulls)


def _position(metric: MetricColumn, value: float) -> float:
    """Where a value lies on the axis, 0 to BINS; linear inside its bin."""
    cell = int(cells_of(metric, np.array([value]))[0])
    if cell in (UNDER, OVER):
        return 0.0 if cell == UNDER else float(BINS)
    low, high = bounds_of(metric, cell)
    return round(cell - 1 + (value - low) / (high - low), 1)
