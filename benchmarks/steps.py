"""annotate by step, and beside the least that anyone pays: reading with fastwarc, main text with resiliparse."""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastwarc.warc import ArchiveIterator
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.measuring import cpu, print_table
from benchmarks.pages import cuts, html_of, kilobytes_a_page
from pipeline.config.reading import load_run_config
from pipeline.output.layout import Layout
from pipeline.passes.annotate.shard import AnnotateTask, annotate_shard
from pipeline.passes.annotate.step_clock import StepClock
from pipeline.plan import STAGES

LEAST = "fastwarc and resiliparse alone"
RATIO = "all but perplexity, times that"


def measure(files: Sequence[Path], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """annotate by step, its child apart, slope between few pages and many; the steps add up to the whole."""
    few, many = options.pages
    result: dict[str, dict[str, float]] = {}
    rows: dict[str, list[str]] = defaultdict(list)
    names: list[str] = []
    for name, warcs in cuts(files, (few, many), folder).items():
        annotate(warcs[0], folder / f"steps-{warcs[0].stem}")  # loads models and kernels
        rounds: dict[str, list[float]] = defaultdict(list)
        for number in range(options.rounds):
            low, high = (annotate(warc, folder / f"steps-{number}-{warc.stem}") for warc in warcs)
            low[LEAST], high[LEAST] = (least(warc) for warc in warcs)
            for step, seconds in high.items():
                rounds[step].append(1e3 * (seconds - low[step]) / (many - few))
        cost = {step: statistics.median(values) for step, values in rounds.items()}
        floor, whole = cost.pop(LEAST), sum(cost.values())
        figures = cost | {"sum": whole, LEAST: floor, RATIO: (whole - cost["score_perplexity"]) / floor}
        for step, value in figures.items():
            rows[step].append(f"{value:.2f}")
        names.append(f"{name}, {kilobytes_a_page(warcs[1]):.0f} kB")
        result[name] = cost | {LEAST: floor}
    title = f"annotate by step, ms a page, slope between {few} and {many} pages, median of {options.rounds} rounds"
    print_table(title, ["step", *names], [[step, *values] for step, values in rows.items()])
    return result


def annotate(warc: Path, out: Path) -> dict[str, float]:
    """CPU seconds of annotate by step, with the child that extracts as one of them."""
    config = load_run_config(None, {"inputs": [str(warc)]})
    clock = StepClock()
    annotate_shard(AnnotateTask(config, STAGES, str(warc), Layout(out)), clock)
    return clock.seconds


def least(warc: Path) -> float:
    """CPU seconds of reading the records and of resiliparse's main text, the pages' decoding not counted."""
    pages = list(html_of(warc))
    return cpu(lambda: read(warc)) + cpu(lambda: [extract_plain_text(page, main_content=True) for page in pages])


def read(warc: Path) -> None:
    """Every record's content, with fastwarc."""
    with warc.open("rb") as file:
        for record in ArchiveIterator(file):
            record.reader.read()
