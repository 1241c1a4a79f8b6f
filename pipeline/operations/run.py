"""run and select: the passes of the plan, in order, on one output folder."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import differences
from pipeline.config.language_files import load_language_config
from pipeline.config.run_settings import RunConfig
from pipeline.config.user_stages import known_metrics
from pipeline.errors import ConfigError, PipelineError
from pipeline.execution.commit import write_manifest
from pipeline.execution.executors import make_executor
from pipeline.execution.inputs import resolve_inputs
from pipeline.execution.lock import sole_run
from pipeline.execution.progress import Progress, silent
from pipeline.execution.storage import check_reachable, locate_output
from pipeline.output.baselines import configured_baselines
from pipeline.output.output import Output
from pipeline.passes.annotate.shards import quarantined_inputs, refuse_missing
from pipeline.passes.run_state import RunState
from pipeline.passes.select.decontaminate import items_of
from pipeline.plan import ANNOTATE, PASSES, Pass
from pipeline.rules.fired import check_rules
from pipeline.schema.manifests import OUTPUT_FORMAT, RunPlan
from pipeline.text.language.identifiers import LanguageIdentifier


def check(
    config: RunConfig, rule_overrides: dict[str, Any] | None = None, may_be_absent: Collection[str] = ()
) -> list[str]:
    """Everything that can be refused before any work: inputs, output, models, stages, language files, baselines.

    Returns the inputs. Raises ConfigError, InputError or ModelError, which say what to change.
    """
    if not config.output:
        raise ConfigError('no output: give --output FOLDER or `output = "..."` in the config')
    check_reachable(locate_output(config.output))
    metrics = known_metrics(config.stages)
    configured_baselines(config)
    for evaluation_set in config.select.decontaminate.files if config.select.decontaminate else ():
        items_of(evaluation_set)
    inputs = resolve_inputs(config.inputs, config.inputs_prefix, may_be_absent)
    LanguageIdentifier(name=config.lid.model).identify(["glotmill"])
    folder = Path(config.language_configs) if config.language_configs else None
    for label in ("default", *config.languages.include):
        check_rules(load_language_config(label, folder, rule_overrides), metrics, config.boilerplate.enabled)
    return inputs


def run(
    config: RunConfig,
    rule_overrides: dict[str, Any] | None = None,
    progress: Progress = silent,
    accept_missing: bool = False,
    force: bool = False,
) -> Output:
    """Run all passes; what is done with the same settings is not done again. Returns the output.

    A shard that fails every attempt is quarantined. Then MissingError is raised after annotate; with `accept_missing`
    the other passes go on without it, and it is not tried again. Raises ConfigError where the settings would make every
    file be annotated again, unless `force` is given, FormatError where another version wrote the output, and BusyError
    when another run has it.
    """
    output = Output(locate_output(config.output))
    if output.run.exists():
        output.check_format()
    skipped = quarantined_inputs(config, output) if accept_missing else set()
    inputs = check(config, rule_overrides, skipped)
    state = annotate_state(config)
    if output.run.exists() and not force:
        _refuse_changes(output, output.plan.annotate, state)
    plan = RunPlan(
        format=OUTPUT_FORMAT,
        inputs=inputs,
        annotate=state,
        config=config.model_dump(mode="json", exclude={"output", "executor", "workers"}),
        rule_overrides=rule_overrides or {},
    )
    with sole_run(output.root):
        write_manifest(output.run, plan)
        _run_passes(PASSES, config, output, plan.rule_overrides, progress, inputs, skipped, accept_missing)
    return output


def reselect(config: RunConfig, output: Output, rule_overrides: dict[str, Any], accept_missing: bool = False) -> None:
    """Another selection from the same measurements: no input is read.

    Raises PipelineError when annotate has not ended, MissingError when shards are quarantined and not accepted.
    """
    if unfinished := output.unfinished():
        raise PipelineError(
            f"{output.root}: {len(unfinished)} shards are not annotated yet, such as {unfinished[0]}; "
            "end `glotmill run` first"
        )
    refuse_missing(output, accept_missing)
    with sole_run(output.root):
        _run_passes([one for one in PASSES if one is not ANNOTATE], config, output, rule_overrides)


def _run_passes(
    passes: Sequence[Pass],
    config: RunConfig,
    output: Output,
    rule_overrides: dict[str, Any],
    progress: Progress = silent,
    inputs: Sequence[str] = (),
    skipped: Collection[str] = (),
    accept_missing: bool = False,
) -> None:
    """Run those of the passes that the config wants; annotate counts its progress in shards, the others as a whole."""
    executor = make_executor(config.executor, config.workers, config.execution.task_memory_bytes)
    state = RunState(config, output, executor, rule_overrides, inputs, skipped, accept_missing, progress)
    try:
        for next_pass in passes:
            if not next_pass.is_wanted(config):
                continue
            if next_pass is not ANNOTATE:
                progress(next_pass.name, 0, 1)
            next_pass.run(state)
            if next_pass is not ANNOTATE:
                progress(next_pass.name, 1, 1)
    finally:
        executor.close()


def _refuse_changes(output: Output, before: dict[str, Any], now: dict[str, Any]) -> None:
    if changes := differences(before, now):
        raise ConfigError(
            f"{output.root} was annotated with other settings, columns or versions of libraries; give another "
            "--output, or --force to read every input again:\n" + "\n".join(changes)
        )
