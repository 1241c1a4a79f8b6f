"""`report/index.html` and the dataset card, all from manifests; their text is in the templates beside."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import markupsafe

from pipeline.execution.commit import committed, read_manifest
from pipeline.execution.storage import matching
from pipeline.output.layout import shard_name
from pipeline.output.output import Output
from pipeline.output.selection import SelectionFolder
from pipeline.report.funnel import FUNNEL_COLUMNS, Funnel, FunnelRow, funnel_of
from pipeline.report.histograms import histogram_section
from pipeline.report.templates import render
from pipeline.schema.manifests import (
    BoilerplateFacts,
    BoilerplateTotals,
    EstimatedTokens,
    LanguageTotals,
    MixtureManifest,
    SelectionManifest,
    ShardManifest,
)
from pipeline.schema.outcomes import STEPS, Outcome


@dataclass(frozen=True)
class Step:
    """What is left after a step of the funnel, and what was lost there."""

    key: str  # read, dropped or an outcome
    name: str
    left: int
    lost: int


@dataclass(frozen=True)
class CleanTotals:
    """Sums over files of clean/."""

    characters: int
    bytes: int
    removed_characters: int  # code points of host boilerplate that was left out
    removed_documents: int  # documents that it was left out of


@dataclass(frozen=True)
class LanguageRow:
    """A language in the report."""

    label: str
    counts: dict[str, int]  # by FUNNEL_COLUMNS
    clean: CleanTotals
    fired: list[tuple[str, int]]  # metrics whose rule fires and their documents, most first


@dataclass(frozen=True)
class FiredRule:
    """A rule, the documents that it fires for, and the languages of these, most first."""

    metric: str
    documents: int
    languages: list[tuple[str, int]]


@dataclass(frozen=True)
class LanguageBoilerplate:
    """What repeats across the hosts of a language."""

    label: str
    totals: BoilerplateTotals


@dataclass(frozen=True)
class MixtureTable:
    """A mixture: its totals by label, most documents first."""

    name: str
    is_estimated: bool  # whether its tokens are estimated from characters
    totals: list[tuple[str, LanguageTotals]]


@dataclass(frozen=True)
class InputRow:
    """An input file."""

    file_path: str
    name: str
    bytes: int
    documents: int
    dropped: int
    unreadable_bytes: int


def write_report(output: Output, selection: str) -> None:
    """Write `report/index.html` and `README.md` (the card) into the selection."""
    facts = _facts(output, selection)
    folder = SelectionFolder(output.selection(selection))
    filters: dict[str, Callable[..., str]] = {"count": _count, "percent": _percent, "size": _size, "words": _words}
    for path, template in ((folder.card, "card.md.j2"), (folder.report, "report.html.j2")):
        with committed(path) as temporary:
            temporary.write_text(render(template, facts, filters), encoding="utf-8")


def _facts(output: Output, selection: str) -> dict[str, Any]:
    """What the two templates name."""
    manifest = output.selection_manifest(selection)
    plan = output.plan
    funnel = funnel_of(output, selection)
    totals = {name: funnel.total(name) for name in FUNNEL_COLUMNS}
    labels = [label for label, files in manifest.files.items() if files]
    names = {label: config["name"] for label, config in manifest.language_configs.items()}
    return {
        "selection": selection,
        "fingerprint": manifest.fingerprint,
        "missing": [path for path in plan.inputs if shard_name(path) in manifest.missing],
        "settings": json.dumps(plan.config, indent=2, ensure_ascii=False),
        "names": {label: name for label, name in names.items() if name != "any language"},
        "labels": labels,
        "splits": {label: sorted({file.split for file in manifest.files[label]}, reverse=True) for label in labels},
        "rows": [_language_row(row, manifest) for row in funnel.rows],
        "totals": totals,
        "clean": _clean_totals(manifest, manifest.files),
        "columns": FUNNEL_COLUMNS,
        "shown": ["documents", *(outcome.value for outcome in STEPS if totals[outcome]), Outcome.KEPT.value],
        "dropped": funnel.dropped.most_common(),
        "dropped_total": funnel.dropped.total(),
        "documents": totals["documents"],
        "kept": totals[Outcome.KEPT],
        "read": funnel.read,
        "steps": _steps(funnel),
        "fired": _fired_rules(manifest),
        "boilerplate": manifest.boilerplate,
        "boilerplate_rows": _boilerplate_rows(manifest.boilerplate),
        "mixtures": _mixtures(output, selection),
        "histograms": markupsafe.Markup(histogram_section(output, selection)),
        "shards": [_input_row(shard) for shard in output.manifests()],
    }


def _language_row(row: FunnelRow, manifest: SelectionManifest) -> LanguageRow:
    fired = Counter(manifest.rules_fired.get(row.label, {})).most_common()
    return LanguageRow(row.label, row.counts, _clean_totals(manifest, [row.label]), fired)


def _clean_totals(manifest: SelectionManifest, labels: Iterable[str]) -> CleanTotals:
    files = [file for label in labels for file in manifest.files.get(label, [])]
    return CleanTotals(
        characters=sum(file.characters for file in files),
        bytes=sum(file.bytes for file in files),
        removed_characters=sum(file.removed_characters for file in files),
        removed_documents=sum(file.removed_documents for file in files),
    )


def _steps(funnel: Funnel) -> list[Step]:
    """What is left after each step; steps that lose nothing are passed over, but for the first."""
    left = funnel.read
    steps = [Step("read", "records read", left, 0)]
    for key, name, lost in (
        ("dropped", "became documents", funnel.dropped.total()),
        *((outcome.value, name, funnel.total(outcome)) for outcome, name in STEPS.items()),
    ):
        left -= lost
        if lost:
            steps.append(Step(key, name, left, lost))
    return steps


def _fired_rules(manifest: SelectionManifest) -> list[FiredRule]:
    """Each rule that fires, that of most documents first."""
    by_metric: dict[str, Counter[str]] = {}
    for label, counts in manifest.rules_fired.items():
        for metric, count in counts.items():
            by_metric.setdefault(metric, Counter())[label] = count
    rules = [FiredRule(metric, counts.total(), counts.most_common()) for metric, counts in by_metric.items()]
    return sorted(rules, key=lambda rule: (-rule.documents, rule.metric))


def _boilerplate_rows(facts: BoilerplateFacts | None) -> list[LanguageBoilerplate]:
    """A row for each language with lines that repeat across a host, most characters in them first."""
    rows = [LanguageBoilerplate(label, totals) for label, totals in (facts.totals if facts else {}).items()]
    return sorted((row for row in rows if row.totals.lines), key=lambda row: (-row.totals.characters, row.label))


def _mixtures(output: Output, selection: str) -> list[MixtureTable]:
    tables = []
    for path in matching(output.selection(selection) / "mixtures", "*.json"):
        mixture = read_manifest(path, MixtureManifest)
        totals = sorted(mixture.totals.items(), key=lambda entry: (-entry[1].documents, entry[0]))
        tables.append(MixtureTable(mixture.name, isinstance(mixture.token_counts, EstimatedTokens), totals))
    return tables


def _input_row(manifest: ShardManifest) -> InputRow:
    return InputRow(
        file_path=manifest.file_path,
        name=Path(manifest.file_path).name,
        bytes=manifest.file_bytes,
        documents=manifest.documents,
        dropped=sum(manifest.dropped.values()),
        unreadable_bytes=sum(lost.end - lost.start for lost in manifest.unreadable_ranges),
    )


def _count(value: int) -> str:
    """A number with its thousands apart.

    >>> _count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def _percent(part: int, whole: int) -> str:
    """A share, empty where there is no whole.

    >>> _percent(1, 8), _percent(1, 100_000), _percent(0, 3), _percent(0, 0)
    ('12.5 %', '< 0.1 %', '0.0 %', '')
    """
    if not whole:
        return ""
    return "< 0.1 %" if 0 < part / whole < 0.0005 else f"{100 * part / whole:.1f} %"


def _size(value: int) -> str:
    """Bytes in decimal units.

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
    """A name of a column as a heading.

    >>> _words("url_duplicate")
    'url duplicate'
    """
    return name.replace("_", " ")
