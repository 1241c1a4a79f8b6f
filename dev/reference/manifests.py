"""manifests.md: the files of an output folder, from `pipeline.output.layout`, and the JSON files, from their types."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from dev.reference.markdown import documentation, paragraphs, prose, table
from dev.reference.source import Class, read_module
from pipeline.output.layout import Layout
from pipeline.schema.manifests import OUTPUT_FORMAT

FILES: Final = """
A run writes one folder. Readers trust its manifests, JSON files that are written last and name finished files, and no
listing of a folder ([the output format](../design/output-format.md)).

`<shard>` is the name of an input file with eight digits of a hash of its path, `<label>` a language and script such as
`tur_Latn`, `NNNNN` a number of five digits from 00000 on.
"""
JSON_FILES: Final = f"""
This version reads and writes output format {OUTPUT_FORMAT}; `run.json` has it as `format`, and a folder of another
format is refused before work. A field that is absent, unknown or of another type is an error that names the file and
the field. Types are those of Python: `int | None` is a number or null, `list[str]` a list of strings, `dict[str, int]`
an object of numbers by name; a name such as `ShardDigests` is an object with the fields of its own section. Numbers
count documents where nothing else is said.
"""
# Files that Layout does not name, because they belong to one command or pass.
OTHERS: Final = {
    "run.lock": "Held while a run works in the folder; empty otherwise.",
    "quarantine/<shard>.json": "Pages that stopped two fresh extraction processes, by sha256; not tried again.",
    "contamination/": "Which documents overlap with evaluation sets.",
    "take_downs/<name>.json": "What one `glotmill remove` took out, as hashes.",
    "boilerplate/counts/": "How many documents of a shard group have a line, by hash; kept, so that other thresholds "
    "need no counting.",
    "selections/<name>/manifest.json": "Counts, files with their sha256, and rules; it exists when the selection does.",
    "selections/<name>/clean/<label>/part-NNNNN.parquet": "The result: clean text, sorted by cluster size.",
    "selections/<name>/clean/<label>/test-NNNNN.parquet": "The test split, if one is asked for.",
    "selections/<name>/decisions/shard-group-NNNNN.parquet": "What was decided about every document.",
    "selections/<name>/histograms.parquet": "The histograms of all shard groups.",
    "selections/<name>/sample.parquet": "100 documents of each outcome and language, with every metric.",
    "selections/<name>/mixtures/<mixture>.json": "How often to read which rows of clean/.",
    "selections/<name>/mixtures/<mixture>.changed.parquet": "Rows whose weight later outputs changed.",
    "selections/<name>/mixtures/tokens/": "Counts of tokens by a tokenizer, kept for the next mixture.",
    "selections/<name>/report/index.html": "The report, which loads nothing from the network.",
    "selections/<name>/README.md": "The dataset card.",
}
SCRATCH: Final = re.compile(r"scratch|edges|gathered")  # deleted before a pass ends
# What fields say that stand in several objects.
COMMON: Final = {
    "fingerprint": "of everything that this work depends on",
    "shard": "its name",
    "shard_groups": "the shards of each group",
    "file_path": "input file as the plan names it",
    "file_bytes": "size of the input file",
    "records_by_type": "records of each WARC-Type",
    "unreadable_ranges": "in the order of the file",
    "documents": "how many",
    "name": "its name",
    "file": "path of the file",
    "path": "of the file",
    "files": "in order",
    "requests": "what was asked for",
    "settings": "what it was made from",
    "seed": "of the order",
    "first_row": "counted from 0",
    "repeats": "how often each is read",
    "tokens": "of the text",
    "totals": "by label",
    "total": "of all labels",
    "token_counts": "how tokens were counted",
    "start": "first byte",
    "end": "byte behind the last",
    "rows": "how many",
    "bytes": "size of the file",
    "sha256": "of the file",
    "characters": "code points",
    "label": "language and script",
    "metric": "its name",
    "selection": "its name",
    "value": "the bound",
    "remove": "as `boilerplate.remove`",
    "min_documents": "as `boilerplate.min_documents`",
    "min_document_fraction": "as `boilerplate.min_document_fraction`",
}


def manifests_page() -> list[str]:
    """Every file of an output folder, and every field of the JSON files."""
    module = read_module("pipeline.schema.manifests")
    return [
        "# Files of an output folder",
        "",
        *paragraphs(FILES),
        "## Files",
        "",
        *table(["file", "what it holds"], [[f"`{path}`", prose(meaning)] for path, meaning in sorted(files().items())]),
        "",
        "## JSON files",
        "",
        *paragraphs(JSON_FILES),
        *(
            line
            for name, kind in module.classes.items()
            if name != "Manifest"
            for line in _section(kind, module.classes)
        ),
    ]


def files() -> dict[str, str]:
    """What lies in an output folder: path relative to it -> what it holds. Folders end in a slash."""
    layout = Layout(Path("/"))
    listed: dict[str, str] = {}
    for name, member in vars(Layout).items():
        if name.startswith("_") or not (isinstance(member, property) or inspect.isfunction(member)):
            continue
        path = _path(layout, name, member)
        if "." in path and not SCRATCH.search(path):  # a file, and not only the folder of some
            listed[path] = " ".join((member.__doc__ or "").split())
    return OTHERS | listed


def _path(layout: Layout, name: str, member: Any) -> str:
    """The path that a property or method of Layout gives, with placeholders for its arguments."""
    if isinstance(member, property):
        path = str(getattr(layout, name))
    else:
        parameters = list(inspect.signature(member).parameters.values())[1:]
        given: list[Any] = [0 if parameter.annotation is int else f"<{parameter.name}>" for parameter in parameters]
        path = str(member(layout, *given))
    return path.removeprefix("/").replace("00000", "NNNNN")


def _section(kind: Class, classes: dict[str, Class]) -> Iterator[str]:
    yield from (f"### {kind.name}", "", *documentation(kind.doc))
    rows = []
    if "tag_field" in kind.keywords:  # it tells this object from others that may stand in its place
        name, value = (ast.literal_eval(kind.keywords[key]) for key in ("tag_field", "tag"))
        rows.append([f"`{name}`", "`str`", f'always "{value}"'])
    inherited = [field for base in kind.bases if base in classes for field in classes[base].fields]
    for field in [*inherited, *kind.fields]:
        meaning = prose(field.comment or COMMON.get(field.name, ""))
        default = f"default `{field.default}`" if field.default else ""
        rows.append([f"`{field.name}`", _linked(field.type, classes), "; ".join(filter(None, (meaning, default)))])
    yield from (*table(["field", "type", "meaning"], rows), "")


def _linked(kind: str, classes: dict[str, Class]) -> str:
    """A type as code, with a link to the section of each object that it names."""
    named = [name for name in re.findall(r"\w+", kind) if name in classes]
    if len(named) > 1:
        return " or ".join(_linked(part, classes) for part in kind.split(" | "))
    return f"[`{kind}`](#{named[0].lower()})" if named else f"`{kind}`"
