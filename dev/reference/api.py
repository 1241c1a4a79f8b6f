"""api.md: the functions and classes for use from Python, from their signatures and docstrings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dev.reference.markdown import documentation, examples, paragraphs, prose, table
from dev.reference.source import Class, Function, read_module

INTRODUCTION: Final = """
What the command line does can be done from Python, and single steps can be used on their own. Nothing is released yet:
modules and names may still change. Everything raises the [errors](#errors) at the end of this page, and nothing else on
purpose.
"""


@dataclass(frozen=True)
class Part:
    """A section of the page: modules, each with the names that are described."""

    title: str
    text: str
    names: dict[str, tuple[str, ...]]


PARTS: Final = (
    Part(
        "Runs",
        "Settings in, an output folder out. `run` does all passes, and what is done already is not done again.",
        {
            "pipeline.config.reading": ("load_run_config", "parse_overrides"),
            "pipeline.operations.run": ("run", "reselect", "check"),
            "pipeline.output.output": ("Output",),
        },
    ),
    Part(
        "Finished runs",
        "Look at an output, check it, and change it.",
        {
            "pipeline.operations.explain": ("explain",),
            "pipeline.passes.audit": ("audit",),
            "pipeline.operations.remove.remove": ("remove",),
            "pipeline.operations.clean_up": ("leftovers", "clean_up"),
            "pipeline.operations.estimate": ("estimate",),
        },
    ),
    Part(
        "Rules and thresholds",
        "What the rules of a language are, and what other thresholds would do, from stored metrics.",
        {
            "pipeline.config.language_files": ("load_language_config", "LanguageConfig", "Rule", "Percentile"),
            "pipeline.operations.tune": (
                "metric_quantiles",
                "removal_by_threshold",
                "removal_from_histogram",
                "what_if",
            ),
        },
    ),
    Part(
        "Data mixtures",
        "How to use them is in [Data mixtures](../mixtures.md).",
        {
            "pipeline.operations.mix": ("mix", "ShuffledFiles"),
            "pipeline.operations.read_mixture": ("read_mix", "MixtureReader"),
        },
    ),
    Part(
        "From bytes to text",
        "Single steps, on single records and pages.",
        {
            "pipeline.readers": ("read_input", "reader_of"),
            "pipeline.readers.contract": ("InputFile", "ReadSettings", "SourceRow", "OtherRecord", "UnreadableRange"),
            "pipeline.text.decode": ("to_utf8",),
            "pipeline.text.main_text.extractors": ("extract", "Extraction"),
            "pipeline.text.repair": ("repair_encoding",),
            "pipeline.text.edits": ("find_edits", "apply_edits"),
            "pipeline.text.urls": ("normalize_url", "host_of", "registered_domain"),
        },
    ),
    Part(
        "From text to measurements",
        "Language, metrics and perplexity of a text.",
        {
            "pipeline.text.language.identifiers": ("LanguageIdentifier", "Identification"),
            "pipeline.text.metrics.contract": ("measure", "WordLists"),
            "pipeline.text.metrics.view": ("TextView",),
            "pipeline.text.perplexity": ("LanguageModel", "Perplexity"),
        },
    ),
    Part(
        "Near-duplicates",
        "MinHash signatures of texts, and what they can be expected to find.",
        {
            "pipeline.dedup.minhash": (
                "SignatureScheme",
                "sign_documents",
                "Signatures",
                "collision_probability",
                "bands_and_rows",
            ),
        },
    ),
    Part(
        "Stages of your own",
        "A class that a recipe names under [`[[stages]]`](config.md#stages).",
        {
            "pipeline.stages.contract": ("Stage", "add_columns"),
            "pipeline.schema.metrics": ("metric_column",),
            "pipeline.stages.score_classifier": ("ScoreClassifier",),
        },
    ),
)

MADE_BY_OTHERS: Final = {"MixtureReader", "TextView"}  # by a function or method of this page


def api_page() -> list[str]:
    """Every function and class of PARTS. Raises KeyError for one that its module does not define."""
    contents = [[f"[{part.title}](#{part.title.lower().replace(' ', '-')})", ", ".join(_links(part))] for part in PARTS]
    return [
        "# Python",
        "",
        *paragraphs(INTRODUCTION),
        *table(["for", "names"], contents),
        "",
        *(line for part in PARTS for line in _part(part)),
        "## Errors",
        "",
        "All are in `pipeline.errors`, and `PipelineError` is the base of the others.",
        "",
        *table(["error", "meaning"], [[f"`{name}`", prose(doc)] for name, doc in _errors()]),
    ]


def _links(part: Part) -> Iterator[str]:
    for names in part.names.values():
        for name in names:
            yield f"[`{name}`](#{name.lower()})"


def _part(part: Part) -> Iterator[str]:
    yield from (f"## {part.title}", "", *paragraphs(part.text))
    for module_name, names in part.names.items():
        module = read_module(module_name)
        for name in names:
            if name in module.functions:
                yield from _function(module_name, module.functions[name])
            else:
                yield from _class(module_name, module.classes[name])


def _function(module: str, function: Function) -> Iterator[str]:
    yield from (f"### {function.name}", "")
    yield from _code(f"from {module} import {function.name}", "", function.signature)
    yield from documentation(function.doc)
    yield from examples(function.doc)


def _class(module: str, kind: Class) -> Iterator[str]:
    yield from (f"### {kind.name}", "")
    signature = "" if kind.name in MADE_BY_OTHERS else kind.signature
    yield from _code(f"from {module} import {kind.name}", *(["", signature] if signature else []))
    yield from documentation(kind.doc)
    yield from examples(kind.doc)
    if explained := [[f"`{field.name}`", prose(field.comment)] for field in kind.fields if field.comment]:
        yield from (*table(["field", "meaning"], explained), "")
    if documented := [method for method in kind.methods if method.doc]:
        rows = [[_method(method), prose(_first_paragraph(method.doc))] for method in documented]
        yield from (*table(["method or property", "meaning"], rows), "")


def _method(method: Function) -> str:
    signature = " ".join(method.signature.split()).replace("( ", "(").replace(", )", ")")
    return f"`{signature.replace('()', '')}`" if method.is_property else f"`{signature}`"


def _first_paragraph(doc: str) -> str:
    return " ".join(doc.partition("\n\n")[0].split())


def _code(*lines: str) -> list[str]:
    return ["```python", *lines, "```", ""]


def _errors() -> list[tuple[str, str]]:
    return [(name, _first_paragraph(kind.doc)) for name, kind in read_module("pipeline.errors").classes.items()]
