"""The whole pipeline on one screen.

A run does PASSES, one after the other, each on the whole output. The first, annotate, has a task for each input file:
a reader (`pipeline/readers/`) gives a row for each record, and STAGES append columns to tables of these rows and drop
what cannot be used. The other passes read what was measured, and write what follows from it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pipeline.config.run_settings import RunConfig
from pipeline.execution.commit import write_manifest
from pipeline.output.baselines import configured_baselines
from pipeline.output.document_index import build_document_index
from pipeline.output.layout import shard_groups
from pipeline.passes.annotate.shards import annotate_shards, refuse_missing
from pipeline.passes.audit import audit
from pipeline.passes.boilerplate.boilerplate import BoilerplateSettings, find_boilerplate
from pipeline.passes.deduplicate.deduplicate import DeduplicateSettings, deduplicate
from pipeline.passes.rebalance.rebalance import rebalance
from pipeline.passes.run_state import RunState
from pipeline.passes.select.select import select
from pipeline.passes.select.settings import SelectionSettings
from pipeline.passes.statistics import StatisticsSettings, compute_statistics, resolve_rules
from pipeline.report.page import write_report
from pipeline.stages.block_urls import BlockUrls
from pipeline.stages.contract import StageClass
from pipeline.stages.extract_text import ExtractText
from pipeline.stages.find_edits import FindEdits
from pipeline.stages.identify_language import IdentifyLanguage
from pipeline.stages.measure_quality import MeasureQuality
from pipeline.stages.score_perplexity import ScorePerplexity
from pipeline.stages.sign_documents import SignDocuments

STAGES: tuple[StageClass, ...] = (
    BlockUrls,  # URL -> nothing; drops what is on a block list
    ExtractText,  # payload -> text, what the page declares about itself, its encoding; and the text to be measured
    IdentifyLanguage,  # measured text -> label, score, script
    MeasureQuality,  # measured text -> metrics
    FindEdits,  # text -> pieces that are replaced or left out when it is written
    SignDocuments,  # measured text, id, URL -> MinHash signature and hashes
    ScorePerplexity,  # measured text -> perplexity, in languages that have a model
)  # stages of the user's own (`[[stages]]`) follow


@dataclass(frozen=True)
class Pass:
    """A pass over the whole output: its name in progress and logs, what it does, and when it is part of a run."""

    name: str
    does: str
    run: Callable[[RunState], None]
    is_wanted: Callable[[RunConfig], bool] = lambda config: True


def _annotate(state: RunState) -> None:
    config, output = state.config, state.output
    missing = annotate_shards(config, output, STAGES, state.inputs, state.skipped, state.executor, state.progress)
    ended = msgspec.structs.replace(
        output.plan,
        shard_group_count=len(shard_groups(list(state.inputs), config.dedup.shard_group_size)),
        missing=missing,
        accept_missing=state.accept_missing and bool(missing),
    )
    write_manifest(output.run, ended)
    refuse_missing(output, state.accept_missing)


def _index_documents(state: RunState) -> None:
    build_document_index(state.output, state.config.dedup.shard_group_size, state.executor)


def _statistics(state: RunState) -> None:
    settings = StatisticsSettings.of(state.config, state.rule_overrides)
    state.histograms = compute_statistics(settings, state.output, state.executor)
    state.rules = resolve_rules(settings, state.output, state.executor, state.histograms)


def _deduplicate(state: RunState) -> None:
    settings, baselines = DeduplicateSettings.of(state.config), configured_baselines(state.config)
    deduplicate(settings, state.output, state.executor, state.resolved_rules.languages, baselines)


def _boilerplate(state: RunState) -> None:
    state.histograms |= find_boilerplate(BoilerplateSettings.of(state.config), state.output, state.executor)
    settings = StatisticsSettings.of(state.config, state.rule_overrides)
    state.rules = resolve_rules(settings, state.output, state.executor, state.histograms, boilerplate_is_measured=True)


def _select(state: RunState) -> None:
    settings, baselines = SelectionSettings.of(state.config), configured_baselines(state.config)
    select(settings, state.output, state.executor, state.resolved_rules, state.histograms, baselines)


def _rebalance(state: RunState) -> None:
    rebalance(state.config.rebalance, state.output.selection(state.config.selection), state.executor)


def _audit(state: RunState) -> None:
    audit(state.output, state.config.selection, checksums=False)


def _report(state: RunState) -> None:
    write_report(state.output, state.config.selection)


def _looks_for_boilerplate(config: RunConfig) -> bool:
    return config.boilerplate.enabled


ANNOTATE = Pass("annotate", "each input through the reader and the stages: annotated/ and dropped/", _annotate)
PASSES: tuple[Pass, ...] = (
    ANNOTATE,
    Pass(
        "index documents",
        "hashes of ids, URLs and domains, by which documents are found: document_index/",
        _index_documents,
    ),
    Pass("statistics", "histograms of every metric, and percentile bounds as numbers: histograms/", _statistics),
    Pass("deduplicate", "clusters of near duplicates: signatures/ and clusters/", _deduplicate),
    Pass("boilerplate", "lines that repeat across a host: boilerplate/", _boilerplate, _looks_for_boilerplate),
    Pass("select", "rules, kept documents and clean text: selections/<name>/", _select),
    Pass("rebalance", "the data mixture of the run's own weights: mixtures/<weights>.json", _rebalance),
    Pass("audit", "the accounts of bytes, records and outcomes, which must agree", _audit),
    Pass("report", "the report, and the dataset card", _report),
)
