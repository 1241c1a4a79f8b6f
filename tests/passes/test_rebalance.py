"""Mixtures: exact totals, fractions, budgets, tokens, materialized shards."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, InputError, ModelError
from pipeline.execution.commit import read_manifest, sha256_of, write_manifest
from pipeline.execution.executors import make_executor
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.execution.storage import locate, locate_output, readable
from pipeline.operations.materialize import Sizes, materialize
from pipeline.operations.shuffle import gather
from pipeline.output.mixtures import load_mixture, mixture_path
from pipeline.output.output import Output
from pipeline.passes.rebalance.rebalance import make_mixture
from pipeline.passes.rebalance.tokens import characters_per_token
from pipeline.schema.manifests import (
    CleanFile,
    ClusterSizeRun,
    CountedTokens,
    MaterializedMixture,
    MixtureManifest,
    MixtureSettings,
    MixtureTotals,
    SelectionManifest,
    SortKey,
)
from tests.outputs import copy_of_selection

INLINE = InlineExecutor()


@pytest.fixture(scope="module")
def selection(demo: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo's selection, to write mixtures into."""
    return copy_of_selection(demo, tmp_path_factory.mktemp("mixtures") / "main")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the `tokenizers` library: a token a word, and it would truncate after 3."""
    tokenizers = pytest.importorskip("tokenizers")
    one = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    one.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    one.enable_truncation(3)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    one.save(str(path))
    return path


def made(selection: Path, name: str = "tested", **settings: Any) -> MixtureManifest:
    return make_mixture(MixtureSettings(name=name, **settings), selection, INLINE)


def rows_of(selection: Path, mixture: MixtureManifest, columns: list[str]) -> list[tuple[str, int, dict[str, Any]]]:
    """(label, repeats, row) of every row that the mixture names, read the obvious way."""
    rows = []
    for entry in mixture.entries:
        table = pq.read_table(selection / entry.file, columns=columns)
        part = table.slice(entry.first_row, entry.rows)
        assert part.num_rows == entry.rows
        rows += [(Path(entry.file).parent.name, entry.repeats, row) for row in part.to_pylist()]
    return rows


def files_of(selection: Path) -> dict[str, list[CleanFile]]:
    """The files of clean/ by label."""
    return read_manifest(selection / "manifest.json", SelectionManifest).files


MIXTURES: list[dict[str, Any]] = [
    {"weights": "none"},
    {"weights": "txt360"},
    {"weights": "fineweb2", "max_repeats": 5},
    {"weights": "txt360", "languages": {"fra_Latn": 0.3, "jpn_Jpan": 2.75, "zho_Hani": 0}},
    {"weights": "fineweb2", "token_budget": 300_000.0, "max_epochs": 2.5},
    {"weights": "none", "temperature": 3.0, "token_budget": 100_000.0},
]


@pytest.mark.parametrize("settings", MIXTURES, ids=str)
def test_totals_are_exact_and_no_row_is_named_twice(selection: Path, settings: dict[str, Any]) -> None:
    mixture = made(selection, **settings)
    rows = rows_of(selection, mixture, ["id", "text", "minhash_cluster_size"])
    assert len({row["id"] for _, _, row in rows}) == len(rows)
    for label, total in mixture.totals.items():
        of_label = [(repeats, row) for label_of_row, repeats, row in rows if label_of_row == label]
        assert total.documents == len(of_label)
        assert total.repeated_documents == sum(repeats for repeats, _ in of_label)
        assert total.characters == sum(repeats * len(row["text"]) for repeats, row in of_label)
        entries = [entry for entry in mixture.entries if Path(entry.file).parent.name == label]
        assert total.tokens == sum(entry.tokens * entry.repeats for entry in entries)
        assert [entry.tokens for entry in entries] == [
            round(entry.characters / characters_per_token(label)) for entry in entries
        ]
    for name in MixtureTotals.__struct_fields__:
        assert getattr(mixture.total, name) == sum(getattr(total, name) for total in mixture.totals.values())


def test_copies_follow_the_size_of_the_cluster(selection: Path) -> None:
    mixture = made(selection, weights="txt360")
    rows = rows_of(selection, mixture, ["minhash_cluster_size"])
    found = {(row["minhash_cluster_size"], repeats) for _, repeats, row in rows}
    assert {repeats for size, repeats in found if size == 1} == {1}
    assert {repeats for size, repeats in found if 2 <= size <= 5} == {3}
    assert {repeats for size, repeats in found if size > 5} == {5}


def test_a_fraction_is_a_prefix_of_each_cluster_size_and_rounding_does_not_add_up(selection: Path) -> None:
    files = files_of(selection)
    for label in ("fra_Latn", "deu_Latn", "eng_Latn"):
        runs = [run for file in files[label] for run in file.runs]
        rows = sum(run.rows * (1 if run.cluster_size == 1 else 3 if run.cluster_size <= 5 else 5) for run in runs)
        starts = {run.first_row for run in runs}
        for epochs in (0.1, 0.37, 1.5, 2.0, 3.21):
            mixture = made(selection, weights="txt360", languages={label: epochs})
            assert abs(mixture.totals[label].repeated_documents - epochs * rows) <= 0.5 + 1e-6
            assert mixture.totals[label].epochs == epochs
            entries = [entry for entry in mixture.entries if Path(entry.file).parent.name == label]
            repeats = {entry.first_row: entry.repeats for entry in entries}
            for entry in entries:  # what does not begin a run is the rest of one, with a copy less
                if entry.first_row not in starts:
                    assert repeats[max(start for start in starts if start < entry.first_row)] == entry.repeats + 1
        once = made(selection, weights="none", languages={label: 1.0})
        assert once.totals[label].documents == sum(file.rows for file in files[label])


def synthetic(folder: Path, documents: dict[str, int]) -> Path:
    """A selection of singletons, 42.3 characters each: 10 tokens of English by the estimate's table."""
    files = {}
    for label, rows in documents.items():
        path = f"clean/{label}/part-00000.parquet"
        (folder / path).parent.mkdir(parents=True)
        lengths = np.where(np.arange(rows) % 10 < 3, 43, 42)
        ids = [f"{label}-{number}" for number in range(rows)]
        pq.write_table(pa.table({"id": ids, "character_count": lengths}), folder / path)
        characters = int(lengths.sum())
        run = ClusterSizeRun(cluster_size=1, first_row=0, rows=rows, characters=characters, tokens=0)
        file = CleanFile(
            path=path,
            split="train",
            rows=rows,
            bytes=0,
            sha256=label * 4,
            characters=characters,
            removed_characters=0,
            removed_documents=0,
            first=SortKey(cluster_size=1, id_hash="0" * 16),
            runs=[run],
        )
        files[label] = [file]
    manifest = SelectionManifest(
        fingerprint="f",
        settings="s",
        take_downs=[],
        shards="g",
        selection="main",
        outcomes={},
        rules_fired={},
        cluster_statistics={},
        files=files,
        language_configs={},
        percentiles=[],
        missing=[],
        boilerplate=None,
        select={"row_group_rows": 9},
    )
    write_manifest(folder / "manifest.json", manifest)
    return folder


def test_a_budget_is_shared_as_unimax_says(tmp_path: Path) -> None:
    # in thousands of tokens: 1, 10, 100; budget 60 and 4 epochs. 20 each: eng takes 4, the others share 56.
    # All three are English by the table of the estimate, so that tokens are known.
    folder = synthetic(tmp_path, {"eng_Latn": 100, "xxa_Xxxx": 1000, "xxb_Xxxx": 10_000})
    rate = characters_per_token("xxa_Xxxx") / 4.23  # these have more tokens than English has
    mixture = made(folder, weights="none", token_budget=60_000.0)
    tokens = {label: total.tokens for label, total in mixture.totals.items()}
    assert tokens == pytest.approx({"eng_Latn": 4000, "xxa_Xxxx": 28_000, "xxb_Xxxx": 28_000}, abs=20)
    assert mixture.totals["eng_Latn"].epochs == 4
    assert mixture.totals["xxa_Xxxx"].epochs == pytest.approx(2.8 * rate, rel=1e-3)
    assert mixture.totals["xxa_Xxxx"].most_copies == 2
    fixed = made(folder, weights="none", token_budget=60_000.0, languages={"eng_Latn": 10.0})
    assert [total.tokens for total in fixed.totals.values()] == pytest.approx([10_000, 25_000, 25_000], abs=20)
    with pytest.raises(ConfigError, match="--token-budget 9000: the languages given with --language take 10000 tokens"):
        made(folder, weights="none", token_budget=9_000.0, languages={"eng_Latn": 10.0})


def test_a_budget_above_what_the_cap_allows_gives_every_language_the_cap(tmp_path: Path) -> None:
    folder = synthetic(tmp_path, {"eng_Latn": 300, "deu_Latn": 20})
    mixture = made(folder, weights="none", token_budget=1e9, max_epochs=5.0)
    assert {label: total.epochs for label, total in mixture.totals.items()} == {"eng_Latn": 5, "deu_Latn": 5}
    assert mixture.total.repeated_documents == 5 * 320


def test_temperature_one_changes_nothing_and_a_higher_one_evens(selection: Path) -> None:
    plain = made(selection, weights="txt360")
    same = made(selection, weights="txt360", temperature=1.0)
    assert same.entries == plain.entries
    even = made(selection, weights="txt360", temperature=3.0)
    before, after = (
        np.array([total.tokens for total in mixture.totals.values()], dtype=float) for mixture in (plain, even)
    )
    assert after.sum() == pytest.approx(before.sum(), rel=0.02)
    below_cap = np.array([total.epochs for total in even.totals.values()]) < 4
    # in proportion to tokens ** (1 / 3), as far as the cap and whole documents allow
    big = below_cap & (after > 15_000)
    ratio = after[big] / before[big] ** (1 / 3)
    assert big.sum() >= 10
    assert ratio.max() / ratio.min() < 1.15


def test_tokens_are_counted_for_every_document_and_kept(selection: Path, tokenizer: Path) -> None:
    mixture = made(selection, weights="txt360", languages={"eng_Latn": 1.4}, tokenizer=str(tokenizer))
    rows = rows_of(selection, mixture, ["text"])
    for label, total in mixture.totals.items():
        texts = [(repeats, row["text"]) for label_of_row, repeats, row in rows if label_of_row == label]
        assert total.tokens == sum(repeats * len(text.split()) for repeats, text in texts), label
    for entry in mixture.entries[:20]:
        column = pq.read_table(selection / entry.file)["text"].to_pylist()
        part = column[entry.first_row : entry.first_row + entry.rows]
        assert entry.tokens == sum(len(text.split()) for text in part)
    counted = CountedTokens(file="tokenizer.json", sha256=sha256_of(tokenizer), special_tokens=False)
    assert mixture.token_counts == counted
    kept = sorted((selection / "mixtures" / "tokens").rglob("*.parquet"))
    assert len(kept) == len(mixture.totals)
    times = [path.stat().st_mtime_ns for path in kept]
    assert made(selection, weights="txt360", languages={"eng_Latn": 1.4}, tokenizer=str(tokenizer)) == mixture
    assert [path.stat().st_mtime_ns for path in kept] == times


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"languages": {"xxx_Latn": 2.0}}, "--language xxx_Latn: not in the selection, which has amh_Ethi, "),
    ({"languages": {"fra_Latn": -1.0}}, "--language fra_Latn=-1: must be 0 or more"),
    ({"weights": "twice"}, "--weights twice: must be one of default, fineweb2, txt360, none"),
    ({"max_repeats": 0}, "--max-repeats 0: must be at least 1"),
    ({"temperature": 0.0}, "--temperature 0: must be above 0"),
    ({"token_budget": -1.0}, "--token-budget -1: must be above 0"),
    ({"max_epochs": 2.0}, "--max-epochs limits how a budget is shared: give --token-budget or --temperature, too"),
    ({"name": "../up"}, "--name ../up: letters, digits"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=lambda one: str(one)[:30])
def test_what_cannot_be_meant_is_refused(selection: Path, settings: dict[str, Any], message: str) -> None:
    before = sorted(path.name for path in (selection / "mixtures").glob("*.json"))
    with pytest.raises(ConfigError, match=re.escape(message)):
        made(selection, **settings)
    assert sorted(path.name for path in (selection / "mixtures").glob("*.json")) == before


def test_a_file_that_is_no_tokenizer_is_refused(selection: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(ModelError, match="no such tokenizer file"):
        made(selection, tokenizer=str(tmp_path / "none.json"))
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(ModelError, match=r"other\.json: not a JSON file of the `tokenizers` library"):
        made(selection, tokenizer=str(tmp_path / "other.json"))
    with pytest.raises(InputError, match="no such selection"):
        made(tmp_path)


def test_a_mix_of_a_selection_that_was_made_again_is_refused(selection: Path, tmp_path: Path) -> None:
    made(selection)
    shutil.copytree(selection, tmp_path / "main")
    manifest = read_manifest(selection / "manifest.json", SelectionManifest)
    write_manifest(tmp_path / "main" / "manifest.json", msgspec.structs.replace(manifest, fingerprint="another"))
    with pytest.raises(InputError, match="the selection was made again since"):
        load_mixture(mixture_path(tmp_path / "main", "tested"))
    with pytest.raises(InputError, match="no such mixture"):
        load_mixture(mixture_path(selection, "absent"))


def test_a_mixture_of_another_format_is_refused(selection: Path) -> None:
    mixture = made(selection, "other")
    path = mixture_path(selection, "other")
    write_manifest(path, msgspec.structs.replace(mixture, format=mixture.format + 1))
    with pytest.raises(InputError, match="written by another version; make the mixture again with `glotmill mix`"):
        load_mixture(path)
    path.unlink()


FEW = {"fra_Latn": 2.5, "eng_Latn": 0.4, "jpn_Jpan": 1.0, "spa_Latn": 2.0, "hin_Deva": 1.0}


def many(selection: Path) -> MixtureSettings:
    """Five languages, up to 12 copies, a fraction."""
    languages = dict.fromkeys(files_of(selection), 0.0) | FEW
    return MixtureSettings(name="many", weights="txt360", languages=languages)


def many_copies(selection: Path) -> MixtureManifest:
    return make_mixture(many(selection), selection, INLINE)


def written_rows(target: Any, columns: list[str]) -> pa.Table:
    files = read_manifest(target / "manifest.json", MaterializedMixture).files
    return pa.concat_tables([pq.read_table(readable(target / file.path), columns=columns) for file in files])


def expected(selection: Path, mixture: MixtureManifest) -> Counter[tuple[str, int]]:
    """(id, copy) of every row that a materialized mixture has."""
    return Counter(
        (row["id"], copy) for _, repeats, row in rows_of(selection, mixture, ["id"]) for copy in range(repeats)
    )


def test_nothing_is_lost_or_doubled_and_texts_are_those_of_clean(selection: Path, tmp_path: Path) -> None:
    mixture = many_copies(selection)
    manifest = materialize(load_mixture(mixture_path(selection, "many")), tmp_path / "out", INLINE, shards=4)
    table = written_rows(tmp_path / "out", ["id", "copy", "text", "language"])
    assert Counter(zip(table["id"].to_pylist(), table["copy"].to_pylist(), strict=True)) == expected(selection, mixture)
    texts = {row["id"]: row["text"] for _, _, row in rows_of(selection, mixture, ["id", "text"])}
    assert all(
        texts[id] == text for id, text in zip(*(table[name].to_pylist() for name in ("id", "text")), strict=True)
    )
    assert manifest.total == mixture.total
    for file in manifest.files:
        path = tmp_path / "out" / file.path
        assert (path.stat().st_size, sha256_of(path)) == (file.bytes, file.sha256)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "data", "manifest.json"]
    again = materialize(load_mixture(mixture_path(selection, "many")), tmp_path / "out", INLINE, shards=4)
    assert again == manifest
    with pytest.raises(ConfigError, match=r"out: holds something else \(README\.md\); name an empty folder"):
        materialize(load_mixture(mixture_path(selection, "many")), tmp_path / "out", INLINE, shards=3)


def test_copies_lie_equally_far_apart_and_languages_are_mixed(selection: Path, tmp_path: Path) -> None:
    many_copies(selection)
    materialize(load_mixture(mixture_path(selection, "many")), tmp_path / "out", INLINE, shards=4)
    table = written_rows(tmp_path / "out", ["id", "copy", "language"])
    ids = table["id"].to_pylist()
    places: dict[str, list[int]] = {}
    for place, one in enumerate(ids):
        places.setdefault(one, []).append(place)
    gaps = {one: np.diff(found) * len(found) / len(ids) for one, found in places.items() if len(found) > 1}
    assert len(gaps) > 50
    least = min(gap.min() for gap in gaps.values())
    assert least > 0.5  # of the whole by the number of copies; it would be 1 with very many documents
    languages = np.array(table["language"].to_pylist())
    for language in ("fra", "spa", "jpn"):
        here = np.flatnonzero(languages == language) / len(ids)
        assert 0.3 < here.mean() < 0.7
        assert here.min() < 0.15
        assert here.max() > 0.85
    other = materialize(load_mixture(mixture_path(selection, "many")), tmp_path / "seed", INLINE, seed=1, shards=4)
    assert other.total.repeated_documents == len(ids)
    assert written_rows(tmp_path / "seed", ["id"])["id"].to_pylist() != ids


def digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


SMALL = Sizes(task_characters=60_000, fanout=3, open_files=4)


def test_small_tasks_few_ranges_and_few_open_files_give_the_same_bytes(selection: Path, tmp_path: Path) -> None:
    many_copies(selection)
    mixture = load_mixture(mixture_path(selection, "many"))
    for shards in (2, 10):  # two: regrouped for the number of runs; ten: for the ranges, too
        materialize(mixture, tmp_path / f"large-{shards}", INLINE, shards=shards)
        materialize(mixture, tmp_path / f"small-{shards}", INLINE, shards=shards, sizes=SMALL)
        large = digests(tmp_path / f"large-{shards}")
        assert len(large) == shards + 2
        assert digests(tmp_path / f"small-{shards}") == large


def test_a_shard_without_documents_is_a_file_without_rows(selection: Path, tmp_path: Path) -> None:
    made(selection, "few", weights="none", languages=dict.fromkeys(files_of(selection), 0.0) | {"tel_Telu": 1.0})
    for sizes in (None, SMALL):
        target = tmp_path / str(sizes is None)
        manifest = materialize(
            load_mixture(mixture_path(selection, "few")), target, INLINE, shards=3, seed=1, sizes=sizes
        )
        assert sum(file.rows for file in manifest.files) == 3
        assert min(file.rows for file in manifest.files) == 0
        schemas = {str(pq.read_schema(target / file.path)) for file in manifest.files}
        assert len(schemas) == 1


@pytest.mark.parametrize("workers", [pytest.param(1, marks=[pytest.mark.full, pytest.mark.slow]), 2])
def test_workers_of_ray_write_what_inline_writes(
    workers: int, selection: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    found = []
    for kind, count in (("inline", 1), ("ray", workers)):
        shutil.rmtree(selection / "mixtures" / "tokens", ignore_errors=True)
        executor = make_executor(kind, count, 2**28)
        try:
            settings = msgspec.structs.replace(many(selection), name="rayed", tokenizer=str(tokenizer))
            make_mixture(settings, selection, executor)
            target = tmp_path / kind
            materialize(load_mixture(mixture_path(selection, "rayed")), target, executor, shards=5, sizes=SMALL)
        finally:
            executor.close()
        mixture = mixture_path(selection, "rayed").read_bytes()
        found.append((digests(target), digests(selection / "mixtures" / "tokens"), mixture))
    assert len(found[0][0]) == 7
    assert found[1] == found[0]


def test_a_mix_in_a_bucket_is_that_of_a_folder(bucket: str, selection: Path, tmp_path: Path) -> None:
    from pipeline.execution.storage import names, put

    mixture = many_copies(selection)
    remote = locate_output(f"{bucket}/mixed/main")
    for path in [*(selection / "clean" / label / "part-00000.parquet" for label in FEW), selection / "manifest.json"]:
        copy = tmp_path / "copy"
        shutil.copy(path, copy)
        target = remote
        for name in path.relative_to(selection).parts:
            target = target / name
        put(copy, target)
    assert make_mixture(many(selection), remote, INLINE) == mixture
    there = locate_output(f"{bucket}/mixed/out")
    from_bucket = materialize(load_mixture(mixture_path(remote, "many")), there, INLINE, shards=3, sizes=SMALL)
    here = materialize(load_mixture(mixture_path(selection, "many")), tmp_path / "out", INLINE, shards=3)
    assert from_bucket == here
    assert names(there) == ["README.md", "data", "manifest.json"]
    for name in ("README.md", "data/train-00001-of-00003.parquet"):
        assert locate(f"{there}/{name}").read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_too_many_or_too_few_shards_are_refused(selection: Path, tmp_path: Path) -> None:
    mixture = made(selection)
    opened = load_mixture(mixture_path(selection, "tested"))
    most = mixture.total.repeated_documents
    with pytest.raises(ConfigError, match=rf"--shards {most + 1}: must be from 1 .* to {most}"):
        materialize(opened, tmp_path / "out", INLINE, shards=most + 1)
    with pytest.raises(ConfigError, match=r"--shards 1: must be from \d+ \(memory\)"):
        materialize(opened, tmp_path / "out", INLINE, shards=1, sizes=Sizes(largest_shard_characters=100_000))


def test_files_of_others_are_left_alone_and_those_of_a_killed_materialization_are_not(
    selection: Path, tmp_path: Path
) -> None:
    many_copies(selection)
    mixture = load_mixture(mixture_path(selection, "many"))
    mine = tmp_path / "mine" / "data" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("")
    with pytest.raises(ConfigError, match=r"mine: holds something else \(data\)"):
        materialize(mixture, tmp_path / "mine", INLINE)
    assert mine.exists()

    class Killed(InlineExecutor):
        def run(self, function: Any, arguments: Any, attempts: int = 3) -> Any:
            if function is gather:
                list(super().run(function, arguments[:2]))
                raise KeyboardInterrupt
            return super().run(function, arguments)

    with pytest.raises(KeyboardInterrupt):
        materialize(mixture, tmp_path / "out", Killed(), shards=5, sizes=SMALL)
    assert len(list((tmp_path / "out" / "data").iterdir())) == 2
    materialize(mixture, tmp_path / "out", INLINE, shards=3)
    materialize(mixture, tmp_path / "other", INLINE, shards=3)
    assert digests(tmp_path / "out") == digests(tmp_path / "other")


def test_datasets_loads_a_materialized_mix_by_its_card(
    selection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    mixture = many_copies(selection)
    materialize(load_mixture(mixture_path(selection, "many")), tmp_path / "out", INLINE, shards=3)
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == mixture.total.repeated_documents
    assert loaded["id"][:] == written_rows(tmp_path / "out", ["id"])["id"].to_pylist()


def test_the_manifest_of_a_mix_is_json_that_others_read(selection: Path) -> None:
    made(selection, "plain", weights="txt360")
    mixture = json.loads((selection / "mixtures" / "plain.json").read_text())
    assert {"file", "first_row", "rows", "repeats", "characters", "tokens"} == set(mixture["entries"][0])
    assert mixture["token_counts"]["method"] == "estimate"
    assert mixture["token_counts"]["characters_per_token"]["fra_Latn"] == 3.81
