"""survey: the histograms of every metric by label, and percentile bounds turned into numbers.

Takes the metric columns of `annotated/` and gives what tuning, the report and percentile rules need. It depends on no
rule, so a changed threshold finds it done.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline.config.run_settings import (
    LanguageConfig,
    OffRule,
    Percentile,
    Rule,
    RunConfig,
    fingerprint,
    load_language_config,
)
from pipeline.errors import ConfigError, InputError
from pipeline.execution.commit import committed, finished, read_json, write_json
from pipeline.execution.storage import Location, remove_tree
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.grouped_parquet import read_file
from pipeline.output.layout import Layout, batches
from pipeline.rules.fired import check_rules, percentile_of
from pipeline.rules.histogram import (
    HOST_BOILERPLATE,
    MEASURED,
    NULL,
    OVER,
    UNDER,
    Counts,
    add,
    cell_of_rank,
    cells_of,
    histograms_of,
    rank_of,
    values_of,
)
from pipeline.stages.score_perplexity import MODELS

FORMAT = 2
PERCENTILE = "perplexity_percentile"  # the one metric that is computed here, so that recalibrating is cheap
Histograms = dict[tuple[str, str], Counts]  # (label, metric) -> counts
Cell = tuple[str, str, int]  # label, metric, cell


@dataclass(frozen=True)
class Bound:
    """What became of a percentile bound: its value, or None where the label has too few documents."""

    label: str
    metric: str
    side: str
    percentile: float
    documents: int  # that have the metric
    value: float | None


@dataclass(frozen=True)
class Rules:
    """The rules of every label that was found, each bound a number, and what became of percentile bounds."""

    languages: dict[str, LanguageConfig]
    percentiles: list[Bound]


def reference_of(label: str, models: str) -> np.ndarray | None:
    """The 101 percentiles of perplexity in a language's reference text; None without a model."""
    path = _calibration(label, models)
    return np.array(read_json(path)["percentiles"], dtype=np.float64) if path.exists() else None


def calibrations(labels: Iterable[str], models: str) -> dict[str, Any]:
    """What perplexity_percentile depends on besides the stored perplexity, for a fingerprint."""
    paths = {label: _calibration(label, models) for label in labels}
    return {label: read_json(path) for label, path in paths.items() if path.exists()}


def _calibration(label: str, models: str) -> Path:
    return (Path(models) if models else MODELS) / label / "calibration.json"


def measured(
    layout: Layout,
    shard: str,
    models: str,
    columns: Iterable[str] = (),
    metrics: Sequence[str] = MEASURED,
    host_lines: bool = False,
) -> pa.Table:
    """Label, `metrics` and further `columns` of the documents of a shard, in row order.

    The metric of host_lines is null unless `host_lines` says that it was measured.
    """
    stored = ["perplexity" if metric == PERCENTILE else metric for metric in metrics if metric != HOST_BOILERPLATE]
    table = read_file(layout.annotated(shard), list(dict.fromkeys(["label", *stored, *columns])))
    if HOST_BOILERPLATE in metrics:
        found = pa.nulls(table.num_rows, pa.float64())
        if host_lines:
            found = read_file(layout.host_lines(shard), [HOST_BOILERPLATE])[HOST_BOILERPLATE]
        table = table.append_column(HOST_BOILERPLATE, found)
    if PERCENTILE not in metrics:
        return table
    labels = table["label"].to_numpy(zero_copy_only=False)
    perplexity = values_of(table, "perplexity")
    percentile = np.full(table.num_rows, np.nan)
    for label in np.unique(labels):
        if (reference := reference_of(label, models)) is not None:
            rows = labels == label
            percentile[rows] = percentile_of(perplexity[rows], reference)
    return table.append_column(PERCENTILE, pa.array(percentile, from_pandas=True))


def survey(config: RunConfig, layout: Layout, executor: Executor) -> Histograms:
    """The histograms of all documents; batches that were surveyed before are not read again."""
    manifests = layout.manifests()
    labels = sorted({label for manifest in manifests for label in manifest["rows_by_label"]})
    key = fingerprint(
        [
            FORMAT,
            config.dedup.batch_shards,
            [one["sha256"]["annotated"] for one in manifests],
            calibrations(labels, config.models),
        ]
    )
    of_batches = batches(layout.shards(), config.dedup.batch_shards)
    if finished(layout.histogram_index, key) is None:
        remove_tree(layout.histogram_index.parent)
        arguments = [(config, layout, number, shards) for number, shards in enumerate(of_batches)]
        run_all(executor, survey_batch, arguments)
        write_json(layout.histogram_index, {"fingerprint": key, "batches": len(of_batches)})
    return surveyed(layout)


def surveyed(layout: Layout) -> Histograms:
    """The histograms of all documents of a run. Raises InputError where there are none yet."""
    if not layout.histogram_index.exists():
        raise InputError(f"{layout.root}: no histograms yet; `glotmill run` or `glotmill select` makes them")
    total: Histograms = {}
    for number in range(read_json(layout.histogram_index)["batches"]):
        add(total, read_histograms(layout.histograms(number)))
    return total


def survey_batch(config: RunConfig, layout: Layout, batch: int, shards: list[str]) -> None:
    """Write the histograms of a batch, a shard in memory at a time."""
    total: Histograms = {}
    for shard in shards:
        add(total, histograms_of(measured(layout, shard, config.models)))
    write_histograms(layout.histograms(batch), total)


def write_histograms(path: Location, histograms: Histograms) -> None:
    """One row a label and metric, sorted by both; edges are `histogram.edges_of(metric)`."""
    keys = sorted(histograms)
    cells = np.array([histograms[key] for key in keys], dtype=np.int64).reshape(len(keys), NULL + 1)
    table = pa.table(
        {
            "label": pa.array([label for label, _ in keys], type=pa.string()),
            "metric": pa.array([metric for _, metric in keys], type=pa.string()),
            "underflow": cells[:, UNDER],
            "overflow": cells[:, OVER],
            "nulls": cells[:, NULL],
            "counts": pa.FixedSizeListArray.from_arrays(cells[:, 1:OVER].ravel(), OVER - 1),
        }
    )
    with committed(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_histograms(path: Location) -> Histograms:
    """What `write_histograms` wrote: (label, metric) -> counts, underflow first, then 256 bins, overflow, nulls."""
    table = read_file(path)
    bins = table["counts"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, OVER - 1)
    sides = [table[name].to_numpy() for name in ("underflow", "overflow", "nulls")]
    cells = np.column_stack([sides[0], bins, sides[1], sides[2]])
    keys = zip(table["label"].to_pylist(), table["metric"].to_pylist(), strict=True)
    return dict(zip(keys, cells, strict=True))


def resolve_rules(
    config: RunConfig,
    layout: Layout,
    executor: Executor,
    overrides: dict[str, Any],
    histograms: Histograms,
    host_lines: bool = False,
) -> Rules:
    """The rules of every label that was found, with percentile bounds replaced by values of the run's documents.

    The population are all documents of the label that have the metric, n of them; percentile p is the value of rank
    p * n / 100, rounded up, in ascending order (nearest rank: no interpolation, so the bound is a value that occurs).
    The histogram names the bin with that rank and only the values of that bin are then gathered, so that the bound is
    exact for a label of any size. A label with fewer than `select.percentile_documents` gets no such bound; none has
    one on the metric of host_lines unless `host_lines` says that the pass is done. Raises
    ConfigError for a rule on an unknown metric, or whose bounds cross once they are numbers.
    """
    labels = sorted({label for label, _ in histograms})
    folder = Path(config.language_configs) if config.language_configs else None
    languages = {label: load_language_config(label, folder, overrides) for label in labels}
    bounds: list[Bound] = []
    wanted: dict[int, tuple[Cell, int]] = {}  # place in bounds -> cell, and rank inside it
    for label, language in languages.items():
        check_rules(language, config.host_lines.enabled)
        for metric, side, percentile in percentile_bounds(language):
            counts = histograms[label, metric]
            documents = int(counts[:NULL].sum())
            if documents >= config.select.percentile_documents:
                cell, rank = cell_of_rank(counts, rank_of(percentile, documents))
                wanted[len(bounds)] = (label, metric, cell), rank
            bounds.append(Bound(label, metric, side, percentile, documents, None))
    if wanted:
        cells = sorted({cell for cell, _ in wanted.values()})
        of_batches = batches(layout.shards(), config.dedup.batch_shards)
        arguments = [(config, layout, shards, cells, host_lines) for shards in of_batches]
        pieces = run_all(executor, values_in_cells, arguments)
        for place, (where, rank) in wanted.items():
            values = np.concatenate([piece[where][0] for piece in pieces])
            order = np.argsort(values, kind="stable")
            reached = np.cumsum(np.concatenate([piece[where][1] for piece in pieces])[order])
            bounds[place] = replace(bounds[place], value=float(values[order][np.searchsorted(reached, rank)]))
    return Rules({label: bounded(language, bounds) for label, language in languages.items()}, bounds)


def percentile_bounds(language: LanguageConfig) -> list[tuple[str, str, float]]:
    """(metric, side, percentile) of every bound that is a percentile."""
    return [
        (metric, side, bound.percentile)
        for metric, rule in language.active_rules().items()
        for side, bound in (("min", rule.min), ("max", rule.max))
        if isinstance(bound, Percentile)
    ]


def values_in_cells(
    config: RunConfig, layout: Layout, shards: list[str], cells: Sequence[Cell], host_lines: bool = False
) -> dict[Cell, tuple[np.ndarray, np.ndarray]]:
    """The distinct values of a batch in each cell, ascending, and how often each occurs."""
    found: dict[Cell, list[np.ndarray]] = {cell: [] for cell in cells}
    metrics = sorted({metric for _, metric, _ in cells})
    for shard in shards:
        table = measured(layout, shard, config.models, metrics=metrics, host_lines=host_lines)
        labels = table["label"].to_numpy(zero_copy_only=False)
        for (label, metric, cell), parts in found.items():
            values = values_of(table, metric)[labels == label]
            parts.append(values[cells_of(metric, values) == cell])
    return {cell: np.unique(np.concatenate(parts), return_counts=True) for cell, parts in found.items()}


def bounded(language: LanguageConfig, bounds: Iterable[Bound]) -> LanguageConfig:
    """The language with its percentile bounds replaced by their values; a bound without a value goes."""
    rules: dict[str, Rule | OffRule] = dict(language.rules)
    for one in bounds:
        if one.label != language.label:
            continue
        rule = rules[one.metric]
        found = f"percentile {one.percentile:g} of {one.documents} documents"
        if one.value is None:
            found = f"no {one.side}, too few for percentile {one.percentile:g}: {one.documents} documents"
        source = f"{rule.source}; {found}" if rule.source else found
        values = rule.model_dump() | {one.side: one.value, "source": source}
        try:
            empty = values["min"] is None and values["max"] is None
            rules[one.metric] = OffRule(off=True, source=source) if empty else Rule.model_validate(values)
        except ValidationError as error:
            where = f"{language.origins.get(one.metric, '')}: {language.label}: rules.{one.metric} ({found})"
            raise ConfigError(f"{where}: {error.errors()[0]['msg']}") from None
    return language.model_copy(update={"rules": rules})
