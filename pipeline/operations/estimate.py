"""estimate: what annotating all inputs would take, from a sample of them (`glotmill plan --estimate`).

The sampled shards are annotated into a scratch folder; time and bytes are scaled by the bytes of the inputs.
"""

import hashlib
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.run_settings import RunConfig
from pipeline.execution.storage import ObjectPath, locate
from pipeline.output.layout import Layout
from pipeline.passes.annotate.shard import AnnotateTask, annotate_shard
from pipeline.plan import STAGES

REQUESTS_MAX = 50


@dataclass(frozen=True)
class Estimate:
    """What a whole annotate pass would take, scaled from the sampled shards."""

    sampled_shards: int
    sampled_bytes: int  # of input
    core_hours: float
    documents: int
    bytes_by_folder: dict[str, int]  # of output


def estimate(config: RunConfig, inputs: list[str], sample: int) -> Estimate:
    """Annotate up to `sample` shards, drawn by hash of their path, and scale time and bytes to all inputs.

    Time is CPU of this process and its children, start-up included, so it errs on the high side for few shards.
    """
    chosen = sorted(inputs, key=lambda path: hashlib.sha256(path.encode()).digest())[:sample]
    read = total_bytes(chosen)
    total = total_bytes(inputs)
    before = _cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="glotmill-estimate-") as scratch:
        documents = sum(
            annotate_shard(AnnotateTask(config, STAGES, path, Layout(Path(scratch)))).documents for path in chosen
        )
        sizes = {
            folder: sum(file.stat().st_size for file in (Path(scratch) / folder).glob("*"))
            for folder in ("annotated", "dropped")
        }
    scale = total / read if read else 0.0
    return Estimate(
        sampled_shards=len(chosen),
        sampled_bytes=read,
        core_hours=(_cpu_seconds() - before) * scale / 3600,
        documents=round(documents * scale),
        bytes_by_folder={folder: round(size * scale) for folder, size in sizes.items()},
    )


def total_bytes(inputs: list[str]) -> int:
    """Bytes of all inputs together; of many URLs a sample is asked, and the rest taken to be like it."""
    locations = [locate(path) for path in inputs]
    remote = [location for location in locations if isinstance(location, ObjectPath)]
    local = sum(location.stat().st_size for location in locations if isinstance(location, Path))
    if not remote:
        return local
    asked = remote[:: -(-len(remote) // REQUESTS_MAX)]
    return local + round(sum(location.stat().st_size for location in asked) * len(remote) / len(asked))


def _cpu_seconds() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
