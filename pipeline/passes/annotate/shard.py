"""annotate: one input file in, one Parquet of documents out, one of dropped records, one manifest.

Every measurement is made here, in one pass; nothing is decided but what costs too much to measure.
"""

import gc
import logging
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.dependencies import annotate_state
from pipeline.config.fingerprint import fingerprint
from pipeline.config.run_settings import RunConfig
from pipeline.errors import BusyError
from pipeline.execution.commit import committed, create_manifest, finished, names_full_storage, sha256_of
from pipeline.execution.sandbox.parent import kept_extractor
from pipeline.execution.storage import Location, ObjectPath, local_copy, locate
from pipeline.output.layout import shard_name
from pipeline.passes.annotate.accounts import RecordAccounts
from pipeline.passes.annotate.cached_failures import CachedFailures
from pipeline.passes.annotate.step_clock import StepClock
from pipeline.passes.annotate.tables import source_tables, split_dropped
from pipeline.readers import read_input
from pipeline.readers.contract import InputFile, ReadSettings
from pipeline.schema.columns import ANNOTATED, DROPPED, MEASURED, PAYLOAD
from pipeline.schema.manifests import ShardDigests, ShardManifest
from pipeline.stages.block_urls import BlockUrls
from pipeline.stages.contract import Stage, apply
from pipeline.stages.extract_text import ExtractText
from pipeline.stages.identify_language import IdentifyLanguage
from pipeline.stages.measure_quality import MeasureQuality
from pipeline.stages.score_perplexity import ScorePerplexity

logger = logging.getLogger(__name__)


def annotate_shard(
    config: RunConfig, file_path: str, output: Location, clock: StepClock | None = None
) -> ShardManifest:
    """Annotate one file; returns its manifest. Does nothing where a manifest with the same fingerprint exists.

    Any number of processes may do this at once for one file: they write the same bytes, and the first to create the
    manifest has made the shard. A local file that changed its size is read again; what a URL names is taken not to
    change.
    """
    source = locate(file_path)
    manifest_path = output / "annotated" / f"{shard_name(file_path)}.json"
    size = None if isinstance(source, ObjectPath) else source.stat().st_size
    key = fingerprint([annotate_state(config), file_path, size])
    if (manifest := finished(manifest_path, ShardManifest, key)) is not None:
        return manifest
    manifest_path.unlink(missing_ok=True)  # of other settings: the data beside it are about to be replaced
    with local_copy(source) as local:
        manifest = _annotate(config, file_path, local, output, key, clock or StepClock())
    if not create_manifest(manifest_path, manifest) and finished(manifest_path, ShardManifest, key) is None:
        raise BusyError(f"{manifest_path}: another run with other settings has just made it; end that run first")
    return manifest


def _annotate(
    config: RunConfig, file_path: str, local: Path, output: Location, key: str, clock: StepClock
) -> ShardManifest:
    shard = shard_name(file_path)
    accounts = RecordAccounts()
    child = kept_extractor(config.extract.extractor, config.extract.cpu_seconds, config.extract.memory_bytes)
    used = child.cpu_used()
    clock.lap("start")
    annotated = output / "annotated" / f"{shard}.parquet"
    dropped = output / "dropped" / f"{shard}.parquet"
    with (
        committed(annotated) as documents_path,
        committed(dropped) as dropped_path,
    ):
        with (
            pq.ParquetWriter(documents_path, ANNOTATED, compression="zstd", write_page_index=True) as documents,
            pq.ParquetWriter(dropped_path, DROPPED, compression="zstd") as losses,
        ):
            cached_failures = CachedFailures(output / "quarantine" / f"{shard}.json", child)
            stages: list[Stage] = [
                *([BlockUrls()] if config.read.block_urls else []),
                ExtractText(config, cached_failures.extract),
                IdentifyLanguage(config),
                MeasureQuality(config),
                ScorePerplexity(config),
            ]
            _run(config, InputFile(local, file_path), stages, accounts, documents, losses, clock)
        clock.lap("write_files")
        digests = ShardDigests(annotated=sha256_of(documents_path), dropped=sha256_of(dropped_path))
    clock.lap("checksums")
    clock.add("child that extracts", child.cpu_used() - used)
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in clock.seconds.items())
    logger.info("annotate %s: %d documents, CPU seconds by step: %s", shard, accounts.documents, steps)
    return ShardManifest(
        fingerprint=key,
        shard=shard,
        file_path=file_path,
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


def _run(
    config: RunConfig,
    source: InputFile,
    stages: list[Stage],
    accounts: RecordAccounts,
    documents: pq.ParquetWriter,
    losses: pq.ParquetWriter,
    clock: StepClock,
) -> None:
    segment: list[pa.Table] = []
    lost: list[pa.Table] = []
    rows = size = 0
    settings = ReadSettings(config.read.max_record_bytes, config.read.dump)
    for kept, gone in source_tables(read_input(source, settings), accounts):
        _lose(gone, lost, accounts)
        clock.lap("read_warc")
        for stage in stages:
            kept = apply(stage, kept)
            if stage.name == "extract_text":
                kept = kept.drop_columns(list(PAYLOAD))  # before rows are parted, which copies them
            kept, gone = split_dropped(kept)
            _lose(gone, lost, accounts)
            clock.lap(stage.name)
        kept = kept.drop_columns(list(MEASURED))
        segment.append(kept)
        _freeze_loaded()
        rows += kept.num_rows
        size += kept.nbytes
        if rows >= config.execution.sorted_run_records or size >= config.execution.sorted_run_bytes:
            _flush(segment, lost, accounts, documents, losses)
            rows = size = 0
        clock.lap("write_files")
    _flush(segment, lost, accounts, documents, losses)


@cache
def _freeze_loaded() -> None:
    """Spare the garbage collector what a process has loaded by the end of its first shard group: it is there to
    stay."""
    gc.freeze()


def _lose(gone: pa.Table, lost: list[pa.Table], accounts: RecordAccounts) -> None:
    if not gone.num_rows:
        return
    accounts.reasons.update(gone["drop_reason"].to_pylist())
    columns = [
        gone[field.name] if field.name in gone.column_names else pa.nulls(gone.num_rows, field.type)
        for field in DROPPED
    ]
    lost.append(pa.table(columns, schema=DROPPED))


def _flush(
    segment: list[pa.Table],
    lost: list[pa.Table],
    accounts: RecordAccounts,
    documents: pq.ParquetWriter,
    losses: pq.ParquetWriter,
) -> None:
    if lost:
        with names_full_storage(losses.where):
            losses.write_table(pa.concat_tables(lost).sort_by("warc_offset"))
        lost.clear()
    rows = pa.concat_tables(segment).select(ANNOTATED.names) if segment else None
    segment.clear()
    if rows is None or not rows.num_rows:
        return
    order = [
        ("group", "ascending"),
        ("label", "ascending"),
        ("warc_offset", "ascending"),
        ("id", "ascending"),
    ]
    rows = rows.sort_by(order).cast(ANNOTATED)
    accounts.documents += rows.num_rows
    accounts.labels.update(rows["label"].to_pylist())
    accounts.characters += sum(rows["character_count"].to_pylist())
    accounts.runs.append(rows.num_rows)
    with names_full_storage(documents.where):
        documents.write_table(rows, row_group_size=10_000)
