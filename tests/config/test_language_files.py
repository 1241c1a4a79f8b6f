"""The shipped language files, word lists and recipes load and hold the values they claim."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import import_fineweb2
from pipeline.config.base import LABEL_PATTERN
from pipeline.config.language_files import Rule, load_language_config
from pipeline.config.reading import load_run_config
from pipeline.schema.metrics import BUILT_IN

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "lang_configs"
CULTURAX = ROOT / "recipes" / "culturax_languages"
FILES = sorted([*CONFIGS.glob("*_*.toml"), *CULTURAX.glob("*_*.toml")])
LABELS = sorted(path.stem for path in CONFIGS.glob("*_*.toml"))
WORD_LISTS = sorted([*(CONFIGS / "stop_words").glob("*.txt"), *(CULTURAX / "stop_words").glob("*.txt")])
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
CERTAIN = [
    "ara_Arab",
    "deu_Latn",
    "spa_Latn",
    "fra_Latn",
    "jpn_Jpan",
    "kor_Hang",
    "pol_Latn",
    "por_Latn",
    "rus_Cyrl",
    "zho_Hani",
    "ind_Latn",
    "nob_Latn",
    "ita_Latn",
    "vie_Latn",
    "fas_Arab",
    "hin_Deva",
    "khm_Khmr",
    "tha_Thai",
    "amh_Ethi",
    "ben_Beng",
    "heb_Hebr",
    "kat_Geor",
    "ell_Grek",
    "tur_Latn",
    "ukr_Cyrl",
    "eng_Latn",
]
UNKNOWN = "qaa_Latn"  # ISO 639-3 keeps qaa for private use: it never has a file
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
COPIED = re.compile(r"FineWeb-2 configs/(\w+)\.yml")  # the whole source of a rule that is as FineWeb-2 has it
FINEWEB2 = ROOT.parent / "shared" / "data" / "fineweb2" / "configs"


def bounds(label: str, metric: str, folder: Path = CONFIGS) -> tuple[float | None, float | None]:
    rule = load_language_config(label, folder).rules[metric]
    assert isinstance(rule, Rule)
    return rule.min, rule.max


def words_of(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def is_date(text: str) -> bool:
    """Whether a text is a day in ISO form, such as 2026-11-23."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return ISO_DATE.fullmatch(text) is not None  # fromisoformat takes 20261123, too


def copied_rules(path: Path) -> dict[str, list[str]]:
    """The metrics whose rules a language file claims to have from FineWeb-2, by the name of FineWeb-2's file."""
    copied: dict[str, list[str]] = {}
    for metric, rule in tomllib.loads(path.read_text(encoding="utf-8"))["rules"].items():
        if claim := COPIED.fullmatch(rule.get("source", "")):
            copied.setdefault(claim[1], []).append(metric)
    return copied


def original(name: str) -> dict[str, Any] | None:
    """FineWeb-2's config of that name: its file where the data is there, else the figures in the importer, if any."""
    path = FINEWEB2 / f"{name}.yml"
    if not path.exists():
        return import_fineweb2.TABLE.get(name)
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_language_file_loads_and_says_where_its_numbers_are_from(path: Path) -> None:
    config = load_language_config(path.stem, path.parent)
    own = tomllib.loads(path.read_text(encoding="utf-8"))
    assert LABEL_PATTERN.match(config.label)
    assert own["name"].strip() not in ("", "any language")
    assert own["provenance"]["thresholds"].strip()
    assert is_date(own["provenance"]["date"])
    assert own["rules"]
    assert set(config.rules) <= set(BUILT_IN)
    assert [metric for metric, rule in config.rules.items() if not rule.source.strip()] == []
    assert {metric for metric, origin in config.origins.items() if path.stem in origin} == set(own["rules"])


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if "FineWeb-2 configs/" in path.read_text(encoding="utf-8")],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_rules_that_name_a_file_of_fineweb2_are_as_it_has_them(path: Path) -> None:
    rules = load_language_config(path.stem, path.parent).rules
    for name, metrics in copied_rules(path).items():
        config = original(name)
        if config is None:
            pytest.skip(f"{name}.yml of FineWeb-2 is not there")
        expected = import_fineweb2.rules_of(config)
        for metric in metrics:
            rule = rules[metric].model_dump(exclude={"source"}, exclude_none=True)
            assert rule == (expected[metric] or {"off": True}), metric


def test_the_languages_that_matter_are_there_in_ten_scripts_or_more() -> None:
    assert set(CERTAIN) - set(LABELS) == set()
    assert len(LABELS) >= 24
    assert len({label.partition("_")[2] for label in LABELS}) >= 10


def test_a_language_without_a_file_gets_the_default_rules() -> None:
    config = load_language_config(UNKNOWN)
    assert config.name == "any language"
    assert config.stop_words == ()
    assert bounds(UNKNOWN, "language_score") == (0.3, None)
    assert bounds(UNKNOWN, "script_fraction") == (0.5, None)
    assert bounds(UNKNOWN, "word_count") == (50, 100_000)
    assert bounds(UNKNOWN, "repeated_line_character_fraction") == (None, 0.1)
    assert (config.perplexity.head, config.perplexity.middle) == (30, 60)


def test_default_duplicate_limits_fall_as_the_n_gram_grows() -> None:
    limits = [bounds(UNKNOWN, f"duplicate_{n}_gram_character_fraction")[1] or 0 for n in range(5, 11)]
    assert limits == sorted(limits, reverse=True)
    assert (limits[0], limits[-1]) == (0.252, 0.159)


@pytest.mark.parametrize(
    ("label", "metric", "low", "high"),
    [
        ("tur_Latn", "duplicate_line_fraction", None, 0.272),
        ("tur_Latn", "mean_word_length", 3, 21),
        ("tur_Latn", "language_score", 0.875, None),
        ("tur_Latn", "terminal_punctuation_line_fraction", 0.091, None),
        ("nob_Latn", "language_score", 0.3, None),  # 0.813 there; lid.176 scores Norwegian lower
        ("deu_Latn", "mean_word_length", None, 15),
        ("por_Latn", "top_2_gram_character_fraction", None, 0.371),
        ("ita_Latn", "newline_per_word", None, 0.2),
        ("ara_Arab", "alphabetic_word_fraction", 0.787, None),
        ("zho_Hani", "mean_word_length", 1, 5),
        ("hin_Deva", "duplicate_10_gram_character_fraction", None, 0.09),
        ("khm_Khmr", "duplicate_line_fraction", None, 0.917),
        ("eng_Latn", "mean_word_length", 3, 10),
        ("eng_Latn", "duplicate_5_gram_character_fraction", None, 0.15),
        ("eng_Latn", "short_line_fraction", None, 0.67),
        ("eng_Latn", "repeated_line_character_fraction", None, 0.01),
    ],
)
def test_known_values_of_fineweb2(label: str, metric: str, low: float | None, high: float | None) -> None:
    assert bounds(label, metric) == (low, high)


def test_rules_that_fineweb2_has_off_are_off() -> None:
    for label in ("deu_Latn", "tha_Thai", "khm_Khmr"):
        config = load_language_config(label)
        assert config.rules["terminal_punctuation_line_fraction"].model_dump()["off"] is True
        assert "terminal_punctuation_line_fraction" not in config.active_rules()


def test_importing_minus_one_and_zero_gives_rules_that_are_off() -> None:
    config = import_fineweb2.TABLE["eng_Latn"] | {"line_punct_thr": -1, "dup_line_frac": 0, "min_avg_word_length": 0}
    rules = import_fineweb2.rules_of(config)
    assert rules["terminal_punctuation_line_fraction"] == {}
    assert rules["duplicate_line_fraction"] == {}
    assert rules["mean_word_length"] == {"max": 10}
    text = import_fineweb2.render("tur_Latn", config, "test", "2026-11-23")
    assert tomllib.loads(text)["rules"]["duplicate_line_fraction"] == {"off": True, "source": "test"}


@pytest.mark.parametrize("path", WORD_LISTS, ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_word_lists_hold_lower_case_words_and_their_source(path: Path) -> None:
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    stated = {key: value.strip() for key, _, value in (line.removeprefix("# ").partition(": ") for line in head)}
    assert stated["source"]
    assert stated["licence"]
    assert is_date(stated["date"])
    words = words_of(path)
    assert len(words) >= 8
    assert len(words) == len(set(words))
    assert [word for word in words if word != word.lower() or " " in word] == []
    assert [word for word in words if not any(character.isalpha() for character in word)] == []
    assert load_language_config(path.stem, path.parent.parent).stop_words == tuple(words)


def test_every_language_file_has_stop_words() -> None:
    listed = {path.stem for path in WORD_LISTS if path.parent.parent == CONFIGS}
    assert set(LABELS) - listed == set()


def test_english_function_words_are_in_no_other_list() -> None:
    english = {"the", "of", "and", "to", "in", "is", "that", "a"}
    for path in (CONFIGS / "stop_words").glob("*.txt"):
        if path.stem != "eng_Latn":
            assert english & set(words_of(path)) == set(), path.stem
    assert {"the", "of", "and"} <= set(load_language_config("eng_Latn").stop_words)
    assert {"ve", "bir", "bu"} <= set(load_language_config("tur_Latn").stop_words)
    assert {"ที่", "และ"} <= set(load_language_config("tha_Thai").stop_words)


def test_roots_parameters_of_the_culturax_recipe() -> None:
    assert bounds("zho_Hani", "stop_word_fraction", CULTURAX) == (0.1691, None)
    assert bounds("eng_Latn", "character_repetition_fraction", CULTURAX) == (None, 0.106)
    assert bounds("urd_Arab", "word_repetition_fraction", CULTURAX) == (None, 0.5)
    assert bounds(UNKNOWN, "word_count", CULTURAX) == (10, 100_000)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_its_language_folder_exists(path: Path) -> None:
    config = load_run_config(path)
    if config.language_configs:
        assert (Path(config.language_configs) / "default.toml").is_file()


def test_the_default_recipe_spells_out_the_defaults() -> None:
    assert load_run_config(ROOT / "recipes" / "default.toml") == load_run_config(None)
    text = (ROOT / "recipes" / "default.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    dump = load_run_config(None).model_dump()
    assert set(raw) == set(dump)
    for section, values in dump.items():
        for key, value in values.items() if isinstance(values, dict) else ():
            # none by default, which TOML cannot say: such a setting stands there as a comment
            assert key in raw[section] if value is not None else re.search(rf"^# {key} = ", text, re.MULTILINE), key
        assert not isinstance(values, dict) or set(raw[section]) <= set(values)


def test_recipes_differ_where_they_say_so() -> None:
    fineweb2 = load_run_config(ROOT / "recipes" / "fineweb2.toml")
    assert (fineweb2.dedup.bands, fineweb2.dedup.rows, fineweb2.dedup.verify) == (14, 8, False)
    assert fineweb2.dedup.eligible == "above_language_floor"
    assert (fineweb2.select.keep_before_rules, fineweb2.select.keep) == (True, ("first_seen",))
    assert (fineweb2.rebalance.weights, fineweb2.rebalance.max_repeats) == ("fineweb2", 10)
    culturax = load_run_config(ROOT / "recipes" / "culturax.toml")
    assert (culturax.dedup.bands, culturax.dedup.rows, culturax.rebalance.weights) == (17, 15, "none")
    demo = load_run_config(ROOT / "recipes" / "demo.toml")
    assert (len(demo.inputs), demo.output) == (4, "demo-output")
