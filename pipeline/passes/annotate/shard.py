"""annotate one shard: one input file in, one Parquet of documents out, one of dropped records, one manifest.

A reader gives the records as rows, each stage appends its columns to tables of them, and what is kept and what is
dropped is counted and written. Every measurement is made here, in one pass. Whether a measured document is kept is
decided later (`pipeline/passes/select/`), so that another threshold needs no text; dropped here is only what gives no
document.
"""

import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.config.user_stages import annotated_schema, build_user_stage
from pipeline.errors import BusyError
from pipeline.execution.commit import create_manifest, finished, sha256_of
from pipeline.execution.sandbox.parent import kept_extractor
from pipeline.execution.storage import ObjectPath, local_copy, locate
from pipeline.output.layout import Layout, shard_name
from pipeline.passes.annotate.accounts import RecordAccounts
from pipeline.passes.annotate.cached_failures import CachedFailures
from pipeline.passes.annotate.shard_files import ShardFiles
from pipeline.passes.annotate.step_clock import StepClock
from pipeline.passes.annotate.tables import source_tables, split_dropped
from pipeline.readers import read_input
from pipeline.readers.contract import InputFile, ReadSettings
from pipeline.schema.columns import MEASURED, PAYLOAD
from pipeline.schema.manifests import ShardDigests, ShardManifest
from pipeline.stages.contract import Stage, StageClass, StageContext, apply

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnnotateTask:
    """One input file, the stages that its records go through, and the output that the shard belongs to."""

    config: RunConfig
    stages: tuple[StageClass, ...]
    file_path: str  # as the plan names the file
    layout: Layout


def annotate_shard(task: AnnotateTask, clock: StepClock | None = None) -> ShardManifest:
    """Annotate one file; returns its manifest. Does nothing where a manifest with the same fingerprint exists.

    Any number of processes may do this at once for one file: they write the same bytes, and the first to create the
    manifest has made the shard. A local file that changed its size is read again; what a URL names is taken not to
    change. Raises InputError for a file that cannot be opened, BusyError where another run with other settings has
    just made the shard.
    """
    source = locate(task.file_path)
    manifest_path = task.layout.annotated_manifest(shard_name(task.file_path))
    size = None if isinstance(source, ObjectPath) else source.stat().st_size
    key = fingerprint([annotate_state(task.config), task.file_path, size])
    if (manifest := finished(manifest_path, ShardManifest, key)) is not None:
        return manifest
    manifest_path.unlink(missing_ok=True)  # of other settings: the data beside it are about to be replaced
    with local_copy(source) as local:
        manifest = _annotate(task, local, key, clock or StepClock())
    if not create_manifest(manifest_path, manifest) and finished(manifest_path, ShardManifest, key) is None:
        raise BusyError(f"{manifest_path}: another run with other settings has just made it; end that run first")
    return manifest


def _annotate(task: AnnotateTask, local: Path, key: str, clock: StepClock) -> ShardManifest:
    """Write the two files of the shard from the bytes in `local`; returns the manifest with the fingerprint `key`."""
    config, shard = task.config, shard_name(task.file_path)
    accounts = RecordAccounts()
    child = kept_extractor(config.extract.extractor, config.extract.cpu_seconds, config.extract.memory_bytes)
    used_before = child.cpu_used()
    clock.lap("start")
    with ShardFiles(task.layout, shard, annotated_schema(config.stages), accounts) as files:
        cached_failures = CachedFailures(task.layout.cached_failures(shard), child)
        context = StageContext(config, cached_failures.extract)
        stages = [stage.build(context) for stage in task.stages]
        stages += [build_user_stage(stage) for stage in config.stages]
        _run_stages(config, InputFile(local, task.file_path), stages, files, clock)
        files.close()
        clock.lap("write_files")
        digests = ShardDigests(annotated=sha256_of(files.documents_path), dropped=sha256_of(files.dropped_path))
    clock.lap("checksums")
    clock.add("sandboxed extractor", child.cpu_used() - used_before)
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in clock.seconds.items())
    logger.info("annotate %s: %d documents, CPU seconds by step: %s", shard, accounts.documents, steps)
    return ShardManifest(
        fingerprint=key,
        shard=shard,
        file_path=task.file_path,
        file_bytes=local.stat().st_size,
        records_by_type=dict(sorted(accounts.types.items())),
        record_bytes=accounts.record_bytes,
        document_records=accounts.document_records,
        unreadable_ranges=accounts.unreadable_ranges,
        documents=accounts.documents,
        dropped=dict(sorted(accounts.reasons.items())),
        rows_by_label=dict(sorted(accounts.labels.items())),
        characters=accounts.characters,
        runs=accounts.runs,
        sha256=digests,
    )


def _run_stages(
    config: RunConfig, source: InputFile, stages: Sequence[Stage], files: ShardFiles, clock: StepClock
) -> None:
    """Send the rows of a file through the stages, a table of so many at a time. A stage sees kept rows only."""
    settings = ReadSettings(config.read.max_record_bytes, config.read.dump)
    for kept, dropped in source_tables(read_input(source, settings), files.accounts):
        files.drop(dropped)
        clock.lap("read_records")
        for stage in stages:
            kept = apply(stage, kept)
            if stage.name == "extract_text":
                kept = kept.drop_columns(list(PAYLOAD))  # before rows are parted, which copies them
            kept, dropped = split_dropped(kept)
            files.drop(dropped)
            clock.lap(stage.name)
        files.keep(kept.drop_columns(list(MEASURED)))
        _freeze_loaded()
        if files.is_full(config.execution.sorted_run_records, config.execution.sorted_run_bytes):
            files.write_sorted_run()
        clock.lap("write_files")
    files.write_sorted_run()


@cache
def _freeze_loaded() -> None:
    """Spare the garbage collector what a process has loaded by the end of its first table: it is there to stay."""
    gc.freeze()
