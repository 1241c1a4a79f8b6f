"""How the reference pages are read from code and comments."""

import doctest
from importlib import import_module
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from dev.reference.markdown import documentation, inline_code, prose, table
from dev.reference.settings import Explained, UnexplainedError, explained, meaning_of, settings_of, type_words
from dev.reference.source import comments_by_line, read_module
from pipeline.config.run_settings import DedupConfig

TOML = """
# A heading of the file, which belongs to no setting.

size = 5                # pages
# limit = 3             # off by default
name = "a # b"          # what it is called,
                        # in full
[part]                  # of the whole
# Some text that is
# above a setting.
depth = 1
# table = { files = ["x",
#            "y"] }     # several lines
width = 2               # centimetres

# Above a section.
[part.inner]
"""
KNOWN = {"size", "limit", "name", "part", "part.depth", "part.table", "part.width", "part.inner"}


@pytest.mark.parametrize("name", ["markdown", "names", "settings"])
def test_examples_in_docstrings_hold(name: str) -> None:
    result = doctest.testmod(import_module(f"dev.reference.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_comments_behind_above_and_below_a_setting_are_its_meaning() -> None:
    assert explained(TOML, KNOWN) == Explained(
        settings={
            "size": "pages",
            "limit": "off by default",
            "name": "what it is called, in full",
            "part.depth": "Some text that is above a setting.",
            "part.table": "several lines",
            "part.width": "centimetres",
        },
        sections={"part": "of the whole", "part.inner": "Above a section."},
    )


def test_a_setting_that_nothing_explains_is_an_error_that_names_it() -> None:
    bands = next(setting for setting in settings_of(DedupConfig, "dedup.") if setting.key == "dedup.bands")
    with pytest.raises(UnexplainedError, match=r"dedup\.bands: .*DedupConfig"):
        meaning_of(bands, Explained({}, {}))


def test_types_of_settings_are_said_in_words() -> None:
    class Item(BaseModel):
        size: int = Field(1, gt=0, le=64)

    class Settings(BaseModel):
        share: float = Field(0.5, ge=0, le=1)
        names: tuple[str, ...] = ()
        kind: Literal["a", "b", "c"] | None = None
        items: tuple[Item, ...] = ()
        groups: dict[str, tuple[str, ...]] = {}

    words = {setting.key: type_words(setting.field) for setting in settings_of(Settings)}
    assert words == {
        "share": "number, at least 0, at most 1",
        "names": "list of strings",
        "kind": '`"a"`, `"b"` or `"c"`',
        "items": "list of tables",
        "items[].size": "whole number, above 0, at most 64",
        "groups": "table of lists of strings by name",
    }


def test_signatures_and_comments_are_those_of_the_source() -> None:
    scheme = read_module("pipeline.dedup.minhash").classes["SignatureScheme"]
    assert scheme.signature.startswith("SignatureScheme(\n    bands: int = 14,\n")
    assert {method.name: method.is_property for method in scheme.methods} == {"minima_count": True, "name": True}
    plan = read_module("pipeline.schema.manifests").classes["RunPlan"]
    assert next(field for field in plan.fields if field.name == "missing").comment == "shards that are quarantined"


def test_a_hash_in_a_string_is_no_comment() -> None:
    assert comments_by_line('a = "# no"  # yes\n') == {1: "yes"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the column word_count", "the column `word_count`"),
        ("already `word_count`", "already `word_count`"),
        ("rows in dropped/, and run.json", "rows in `dropped/`, and `run.json`"),
        ("with --accept-missing only", "with `--accept-missing` only"),
        ("a/b per word, and/or 3.5", "a/b per word, and/or 3.5"),
        ("<shard> and x ** y", "&lt;shard> and x \\*\\* y"),
    ],
)
def test_names_in_prose_become_code(text: str, expected: str) -> None:
    assert prose(text) == expected


def test_a_docstring_keeps_its_paragraphs_and_loses_its_examples() -> None:
    doc = "One\n    sentence.\n\n    Another.\n\n    >>> 1 + 1\n    2\n    "
    assert documentation(doc) == ["One sentence.", "", "Another.", ""]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(AssertionError, match="2 cells for 1 columns"):
        table(["one"], [["a", "b"]])


def test_inline_code_may_run_over_the_end_of_a_line_and_is_not_sought_in_blocks() -> None:
    text = "a `b\nc` d\n\n```\n`e`\n```\n\n`f`\n"
    assert list(inline_code(text)) == [(1, "b c"), (8, "f")]
