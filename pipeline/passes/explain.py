"""explain: one document's way, from its bytes to its fate."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute  # pa.compute is there only once someone has imported it
import pyarrow.parquet as pq

from pipeline.config import LanguageConfig, load_language_config
from pipeline.errors import InputError
from pipeline.execution.manifests import read_json
from pipeline.passes.layout import Layout

HIDDEN = {"text", "bands", "minima", "span_starts", "span_ends", "span_texts"}


def explain(layout: Layout, selection: str, wanted: str) -> list[dict[str, Any]]:
    """Every record with this URL or id: `record`, and `rules` and `decision` where it became a document.

    Raises InputError when the run never saw it.
    """
    ids = {wanted, f"<{wanted}>"}
    found: list[dict[str, Any]] = []
    for shard in layout.shards():
        for path in (layout.annotated(shard), layout.dropped(shard)):
            found += [_story(layout, selection, row) for row in _matches(path, ids, wanted)]
    if not found:
        raise InputError(f"{wanted}: neither the URL nor the id of a record of {layout.root}")
    return found


def _matches(path: Path, ids: set[str], url: str) -> list[dict[str, Any]]:
    names = [name for name in pq.read_schema(path).names if name not in HIDDEN]
    table = pq.read_table(path, columns=names)
    hit = pa.compute.or_(
        pa.compute.is_in(table["id"], pa.array(sorted(ids))),
        pa.compute.equal(table["url"], url).fill_null(False),
    )
    rows: list[dict[str, Any]] = table.filter(hit).to_pylist()
    return rows


def _story(layout: Layout, selection: str, row: dict[str, Any]) -> dict[str, Any]:
    if row.get("drop_reason"):
        return {"record": row}
    folder = layout.selection(selection)
    manifest = read_json(folder / "manifest.json")
    decision: dict[str, Any] = {}
    for path in sorted((folder / "decisions").glob("batch-*.parquet")):
        table = pq.read_table(path)
        hits = table.filter(pa.compute.equal(table["id"], row["id"])).to_pylist()
        decision = hits[0] if hits else decision
    language = LanguageConfig.model_validate(manifest["language_configs"][row["label"]])
    order = _rule_order(layout)
    active = sorted(language.active_rules().items(), key=lambda rule: (order.get(rule[0], len(order)), rule[0]))
    values = row | {"perplexity_percentile": decision.get("perplexity_percentile")}
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
    return {"record": row, "rules": rules, "decision": decision}


def _rule_order(layout: Layout) -> dict[str, int]:
    """Place of each rule in the run's default.toml, or in ours where that is gone: manifests sort their keys."""
    given = read_json(layout.run)["config"]["language_configs"]
    folder = Path(given) if given and (Path(given) / "default.toml").is_file() else None
    return {metric: place for place, metric in enumerate(load_language_config("default", folder).rules)}
