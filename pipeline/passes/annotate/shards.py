"""Annotate every shard of the plan. One that fails every attempt is quarantined by name, and the rest goes on.

Later passes need the user's word that shards may be missing.
"""

import logging
from collections import Counter
from typing import Any

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.errors import MissingError, PipelineError
from pipeline.execution.commit import finished, read_json, write_json
from pipeline.execution.progress import Progress
from pipeline.execution.tasks import Executor
from pipeline.output.layout import Layout, batches, shard_name
from pipeline.passes.annotate.shard import annotate_shard

logger = logging.getLogger(__name__)


def quarantined(config: RunConfig, layout: Layout) -> set[str]:
    """Inputs of the plan before that are quarantined under the settings of now."""
    if not layout.run.exists():
        return set()
    paths = [path for path in read_json(layout.run)["inputs"] if layout.quarantined(shard_name(path)).exists()]
    key = fingerprint(annotate_state(config)) if paths else ""
    return {path for path in paths if finished(layout.quarantined(shard_name(path)), key)}


def annotate_shards(
    config: RunConfig, layout: Layout, inputs: list[str], skipped: set[str], executor: Executor, tell: Progress
) -> list[str]:
    """Annotate all inputs but the skipped ones; returns the shards that are missing afterwards, in plan order.

    When the last shard of a batch is done, the manifests of the batch are written once more, into one file.

    Raises PipelineError as soon as more than `max_failed_shard_fraction` of the shards are missing; one may always be,
    all may never.
    """
    paths = [path for path in inputs if path not in skipped]
    missing = {path for path in inputs if path in skipped}
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
            told = "\n".join(_descriptions(layout, [shard_name(one) for one in inputs if one in missing]))
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
    state = annotate_state(config)
    record: dict[str, Any] = {
        "shard": shard,
        "file_path": path,
        "error": error,
        "attempts": config.execution.attempts,
        "fingerprint": fingerprint(state),
        "versions": state["versions"],
    }
    write_json(layout.quarantined(shard), record)


def _descriptions(layout: Layout, shards: list[str]) -> list[str]:
    records = [read_json(layout.quarantined(shard)) for shard in shards]
    return [f"  {one['shard']} ({one['file_path']}): {one['error']}" for one in records]


def refuse_missing(layout: Layout, accept_missing: bool) -> None:
    """Raises MissingError, which names them, when shards are quarantined and not accepted as missing."""
    shards = layout.missing()
    if shards and not accept_missing:
        raise MissingError(
            f"{len(shards)} of {len(read_json(layout.run)['inputs'])} shards are quarantined:\n"
            + "\n".join(_descriptions(layout, shards))
            + "\nAll others are annotated. Mend these and run again, which tries them again, or go on without them: "
            "--accept-missing"
        )
