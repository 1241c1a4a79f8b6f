"""FineWeb-2's language configs as ours: its YAML files in, lang_configs/<label>.toml out.

    python dev/import_fineweb2.py FOLDER_OF_YAML [--output lang_configs] [--date YYYY-MM-DD] [--published]

Names become ours and values that switch a rule off there (-1; 0 as a falsy value or a vacuous minimum) become
`off = true`. Languages whose YAML is not in the folder come from TABLE: figures of the same repository.
Stop words are not imported, because its lists hold punctuation, English and topical words; lists are made by
pipeline/training/stop_words.py. With --published every number is as published, stop words too, and a default.toml goes
beside them: for comparing, and for recipes/fineweb2.toml.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

# Our label: (name of the file there, English name). The labels differ where ISO 639-3 has a macrolanguage.
LANGUAGES = {
    "amh_Ethi": ("amh_Ethi", "Amharic"),
    "ara_Arab": ("arb_Arab", "Arabic"),
    "ben_Beng": ("ben_Beng", "Bengali"),
    "cat_Latn": ("cat_Latn", "Catalan"),
    "deu_Latn": ("deu_Latn", "German"),
    "ell_Grek": ("ell_Grek", "Greek"),
    "eng_Latn": ("eng_Latn", "English"),
    "est_Latn": ("ekk_Latn", "Estonian"),
    "fas_Arab": ("fas_Arab", "Persian"),
    "fra_Latn": ("fra_Latn", "French"),
    "heb_Hebr": ("heb_Hebr", "Hebrew"),
    "hin_Deva": ("hin_Deva", "Hindi"),
    "hye_Armn": ("hye_Armn", "Armenian"),
    "ind_Latn": ("ind_Latn", "Indonesian"),
    "ita_Latn": ("ita_Latn", "Italian"),
    "jpn_Jpan": ("jpn_Jpan", "Japanese"),
    "kat_Geor": ("kat_Geor", "Georgian"),
    "khm_Khmr": ("khm_Khmr", "Khmer"),
    "kor_Hang": ("kor_Hang", "Korean"),
    "lao_Laoo": ("lao_Laoo", "Lao"),
    "lav_Latn": ("lvs_Latn", "Latvian"),
    "mon_Cyrl": ("khk_Cyrl", "Mongolian"),
    "msa_Latn": ("zsm_Latn", "Malay"),
    "mya_Mymr": ("mya_Mymr", "Burmese"),
    "nob_Latn": ("nob_Latn", "Norwegian Bokmål"),
    "pol_Latn": ("pol_Latn", "Polish"),
    "por_Latn": ("por_Latn", "Portuguese"),
    "rus_Cyrl": ("rus_Cyrl", "Russian"),
    "spa_Latn": ("spa_Latn", "Spanish"),
    "sqi_Latn": ("als_Latn", "Albanian"),
    "swa_Latn": ("swh_Latn", "Swahili"),
    "tam_Taml": ("tam_Taml", "Tamil"),
    "tel_Telu": ("tel_Telu", "Telugu"),
    "tha_Thai": ("tha_Thai", "Thai"),
    "tur_Latn": ("tur_Latn", "Turkish"),
    "ukr_Cyrl": ("ukr_Cyrl", "Ukrainian"),
    "urd_Arab": ("urd_Arab", "Urdu"),
    "vie_Latn": ("vie_Latn", "Vietnamese"),
    "yue_Hani": ("yue_Hani", "Cantonese"),
    "zho_Hani": ("cmn_Hani", "Chinese"),
}

# Floors for GlotLID that lid.176 would not pass: clean text, twelve sentences at a time, scored below the
# floor in 92 % (Norwegian) and 86 % (Mongolian) of the cases named right; elsewhere 5 % (Urdu) or less.
LID_FLOOR_TOO_HIGH = frozenset({"nob_Latn", "mon_Cyrl"})

ENGLISH_SOURCE = "FineWeb, datatrove 0.10 defaults for English"
METHOD = (
    "FineWeb-2, arXiv:2506.20920: terminal punctuation and newlines 10Tail on Wikipedia, words Quantile on "
    "Wikipedia, repetition MeanStd on Common Crawl"
)
ENGLISH_METHOD = "FineWeb, arXiv:2406.17557, and Gopher, arXiv:2112.11446"
TOKENIZER = "tuned for datatrove's word tokenizer; words here are ICU's, so rules on words shift a little"


def _row(
    score: float,
    dup_line: float,
    top: tuple[float, float, float],
    dup: tuple[float, float, float, float, float, float],
    punctuation: float,
    newline: float,
    length: tuple[int, int],
    alphabetic: float,
) -> dict[str, Any]:
    return {
        "language_score": score,
        "dup_line_frac": dup_line,
        "top_n_grams": [[n, value] for n, value in zip((2, 3, 4), top, strict=True)],
        "dup_n_grams": [[n, value] for n, value in zip(range(5, 11), dup, strict=True)],
        "line_punct_thr": punctuation,
        "new_line_ratio": newline,
        "min_avg_word_length": length[0],
        "max_avg_word_length": length[1],
        "max_non_alpha_words_ratio": alphabetic,
    }


# The fields of a YAML file, for languages that the folder may lack. English has no file in FineWeb-2.
TABLE = {
    "eng_Latn": _row(0.65, 0.3, (0.2, 0.18, 0.16), (0.15, 0.14, 0.13, 0.12, 0.11, 0.1), 0.12, 0.3, (3, 10), 0.8),
    "ita_Latn": _row(
        0.817,
        0.246,
        (0.198, 0.156, 0.133),
        (0.144, 0.136, 0.127, 0.118, 0.109, 0.1),
        0.025,
        0.2,
        (3, 21),
        0.807,
    ),
    "por_Latn": _row(
        0.799,
        0.287,
        (0.371, 0.191, 0.163),
        (0.163, 0.153, 0.141, 0.13, 0.119, 0.108),
        0.077,
        0.186,
        (3, 13),
        0.814,
    ),
    "ind_Latn": _row(
        0.685,
        0.241,
        (0.194, 0.166, 0.145),
        (0.166, 0.155, 0.144, 0.133, 0.122, 0.111),
        0.111,
        0.157,
        (3, 12),
        0.805,
    ),
}


def rules_of(config: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Our rules, by metric, from the fields of one file; an empty rule is one that is off there.

    >>> rules_of(TABLE["eng_Latn"])["mean_word_length"]
    {'min': 3, 'max': 10}
    """
    length = {"max": config["max_avg_word_length"]}
    if config["min_avg_word_length"] > 0:
        length = {"min": config["min_avg_word_length"]} | length
    rules: dict[str, dict[str, float]] = {
        "language_score": {"min": config["language_score"]},
        "mean_word_length": length,
        "alphabetic_word_fraction": {"min": config["max_non_alpha_words_ratio"]},  # its "max" acts as a minimum
        "duplicate_line_fraction": {"max": config["dup_line_frac"]} if config["dup_line_frac"] > 0 else {},
    }
    for n, value in config["top_n_grams"]:
        rules[f"top_{n}_gram_character_fraction"] = {"max": value}
    for n, value in config["dup_n_grams"]:
        rules[f"duplicate_{n}_gram_character_fraction"] = {"max": value}
    rules["newline_per_word"] = {"max": config["new_line_ratio"]}
    punctuation = config["line_punct_thr"]
    rules["terminal_punctuation_line_fraction"] = {"min": punctuation} if punctuation > 0 else {}
    return rules


# What FineWeb-2's script has for every language (its YAML files hold the rest), and the lower clamp of its score.
FIXED = """\
# FineWeb-2's rules for any language. Written by dev/import_fineweb2.py --published.
name = "any language"

[provenance]
thresholds = "FineWeb-2, fixed values"

[rules]
language_score = { min = 0.3, source = "FineWeb-2, section 4.2, lower clamp" }
word_count = { min = 50, max = 100000, source = "FineWeb-2, fixed" }
hash_per_word = { max = 0.1, source = "FineWeb-2, fixed" }
ellipsis_per_word = { max = 0.1, source = "FineWeb-2, fixed" }
bullet_line_fraction = { max = 0.9, source = "FineWeb-2, fixed" }
ellipsis_line_fraction = { max = 0.3, source = "FineWeb-2, fixed" }
stop_word_count = { min = 2, source = "FineWeb-2, fixed" }
repeated_line_character_fraction = { max = 0.1, source = "FineWeb-2, fixed" }
"""


def render_published(label: str, config: dict[str, Any], source: str, date: str) -> str:
    """The text of a language file with every number as it is in FineWeb-2.

    >>> "alphabetic_word_fraction = { min = 0.8, " in render_published("eng_Latn", TABLE["eng_Latn"], "x", "y")
    True
    """
    lines = [f'name = "{LANGUAGES[label][1]}"']
    if "stopwords" in config:
        lines.append(f"stop_words = {json.dumps(config['stopwords'], ensure_ascii=False)}")
    lines += ["", "[provenance]", f'thresholds = "{source}"', f'date = "{date}"', "", "[rules]"]
    for metric, interval in rules_of(config).items():
        body = "".join(f"{end} = {value}, " for end, value in interval.items()) or "off = true, "
        lines.append(f'{metric} = {{ {body}source = "{source}" }}')
    if source == ENGLISH_SOURCE:
        lines.append(f'short_line_fraction = {{ max = 0.67, source = "{source}" }}')
        lines.append(f'repeated_line_character_fraction = {{ max = 0.01, source = "{source}" }}')
    return "\n".join(lines) + "\n"


def render(label: str, config: dict[str, Any], source: str, date: str) -> str:
    """The text of lang_configs/<label>.toml."""
    _, name = LANGUAGES[label]
    english = source == ENGLISH_SOURCE
    rules = rules_of(config)
    model = "lid.176, as here" if english else "GlotLID v3; scores of lid.176 differ"
    lines = [
        "# Written by dev/import_fineweb2.py; what is not here is as in default.toml.",
        f'name = "{name}"',
        "",
        "[provenance]",
        f'thresholds = "{source}"',
        f'method = "{ENGLISH_METHOD if english else METHOD}"',
        f'tokenizer = "{TOKENIZER}"',
        f'language_score = "tuned for {model}"',
        'licence = "Apache-2.0"',
        f'date = "{date}"',
        "",
        "[rules]",
    ]
    for metric, interval in rules.items():
        if metric == "language_score" and label in LID_FLOOR_TOO_HIGH:
            lines.append(f"# {interval['min']} in {source}; lid.176 scores most clean text of this language lower.")
            lines.append('language_score = { min = 0.3, source = "FineWeb-2, section 4.2, lower clamp" }')
            continue
        if metric == "alphabetic_word_fraction" and label == "amh_Ethi":
            lines.append(f'{metric} = {{ off = true, source = "each Ethiopic word space is a word of ICU\'s" }}')
            continue
        body = "".join(f"{end} = {value}, " for end, value in interval.items()) or "off = true, "
        lines.append(f'{metric} = {{ {body}source = "{source}" }}')
    if english:
        lines.append(f'short_line_fraction = {{ max = 0.67, source = "{source}" }}')
        lines.append(f'repeated_line_character_fraction = {{ max = 0.01, source = "{source}" }}')
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write a file for each language that the folder or TABLE has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="FineWeb-2's configs/")
    parser.add_argument("--output", type=Path, default=Path("lang_configs"))
    parser.add_argument("--date", default="2026-11-23", help="date of the import")
    parser.add_argument("--published", action="store_true", help="every number as published, stop words too")
    arguments = parser.parse_args()
    write = render_published if arguments.published else render
    if arguments.published:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "default.toml").write_text(FIXED, encoding="utf-8")
    for label, (theirs, _) in LANGUAGES.items():
        path = arguments.folder / f"{theirs}.yml"
        if path.exists():
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        elif theirs in TABLE:
            config = TABLE[theirs]
        else:
            print(f"{label}: no {theirs}.yml, left to default.toml")
            continue
        source = ENGLISH_SOURCE if label == "eng_Latn" else f"FineWeb-2 configs/{theirs}.yml"
        target = arguments.output / f"{label}.toml"
        target.write_text(write(label, config, source, arguments.date), encoding="utf-8")
        print(f"{label}: {source}")


if __name__ == "__main__":
    main()
