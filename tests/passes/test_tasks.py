"""How work is cut into tasks and files changes no row and no byte of the result."""

import hashlib
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.run_settings import RunConfig
from pipeline.dedup.components import components
from pipeline.dedup.lsh import link
from pipeline.execution.commit import read_manifest
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.operations.run import reselect
from pipeline.output.decisions import read_decisions
from pipeline.output.grouped_parquet import SortedFiles, pack, prefetch
from pipeline.output.output import Output
from pipeline.output.parts import PartWriter
from pipeline.output.selection import SCRATCH_FOLDERS
from pipeline.passes.audit import audit
from pipeline.passes.select.columns import ORDER
from pipeline.passes.select.sorted_runs import merged
from pipeline.schema.manifests import ClusterIndex
from tests.outputs import over_some_files

# parts, row groups and a split that make many files of a small run
RESULT = {"part_bytes": 2_000, "row_group_rows": 7, "test_fraction": 0.2}
CUTS: dict[str, dict[str, Any]] = {
    "fine": {
        "dedup": {"shard_group_size": 1, "large_group_rows": 10, "collate_files": 2},
        "select": {"run_bytes": 100_000, "merge_files": 2, "merge_bytes": 3000},
    },
    "middle": {
        "dedup": {"shard_group_size": 2, "large_group_rows": 9},
        "select": {"run_bytes": 600_000, "merge_files": 128, "merge_bytes": 20_000},
    },
}


class CountingExecutor(InlineExecutor):
    """Counts the tasks of each function, and hands on copies of tasks and results, as between processes."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def run(
        self, function: Callable[..., Any], tasks: Sequence[Any], attempts: int = 3
    ) -> Iterator[tuple[int, Any, str | None]]:
        self.counts[function.__name__] += len(tasks)
        for position, result, error in super().run(function, pickle.loads(pickle.dumps(tasks)), attempts):
            yield position, pickle.loads(pickle.dumps(result)), error


def selected(demo: Output, config: RunConfig, root: Path, cut: dict[str, dict[str, Any]]) -> Output:
    over_some_files(demo, root, slice(3, 6))
    settings = config.model_dump() | {"output": str(root)}
    settings["dedup"] |= cut.get("dedup", {})
    settings["select"] |= RESULT | cut.get("select", {})
    reselect(RunConfig.model_validate(settings), Output(root), {})
    return Output(root)


@pytest.fixture(params=[0, 2**20])
def _small_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read by row groups, and whole."""
    monkeypatch.setattr("pipeline.output.grouped_parquet.SMALL_BYTES", request.param)


@pytest.fixture(scope="module")
def whole(demo: Output, demo_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """One shard group, one task for all groups, one run."""
    return selected(demo, demo_config, tmp_path_factory.mktemp("whole"), {})


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.parquet")
    }


@pytest.mark.parametrize("name", CUTS)
def test_the_result_is_the_same_byte_for_byte_however_work_is_cut(
    name: str, whole: Output, demo: Output, demo_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = CountingExecutor()
    monkeypatch.setattr("pipeline.operations.run.make_executor", lambda *_: executor)
    if name == "fine":
        monkeypatch.setattr("pipeline.output.grouped_parquet.SMALL_BYTES", 0)
    cut = selected(demo, demo_config, tmp_path, CUTS[name])
    groups = {group: sum(entry.rows) for group, entry in read_manifest(cut.cluster_index, ClusterIndex).groups.items()}
    large = sum(rows >= CUTS[name]["dedup"]["large_group_rows"] for rows in groups.values())
    assert 0 < large < len(groups) / 2  # large groups, and a tail that shares tasks and files
    assert executor.counts["mark_already_read"] == large
    assert executor.counts["link_key"] == 15 * large
    assert large < executor.counts["cluster_groups"] < len(groups)
    shard_groups = executor.counts["collate_shard_group"], executor.counts["gather_shard_groups"]
    assert shard_groups == {"fine": (3, 2), "middle": (2, 0)}[name]
    assert (executor.counts["merge_runs"] > 1) == (name == "fine")  # a wave of merges in front of the last
    before, after = whole.selection("main"), cut.selection("main")
    assert len(digests(before / "clean")) > 40
    assert digests(after / "clean") == digests(before / "clean")
    for table in ("histograms", "sample"):
        assert pq.read_table(after / f"{table}.parquet").equals(pq.read_table(before / f"{table}.parquet"))
    outcomes = [sorted(read_decisions(one, "main").to_pylist(), key=lambda row: str(row["id"])) for one in (whole, cut)]
    assert outcomes[0] == outcomes[1]
    manifests = [output.selection_manifest("main") for output in (whole, cut)]
    for name in ("files", "outcomes", "cluster_statistics", "rules_fired"):
        assert getattr(manifests[1], name) == getattr(manifests[0], name)
    assert not (tmp_path / "clusters" / "edges").exists()
    assert not (tmp_path / "signatures" / "gathered").exists()
    assert [name for name in SCRATCH_FOLDERS if (after / name).exists()] == []
    audit(cut, "main")


@pytest.mark.parametrize("copies", [1, 1000])
def test_numbers_of_a_small_part_are_compressed_in_a_cheaper_way(copies: int, demo: Output, tmp_path: Path) -> None:
    table = pq.read_table(next(iter(demo.selection("main").glob("clean/khm_Khmr/*.parquet"))))
    with PartWriter(tmp_path, "part.parquet", "train", 10_000) as part:
        part.write(pa.concat_tables([table] * copies))
        rows = part.close().rows
    assert rows == copies * table.num_rows
    with pq.ParquetFile(tmp_path / "part.parquet") as file:
        columns = [file.metadata.row_group(0).column(number) for number in range(file.metadata.num_columns)]
        assert file.read_row_group(0, use_threads=False)["text"][:1].to_pylist() == table["text"][:1].to_pylist()
    used = {column.path_in_schema: column.compression for column in columns}
    assert (used["text"], used["word_count"]) == ("ZSTD", "SNAPPY" if copies == 1 else "ZSTD")


def test_parts_of_a_label_follow_each_other_in_order_and_have_their_size(whole: Output) -> None:
    folder = whole.selection("main")
    files = max(whole.selection_manifest("main").files.values(), key=len)
    for split in ("train", "test"):
        parts = [file for file in files if file.split == split]
        tables = [pq.read_table(folder / file.path) for file in parts]
        texts = [sum(len(text.encode()) for text in table["text"].to_pylist()) for table in tables]
        longest = max(len(text.encode()) for table in tables for text in table["text"].to_pylist())
        assert max(texts) <= 2 * RESULT["part_bytes"] + longest
        sizes = [size for table in tables for size in table["minhash_cluster_size"].to_pylist()]
        assert sizes == sorted(sizes)
        assert [Path(file.path).name[-10:] for file in parts] == [
            f"{number:02d}.parquet" for number in range(len(parts))
        ]
        groups = [pq.ParquetFile(folder / file.path).metadata.row_group(0).num_rows for file in parts]
        assert max(groups) <= RESULT["row_group_rows"]
    assert sum(file.split == "train" for file in files) >= 3


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=40), st.integers(1, 50))
def test_links_in_ranges_of_keys_give_the_components_of_all_at_once(rows: list[tuple[int, bool]], size: int) -> None:
    # spread over the whole range, as hashes are; 0 is null
    keys = np.array([key * (2**61 + 7) for key, _ in rows], dtype=np.uint64)
    left_out = np.array([out for _, out in rows], dtype=bool)
    found = components(len(rows), *link(keys, left_out, size)).tolist() if rows else []
    first = {key: place for place, (key, out) in reversed(list(enumerate(rows))) if key and not out}
    assert found == [place if out or not key else first[key] for place, (key, out) in enumerate(rows)]


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 20), max_size=12), st.integers(1, 15))
def test_tasks_hold_each_name_once_and_a_large_one_alone(totals: dict[str, int], capacity: int) -> None:
    tasks = pack(totals, capacity)
    assert [name for task in tasks for name in task] == sorted(totals)
    assert [task for task in tasks if len(task) > 1 and sum(totals[name] for name in task) > capacity] == []
    assert [task for task in tasks if len(task) > 1 and any(totals[name] >= capacity for name in task)] == []


@given(st.lists(st.integers()), st.integers(1, 4), st.integers(0, 9))
def test_what_a_thread_makes_ahead_comes_in_order_and_its_errors_are_raised(
    items: list[int], count: int, failing: int
) -> None:
    def made() -> Iterator[int]:
        for place, item in enumerate(items):
            if place == failing:
                raise OSError("gone")
            yield item

    found = []
    try:
        for item in prefetch(made(), count):
            found.append(item)
    except OSError:
        assert failing < len(items)
    else:
        assert failing >= len(items)
    assert found == items[:failing]


def write(path: Path, rows: list[dict[str, Any]], row_group_size: int) -> Path:
    """Rows that are sorted by label, each label in row groups of its own."""
    schema = pa.schema(
        [("label", pa.string()), ("minhash_cluster_size", pa.int64()), ("id_hash", pa.uint64()), ("id", pa.string())]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for label in sorted({row["label"] for row in rows}):
            part = [row for row in rows if row["label"] == label]
            writer.write_table(pa.Table.from_pylist(part, schema=schema), row_group_size=row_group_size)
    return path


@pytest.mark.parametrize("row_group_size", [1, 3, 100])
@pytest.mark.usefixtures("_small_or_not")
def test_merged_runs_are_all_rows_in_order(row_group_size: int, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    rows = [
        {"label": label, "minhash_cluster_size": int(size), "id_hash": int(hashed), "id": f"{label} {number}"}
        for label in ("a", "b", "c")
        for number, (size, hashed) in enumerate(random.integers(0, 4, (40, 2)))
    ]
    order = lambda row: tuple(row[name] for name in ("label", *ORDER))  # noqa: E731
    owner = random.integers(0, 4, len(rows))
    runs = [
        sorted((row for row, run in zip(rows, owner, strict=True) if run == number), key=order) for number in range(4)
    ]
    runs[2] = [row for row in runs[2] if row["label"] != "b"]
    paths = [write(tmp_path / f"{number}.parquet", run, row_group_size) for number, run in enumerate(runs)]
    with SortedFiles(paths, "label") as files:
        assert files.values() == ["a", "b", "c"]
        found = [row for label in files.values() for table in merged(files, label) for row in table.to_pylist()]
    assert found == sorted((row for run in runs for row in run), key=order)


@pytest.mark.parametrize(("start", "count"), [(0, 10), (0, 3), (2, 5), (3, 3), (9, 1), (4, 6)])
@pytest.mark.usefixtures("_small_or_not")
def test_a_range_of_rows_is_read_from_its_row_groups(start: int, count: int, tmp_path: Path) -> None:
    rows = [
        {"label": label, "minhash_cluster_size": number, "id_hash": 0, "id": ""}
        for label in "ab"
        for number in range(10)
    ]
    with SortedFiles([write(tmp_path / "one.parquet", rows, 3)], "label") as files:
        found = files.read_range("b", ["label", "minhash_cluster_size"], start, count)
    assert found["minhash_cluster_size"].to_pylist() == list(range(start, start + count))
    assert set(found["label"].to_pylist()) == {"b"}
