"""audit: the accounts of a run. Bytes, records and outcomes must agree, or the run has failed.

The bytes of an input are those of its records and of its unreadable ranges; its records that can hold a document are
documents and dropped records; each document has exactly one outcome in a selection, and those kept are the rows of
clean/.
"""

from collections import Counter
from collections.abc import Mapping

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import AuditError
from pipeline.execution.commit import read_manifest, sha256_of
from pipeline.execution.storage import Location, readable
from pipeline.output.grouped_parquet import read_file
from pipeline.output.output import Output
from pipeline.output.selection import SelectionFolder
from pipeline.output.take_downs import take_down_names
from pipeline.schema.manifests import CleanFile, QuarantinedShard, SelectionManifest, ShardManifest
from pipeline.schema.outcomes import Outcome


def audit(output: Output, selection: str | None = None, checksums: bool = True) -> list[str]:
    """Check the accounts of the shards and, where one is named, of a selection; returns what was checked, a line each.

    With `checksums` every file is read and compared with its sha256. Raises AuditError with everything that does not
    agree, InputError where the selection is not there.
    """
    manifest = None if selection is None else output.selection_manifest(selection)
    faults: list[str] = []
    documents: Counter[str] = Counter()  # by label
    shards = output.manifests()
    for shard in shards:
        faults += _shard_faults(output, shard, checksums)
        documents.update(shard.rows_by_label)
    lines = [f"{len(shards)} shards: bytes and records agree, {documents.total()} documents"]
    faults += [f"{name}: neither annotated nor quarantined; run again" for name in output.unfinished()]
    for name in output.missing():
        path = output.quarantined(name)
        if path.exists():
            lines.append(f"missing: {name}, quarantined ({read_manifest(path, QuarantinedShard).error})")
        else:
            faults.append(f"{name}: missing, and {path} does not say why")
    if manifest is not None:
        faults += _selection_faults(output, manifest, documents, checksums)
        lines.append(f"selection {selection}: each of {documents.total()} documents has exactly one outcome")
    if faults:
        raise AuditError("the accounts do not agree:\n" + "\n".join(faults))
    return lines


def _shard_faults(output: Output, manifest: ShardManifest, checksums: bool) -> list[str]:
    shard = manifest.shard
    faults = []
    in_records, size = manifest.record_bytes, manifest.file_bytes
    unreadable = sum(lost.end - lost.start for lost in manifest.unreadable_ranges)
    if in_records + unreadable != size:
        faults.append(f"{shard}: records {in_records} + unreadable ranges {unreadable} bytes, file {size}")
    dropped = sum(manifest.dropped.values())
    if manifest.document_records != manifest.documents + dropped:
        faults.append(
            f"{shard}: {manifest.document_records} records that can hold a document are not "
            f"{manifest.documents} documents + {dropped} dropped"
        )
    if not output.annotated_manifest(shard).exists():
        faults.append(f"{output.annotated_manifest(shard)}: missing; run again")
    for digest, path, rows in (
        (manifest.sha256.annotated, output.annotated(shard), manifest.documents),
        (manifest.sha256.dropped, output.dropped(shard), dropped),
    ):
        if not path.exists():
            faults.append(f"{path}: missing")
        elif pq.read_metadata(readable(path)).num_rows != rows:
            faults.append(f"{path}: not the {rows} rows of its manifest")
        elif checksums and sha256_of(path) != digest:
            faults.append(f"{path}: sha256 differs from its manifest")
    return faults


def _selection_faults(
    output: Output, manifest: SelectionManifest, documents: Mapping[str, int], checksums: bool
) -> list[str]:
    """What does not agree in a selection; `documents` are those of the shards by label."""
    name, folder = manifest.selection, SelectionFolder(output.selection(manifest.selection))
    faults = []
    if manifest.missing != output.missing():
        faults.append(f"{name}: made without {manifest.missing}, now {output.missing()} are missing: select again")
    for record in sorted(set(take_down_names(output)) - set(manifest.take_downs)):
        faults.append(f"{name}: take_downs/{record}.json is not carried out: give `glotmill remove` again, or select")
    boilerplate = manifest.boilerplate
    for label in sorted(set(documents) | set(manifest.outcomes)):
        count = documents.get(label, 0)
        outcomes = manifest.outcomes.get(label, {})
        if sum(outcomes.values()) != count:
            faults.append(f"{name}: {label}: {count} documents, {sum(outcomes.values())} outcomes")
        if boilerplate is not None:
            marked = boilerplate.totals[label].documents if label in boilerplate.totals else 0
            if marked != count:
                faults.append(f"{name}: {label}: {count} documents, {marked} looked at by boilerplate")
        rows = sum(file.rows for file in manifest.files.get(label, []))
        kept = outcomes.get(Outcome.KEPT, 0)
        if rows != kept:
            faults.append(f"{name}: {label}: {kept} kept, {rows} rows in clean/")
    for files in manifest.files.values():
        for file in files:
            faults += _file_faults(folder.root / file.path, file, checksums)
    return faults


def _file_faults(path: Location, file: CleanFile, checksums: bool) -> list[str]:
    """What of a file of clean/ is not as the manifest says; with `checksums` its bytes and the sums of its rows."""
    if not path.exists():
        return [f"{path}: missing"]
    if not checksums:
        return []
    faults = [f"{path}: sha256 differs from its manifest"] if sha256_of(path) != file.sha256 else []
    for column, expected in (
        ("character_count", file.characters),
        ("removed_character_count", file.removed_characters),
    ):
        total = pc.sum(read_file(path, [column])[column]).as_py()
        if total != expected:
            faults.append(f"{path}: {total} {column} in its rows, {expected} in its manifest")
    return faults
