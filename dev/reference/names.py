"""columns.md, drop-reasons.md and outcomes.md: what stands in files, from `pipeline.schema`."""

import re
from collections.abc import Iterable, Iterator

import pyarrow as pa

from dev.reference.markdown import paragraphs, prose, table
from dev.reference.source import ROOT, comments_by_line
from pipeline.schema import columns
from pipeline.schema.described import Described
from pipeline.schema.drop_reasons import DropReason
from pipeline.schema.outcomes import Outcome

COLUMNS = """
Four folders of an output hold a row for each document or record: `annotated/` has every document with all that was
measured, `dropped/` the records that gave no document, `decisions/` what a selection decided about each document, and
`clean/` the result. A column means the same wherever it stands, unless a table here says otherwise. `list<int32>` is a
list in each row. A [stage](config.md#stages) of your own appends its columns to `annotated/` and `clean/`.
"""
DROP_REASONS = """
A record that could hold a document and gave none is a row of `dropped/`. Its column `drop_reason` has one of these
values. A [stage](config.md#stages) of your own may give reasons of its own.
"""
OUTCOMES = """
In a selection each document has exactly one outcome. It stands in the column `outcome` of `decisions/`, and the funnel
of the report counts it.
"""
PRECEDENCE = """
Where several would fit, `removed` goes before all others, and `already_read` before the rest. A duplicate that also
fails a rule is `failed_rules`, unless `select.keep_before_rules` lets a cluster choose before the rules are asked.
`url_duplicate` and `empty_after_edits` concern documents that would have been kept.
"""
# What a column says in clean/, where it differs from annotated/.
IN_CLEAN = {
    "text": "main text as it is to be read: edits are applied, and host boilerplate is left out if that is asked for",
    "character_count": "code points of this text; all other metrics are of the text that was measured",
}
PARTS = (
    ("Record", columns.RECORD),
    ("What the page declares", columns.METADATA),
    ("Encoding", {name: part for name, part in columns.TEXT.items() if name != "text"}),
    ("Language", columns.LANGUAGE),
    ("Metrics", columns.METRIC),
    ("Perplexity", columns.PERPLEXITY),
    ("Signature and hashes", columns.SIGNATURE),
    ("Edits", columns.EDITS),
    ("Text", {"text": columns.TEXT["text"]}),
)
DICTIONARY = {name: column for _, part in PARTS for name, column in part.items()} | columns.DROP | columns.DECISION
DICTIONARY |= {name: (kind, meaning[0].lower() + meaning[1:]) for name, (kind, meaning) in columns.METRIC.items()}


def columns_page() -> list[str]:
    """Every column of the four kinds of files that hold rows."""
    return [
        "# Columns",
        "",
        *paragraphs(COLUMNS),
        "## annotated",
        "",
        "`annotated/<shard>.parquet`, in this order.",
        "",
        *_annotated(),
        "## dropped",
        "",
        "`dropped/<shard>.parquet`. Columns that were not known yet when the record left are null.",
        "",
        *_table(columns.DROPPED.names),
        "",
        "## decisions",
        "",
        "`selections/<name>/decisions/shard-group-*.parquet`, sorted by `group`.",
        "",
        *_table(columns.DECISIONS),
        "",
        "## clean",
        "",
        "`selections/<name>/clean/<label>/part-*.parquet`, sorted by `minhash_cluster_size`, then by hash of `id`. The",
        f"columns up to `{columns.CLEAN_FIRST[-1]}` are those of FineWeb-2.",
        "",
        *_table(columns.CLEAN, IN_CLEAN),
    ]


def _annotated() -> Iterator[str]:
    for title, part in PARTS:
        yield from (f"### {title}", "", *_table(part), "")


def _table(names: Iterable[str], differing: dict[str, str] | None = None) -> list[str]:
    rows = []
    for name in names:
        kind, meaning = DICTIONARY[name]
        meaning = (differing or {}).get(name, meaning)
        rows.append([_linked(name), f"`{type_name(kind)}`", prose(meaning)])
    return table(["column", "type", "meaning"], rows)


def _linked(column: str) -> str:
    pages = {"drop_reason": "drop-reasons.md", "outcome": "outcomes.md"}
    page = f"metrics.md#{column}" if column in columns.METRIC else pages.get(column)
    return f"[`{column}`]({page})" if page else f"`{column}`"


def type_name(kind: pa.DataType) -> str:
    """An Arrow type by one name, whatever the version of Arrow.

    >>> type_name(pa.list_(pa.int32())), type_name(pa.float64())
    ('list<int32>', 'float64')
    """
    if pa.types.is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    return {"double": "float64"}.get(str(kind), str(kind))


def drop_reasons_page() -> list[str]:
    """Every drop reason, by the step that gives it."""
    return [
        "# Drop reasons",
        "",
        *paragraphs(DROP_REASONS),
        *_by_section(DropReason, "pipeline/schema/drop_reasons.py"),
    ]


def outcomes_page() -> list[str]:
    """Every outcome."""
    return [
        "# Outcomes",
        "",
        *paragraphs(OUTCOMES),
        *table(["outcome", "meaning"], [[f"`{outcome}`", prose(outcome.meaning)] for outcome in Outcome]),
        "",
        *paragraphs(PRECEDENCE),
    ]


def _by_section(kind: type[Described], path: str) -> Iterator[str]:
    """A table for each comment line that stands above some of the members."""
    text = (ROOT / path).read_text(encoding="utf-8")
    titles = comments_by_line(text)
    section: list[Described] = []
    for number, line in enumerate(text.splitlines(), 1):
        if member := re.match(r"    ([A-Z_]+) = ", line):
            section.append(kind[member[1]])
        elif line.strip().startswith("# "):
            yield from _section(section)
            section = []
            yield from (f"## {titles[number].capitalize()}", "")
    yield from _section(section)


def _section(members: list[Described]) -> list[str]:
    rows = [[f"`{member}`", prose(member.meaning)] for member in members]
    return [*table(["reason", "meaning"], rows), ""] if rows else []
