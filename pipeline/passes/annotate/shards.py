"""annotate every shard of the plan. One that fails every attempt is quarantined by name, and the rest goes on.

Later passes need the user's word that shards may be missing.
"""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
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
from pipeline.passes.annotate.shard import AnnotateTask, annotate_shard
from pipeline.schema.manifests import QuarantinedShard, ShardManifest
from pipeline.stages.contract import StageClass

logger = logging.getLogger(__name__)


def quarantined_inputs(config: RunConfig, output: Output) -> set[str]:
    """Inputs of the plan that the last run left which are quarantined under the settings of now."""
    if not output.run.exists():
        return set()
    paths = [path for path in output.plan.inputs if output.quarantined(shard_name(path)).exists()]
    key = fingerprint(annotate_state(config)) if paths else ""
    return {path for path in paths if finished(output.quarantined(shard_name(path)), QuarantinedShard, key)}


def annotate_shards(
    config: RunConfig,
    output: Output,
    stages: tuple[StageClass, ...],
    inputs: Sequence[str],
    skipped: Collection[str],
    executor: Executor,
    progress: Progress,
) -> list[str]:
    """Annotate all inputs but the skipped ones; returns the shards that are missing afterwards, in plan order.

    Raises PipelineError as soon as more than `max_failed_shard_fraction` of the shards are missing; one may always be,
    all may never.
    """
    paths = [path for path in inputs if path not in skipped]
    missing = {path for path in inputs if path in skipped}
    allowed = min(max(1, int(len(inputs) * config.execution.max_failed_shard_fraction)), len(inputs) - 1)
    gathered = _GatheredManifests(output, inputs, paths, config.dedup.shard_group_size)
    tasks = [AnnotateTask(config, stages, path, output) for path in paths]
    progress("annotate", len(missing), len(inputs))
    results = executor.run(annotate_shard, tasks, config.execution.attempts)
    for done, (position, manifest, error) in enumerate(results, start=len(missing) + 1):
        path = paths[position]
        if error is None:
            output.quarantined(shard_name(path)).unlink(missing_ok=True)
        else:
            missing.add(path)
            _quarantine(config, output, path, error)
        if len(missing) > allowed:
            reasons = "\n".join(_descriptions(output, [shard_name(path) for path in inputs if path in missing]))
            raise PipelineError(f"too many shards failed: {len(missing)}, and at most {allowed} may:\n{reasons}")
        gathered.add(path, manifest)
        progress("annotate", done, len(inputs))
    return [shard_name(path) for path in inputs if path in missing]


class _GatheredManifests:
    """The manifests of each shard group, written once more into one file when the last shard of the group is done."""

    def __init__(self, output: Output, inputs: Sequence[str], pending: Sequence[str], group_size: int) -> None:
        self.output = output
        self.group_size = group_size
        self.numbers = {path: number for number, path in enumerate(inputs)}
        self.pending = Counter(self.numbers[path] // group_size for path in pending)
        self.manifests: dict[int, dict[int, ShardManifest]] = {group: {} for group in self.pending}
        for group in range(len(shard_groups(list(inputs), group_size))):
            if group not in self.pending:
                write_json(output.shard_group_manifest(group), [])

    def add(self, path: str, manifest: ShardManifest | None) -> None:
        """Take note that a shard is done, or, without a manifest, that it is given up."""
        number = self.numbers[path]
        group = number // self.group_size
        if manifest is not None:
            self.manifests[group][number] = manifest
        self.pending[group] -= 1
        if not self.pending[group]:
            manifests: dict[int, Any] = dict(sorted(self.manifests.pop(group).items()))
            write_json(
                self.output.shard_group_manifest(group),
                [msgspec.to_builtins(manifest) for manifest in manifests.values()],
            )


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
    """A line for each quarantined shard: its name, its input, and the error of the last attempt."""
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
