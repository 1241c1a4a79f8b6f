"""The funnel, `report/index.html` and the dataset card, all from manifests."""

from collections import Counter
from typing import Any

import jinja2
import markupsafe

from pipeline.columns import FATES
from pipeline.execution.manifests import committed, read_json
from pipeline.execution.storage import matching
from pipeline.passes.annotate import shard_name
from pipeline.passes.histograms import histogram_section
from pipeline.passes.layout import Layout

FUNNEL_COLUMNS = ("documents", *FATES)

CARD = """\
---
pretty_name: Glotmill {{ selection }}
license: odc-by
configs:
{%- for label in labels %}
- config_name: {{ label }}
  data_files:
{%- for split in splits[label] %}
  - split: {{ split }}
    path: clean/{{ label }}/{{ "part" if split == "train" else "test" }}-*.parquet
{%- endfor %}
{%- endfor %}
---

# Glotmill: selection {{ selection }}

{{ documents }} documents in {{ labels | length }} languages, kept from {{ read }} records of {{ inputs | length }}
files. Fingerprint `{{ fingerprint }}`.
{% if missing %}
**Incomplete, by choice.** These of the {{ inputs | length }} files could not be read and are not in it:
{% for path in missing %}
- `{{ path }}`
{%- endfor %}
{% endif %}
| language |{% for name in columns %} {{ name }} |{% endfor %}
|---|{% for name in columns %}--:|{% endfor %}
{% for row in rows -%}
| {{ row.label }} |{% for name in columns %} {{ row[name] }} |{% endfor %}
{% endfor %}
The texts come from web pages and keep their own rights. Each row names the file, offset and URL that it came from.
"""

PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Glotmill report: {{ selection }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .7rem; text-align: right }
th { border-bottom: 2px solid #999 } td:first-child, th:first-child { text-align: left }
tr:nth-child(even) { background: #f4f4f4 } .bar { background: #4a7; height: .7rem; display: inline-block }
</style>
<h1>Selection {{ selection }}</h1>
<p>{{ read }} records of {{ inputs | length }} files, {{ dropped_total }} dropped before measuring,
{{ documents_total }} documents measured, {{ documents }} kept.</p>
{% if missing %}<p><b>Missing files:</b> {{ missing | join(", ") }}</p>
{% endif %}<h2>Funnel by language</h2>
<table><tr><th>language</th>{% for name in columns %}<th>{{ name }}</th>{% endfor %}<th>kept</th></tr>
{% for row in rows %}<tr><td>{{ row.label }}</td>{% for name in columns %}<td>{{ row[name] }}</td>{% endfor %}
<td style="text-align:left"><span class="bar" style="width:{{ row.share }}px"></span> {{ row.share }} %</td></tr>
{% endfor %}</table>
<h2>Dropped before measuring</h2>
<table><tr><th>reason</th><th>records</th></tr>
{% for reason, count in dropped %}<tr><td>{{ reason }}</td><td>{{ count }}</td></tr>{% endfor %}</table>
<h2>Rules that fired</h2>
<table><tr><th>language</th><th>rule</th><th>documents</th></tr>
{% for label, metric, count in fired %}<tr><td>{{ label }}</td><td>{{ metric }}</td><td>{{ count }}</td></tr>
{% endfor %}</table>
{{ histograms }}
<h2>Rebalanced</h2>
<table><tr><th>language</th><th>documents</th><th>with repeats</th></tr>
{% for label, documents, repeated in mix %}<tr><td>{{ label }}</td><td>{{ documents }}</td><td>{{ repeated }}</td></tr>
{% endfor %}</table>
</html>
"""


def funnel(layout: Layout, selection: str) -> tuple[list[dict[str, Any]], Counter[str]]:
    """A row per language with documents and fates, most documents first, and the records dropped by reason."""
    manifest = read_json(layout.selection(selection) / "manifest.json")
    dropped: Counter[str] = Counter()
    for one in layout.manifests():
        dropped.update(one["dropped"])
    rows = []
    for label, fates in manifest["fates"].items():
        documents = sum(fates.values())
        row: dict[str, Any] = {
            "label": label,
            "documents": documents,
            **{fate: fates.get(fate, 0) for fate in FATES},
        }
        row["share"] = round(100 * row["kept"] / documents) if documents else 0
        rows.append(row)
    rows.sort(key=lambda row: (-row["documents"], row["label"]))
    return rows, dropped


def write_report(layout: Layout, selection: str) -> None:
    """Write `report/index.html` and `README.md` (the card) into the selection."""
    folder = layout.selection(selection)
    manifest = read_json(folder / "manifest.json")
    rows, dropped = funnel(layout, selection)
    inputs = read_json(layout.run)["inputs"]
    mixes = matching(folder / "mixes", "*.json")
    totals = read_json(mixes[0])["totals"] if mixes else {}
    labels = [label for label, files in manifest["files"].items() if files]
    facts = {
        "selection": selection,
        "fingerprint": manifest["fingerprint"],
        "inputs": inputs,
        "missing": [path for path in inputs if shard_name(path) in manifest["missing"]],
        "labels": labels,
        "splits": {
            label: sorted({file["split"] for file in manifest["files"][label]}, reverse=True) for label in labels
        },
        "rows": rows,
        "columns": FUNNEL_COLUMNS,
        "dropped": dropped.most_common(),
        "dropped_total": sum(dropped.values()),
        "documents_total": sum(row["documents"] for row in rows),
        "documents": sum(row["kept"] for row in rows),
        "read": sum(dropped.values()) + sum(row["documents"] for row in rows),
        "fired": [
            (label, metric, count)
            for label, counts in manifest["rules_fired"].items()
            for metric, count in list(counts.items())[:5]
        ],
        "histograms": markupsafe.Markup(histogram_section(layout, selection)),
        "mix": [(label, one["documents"], one["repeated_documents"]) for label, one in totals.items()],
    }
    for path, template, escape in (
        (folder / "README.md", CARD, False),
        (folder / "report" / "index.html", PAGE, True),
    ):
        environment = jinja2.Environment(autoescape=escape, trim_blocks=False)
        with committed(path) as temporary:
            temporary.write_text(environment.from_string(template).render(facts), encoding="utf-8")
