"""The whole pipeline on one screen: annotate, deduplicate, select, rebalance, then the books and the report."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig, load_language_config
from pipeline.errors import ConfigError, InputError, MissingError, PipelineError
from pipeline.execution.executors import Executor, make_executor
from pipeline.execution.lock import sole_run
from pipeline.execution.manifests import finished, read_json, write_json
from pipeline.passes.annotate import annotate_fingerprint, annotate_shard, shard_name, versions
from pipeline.passes.audit import audit
from pipeline.passes.deduplicate import deduplicate
from pipeline.passes.layout import Layout, batches
from pipeline.passes.rebalance import rebalance
from pipeline.passes.report import write_report
from pipeline.passes.select import select
from pipeline.stages.decide import check_rules

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


def resolve_inputs(patterns: tuple[str, ...], may_be_absent: Collection[str] = ()) -> list[str]:
    """Files of paths and globs, in the order given, each once; a path of `may_be_absent` need not be there.

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
            found[path] = None
            if path in may_be_absent:
                continue
            if not Path(path).is_file():
                raise InputError(f"{path}: no such file")
            if not os.access(path, os.R_OK):
                raise InputError(f"{path}: not readable")
    return list(found)


def check(
    config: RunConfig, rule_overrides: dict[str, Any] | None = None, may_be_absent: Collection[str] = ()
) -> list[str]:
    """Everything that can be refused before any work: inputs, output, models, language files."""
    for where in (*config.inputs, config.output):
        if "://" in where:
            raise ConfigError(f"{where}: only local paths can be read and written so far; mount or download it")
    inputs = resolve_inputs(config.inputs, may_be_absent)
    if not config.output:
        raise ConfigError('no output: give --output FOLDER or `output = "..."` in the config')
    from pipeline.text.lid import LanguageIdentifier

    LanguageIdentifier(name=config.lid.model).identify(["glotmill"])
    folder = Path(config.language_configs) if config.language_configs else None
    for label in ("default", *config.languages.include):
        check_rules(load_language_config(label, folder, rule_overrides))
    return inputs


def run(
    config: RunConfig,
    rule_overrides: dict[str, Any] | None = None,
    progress: Progress | None = None,
    accept_missing: bool = False,
) -> Layout:
    """Run all passes; what is done with the same settings is not done again. Returns the output's layout.

    A shard that fails every attempt is quarantined. Then MissingError is raised after annotate; with `accept_missing`
    the other passes go on without it, and it is not tried again. Raises BusyError when another run has the output.
    """
    layout = Layout(Path(config.output))
    quarantined = _quarantined(config, layout) if accept_missing else set()
    inputs = check(config, rule_overrides, quarantined)
    with sole_run(layout.root):
        _run(config, layout, inputs, quarantined, rule_overrides or {}, progress, accept_missing)
    return layout


def _run(
    config: RunConfig,
    layout: Layout,
    inputs: list[str],
    quarantined: set[str],
    rule_overrides: dict[str, Any],
    progress: Progress | None,
    accept_missing: bool,
) -> None:
    tell = progress or (lambda what, done, total: None)
    plan: dict[str, Any] = {
        "inputs": inputs,
        "config": config.model_dump(mode="json", exclude={"output", "executor", "workers"}),
        "rule_overrides": rule_overrides,
    }
    if layout.run.exists() and (before := read_json(layout.run))["inputs"] != inputs:
        logger.info("plan of %s grows from %d to %d inputs", layout.root, len(before["inputs"]), len(inputs))
    write_json(layout.run, plan)
    executor = make_executor(config.executor, config.workers)
    try:
        missing = _annotate(config, layout, inputs, quarantined, executor, tell)
        plan["manifest_batches"] = len(batches(inputs, config.dedup.batch_shards))
        if missing:
            plan |= {"missing": missing, "accept_missing": accept_missing}
        write_json(layout.run, plan)
        _refuse_missing(layout, accept_missing)
        tell("deduplicate", 0, 1)
        deduplicate(config, layout, executor)
        tell("deduplicate", 1, 1)
        tell("select", 0, 1)
        select(config, layout, executor, rule_overrides)
        tell("select", 1, 1)
    finally:
        executor.close()
    tell("rebalance", 0, 1)
    rebalance(config, layout)
    tell("rebalance", 1, 1)
    audit(layout, config.selection, checksums=False)
    write_report(layout, config.selection)


def reselect(config: RunConfig, layout: Layout, rule_overrides: dict[str, Any], accept_missing: bool = False) -> None:
    """Another selection from the same measurements: no WARC is read.

    Raises PipelineError when annotate has not ended, MissingError when shards are quarantined and not accepted.
    """
    if unfinished := layout.unfinished():
        raise PipelineError(
            f"{layout.root}: {len(unfinished)} shards are not annotated yet, such as {unfinished[0]}; "
            "end `glotmill run` first"
        )
    _refuse_missing(layout, accept_missing)
    with sole_run(layout.root):
        executor = make_executor(config.executor, config.workers)
        try:
            deduplicate(config, layout, executor)
            select(config, layout, executor, rule_overrides)
        finally:
            executor.close()
        rebalance(config, layout)
        audit(layout, config.selection, checksums=False)
        write_report(layout, config.selection)


def _quarantined(config: RunConfig, layout: Layout) -> set[str]:
    """Inputs of the plan before that are quarantined under the settings of now."""
    if not layout.run.exists():
        return set()
    paths = [path for path in read_json(layout.run)["inputs"] if layout.quarantined(shard_name(path)).exists()]
    key = annotate_fingerprint(config) if paths else ""
    return {path for path in paths if finished(layout.quarantined(shard_name(path)), key)}


def _annotate(
    config: RunConfig, layout: Layout, inputs: list[str], quarantined: set[str], executor: Executor, tell: Progress
) -> list[str]:
    """Annotate all inputs but the quarantined ones; returns the shards that are missing afterwards, in plan order.

    When the last shard of a batch is done, the manifests of the batch are written once more, into one file.

    Raises PipelineError as soon as more than `max_failed_shard_fraction` of the shards are missing; one may always
    be, all may never.
    """
    paths = [path for path in inputs if path not in quarantined]
    missing = {path for path in inputs if path in quarantined}
    allowed = min(max(1, int(len(inputs) * config.execution.max_failed_shard_fraction)), len(inputs) - 1)
    size = config.dedup.batch_shards
    places = {path: place for place, path in enumerate(inputs)}
    waiting = Counter(places[path] // size for path in paths)
    held: dict[int, dict[int, Any]] = {number: {} for number in range(len(batches(inputs, size)))}
    for number in held.keys() - waiting.keys():
        write_json(layout.manifest_batch(number), [])
    arguments = [(config, path, layout.root) for path in paths]
    tell("annotate", len(missing), len(inputs))
    results = executor.run(annotate_shard, arguments, config.execution.attempts)
    for done, (position, manifest, error) in enumerate(results, start=len(missing) + 1):
        path = paths[position]
        number = places[path] // size
        if error is None:
            held[number][places[path]] = manifest
            layout.quarantined(shard_name(path)).unlink(missing_ok=True)
        else:
            missing.add(path)
            _quarantine(config, layout, path, error)
        if len(missing) > allowed:
            told = "\n".join(_describe_missing(layout, [shard_name(one) for one in inputs if one in missing]))
            raise PipelineError(f"too many shards failed: {len(missing)}, and at most {allowed} may:\n{told}")
        waiting[number] -= 1
        if not waiting[number]:
            manifests = held.pop(number)
            write_json(layout.manifest_batch(number), [manifests[place] for place in sorted(manifests)])
        tell("annotate", done, len(inputs))
    return [shard_name(path) for path in inputs if path in missing]


def _quarantine(config: RunConfig, layout: Layout, path: str, error: str) -> None:
    shard = shard_name(path)
    logger.error("quarantined shard %s: %s", shard, error)
    record = {
        "shard": shard,
        "file_path": path,
        "error": error,
        "attempts": config.execution.attempts,
        "fingerprint": annotate_fingerprint(config),
        "versions": versions(),
    }
    write_json(layout.quarantined(shard), record)


def _describe_missing(layout: Layout, shards: list[str]) -> list[str]:
    records = [read_json(layout.quarantined(shard)) for shard in shards]
    return [f"  {one['shard']} ({one['file_path']}): {one['error']}" for one in records]


def _refuse_missing(layout: Layout, accept_missing: bool) -> None:
    shards = layout.missing()
    if shards and not accept_missing:
        raise MissingError(
            f"{len(shards)} of {len(read_json(layout.run)['inputs'])} shards are quarantined:\n"
            + "\n".join(_describe_missing(layout, shards))
            + "\nAll others are annotated. Mend these and run again, which tries them again, or go on without them: "
            "--accept-missing"
        )
