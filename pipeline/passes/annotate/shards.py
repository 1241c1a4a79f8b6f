"""Annotate every shard of the plan. One that fails every attempt is quarantined by name, and the rest goes on.

Later passes need the user's word that shards may be missing.
"""

import logging
from collections import Counter
from typing import Any

import msgspec

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.errors import MissingError, PipelineError
from pipeline.execution.commit import finished, read_manifest, write_json, write_manifest
from pipeline.execution.progress import Progress
from pipeline.execution.tasks import Executor
from pipeline.output.layout import shard_groups, shard_name
from pipeline.output.output import Output
from pipeline.passes.annotate.shard import annotate_shard
from pipeline.schema.manifests import QuarantinedShard

logger = logging.getLogger(__name__)


def quarantined(config: RunConfig, output: Output) -> set[str]:
    """Inputs of the plan before that are quarantined under the settings of now."""
    if not output.run.exists():
        return set()
    paths = [path for path in output.plan.inputs if output.quarantined(shard_name(path)).exists()]
    key = fingerprint(annotate_state(config)) if paths else ""
    return {path for path in paths if finished(output.quarantined(shard_name(path)), QuarantinedShard, key)}


def annotate_shards(
    config: RunConfig, output: Output, inputs: list[str], skipped: set[str], executor: Executor, tell: Progress
) -> list[str]:
    """Annotate all inputs but the skipped ones; returns the shards that are missing afterwards, in plan order.

    When the last shard of a shard group is done, the manifests of the shard group are written once more, into one file.

    Raises PipelineError as soon as more than `max_failed_shard_fraction` of the shards are missing; one may always be,
    all may never.
    """
    paths = [path for path in inputs if path not in skipped]
    missing = {path for path in inputs if path in skipped}
    allowed = min(max(1, int(len(inputs) * config.execution.max_failed_shard_fraction)), len(inputs) - 1)
    size = config.dedup.shard_group_size
    places = {path: place for place, path in enumerate(inputs)}
    waiting = Counter(places[path] // size for path in paths)
    held: dict[int, dict[int, Any]] = {number: {} for number in range(len(shard_groups(inputs, size)))}
    for number in held.keys() - waiting.keys():
        write_json(output.shard_group_manifest(number), [])
    arguments = [(config, path, output.root) for path in paths]
    tell("annotate", len(missing), len(inputs))
    results = executor.run(annotate_shard, arguments, config.execution.attempts)
    for done, (position, manifest, error) in enumerate(results, start=len(missing) + 1):
        path = paths[position]
        number = places[path] // size
        if error is None:
            held[number][places[path]] = manifest
            output.quarantined(shard_name(path)).unlink(missing_ok=True)
        else:
            missing.add(path)
            _quarantine(config, output, path, error)
        if len(missing) > allowed:
            told = "\n".join(_descriptions(output, [shard_name(one) for one in inputs if one in missing]))
            raise PipelineError(f"too many shards failed: {len(missing)}, and at most {allowed} may:\n{told}")
        waiting[number] -= 1
        if not waiting[number]:
            manifests = held.pop(number)
            gathered = [msgspec.to_builtins(manifests[place]) for place in sorted(manifests)]
            write_json(output.shard_group_manifest(number), gathered)
        tell("annotate", done, len(inputs))
    return [shard_name(path) for path in inputs if path in missing]


def _quarantine(config: RunConfig, output: Output, path: str, error: str) -> None:
    shard = shard_name(path)
    logger.error("quarantined shard %s: %s", shard, error)
    state = annotate_state(config)
    record = QuarantinedShard(
        fingerprint=fingerprint(state),
        shard=shard,
        file_path=path,
        error=error,
        attempts=config.execution.attempts,
        versions=state["versions"],
    )
    write_manifest(output.quarantined(shard), record)


def _descriptions(output: Output, shards: list[str]) -> list[str]:
    records = [read_manifest(output.quarantined(shard), QuarantinedShard) for shard in shards]
    return [f"  {record.shard} ({record.file_path}): {record.error}" for record in records]


def refuse_missing(output: Output, accept_missing: bool) -> None:
    """Raises MissingError, which names them, when shards are quarantined and not accepted as missing."""
    shards = output.missing()
    if shards and not accept_missing:
        raise MissingError(
            f"{len(shards)} of {len(output.plan.inputs)} shards are quarantined:\n"
            + "\n".join(_descriptions(output, shards))
            + "\nAll others are annotated. Mend these and run again, which tries them again, or go on without them: "
            "--accept-missing"
        )
