"""Iterating a mix without writing it out: ranks, order, copies, going on after an interruption."""

import pickle
import shutil
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, InputError
from pipeline.execution.commit import read_json, write_json
from pipeline.execution.inline import InlineExecutor
from pipeline.operations.read_mixture import read_mix
from pipeline.output.layout import Layout
from pipeline.output.mixtures import mix_path
from pipeline.passes.rebalance.rebalance import make_mix
from pipeline.passes.rebalance.settings import MixSettings
from tests.outputs import copy_of_selection

FEW = ("fra_Latn", "tel_Telu")


@pytest.fixture(scope="module")
def mix(demo: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mix with up to 15 copies and a fraction, of a copy of the demo's selection."""
    folder = copy_of_selection(demo, tmp_path_factory.mktemp("reader") / "main")
    languages = {"fra_Latn": 2.5, "zho_Hani": 0.0, "eng_Latn": 0.4}
    make_mix(MixSettings("read", "txt360", languages=languages), folder, InlineExecutor())
    path = mix_path(folder, "read")
    assert isinstance(path, Path)
    return path


def wanted(path: Path) -> Counter[str]:
    """How often the mix has each id."""
    found: Counter[str] = Counter()
    for entry in read_json(path)["entries"]:
        table = pq.read_table(path.parent.parent / entry["file"], columns=["id"])
        for one in table["id"].to_pylist()[entry["first_row"] : entry["first_row"] + entry["rows"]]:
            found[one] += entry["repeats"]
    return found


def ids(reader: Any) -> list[str]:
    return [row["id"] for row in reader]


@pytest.mark.parametrize(("world_size", "block_rows"), [(1, None), (3, 10), (8, 3)])
def test_ranks_share_the_mix_without_loss_or_overlap(mix: Path, world_size: int, block_rows: int | None) -> None:
    readers = [
        read_mix(mix, rank=rank, world_size=world_size, block_rows=block_rows, shuffle_buffer=50)
        for rank in range(world_size)
    ]
    parts = [ids(reader) for reader in readers]
    assert [len(part) for part in parts] == [len(reader) for reader in readers]
    assert sum(map(Counter, parts), Counter()) == wanted(mix)
    assert max(map(len, parts)) - min(map(len, parts)) <= (block_rows or 0)


def test_a_document_has_the_text_of_the_clean_part(mix: Path) -> None:
    texts = {}
    for path in (mix.parent.parent / "clean").rglob("part-*.parquet"):
        for row in pq.read_table(path, columns=["id", "text", "url"]).to_pylist():
            texts[row["id"]] = row
    rows = list(read_mix(mix, columns=["id", "text", "url"], block_rows=7))
    assert all(texts[row["id"]] == row for row in rows)
    assert set(next(iter(read_mix(mix)))) == {"id", "text", "language", "language_script"}
    assert next(iter(read_mix(str(mix), columns=["url"]))).keys() == {"url"}


def test_the_order_depends_on_the_seed_alone(mix: Path) -> None:
    settings = {"rank": 1, "world_size": 2, "block_rows": 10, "shuffle_buffer": 100}
    first = ids(read_mix(mix, **settings))
    assert ids(read_mix(mix, **settings)) == first
    assert ids(pickle.loads(pickle.dumps(read_mix(mix, **settings)))) == first
    other = ids(read_mix(mix, **(settings | {"seed": 1})))
    assert other != first
    reader = read_mix(mix, **settings)
    assert ids(reader) == ids(reader) == first


@pytest.mark.parametrize("shuffle_buffer", [0, 1, 64, 100_000])
def test_reading_goes_on_where_it_stopped(mix: Path, shuffle_buffer: int) -> None:
    settings: dict[str, Any] = {"rank": 0, "world_size": 2, "block_rows": 10, "shuffle_buffer": shuffle_buffer}
    whole = ids(read_mix(mix, **settings))
    for stop in (1, 64, 200, len(whole)):
        reader = read_mix(mix, **settings)
        before = ids(islice(reader, stop))
        assert reader.position == stop
        after = read_mix(mix, position=stop, **settings)
        assert before + ids(after) == whole
        resumed = read_mix(mix, **settings)
        resumed.load_state_dict({"position": stop})
        assert ids(resumed) == whole[stop:]


def test_copies_lie_far_apart(mix: Path) -> None:
    found = ids(read_mix(mix, block_rows=2, shuffle_buffer=20))
    places: dict[str, list[int]] = {}
    for place, one in enumerate(found):
        places.setdefault(one, []).append(place)
    gaps = [np.diff(one).min() * len(one) / len(found) for one in places.values() if len(one) > 1]
    assert len(gaps) > 50
    assert min(gaps) > 0.3  # of the whole by the number of copies; half is what blocks of unequal rows keep
    assert np.median(gaps) > 0.6


def test_rows_with_fewer_copies_come_early_and_late(mix: Path) -> None:
    copies = wanted(mix)
    found = ids(read_mix(mix, block_rows=5, shuffle_buffer=0))
    single = [place / len(found) for place, one in enumerate(found) if copies[one] == 1]
    assert 0.42 < np.mean(single) < 0.58
    assert min(single) < 0.05
    assert max(single) > 0.95


def test_what_cannot_be_read_is_refused(mix: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rank = 2: must be from 0 to world_size - 1 = 1"):
        read_mix(mix, rank=2, world_size=2)
    with pytest.raises(ConfigError, match="position = 100000: this rank has"):
        read_mix(mix, position=100_000)
    with pytest.raises(ConfigError, match="shuffle_buffer = -1"):
        read_mix(mix, shuffle_buffer=-1)
    with pytest.raises(InputError, match="visits for 5000 ranks; give a smaller block_rows"):
        read_mix(mix, world_size=5000)
    with pytest.raises(InputError, match="no such mix"):
        read_mix(tmp_path / "mixes" / "none.json")
    folder = tmp_path / "main"
    shutil.copytree(mix.parent.parent, folder)
    copy = folder / "mixes" / "read.json"
    changed = read_json(copy)
    changed["entries"][0]["rows"] += 1000
    write_json(copy, changed)
    with pytest.raises(InputError, match=r"4 rows, the mix names 10\d\d; make the mix again"):
        ids(read_mix(copy))


def test_datasets_streams_a_mix(mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    stream = datasets.IterableDataset.from_generator(read_mix, gen_kwargs={"path": str(mix), "seed": 3})
    assert [row["id"] for row in stream.take(100)] == ids(islice(read_mix(mix, seed=3), 100))


def test_a_mix_in_a_bucket_is_read_as_from_a_folder(bucket: str, mix: Path, tmp_path: Path) -> None:
    from pipeline.execution.storage import locate_output, put

    target = locate_output(f"{bucket}/reader/main")
    folder = mix.parent.parent
    copy = tmp_path / "main"
    labels = read_json(folder / "manifest.json")["files"]
    shutil.copytree(folder, copy)
    few = dict.fromkeys(labels, 0.0) | {"fra_Latn": 1.5, "tel_Telu": 2.0}
    make_mix(MixSettings("read", "txt360", languages=few), copy, InlineExecutor())
    here = ids(read_mix(copy / "mixes" / "read.json", block_rows=10))
    for name in ("manifest.json", "mixes/read.json", *(f"clean/{label}/part-00000.parquet" for label in FEW)):
        place = target
        for part in name.split("/"):
            place = place / part
        put(copy / name, place)
    assert ids(read_mix(f"{bucket}/reader/main/mixes/read.json", block_rows=10)) == here
    assert len(here) > 60
