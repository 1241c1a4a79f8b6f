"""The whole pipeline on one screen: annotate, deduplicate, select, rebalance, then the books and the report."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig, load_language_config
from pipeline.errors import ConfigError, PipelineError
from pipeline.execution.executors import make_executor
from pipeline.execution.inputs import resolve_inputs
from pipeline.execution.manifests import read_json, write_json
from pipeline.execution.storage import check_reachable, locate_output
from pipeline.passes.annotate import annotate_shard, annotate_state, shard_name
from pipeline.passes.audit import audit
from pipeline.passes.deduplicate import deduplicate
from pipeline.passes.layout import Layout
from pipeline.passes.lookup import build_lookup
from pipeline.passes.rebalance import rebalance
from pipeline.passes.report import write_report
from pipeline.passes.select import select
from pipeline.stages.decide import check_rules
from pipeline.text.segment import check_segmenter

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


def check(config: RunConfig, rule_overrides: dict[str, Any] | None = None) -> list[str]:
    """Everything that can be refused before any work: inputs, output, models, language files."""
    if not config.output:
        raise ConfigError('no output: give --output FOLDER or `output = "..."` in the config')
    check_reachable(locate_output(config.output))
    inputs = resolve_inputs(config.inputs, config.inputs_prefix)
    from pipeline.text.lid import LanguageIdentifier

    LanguageIdentifier(name=config.lid.model).identify(["glotmill"])
    if config.lid.gate:
        LanguageIdentifier(name=config.lid.gate.model).identify(["glotmill"])
    check_segmenter(config.segmenter, config.languages.include)
    folder = Path(config.language_configs) if config.language_configs else None
    for label in ("default", *config.languages.include):
        check_rules(load_language_config(label, folder, rule_overrides))
    return inputs


def run(
    config: RunConfig,
    rule_overrides: dict[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Layout:
    """Run all passes; what is done with the same settings is not done again. Returns the output's layout.

    Raises ConfigError where the settings would make every file be annotated again, unless `force` is given.
    """
    tell = progress or (lambda what, done, total: None)
    inputs = check(config, rule_overrides)
    layout = Layout(locate_output(config.output))
    state = annotate_state(config)
    if layout.run.exists():
        before = read_json(layout.run)
        changes = differences(before["annotate"], state)
        if changes and not force:
            raise ConfigError(
                f"{layout.root} was annotated otherwise; give another --output, or --force to read every input again:\n"
                + "\n".join(changes)
            )
        if before["inputs"] != inputs:
            logger.info("plan of %s: %d inputs become %d", layout.root, len(before["inputs"]), len(inputs))
    plan = {
        "inputs": inputs,
        "annotate": state,
        "config": config.model_dump(mode="json", exclude={"output", "executor", "workers"}),
        "rule_overrides": rule_overrides or {},
    }
    write_json(layout.run, plan)
    executor = make_executor(config.executor, config.workers)
    try:
        _annotate(config, layout, inputs, executor, tell)
        build_lookup(config, layout, executor)
        tell("deduplicate", 0, 1)
        deduplicate(config, layout, executor)
        tell("deduplicate", 1, 1)
        tell("select", 0, 1)
        select(config, layout, executor, rule_overrides or {})
        tell("select", 1, 1)
    finally:
        executor.close()
    tell("rebalance", 0, 1)
    rebalance(config, layout)
    tell("rebalance", 1, 1)
    audit(layout, config.selection, checksums=False)
    write_report(layout, config.selection)
    return layout


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """A line for each value that is not the same in two nested mappings.

    >>> differences({"lid": {"model": "lid.176"}}, {"lid": {"model": "glotlid"}})
    ['lid.model: lid.176 -> glotlid']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys())
        parts = [differences(before.get(name), after.get(name), f"{key}.{name}".lstrip(".")) for name in names]
        return [line for part in parts for line in part]
    return [] if before == after else [f"{key}: {before} -> {after}"]


def reselect(config: RunConfig, layout: Layout, rule_overrides: dict[str, Any]) -> None:
    """Another selection from the same measurements: no WARC is read."""
    executor = make_executor(config.executor, config.workers)
    try:
        deduplicate(config, layout, executor)
        select(config, layout, executor, rule_overrides)
    finally:
        executor.close()
    rebalance(config, layout)
    audit(layout, config.selection, checksums=False)
    write_report(layout, config.selection)


def _annotate(config: RunConfig, layout: Layout, inputs: list[str], executor: Any, tell: Progress) -> None:
    arguments = [(config, path, layout.root) for path in inputs]
    failed: list[str] = []
    tell("annotate", 0, len(inputs))
    results = executor.run(annotate_shard, arguments, config.execution.attempts)
    for done, (position, _, error) in enumerate(results, start=1):
        if error is not None:
            failed.append(f"{inputs[position]}: {error}")
            write_json(layout.root / "quarantine" / f"{shard_name(inputs[position])}.failed.json", {"error": error})
        tell("annotate", done, len(inputs))
    allowed = max(1, int(len(inputs) * config.execution.max_failed_shard_fraction))
    if failed and (len(failed) > allowed or len(failed) == len(inputs)):
        raise PipelineError("too many shards failed:\n" + "\n".join(failed))
    for line in failed:
        logger.error("quarantined shard %s", line)
