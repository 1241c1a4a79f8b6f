"""Iterating a mixture without writing it out: ranks, order, copies, going on after an interruption."""

import pickle
import shutil
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, InputError
from pipeline.execution.commit import read_manifest, write_manifest
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.operations.read_mixture import read_mix
from pipeline.output.mixtures import mixture_path
from pipeline.output.output import Output
from pipeline.passes.rebalance.rebalance import make_mixture
from pipeline.schema.manifests import MixtureManifest, MixtureSettings, SelectionManifest
from tests.outputs import copy_of_selection

FEW = ("fra_Latn", "tel_Telu")


@pytest.fixture(scope="module")
def mixture(demo: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture with up to 15 copies and a fraction, of a copy of the demo's selection."""
    folder = copy_of_selection(demo, tmp_path_factory.mktemp("reader") / "main")
    languages = {"fra_Latn": 2.5, "zho_Hani": 0.0, "eng_Latn": 0.4}
    make_mixture(MixtureSettings(name="read", weights="txt360", languages=languages), folder, InlineExecutor())
    path = mixture_path(folder, "read")
    assert isinstance(path, Path)
    return path


def wanted(path: Path) -> Counter[str]:
    """How often the mixture has each id."""
    copies: Counter[str] = Counter()
    for entry in read_manifest(path, MixtureManifest).entries:
        table = pq.read_table(path.parent.parent / entry.file, columns=["id"])
        for record_id in table["id"].to_pylist()[entry.first_row : entry.first_row + entry.rows]:
            copies[record_id] += entry.repeats
    return copies


def ids(reader: Any) -> list[str]:
    return [row["id"] for row in reader]


@pytest.mark.parametrize(("world_size", "block_rows"), [(1, None), (3, 10), (8, 3)])
def test_ranks_share_the_mix_without_loss_or_overlap(mixture: Path, world_size: int, block_rows: int | None) -> None:
    readers = [
        read_mix(mixture, rank=rank, world_size=world_size, block_rows=block_rows, shuffle_buffer=50)
        for rank in range(world_size)
    ]
    parts = [ids(reader) for reader in readers]
    assert [len(part) for part in parts] == [len(reader) for reader in readers]
    assert sum(map(Counter, parts), Counter()) == wanted(mixture)
    assert max(map(len, parts)) - min(map(len, parts)) <= (block_rows or 0)


def test_a_document_has_the_text_of_the_clean_part(mixture: Path) -> None:
    texts = {}
    for path in (mixture.parent.parent / "clean").rglob("part-*.parquet"):
        for row in pq.read_table(path, columns=["id", "text", "url"]).to_pylist():
            texts[row["id"]] = row
    rows = list(read_mix(mixture, columns=["id", "text", "url"], block_rows=7))
    assert all(texts[row["id"]] == row for row in rows)
    assert set(next(iter(read_mix(mixture)))) == {"id", "text", "language", "language_script"}
    assert next(iter(read_mix(str(mixture), columns=["url"]))).keys() == {"url"}


def test_the_order_depends_on_the_seed_alone(mixture: Path) -> None:
    settings = {"rank": 1, "world_size": 2, "block_rows": 10, "shuffle_buffer": 100}
    first = ids(read_mix(mixture, **settings))
    assert ids(read_mix(mixture, **settings)) == first
    assert ids(pickle.loads(pickle.dumps(read_mix(mixture, **settings)))) == first
    other = ids(read_mix(mixture, **(settings | {"seed": 1})))
    assert other != first
    reader = read_mix(mixture, **settings)
    assert ids(reader) == ids(reader) == first


@pytest.mark.parametrize("shuffle_buffer", [0, 1, 64, 100_000])
def test_reading_goes_on_where_it_stopped(mixture: Path, shuffle_buffer: int) -> None:
    settings: dict[str, Any] = {"rank": 0, "world_size": 2, "block_rows": 10, "shuffle_buffer": shuffle_buffer}
    whole = ids(read_mix(mixture, **settings))
    for stop in (1, 64, 200, len(whole)):
        reader = read_mix(mixture, **settings)
        before = ids(islice(reader, stop))
        assert reader.position == stop
        after = read_mix(mixture, position=stop, **settings)
        assert before + ids(after) == whole
        resumed = read_mix(mixture, **settings)
        resumed.load_state_dict({"position": stop})
        assert ids(resumed) == whole[stop:]


def test_copies_lie_far_apart(mixture: Path) -> None:
    found = ids(read_mix(mixture, block_rows=2, shuffle_buffer=20))
    places: dict[str, list[int]] = {}
    for place, one in enumerate(found):
        places.setdefault(one, []).append(place)
    gaps = [np.diff(one).min() * len(one) / len(found) for one in places.values() if len(one) > 1]
    assert len(gaps) > 50
    assert min(gaps) > 0.3  # of the whole by the number of copies; half is what blocks of unequal rows keep
    assert np.median(gaps) > 0.6


def test_rows_with_fewer_copies_come_early_and_late(mixture: Path) -> None:
    copies = wanted(mixture)
    found = ids(read_mix(mixture, block_rows=5, shuffle_buffer=0))
    single = [place / len(found) for place, one in enumerate(found) if copies[one] == 1]
    assert 0.42 < np.mean(single) < 0.58
    assert min(single) < 0.05
    assert max(single) > 0.95


def test_what_cannot_be_read_is_refused(mixture: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rank = 2: must be from 0 to world_size - 1 = 1"):
        read_mix(mixture, rank=2, world_size=2)
    with pytest.raises(ConfigError, match="position = 100000: this rank has"):
        read_mix(mixture, position=100_000)
    with pytest.raises(ConfigError, match="shuffle_buffer = -1"):
        read_mix(mixture, shuffle_buffer=-1)
    with pytest.raises(InputError, match="visits for 5000 ranks; give a smaller block_rows"):
        read_mix(mixture, world_size=5000)
    with pytest.raises(InputError, match="no such mixture"):
        read_mix(tmp_path / "mixtures" / "none.json")
    folder = tmp_path / "main"
    shutil.copytree(mixture.parent.parent, folder)
    copy = folder / "mixtures" / "read.json"
    manifest = read_manifest(copy, MixtureManifest)
    first, *others = manifest.entries
    longer = msgspec.structs.replace(first, rows=first.rows + 1000)
    write_manifest(copy, msgspec.structs.replace(manifest, entries=[longer, *others]))
    with pytest.raises(InputError, match=r"4 rows, the mixture names 10\d\d; make the mixture again"):
        ids(read_mix(copy))


def test_datasets_streams_a_mix(mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    stream = datasets.IterableDataset.from_generator(read_mix, gen_kwargs={"path": str(mixture), "seed": 3})
    assert [row["id"] for row in stream.take(100)] == ids(islice(read_mix(mixture, seed=3), 100))


def test_a_mix_in_a_bucket_is_read_as_from_a_folder(bucket: str, mixture: Path, tmp_path: Path) -> None:
    from pipeline.execution.storage import locate_output, put

    target = locate_output(f"{bucket}/reader/main")
    folder = mixture.parent.parent
    copy = tmp_path / "main"
    labels = read_manifest(folder / "manifest.json", SelectionManifest).files
    shutil.copytree(folder, copy)
    few = dict.fromkeys(labels, 0.0) | {"fra_Latn": 1.5, "tel_Telu": 2.0}
    make_mixture(MixtureSettings(name="read", weights="txt360", languages=few), copy, InlineExecutor())
    here = ids(read_mix(copy / "mixtures" / "read.json", block_rows=10))
    for name in ("manifest.json", "mixtures/read.json", *(f"clean/{label}/part-00000.parquet" for label in FEW)):
        place = target
        for part in name.split("/"):
            place = place / part
        put(copy / name, place)
    assert ids(read_mix(f"{bucket}/reader/main/mixtures/read.json", block_rows=10)) == here
    assert len(here) > 60
