"""audit: the accounts of a run. Bytes, records and outcomes must agree, or the run has failed."""

from collections import Counter
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import AuditError
from pipeline.execution.commit import read_json, read_manifest, sha256_of
from pipeline.execution.storage import Location, readable
from pipeline.output.grouped_parquet import read_file
from pipeline.output.output import Output
from pipeline.output.take_downs import take_down_names
from pipeline.schema.manifests import QuarantinedShard, ShardManifest


def audit(layout: Output, selection: str | None = None, checksums: bool = True) -> list[str]:
    """What was checked, a line each. Raises AuditError with every imbalance."""
    faults: list[str] = []
    documents = 0
    labels: Counter[str] = Counter()
    manifests = layout.manifests()
    for manifest in manifests:
        faults += _shard_faults(layout, manifest, checksums)
        documents += manifest.documents
        labels.update(manifest.rows_by_label)
    lines = [f"{len(manifests)} shards: bytes and records agree, {documents} documents"]
    faults += [f"{shard}: neither annotated nor quarantined; run again" for shard in layout.unfinished()]
    for shard in layout.missing():
        if not layout.quarantined(shard).exists():
            faults.append(f"{shard}: missing, and {layout.quarantined(shard)} does not say why")
        else:
            lines.append(
                f"missing: {shard}, quarantined ({read_manifest(layout.quarantined(shard), QuarantinedShard).error})"
            )
    if selection is not None and (layout.selection(selection) / "manifest.json").exists():
        faults += _selection_faults(layout, selection, labels, checksums)
        lines.append(f"selection {selection}: each of {documents} documents has exactly one outcome")
    if faults:
        raise AuditError("the accounts do not agree:\n" + "\n".join(faults))
    return lines


def _shard_faults(layout: Output, manifest: ShardManifest, checksums: bool) -> list[str]:
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
    if not layout.annotated_manifest(shard).exists():
        faults.append(f"{layout.annotated_manifest(shard)}: missing; run again")
    for digest, path, rows in (
        (manifest.sha256.annotated, layout.annotated(shard), manifest.documents),
        (manifest.sha256.dropped, layout.dropped(shard), dropped),
    ):
        if not path.exists():
            faults.append(f"{path}: missing")
        elif pq.read_metadata(readable(path)).num_rows != rows:
            faults.append(f"{path}: not the {rows} rows of its manifest")
        elif checksums and sha256_of(path) != digest:
            faults.append(f"{path}: sha256 differs from its manifest")
    return faults


def _selection_faults(layout: Output, selection: str, labels: Counter[str], checksums: bool) -> list[str]:
    folder = layout.selection(selection)
    manifest = read_json(folder / "manifest.json")
    faults = []
    if manifest["missing"] != layout.missing():
        faults.append(
            f"{selection}: made without {manifest['missing']}, now {layout.missing()} are missing: select again"
        )
    for name in sorted(set(take_down_names(layout)) - set(manifest["take_downs"])):
        faults.append(
            f"{selection}: take_downs/{name}.json is not carried out: give `glotmill remove` again, or select"
        )
    lines = (manifest.get("boilerplate") or {}).get("totals", {})
    for label in sorted(set(labels) | set(manifest["outcomes"])):
        outcomes = manifest["outcomes"].get(label, {})
        if sum(outcomes.values()) != labels[label]:
            faults.append(f"{selection}: {label}: {labels[label]} documents, {sum(outcomes.values())} outcomes")
        marked = lines.get(label, {}).get("documents", 0)
        if manifest.get("boilerplate") and marked != labels[label]:
            faults.append(f"{selection}: {label}: {labels[label]} documents, {marked} looked at by boilerplate")
        rows = sum(file["rows"] for file in manifest["files"].get(label, []))
        if rows != outcomes.get("kept", 0):
            faults.append(f"{selection}: {label}: {outcomes.get('kept', 0)} kept, {rows} rows in clean/")
    for files in manifest["files"].values():
        for file in files:
            path = folder / file["path"]
            if not path.exists():
                faults.append(f"{path}: missing")
            elif checksums:
                if sha256_of(path) != file["sha256"]:
                    faults.append(f"{path}: sha256 differs from its manifest")
                faults += _character_faults(path, file)
    return faults


def _character_faults(path: Location, file: dict[str, Any]) -> list[str]:
    """Sums of a file of clean/ that are not those of its rows."""
    faults = []
    for name, column in (("characters", "character_count"), ("removed_characters", "removed_character_count")):
        if name in file:  # selections of older versions lack the second
            rows = read_file(path, [column])[column]
            if (total := pc.sum(rows).as_py()) != file[name]:
                faults.append(f"{path}: {total} {column} in its rows, {file[name]} in its manifest")
    return faults
