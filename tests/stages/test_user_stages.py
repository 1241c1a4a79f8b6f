"""Stages of the user's own: a class in a file beside the config, a classifier of their own, and what is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.reading import load_run_config
from pipeline.config.run_settings import RunConfig, StageConfig
from pipeline.config.user_stages import build_user_stage, user_columns
from pipeline.errors import ConfigError, ModelError
from pipeline.operations.remove.remove import remove
from pipeline.operations.run import run
from pipeline.output.decisions import read_decisions
from pipeline.schema.metrics import metric_column
from pipeline.stages.contract import apply
from pipeline.stages.score_classifier import ScoreClassifier
from tests.make_warc import conversion_record, write_records

STAGE = '''
import pyarrow as pa
from pipeline.schema.metrics import metric_column
from pipeline.stages.contract import add_columns

class CountVowels:
    """Vowels for each character, and the first word, of Latin text; drops what is all vowels."""

    name = "count_vowels"
    reads = pa.schema([("measured_text", pa.large_string())])
    adds = pa.schema([metric_column("vowel_fraction", description="vowels"), pa.field("first_word", pa.string())])

    def __init__(self, vowels: str = "aeiou") -> None:
        self.vowels = vowels

    def __call__(self, table: pa.Table) -> pa.Table:
        texts = table["measured_text"].to_pylist()
        fractions = [sum(text.count(vowel) for vowel in self.vowels) / len(text) for text in texts]
        columns = {"vowel_fraction": fractions, "first_word": [text.split()[0] for text in texts]}
        return add_columns(table, self.adds, columns, ["only_vowels" if value > 0.75 else None for value in fractions])
'''
TEXTS = [
    "A lighthouse keeper wrote down each evening which ships had passed the cape, and in what weather. " * 3,
    "Η θάλασσα ήταν ήρεμη και ο φάρος έλαμπε πάνω από τα βράχια όταν γύρισαν οι ψαράδες. " * 3,
    "मछुआरे सुबह समुद्र से लौटे और उन्होंने गाँव के लोगों को अपनी यात्रा की कहानी सुनाई। " * 3,
    "ชาวประมงกลับมาจากทะเลในตอนเช้าและเล่าเรื่องการเดินทางของพวกเขาให้คนในหมู่บ้านฟัง " * 3,
    "aeiou aeiou aeiou aeiou aeiou aeiou aeiou aeiou aeiouaeiouaeiou aeiou aeiouaeiouaeiouaeiou " * 3,
]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config with a stage in a file beside it, over a WET file of five documents."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "my_stage.py").write_text(STAGE, encoding="utf-8")
    write_records(
        folder / "five.warc.wet.gz",
        [conversion_record(f"https://made.example/{n}", text, f"<urn:made:{n}>") for n, text in enumerate(TEXTS)],
    )
    path = folder / "run.toml"
    path.write_text(
        'inputs = ["five.warc.wet.gz"]\nperplexity = false\nselect = { rules = true }\n'
        '[[stages]]\nuse = "my_stage.py:CountVowels"\nsettings = { vowels = "aeiou" }\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def config(recipe: Path) -> RunConfig:
    return load_run_config(recipe, {"output": str(recipe.parent / "out"), "lid": {"min_score": 0.0}})


def test_columns_of_a_stage_stand_in_annotated_and_its_drops_have_their_reason(config: RunConfig) -> None:
    output = run(config)
    (shard,) = output.shards()
    rows = pq.read_table(output.annotated(shard)).to_pylist()
    assert {row["url"]: row["first_word"] for row in rows} == {
        f"https://made.example/{number}": text.split()[0] for number, text in enumerate(TEXTS[:4])
    }
    assert [row["vowel_fraction"] for row in rows if row["language"] == "eng"] == [
        pytest.approx(sum(TEXTS[0].strip().count(vowel) for vowel in "aeiou") / len(TEXTS[0].strip()))
    ]
    dropped = pq.read_table(output.dropped(shard)).to_pylist()
    assert [(row["url"], row["drop_reason"]) for row in dropped] == [("https://made.example/4", "only_vowels")]


def test_a_rule_on_a_metric_of_ones_own_fires_and_its_column_stands_in_clean(config: RunConfig) -> None:
    rules = {
        "rules": {
            "vowel_fraction": {"min": 0.2, "source": "a test"},
            "word_count": {"min": 1},
            "stop_word_count": {"min": 0},
        }
    }
    reading = config.select.model_copy(update={"rules": ("document",)})
    output = run(config.model_copy(update={"select": reading}), rules)
    decisions = {row["id"]: row for row in read_decisions(output, "main").to_pylist()}
    (shard,) = output.shards()
    for row in pq.read_table(output.annotated(shard), columns=["id", "vowel_fraction"]).to_pylist():
        fired = ["vowel_fraction"] if row["vowel_fraction"] < 0.2 else []
        assert decisions[row["id"]]["rules_fired"] == fired  # the texts repeat themselves, but words are not read
    clean = pa.concat_tables(
        [pq.read_table(path) for path in sorted((output.selection("main") / "clean").rglob("*.parquet"))]
    )
    assert {"vowel_fraction", "first_word"} <= set(clean.column_names)
    histograms = pq.read_table(output.selection("main") / "histograms.parquet").to_pylist()
    assert sum(row["metric"] == "vowel_fraction" for row in histograms) == len({row["label"] for row in histograms})


def test_purge_empties_what_a_stage_took_from_the_text_and_leaves_its_numbers(config: RunConfig) -> None:
    output = run(config)
    remove(output, {"url": ["https://made.example/0"], "domain": [], "id": []}, purge=True)
    (shard,) = output.shards()
    rows = {row["url"]: row for row in pq.read_table(output.annotated(shard)).to_pylist()}
    purged, other = rows["https://made.example/0"], rows["https://made.example/1"]
    assert (purged["text"], purged["first_word"]) == ("", None)
    assert (other["text"], other["first_word"]) == (TEXTS[1].strip(), TEXTS[1].split()[0])
    assert purged["vowel_fraction"] > 0
    run(config)  # the accounts agree


def test_a_changed_stage_makes_annotate_run_again(config: RunConfig, recipe: Path) -> None:
    run(config)
    changed = config.model_copy(update={"stages": (config.stages[0].model_copy(update={"settings": {"vowels": "y"}}),)})
    with pytest.raises(ConfigError, match=r"settings\.stages"):
        run(changed)


@pytest.mark.parametrize(
    ("dtype", "ends", "says"),
    [
        ("float32", {}, "int64 or float64"),
        ("float64", {"low": 2.0, "high": 1.0}, "no range"),
        ("float64", {"high": float("inf")}, "no range"),
        ("float64", {"low": 0.0, "by_ratio": True}, "no range"),
        ("int64", {"low": -3.0, "high": 10.0}, "begins at one that is 0 or more"),
        ("int64", {"low": 0.5, "high": 10.0}, "begins at one that is 0 or more"),
    ],
)
def test_a_metric_whose_histogram_cannot_be_is_refused(dtype: str, ends: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        metric_column("vowels", dtype, **ends)


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ({"use": "no_such_module:Stage"}, "cannot be imported"),
        ({"use": "nowhere.py:Stage"}, "no such file"),
        ({"use": "json:dumps"}, "has no class dumps"),
        ({"use": "collections:OrderedDict"}, "has no `name`"),
        ({"use": "pipeline.stages.score_classifier:ScoreClassifier", "settings": {"modle": "x"}}, "does not take"),
        (
            {
                "use": "pipeline.stages.score_classifier:ScoreClassifier",
                "settings": {"model": "x", "label": "y", "column": "word_count"},
            },
            "adds the column word_count, which is there already",
        ),
    ],
)
def test_a_stage_that_cannot_be_is_refused_with_the_remedy(stage: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        user_columns([StageConfig.model_validate(stage)])


@pytest.mark.parametrize(
    ("reads", "says"),
    [
        ([("text", pa.string())], r"reads the column text \(string\), which is there as large_string"),
        ([("payload", pa.large_binary())], "reads the column payload .*, which is not there"),
        ([("vowels", pa.float64())], "reads the column vowels .*, which is not there"),
    ],
)
def test_a_stage_that_reads_what_is_not_there_is_refused(
    reads: list[Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScoreClassifier, "reads", pa.schema(reads))
    settings = {"model": "x", "label": "y", "column": "score"}
    stage = StageConfig(use="pipeline.stages.score_classifier:ScoreClassifier", settings=settings)
    with pytest.raises(ConfigError, match=says):
        user_columns([stage])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny supervised fastText model that knows sea from land."""
    folder = tmp_path_factory.mktemp("classifier")
    lines = ["__label__sea ship wave harbour tide", "__label__land hill field plough barn"] * 50
    (folder / "text").write_text("\n".join(lines), encoding="utf-8")
    # in a process of its own: fastText trains on memory that it does not clear, and meets NaN in used memory
    options = "dim=16, epoch=25, lr=0.5, minn=1, maxn=3, bucket=200_000, thread=1, verbose=0"
    code = f"import fasttext; fasttext.train_supervised('text', {options}).save_model('sea.bin')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    return folder / "sea.bin"


def test_a_classifier_scores_each_text_between_0_and_1(classifier: Path) -> None:
    settings = {"model": str(classifier), "label": "__label__sea", "column": "sea_score"}
    stage = build_user_stage(StageConfig(use="pipeline.stages.score_classifier:ScoreClassifier", settings=settings))
    texts = ["the ship left the harbour\nwith the tide", "a plough in the field", "", "海の船"]
    table = pa.table(
        {"measured_text": pa.array(texts, pa.large_string()), "drop_reason": pa.nulls(len(texts), pa.string())}
    )
    scores = apply(stage, table)["sea_score"].to_pylist()
    assert scores[0] > 0.9 > 0.1 > scores[1]
    assert all(0 <= score <= 1 for score in scores)


def test_a_classifier_without_the_label_says_which_it_has(classifier: Path) -> None:
    stage = ScoreClassifier(str(classifier), "__label__sky", "sky_score")
    table = pa.table({"measured_text": pa.array(["a"], pa.large_string()), "drop_reason": pa.nulls(1, pa.string())})
    with pytest.raises(ModelError, match="has no label __label__sky; it has __label__"):
        stage(table)
