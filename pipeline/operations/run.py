"""run and select: the passes of the plan, in order, on one output folder."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import differences
from pipeline.config.language_files import load_language_config
from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError, PipelineError
from pipeline.execution.commit import write_manifest
from pipeline.execution.executors import make_executor
from pipeline.execution.inputs import resolve_inputs
from pipeline.execution.lock import sole_run
from pipeline.execution.progress import Progress, silent
from pipeline.execution.storage import check_reachable, locate_output
from pipeline.execution.tasks import Executor
from pipeline.operations.audit import audit
from pipeline.output.baselines import open_baselines
from pipeline.output.document_index import build_document_index
from pipeline.output.layout import shard_groups
from pipeline.output.output import Output
from pipeline.passes.annotate.shards import annotate_shards, quarantined, refuse_missing
from pipeline.passes.boilerplate.boilerplate import find_boilerplate
from pipeline.passes.deduplicate.deduplicate import deduplicate
from pipeline.passes.rebalance.rebalance import rebalance
from pipeline.passes.select.decontaminate import items_of
from pipeline.passes.select.select import select
from pipeline.passes.statistics import compute_statistics, resolve_rules
from pipeline.report.page import write_report
from pipeline.rules.fired import check_rules
from pipeline.schema.manifests import OUTPUT_FORMAT, RunPlan

logger = logging.getLogger(__name__)


def check(
    config: RunConfig, rule_overrides: dict[str, Any] | None = None, may_be_absent: Collection[str] = ()
) -> list[str]:
    """Everything that can be refused before any work: inputs, output, models, language files. Returns the inputs."""
    if not config.output:
        raise ConfigError('no output: give --output FOLDER or `output = "..."` in the config')
    check_reachable(locate_output(config.output))
    open_baselines(config)
    for one in config.select.decontaminate.files if config.select.decontaminate else ():
        items_of(one)
    inputs = resolve_inputs(config.inputs, config.inputs_prefix, may_be_absent)
    from pipeline.text.language.identifiers import LanguageIdentifier

    LanguageIdentifier(name=config.lid.model).identify(["glotmill"])
    folder = Path(config.language_configs) if config.language_configs else None
    for label in ("default", *config.languages.include):
        check_rules(load_language_config(label, folder, rule_overrides), config.boilerplate.enabled)
    return inputs


def run(
    config: RunConfig,
    rule_overrides: dict[str, Any] | None = None,
    progress: Progress = silent,
    accept_missing: bool = False,
    force: bool = False,
) -> Output:
    """Run all passes; what is done with the same settings is not done again. Returns the output's layout.

    A shard that fails every attempt is quarantined. Then MissingError is raised after annotate; with `accept_missing`
    the other passes go on without it, and it is not tried again. Raises ConfigError where the settings would make every
    file be annotated again, unless `force` is given, and BusyError when another run has the output.
    """
    layout = Output(locate_output(config.output))
    if layout.run.exists():
        layout.check_format()
    skipped = quarantined(config, layout) if accept_missing else set()
    inputs = check(config, rule_overrides, skipped)
    state = annotate_state(config)
    if layout.run.exists() and not force:
        _refuse_changes(layout, layout.plan.annotate, state)
    plan = RunPlan(
        format=OUTPUT_FORMAT,
        inputs=inputs,
        annotate=state,
        config=config.model_dump(mode="json", exclude={"output", "executor", "workers"}),
        rule_overrides=rule_overrides or {},
    )
    with sole_run(layout.root):
        write_manifest(layout.run, plan)
        executor = make_executor(config.executor, config.workers, config.execution.task_memory_bytes)
        try:
            missing = annotate_shards(config, layout, inputs, skipped, executor, progress)
            plan = msgspec.structs.replace(
                plan,
                shard_group_count=len(shard_groups(inputs, config.dedup.shard_group_size)),
                missing=missing,
                accept_missing=accept_missing and bool(missing),
            )
            write_manifest(layout.run, plan)
            refuse_missing(layout, accept_missing)
            _after_annotate(config, layout, executor, rule_overrides or {}, progress)
        finally:
            executor.close()
    return layout


def reselect(config: RunConfig, layout: Output, rule_overrides: dict[str, Any], accept_missing: bool = False) -> None:
    """Another selection from the same measurements: no WARC is read.

    Raises PipelineError when annotate has not ended, MissingError when shards are quarantined and not accepted.
    """
    if unfinished := layout.unfinished():
        raise PipelineError(
            f"{layout.root}: {len(unfinished)} shards are not annotated yet, such as {unfinished[0]}; "
            "end `glotmill run` first"
        )
    refuse_missing(layout, accept_missing)
    with sole_run(layout.root):
        executor = make_executor(config.executor, config.workers, config.execution.task_memory_bytes)
        try:
            _after_annotate(config, layout, executor, rule_overrides, silent)
        finally:
            executor.close()


def _after_annotate(
    config: RunConfig, layout: Output, executor: Executor, rule_overrides: dict[str, Any], tell: Progress
) -> None:
    """compute_statistics, then the rules with percentiles as numbers; deduplicate, whose population rules may bound;
    boilerplate, whose metric rules may bound; select."""
    build_document_index(config, layout, executor)
    tell("compute_statistics", 0, 1)
    histograms = compute_statistics(config, layout, executor)
    rules = resolve_rules(config, layout, executor, rule_overrides, histograms)
    tell("compute_statistics", 1, 1)
    tell("deduplicate", 0, 1)
    deduplicate(config, layout, executor, rules.languages)
    tell("deduplicate", 1, 1)
    if config.boilerplate.enabled:
        tell("boilerplate", 0, 1)
        histograms |= find_boilerplate(config, layout, executor)
        rules = resolve_rules(config, layout, executor, rule_overrides, histograms, boilerplate=True)
        tell("boilerplate", 1, 1)
    tell("select", 0, 1)
    select(config, layout, executor, rules, histograms)
    tell("select", 1, 1)
    tell("rebalance", 0, 1)
    rebalance(config.rebalance, layout.selection(config.selection), executor)
    tell("rebalance", 1, 1)
    audit(layout, config.selection, checksums=False)
    write_report(layout, config.selection)


def _refuse_changes(layout: Output, before: dict[str, Any], now: dict[str, Any]) -> None:
    if changes := differences(before, now):
        raise ConfigError(
            f"{layout.root} was annotated otherwise; give another --output, or --force to read every input again:\n"
            + "\n".join(changes)
        )
