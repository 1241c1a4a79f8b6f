"""Mixtures of an earlier output have the cluster sizes that later outputs changed."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.dedup.weights import repeats_of, txt360_weights
from pipeline.errors import ConfigError, InputError
from pipeline.execution.commit import read_manifest
from pipeline.execution.executors.inline import InlineExecutor
from pipeline.operations.materialize import Sizes, materialize
from pipeline.operations.read_mixture import read_mix
from pipeline.output.mixtures import load_mixture, mixture_path
from pipeline.output.output import Output
from pipeline.passes.rebalance.cluster_size_updates import read_current_sizes
from pipeline.passes.rebalance.later_outputs import open_later_outputs
from pipeline.passes.rebalance.rebalance import make_mixture
from pipeline.schema.manifests import ClusterSizeStatistics, MixtureManifest, MixtureSettings, SelectionManifest
from tests.worlds import GROUPS, Document, MadeOutput, expected, sizes_over, write

INLINE = InlineExecutor()


def grown() -> list[MadeOutput]:
    """Three outputs of singletons and clusters that grow across every step of TxT360's table."""
    random = np.random.default_rng(1)

    def documents(start: int, count: int) -> list[Document]:
        return [
            Document(
                id=f"<urn:{number}>",
                label=list(GROUPS)[number % 3],
                words=int(random.integers(1, 90)),
                word_count=20 if number % 7 else 5,
                character_count=int(random.integers(1, 90)),
            )
            for number in range(start, start + count)
        ]

    return [
        MadeOutput([documents(0, 60), documents(60, 90)], url_duplicates=False),
        MadeOutput([documents(150, 30), documents(180, 90)], url_duplicates=False),
        MadeOutput([documents(270, 240)], url_duplicates=False),
    ]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("grown")
    roots = [folder / f"output-{number}" for number in range(3)]
    cut: dict[str, Any] = {"shard_group_size": 1, "large_group_rows": 100}
    select = {"row_group_rows": 16, "part_bytes": 500}  # several files of a language
    for number, output in enumerate(grown()):
        write(roots[number], output, roots[:number], select=select, **cut)
    return roots


def mixed(roots: list[Path], *updates: int, **settings: Any) -> Path:
    folder = roots[0] / "selections" / "main"
    given = {"name": "tested", "weights": "txt360"} | settings
    make_mixture(MixtureSettings(**given, updates=[str(roots[number]) for number in updates]), folder, INLINE)
    path = mixture_path(folder, "tested")
    assert isinstance(path, Path)
    return path


def copies_wanted(updates: int) -> Counter[str]:
    """TxT360's copies of every kept document of the first output, by the sizes over so many more outputs."""
    outputs = grown()
    sizes = sizes_over(outputs[: updates + 1])
    told = zip(outputs[0].documents, expected(outputs[:1])[0], strict=True)
    kept = [one for one, outcome in told if outcome.outcome == "kept"]
    return Counter({one.id: repeats_of(sizes[GROUPS[one.label], one.id], txt360_weights()) for one in kept})


def copies_read(path: Path) -> Counter[str]:
    return Counter(row["id"] for row in read_mix(path, shuffle_buffer=50, block_rows=16))


@pytest.mark.parametrize("updates", [(), (1,), (1, 2)], ids=str)
def test_a_document_is_read_as_often_as_its_cluster_of_now_says(updates: tuple[int, ...], roots: list[Path]) -> None:
    path = mixed(roots, *updates)
    wanted = copies_wanted(len(updates))
    assert copies_read(path) == wanted
    if updates:
        assert wanted != copies_wanted(len(updates) - 1)
    mixture = read_manifest(path, MixtureManifest)
    lengths = {document.id: document.character_count for document in grown()[0].documents}
    assert mixture.total.documents == len(wanted)
    assert mixture.total.repeated_documents == wanted.total()
    assert mixture.total.characters == sum(lengths[record_id] * copies for record_id, copies in wanted.items())
    assert len(mixture.updates) == len(updates)
    assert (mixture.changed is not None) == any(entry.changed_rows for entry in mixture.entries) == bool(updates)


def test_materialized_shards_have_the_copies_of_now(roots: list[Path], tmp_path: Path) -> None:
    path = mixed(roots, 1, 2)
    sizes = Sizes(task_characters=1000)
    written = materialize(load_mixture(path), tmp_path / "mixture", INLINE, shards=3, sizes=sizes)
    tables = [pq.read_table(tmp_path / "mixture" / file.path, columns=["id"]) for file in written.files]
    assert Counter(one for table in tables for one in table["id"].to_pylist()) == copies_wanted(2)


@pytest.mark.parametrize("epochs", [0.0, 0.3, 1.5, 2.25])
def test_fractions_of_epochs_keep_their_total(epochs: float, roots: list[Path]) -> None:
    path = mixed(roots, 1, 2, languages=dict.fromkeys(GROUPS, epochs))
    mixture = read_manifest(path, MixtureManifest)
    once = copies_wanted(2)
    read = copies_read(path) if epochs else Counter()
    assert abs(read.total() - epochs * once.total()) <= 0.5 * len(GROUPS)
    assert {one for one in once if not int(epochs * once[one]) <= read[one] <= int(epochs * once[one]) + 1} == set()
    assert mixture.total.repeated_documents == read.total()
    assert mixture.total.documents == len(read)
    lengths = {one.id: one.character_count for one in grown()[0].documents}
    assert mixture.total.characters == sum(lengths[one] * copies for one, copies in read.items())


def test_statistics_by_size_are_as_of_now(roots: list[Path]) -> None:
    folder = roots[0] / "selections" / "main"
    manifest = read_manifest(folder / "manifest.json", SelectionManifest)
    outputs = grown()
    later = open_later_outputs(Output(roots[0]), [str(root) for root in roots[1:]])
    current = read_current_sizes(INLINE, folder, later, manifest)
    sizes = sizes_over(outputs)
    counts: Counter[tuple[str, int, bool]] = Counter()
    for one in outputs[0].documents:
        counts[one.label, sizes[GROUPS[one.label], one.id], one.fails()] += 1
    wanted = {
        label: [
            ClusterSizeStatistics(
                cluster_size=size,
                documents=counts[label, size, False] + counts[label, size, True],
                failed=counts[label, size, True],
            )
            for size in sorted({size for one, size, _ in counts if one == label})
        ]
        for label in GROUPS
    }
    assert current.statistics == wanted


def test_tokens_of_moved_rows_are_counted(roots: list[Path], tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    one = tokenizers.Tokenizer(tokenizers.models.BPE({"x": 0, "?": 1}, [], unk_token="?"))
    one.save(str(tmp_path / "tokenizer.json"))  # a token a character of these documents
    path = mixed(roots, 1, 2, tokenizer=str(tmp_path / "tokenizer.json"), languages={"aaa_Latn": 1.5})
    mixture = read_manifest(path, MixtureManifest)
    assert mixture.total.tokens == mixture.total.characters


def test_outputs_that_were_not_made_over_each_other_are_refused(roots: list[Path], tmp_path: Path) -> None:
    write(tmp_path / "branch", MadeOutput([[Document("<urn:branch>")]]), roots[:1])
    with pytest.raises(ConfigError, match="was not made over those before it"):
        make_mixture(
            MixtureSettings(name="tested", updates=[str(roots[1]), str(tmp_path / "branch")]),
            roots[0] / "selections" / "main",
            INLINE,
        )
    with pytest.raises(ConfigError, match="was not made over this output"):
        make_mixture(MixtureSettings(name="tested", updates=[str(roots[1])]), roots[2] / "selections" / "main", INLINE)
    with pytest.raises(ConfigError, match="no finished output"):
        make_mixture(MixtureSettings(name="tested", updates=[str(tmp_path)]), roots[0] / "selections" / "main", INLINE)


def test_another_file_of_changed_rows_is_refused(roots: list[Path]) -> None:
    path = mixed(roots, 1)
    changed = path.with_name("tested.changed.parquet")
    kept = changed.read_bytes()
    mixed(roots, 1, 2)
    changed.write_bytes(kept)
    with pytest.raises(InputError, match="not what the mixture was written with"):
        copies_read(path)
