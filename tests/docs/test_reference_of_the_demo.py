"""The reference pages list what a run really writes."""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dev.reference.manifests import files
from pipeline.output.output import Output
from pipeline.schema.columns import ANNOTATED, CLEAN, DECISIONS, DROPPED


@pytest.mark.parametrize(
    ("pattern", "columns"),
    [
        ("annotated/*.parquet", ANNOTATED.names),
        ("dropped/*.parquet", DROPPED.names),
        ("selections/main/decisions/*.parquet", DECISIONS),
        ("selections/main/clean/*/*.parquet", CLEAN),
    ],
)
def test_files_have_the_columns_that_are_listed_in_that_order(
    demo: Output, pattern: str, columns: Sequence[str]
) -> None:
    paths = sorted(Path(str(demo.root)).glob(pattern))
    assert paths
    assert {tuple(pq.read_schema(path).names) for path in paths} == {tuple(columns)}


def test_every_file_of_an_output_is_listed(demo: Output) -> None:
    patterns = [pattern_of(path) for path in files()]
    root = Path(str(demo.root))
    written = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    assert "run.json" in written
    assert [path for path in written if not any(pattern.match(path) for pattern in patterns)] == []


def pattern_of(path: str) -> re.Pattern[str]:
    """What a listed path stands for: a name for each placeholder, any file of a folder."""
    text = re.sub(r"<\w+>", "[^/]+", path.replace(".", r"\.").replace("NNNNN", r"\d{5}"))
    return re.compile(text if text.endswith("/") else f"{text}$")
