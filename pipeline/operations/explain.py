"""explain: one document's way, from its bytes to its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.language_files import LanguageConfig, load_language_config
from pipeline.config.run_settings import SelectConfig
from pipeline.errors import InputError
from pipeline.execution.storage import readable
from pipeline.output.document_index import Place, find, url_key
from pipeline.output.grouped_parquet import rows_of
from pipeline.output.output import Output
from pipeline.output.selection import SelectionFolder
from pipeline.passes.boilerplate.mark import are_marked, with_boilerplate
from pipeline.passes.select.decontaminate import OVERLAP
from pipeline.schema.columns import BOILERPLATE_LINES
from pipeline.schema.manifests import BoilerplateFacts, SelectionManifest
from pipeline.schema.metrics import HOST_BOILERPLATE

HIDDEN = {"text", "bands", "minima", "edit_starts", "edit_ends", "edit_texts"}
MEASURED_IN_SELECT = ("perplexity_percentile", HOST_BOILERPLATE)  # stands in decisions/, not in annotated/


@dataclass(frozen=True)
class AppliedRule:
    """A rule that a selection applied to a document, and what it made of it."""

    metric: str
    value: Any  # of the document; None where the metric is undefined
    min: float | None
    max: float | None
    fired: bool
    origin: str  # where the bounds come from


@dataclass(frozen=True)
class Explanation:
    """What happened to a record. All but the record is empty where it did not become a document."""

    record: dict[str, Any]  # its row of annotated/ or dropped/, by column, without text and signature
    rules: list[AppliedRule] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)  # its row of decisions/, by column
    # Lines that repeat across its host; None where the selection did not look for them, or they were marked again with
    # other settings since.
    boilerplate: list[str] | None = None


def explain(output: Output, selection: str, url_or_id: str) -> list[Explanation]:
    """Every record with this URL or id, by what a selection decided on it.

    A URL that no record has stands for those that have its normal form (http or https, without session parameters).
    Raises InputError when the run never saw it, or where there is no such selection.
    """
    places = find(output, "id", [url_or_id, f"<{url_or_id}>"]) or find(output, "url", [url_key(url_or_id)])
    rows = [(place, _row(output, place)) for place in places]
    same = [(place, row) for place, row in rows if url_or_id in (row["id"], row["id"].strip("<>"), row["url"])]
    key = url_key(url_or_id)
    alike = [(place, row) for place, row in rows if key == url_key(row["url"] or "")]  # hashes can collide
    if not same and not alike:
        raise InputError(f"{url_or_id}: neither the URL nor the id of a record of {output.root}")
    return [_explanation(output, selection, place, row) for place, row in same or alike]


def _row(output: Output, place: Place) -> dict[str, Any]:
    path = output.dropped(place.shard) if place.dropped else output.annotated(place.shard)
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        columns = [name for name in file.schema_arrow.names if name not in HIDDEN]
    for table in rows_of(path, [place.row], columns):
        row: dict[str, Any] = table.to_pylist()[0]
        return row
    raise IndexError(f"{path}: no row {place.row}")


def rules_of(output: Output, selection: str, label: str) -> LanguageConfig:
    """The rules that a selection applied to a label, every bound a number.

    Raises InputError for a label or selection that is not there.
    """
    return _rules_of(output, output.selection_manifest(selection), label)


def _rules_of(output: Output, manifest: SelectionManifest, label: str) -> LanguageConfig:
    if label not in manifest.language_configs:
        path = SelectionFolder(output.selection(manifest.selection)).manifest
        labels = ", ".join(sorted(manifest.language_configs))
        raise InputError(f"{path}: no document has the label {label}; it has {labels}")
    return LanguageConfig.model_validate(manifest.language_configs[label])


def _explanation(output: Output, selection: str, place: Place, row: dict[str, Any]) -> Explanation:
    if place.dropped:
        return Explanation(row)
    manifest = output.selection_manifest(selection)
    decisions = SelectionFolder(output.selection(selection)).decisions(place.shard_group)
    same = (pc.field("group") == row["group"]) & (pc.field("id") == row["id"])
    rows = pq.read_table(readable(decisions), filters=same).to_pylist()
    decision: dict[str, Any] = rows[0] if rows else {}
    rules = _applied_rules(output, _rules_of(output, manifest, row["label"]), row, decision)
    overlap = SelectConfig.model_validate(manifest.select).decontaminate
    if overlap and decision.get(OVERLAP, "{}") != "{}":
        fired = OVERLAP in decision["rules_fired"]
        rules.append(AppliedRule(OVERLAP, decision[OVERLAP], None, overlap.max_overlap, fired, "select.decontaminate"))
    return Explanation(row, rules, decision, _boilerplate_lines(output, place, manifest.boilerplate))


def _applied_rules(
    output: Output, language: LanguageConfig, row: Mapping[str, Any], decision: Mapping[str, Any]
) -> list[AppliedRule]:
    """The rules of the document's label, in the order of the default file."""
    order = _rule_order(output)
    active = sorted(language.active_rules().items(), key=lambda rule: (order.get(rule[0], len(order)), rule[0]))
    values = {**row, **{name: decision.get(name) for name in MEASURED_IN_SELECT}}
    rules = []
    for metric, rule in active:
        low, high = rule.interval()
        fired = metric in (decision.get("rules_fired") or [])
        origin = rule.source or language.origins.get(metric, "")
        bounds = None if rule.min is None else low, None if rule.max is None else high
        rules.append(AppliedRule(metric, values.get(metric), *bounds, fired, origin))
    return rules


def _boilerplate_lines(output: Output, place: Place, facts: BoilerplateFacts | None) -> list[str] | None:
    """The lines of a document that repeat across its host, as Explanation has them."""
    if facts is None or not are_marked(output, facts.fingerprint):
        return None
    texts = rows_of(output.annotated(place.shard), [place.row], ["text"])
    (table,) = with_boilerplate(texts, output, place.shard, [place.row])
    text, starts, ends = (table[name][0].as_py() for name in ("text", *BOILERPLATE_LINES))
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _rule_order(output: Output) -> dict[str, int]:
    """Position of each rule in the run's default.toml, or in ours where that is gone: manifests sort their keys."""
    given = output.plan.config["language_configs"]
    folder = Path(given) if given and (Path(given) / "default.toml").is_file() else None
    return {metric: position for position, metric in enumerate(load_language_config("default", folder).rules)}
