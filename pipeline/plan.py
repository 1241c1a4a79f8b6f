"""The whole pipeline on one screen: annotate, deduplicate, select, rebalance, then the books and the report."""

import glob
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig, load_language_config
from pipeline.errors import ConfigError, InputError, PipelineError
from pipeline.execution.executors import make_executor
from pipeline.execution.manifests import read_json, write_json
from pipeline.passes.annotate import annotate_shard, shard_name
from pipeline.passes.audit import audit
from pipeline.passes.deduplicate import deduplicate
from pipeline.passes.layout import Layout
from pipeline.passes.rebalance import rebalance
from pipeline.passes.report import write_report
from pipeline.passes.select import select
from pipeline.stages.decide import check_rules

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


def resolve_inputs(patterns: tuple[str, ...]) -> list[str]:
    """Files of paths and globs, in the order given, each once.

    Raises InputError for a missing path, an empty glob, or two inputs of one content address.
    """
    if not patterns:
        raise InputError("no inputs: give --input PATH or `inputs = [...]` in the config")
    found: dict[str, None] = {}
    for pattern in patterns:
        normal = os.path.normpath(pattern)
        if glob.has_magic(normal):
            matches = sorted(glob.glob(normal, recursive=True))
            if not matches:
                raise InputError(f"{pattern}: the glob matches no file")
        else:
            matches = [normal]
        for path in matches:
            if not Path(path).is_file():
                raise InputError(f"{path}: no such file")
            if not os.access(path, os.R_OK):
                raise InputError(f"{path}: not readable")
            found[path] = None
    return list(found)


def check(config: RunConfig, rule_overrides: dict[str, Any] | None = None) -> list[str]:
    """Everything that can be refused before any work: inputs, output, models, language files."""
    for where in (*config.inputs, config.output):
        if "://" in where:
            raise ConfigError(f"{where}: only local paths can be read and written so far; mount or download it")
    inputs = resolve_inputs(config.inputs)
    if not config.output:
        raise ConfigError('no output: give --output FOLDER or `output = "..."` in the config')
    from pipeline.text.lid import LanguageIdentifier

    LanguageIdentifier(name=config.lid.model).identify(["glotmill"])
    folder = Path(config.language_configs) if config.language_configs else None
    for label in ("default", *config.languages.include):
        check_rules(load_language_config(label, folder, rule_overrides))
    return inputs


def run(config: RunConfig, rule_overrides: dict[str, Any] | None = None, progress: Progress | None = None) -> Layout:
    """Run all passes; what is done with the same settings is not done again. Returns the output's layout."""
    tell = progress or (lambda what, done, total: None)
    inputs = check(config, rule_overrides)
    layout = Layout(Path(config.output))
    plan = {
        "inputs": inputs,
        "config": config.model_dump(mode="json", exclude={"output", "executor", "workers"}),
        "rule_overrides": rule_overrides or {},
    }
    if layout.run.exists() and (before := read_json(layout.run))["inputs"] != inputs:
        logger.info("plan of %s grows from %d to %d inputs", layout.root, len(before["inputs"]), len(inputs))
    write_json(layout.run, plan)
    executor = make_executor(config.executor, config.workers, config.execution.task_memory_bytes)
    try:
        _annotate(config, layout, inputs, executor, tell)
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


def reselect(config: RunConfig, layout: Layout, rule_overrides: dict[str, Any]) -> None:
    """Another selection from the same measurements: no WARC is read."""
    executor = make_executor(config.executor, config.workers, config.execution.task_memory_bytes)
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
