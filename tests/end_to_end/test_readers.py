"""Other people's readers open the clean parts."""

from pathlib import Path
from typing import Any

import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from pipeline.execution.commit import read_json
from pipeline.output.output import Output

FINEWEB2_COLUMNS = [
    "text",
    "id",
    "dump",
    "url",
    "date",
    "file_path",
    "language",
    "language_script",
    "language_score",
    "top_langs",
    "minhash_cluster_size",
]


@pytest.fixture(scope="module")
def selection(demo: Output) -> Path:
    return demo.selection("main")


@pytest.fixture(scope="module")
def kept(selection: Path) -> dict[str, int]:
    """Documents kept by label."""
    outcomes = read_json(selection / "manifest.json")["outcomes"]
    return {label: counts["kept"] for label, counts in outcomes.items() if counts.get("kept")}


def test_every_part_begins_with_the_columns_of_fineweb2(selection: Path) -> None:
    parts = sorted((selection / "clean").rglob("*.parquet"))
    assert len(parts) >= 15
    assert {tuple(pq.read_schema(path).names[: len(FINEWEB2_COLUMNS)]) for path in parts} == {tuple(FINEWEB2_COLUMNS)}
    assert len({str(pq.read_schema(path).remove_metadata()) for path in parts}) == 1


def test_pyarrow_dataset_counts_the_kept_rows(selection: Path, kept: dict[str, int]) -> None:
    data = pyarrow.dataset.dataset(selection / "clean", format="parquet")
    assert data.count_rows() == sum(kept.values())
    assert data.schema.names[: len(FINEWEB2_COLUMNS)] == FINEWEB2_COLUMNS


def test_duckdb_counts_the_kept_rows_by_language(selection: Path, kept: dict[str, int]) -> None:
    import duckdb

    parts = str(selection / "clean" / "*" / "*.parquet")
    query = "select language || '_' || language_script, count(*) from read_parquet($1) group by 1"
    assert dict(duckdb.execute(query, [parts]).fetchall()) == kept


def test_polars_counts_the_kept_rows(selection: Path, kept: dict[str, int]) -> None:
    import polars as pl

    frame = pl.scan_parquet(selection / "clean" / "*" / "*.parquet")
    assert frame.collect_schema().names()[: len(FINEWEB2_COLUMNS)] == FINEWEB2_COLUMNS
    found: Any = frame.select(pl.len(), pl.col("text").str.len_chars().min().alias("least")).collect()
    assert (found["len"].item(), found["least"].item() > 0) == (sum(kept.values()), True)


def test_datasets_loads_each_of_two_languages_by_the_card(
    selection: Path, kept: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    assert datasets.get_dataset_config_names(str(selection)) == sorted(kept)
    for label in ("fra_Latn", "jpn_Jpan"):
        loaded = datasets.load_dataset(str(selection), name=label, cache_dir=str(tmp_path / "cache"))
        assert {split: part.num_rows for split, part in loaded.items()} == {"train": kept[label]}
        assert loaded["train"].column_names[: len(FINEWEB2_COLUMNS)] == FINEWEB2_COLUMNS
