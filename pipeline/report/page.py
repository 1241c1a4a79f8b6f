"""The funnel, `report/index.html` and the dataset card, all from manifests; their text is in the templates beside."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import markupsafe

from pipeline.execution.commit import committed, read_json
from pipeline.execution.storage import matching
from pipeline.output.layout import shard_name
from pipeline.output.output import Output
from pipeline.report.histograms import histogram_section
from pipeline.report.templates import render
from pipeline.schema.columns import OUTCOMES
from pipeline.schema.manifests import ShardManifest

FUNNEL_COLUMNS = ("documents", *OUTCOMES)
# The order in which documents are lost, and what those that are left have behind them.
STEPS = {
    "failed_rules": "pass the rules",
    "duplicate": "represent their near duplicates",
    "url_duplicate": "are the only one of their URL",
    "already_read": "were not read before",
    "empty_after_edits": "have text after refinement",
    "removed": "were not taken back",
}


def funnel(layout: Output, selection: str) -> tuple[list[dict[str, Any]], Counter[str]]:
    """A row per language with documents and outcomes, most documents first, and the records dropped by reason."""
    manifest = read_json(layout.selection(selection) / "manifest.json")
    dropped: Counter[str] = Counter()
    for shard_manifest in layout.manifests():
        dropped.update(shard_manifest.dropped)
    rows = []
    for label, outcomes in manifest["outcomes"].items():
        rows.append(
            {
                "label": label,
                "documents": sum(outcomes.values()),
                **{outcome: outcomes.get(outcome, 0) for outcome in OUTCOMES},
            }
        )
    rows.sort(key=lambda row: (-row["documents"], row["label"]))
    return rows, dropped


def write_report(layout: Output, selection: str) -> None:
    """Write `report/index.html` and `README.md` (the card) into the selection."""
    facts = _facts(layout, selection)
    folder = layout.selection(selection)
    filters: dict[str, Callable[..., str]] = {"count": _count, "percent": _percent, "size": _size, "words": _words}
    for path, template in ((folder / "README.md", "card.md.j2"), (folder / "report" / "index.html", "report.html.j2")):
        with committed(path) as temporary:
            temporary.write_text(render(template, facts, filters), encoding="utf-8")


def _facts(layout: Output, selection: str) -> dict[str, Any]:
    folder = layout.selection(selection)
    manifest = read_json(folder / "manifest.json")
    plan = layout.plan
    rows, dropped = funnel(layout, selection)
    inputs = plan.inputs
    for row in rows:
        files = manifest["files"].get(row["label"], [])
        row["characters"] = sum(file["characters"] for file in files)
        row["bytes"] = sum(file["bytes"] for file in files)
        row["removed_characters"] = sum(file.get("removed_characters", 0) for file in files)
        row["removed_documents"] = sum(file.get("removed_documents", 0) for file in files)
        row["fired"] = Counter(manifest["rules_fired"].get(row["label"], {})).most_common()
        row["failed"] = row["failed_rules"]
    summed = (*FUNNEL_COLUMNS, "characters", "bytes", "removed_characters", "removed_documents")
    totals = {name: sum(row[name] for row in rows) for name in summed}
    labels = [label for label, files in manifest["files"].items() if files]
    return {
        "selection": selection,
        "fingerprint": manifest["fingerprint"],
        "missing": [path for path in inputs if shard_name(path) in manifest["missing"]],
        "settings": json.dumps(plan.config, indent=2, ensure_ascii=False),
        "names": {
            label: one["name"] for label, one in manifest["language_configs"].items() if one["name"] != "any language"
        },
        "labels": labels,
        "splits": {
            label: sorted({file["split"] for file in manifest["files"][label]}, reverse=True) for label in labels
        },
        "rows": rows,
        "totals": totals,
        "columns": FUNNEL_COLUMNS,
        "shown": ["documents", *(outcome for outcome in STEPS if totals[outcome]), "kept"],
        "dropped": dropped.most_common(),
        "dropped_total": dropped.total(),
        "documents": totals["documents"],
        "kept": totals["kept"],
        "read": dropped.total() + totals["documents"],
        "steps": _steps(totals, dropped.total()),
        "fired": _fired(manifest["rules_fired"]),
        "boilerplate": manifest.get("boilerplate"),
        "boilerplate_totals": _boilerplate_totals(manifest.get("boilerplate")),
        "mixtures": [
            {
                "name": mixture["name"],
                "estimated": mixture["token_counts"]["method"] == "estimate",
                "totals": sorted(mixture["totals"].items(), key=_most_documents),
            }
            for mixture in map(read_json, matching(folder / "mixtures", "*.json"))
        ],
        "histograms": markupsafe.Markup(histogram_section(layout, selection)),
        "shards": [_shard(one) for one in layout.manifests()],
    }


def _steps(totals: dict[str, int], dropped: int) -> list[dict[str, Any]]:
    """What is left after each step, and lost there; steps that lose nothing are passed over, but for the first."""
    left = totals["documents"] + dropped
    steps = [{"outcome": "read", "name": "records read", "left": left, "lost": 0}]
    for outcome, name, lost in (
        ("dropped", "became documents", dropped),
        *((outcome, name, totals[outcome]) for outcome, name in STEPS.items()),
    ):
        left -= lost
        if lost:
            steps.append({"outcome": outcome, "name": name, "left": left, "lost": lost})
    return steps


def _fired(rules_fired: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Each rule with the documents that fire it and its languages, most first."""
    by_metric: dict[str, Counter[str]] = {}
    for label, counts in rules_fired.items():
        for metric, count in counts.items():
            by_metric.setdefault(metric, Counter())[label] = count
    rules = [
        {"metric": metric, "documents": counts.total(), "languages": counts.most_common()}
        for metric, counts in by_metric.items()
    ]
    return sorted(rules, key=lambda rule: (-rule["documents"], rule["metric"]))


def _boilerplate_totals(lines: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A row for each language with lines that repeat across a host, most characters in them first."""
    found = [{"label": label, **one} for label, one in (lines["totals"] if lines else {}).items() if one["lines"]]
    return sorted(found, key=lambda one: (-one["characters"], one["label"]))


def _shard(manifest: ShardManifest) -> dict[str, Any]:
    return {
        "file_path": manifest.file_path,
        "name": Path(manifest.file_path).name,
        "bytes": manifest.file_bytes,
        "documents": manifest.documents,
        "dropped": sum(manifest.dropped.values()),
        "unreadable_bytes": sum(lost.end - lost.start for lost in manifest.unreadable_ranges),
    }


def _most_documents(entry: tuple[str, dict[str, int]]) -> tuple[int, str]:
    return -entry[1]["documents"], entry[0]


def _count(value: int) -> str:
    """
    >>> _count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def _percent(part: int, whole: int) -> str:
    """
    >>> _percent(1, 8), _percent(1, 100_000), _percent(0, 3), _percent(0, 0)
    ('12.5 %', '< 0.1 %', '0.0 %', '')
    """
    if not whole:
        return ""
    return "< 0.1 %" if 0 < part / whole < 0.0005 else f"{100 * part / whole:.1f} %"


def _size(value: int) -> str:
    """
    >>> _size(999), _size(41_983), _size(7_208_088), _size(3_400_000_000_000)
    ('999 B', '42.0 kB', '7.2 MB', '3.4 TB')
    """
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.95:
            return f"{value} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def _words(name: str) -> str:
    """
    >>> _words("url_duplicate")
    'url duplicate'
    """
    return name.replace("_", " ")
