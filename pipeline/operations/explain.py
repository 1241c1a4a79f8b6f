"""explain: one document's way, from its bytes to its outcome."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.language_files import LanguageConfig, load_language_config
from pipeline.errors import InputError
from pipeline.execution.commit import read_json
from pipeline.execution.storage import readable
from pipeline.output.document_index import Place, find, url_key
from pipeline.output.grouped_parquet import rows_of
from pipeline.output.output import Output
from pipeline.passes.boilerplate.mark import are_marked, with_boilerplate
from pipeline.passes.select.decontaminate import OVERLAP
from pipeline.rules.histogram import HOST_BOILERPLATE
from pipeline.schema.columns import BOILERPLATE_LINES

HIDDEN = {"text", "bands", "minima", "edit_starts", "edit_ends", "edit_texts"}


def explain(layout: Output, selection: str, wanted: str) -> list[dict[str, Any]]:
    """Every record with this URL or id: `record`, and `rules`, `decision` and `boilerplate` where it became a document.

    `boilerplate` are the lines that repeat across its host, as the selection knew them; None where it did not look.

    A URL that no record has stands for those that have its normal form (http or https, without session parameters).
    Raises InputError when the run never saw it.
    """
    found = find(layout, "id", [wanted, f"<{wanted}>"]) or find(layout, "url", [url_key(wanted)])
    rows = [(place, _row(layout, place)) for place in found]
    same = [one for one in rows if wanted in (one[1]["id"], one[1]["id"].strip("<>"), one[1]["url"])]
    alike = [one for one in rows if url_key(wanted) == url_key(one[1]["url"] or "")]  # hashes can collide
    if not same and not alike:
        raise InputError(f"{wanted}: neither the URL nor the id of a record of {layout.root}")
    return [_story(layout, selection, place, row) for place, row in same or alike]


def _row(layout: Output, place: Place) -> dict[str, Any]:
    path = layout.dropped(place.shard) if place.dropped else layout.annotated(place.shard)
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        first = 0
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if place.row < first + rows:
                names = [name for name in file.schema_arrow.names if name not in HIDDEN]
                table = file.read_row_group(number, columns=names)
                row: dict[str, Any] = table.slice(place.row - first, 1).to_pylist()[0]
                return row
            first += rows
    raise IndexError(f"{path}: no row {place.row}")


def rules_of(layout: Output, selection: str, label: str) -> LanguageConfig:
    """The rules that a selection applied to a label, every bound a number.

    Raises InputError for a label or selection that is not there.
    """
    path = layout.selection(selection) / "manifest.json"
    if not path.exists():
        raise InputError(f"{layout.root}: no selection {selection}; make it with `glotmill select`")
    configs = read_json(path)["language_configs"]
    if label not in configs:
        raise InputError(f"{path}: no document has the label {label}; it has {', '.join(sorted(configs))}")
    return LanguageConfig.model_validate(configs[label])


def _story(layout: Output, selection: str, place: Place, row: dict[str, Any]) -> dict[str, Any]:
    if place.dropped:
        return {"record": row}
    folder = layout.selection(selection)
    decisions = readable(folder / "decisions" / f"shard-group-{place.shard_group:05d}.parquet")
    same = (pc.field("group") == row["group"]) & (pc.field("id") == row["id"])
    hits = pq.read_table(decisions, filters=same).to_pylist()
    decision: dict[str, Any] = hits[0] if hits else {}
    language = rules_of(layout, selection, row["label"])
    order = _rule_order(layout)
    active = sorted(language.active_rules().items(), key=lambda rule: (order.get(rule[0], len(order)), rule[0]))
    values = row | {name: decision.get(name) for name in ("perplexity_percentile", HOST_BOILERPLATE)}
    rules = [
        {
            "metric": metric,
            "value": values.get(metric),
            "min": rule.min,
            "max": rule.max,
            "fired": metric in (decision.get("rules_fired") or []),
            "origin": rule.source or language.origins.get(metric, ""),
        }
        for metric, rule in active
    ]
    manifest = read_json(folder / "manifest.json")
    settings = manifest["select"].get("decontaminate")
    if settings and decision.get(OVERLAP, "{}") != "{}":
        fired = OVERLAP in decision["rules_fired"]
        limit = {"min": None, "max": settings["max_overlap"], "origin": "select.decontaminate"}
        rules.append({"metric": OVERLAP, "value": decision[OVERLAP], "fired": fired, **limit})
    repeated = _boilerplate_facts(layout, place, manifest.get("boilerplate"))
    return {"record": row, "rules": rules, "decision": decision, "boilerplate": repeated}


def _boilerplate_facts(layout: Output, place: Place, lines: dict[str, Any] | None) -> list[str] | None:
    """The lines of a document that repeat across its host; None where the selection did not look for them, or they were
    marked again with other settings since."""
    if lines is None or not are_marked(layout, lines["fingerprint"]):
        return None
    texts = rows_of(layout.annotated(place.shard), [place.row], ["text"])
    ((text, starts, ends),) = (
        (table["text"][0].as_py(), *(table[name][0].as_py() for name in BOILERPLATE_LINES))
        for table in with_boilerplate(texts, layout, place.shard, [place.row])
    )
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _rule_order(layout: Output) -> dict[str, int]:
    """Place of each rule in the run's default.toml, or in ours where that is gone: manifests sort their keys."""
    given = layout.plan.config["language_configs"]
    folder = Path(given) if given and (Path(given) / "default.toml").is_file() else None
    return {metric: place for place, metric in enumerate(load_language_config("default", folder).rules)}
