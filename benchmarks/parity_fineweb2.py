"""Do our rules keep and drop the documents that FineWeb-2's filters keep and drop?

python -m benchmarks.parity_fineweb2 FINEWEB2_CONFIGS WARC ... [--most 60] [--language-configs FOLDER]

Takes the YAML files of huggingface/fineweb-2 (its configs/) and WARC files with pages. Each page's text, from our
default extractor, goes through datatrove's own GopherRepetitionFilter, FineWebQualityFilter and GopherQualityFilter
with the language's published config, as FineWeb-2 calls them, and through our metrics and rules:

words    the published numbers over datatrove's words: differs only where a metric does
icu      the published numbers over ICU's words: what the segmenter changes
shipped  the rules of --language-configs over ICU's words: what a run with that folder does

Languages are those that lid.176 names; a language without YAML or tokenizer is left out and named. The tokenizers are
in the extra `datatrove-words`.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

from benchmarks.pages import texts_of_pages
from dev import import_fineweb2
from pipeline.config.language_files import LanguageConfig, load_language_config
from pipeline.config.reading import LANGUAGE_CONFIGS
from pipeline.errors import ConfigError
from pipeline.rules.fired import rules_fired
from pipeline.text.language.identifiers import LanguageIdentifier
from pipeline.text.metrics.contract import WordLists, measure
from pipeline.text.metrics.view import TextView
from pipeline.text.repair import clean, repair_encoding
from pipeline.text.words.segmenters import segmenter_for

LABEL_RULES = ("language_score", "script_fraction")  # FineWeb-2 cuts by score before; the text is the same


def filters_of(config: dict[str, Any], language: str) -> list[Any]:
    """datatrove's filters in FineWeb-2's order and with its arguments (its pipeline script, stage 5)."""
    return [
        GopherRepetitionFilter(
            language=language,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            dup_line_frac=config["dup_line_frac"],
            top_n_grams=config["top_n_grams"],
            dup_n_grams=config["dup_n_grams"],
        ),
        FineWebQualityFilter(
            language=language,
            short_line_thr=999,
            char_duplicates_ratio=0.1,
            line_punct_thr=config["line_punct_thr"],
            new_line_ratio=config["new_line_ratio"],
        ),
        GopherQualityFilter(
            language=language,
            min_avg_word_length=config["min_avg_word_length"],
            max_avg_word_length=config["max_avg_word_length"],
            max_non_alpha_words_ratio=config["max_non_alpha_words_ratio"],
            stop_words=config["stopwords"],
            min_stop_words=2,
        ),
    ]


def reason_of(filters: list[Any], text: str) -> str | None:
    """The first reason to drop a text, None to keep it."""
    for one in filters:
        answer = one.filter(Document(text=text, id=""))
        if answer is not True:
            return str(answer[1]) if isinstance(answer, tuple) else one.name
    return None


def fired(language: LanguageConfig, text: str, words: list[str]) -> list[str]:
    """The rules on the text that fire."""
    lists = WordLists(frozenset(language.stop_words), frozenset())
    row = measure(TextView.from_words(text, words), lists)
    rules = {name: rule for name, rule in language.rules.items() if name not in LABEL_RULES}
    table = pa.Table.from_pylist([row])
    return rules_fired(table, language.model_copy(update={"rules": rules}))[0][0]


def main() -> None:
    """Print a line a language and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("configs", type=Path)
    parser.add_argument("warcs", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=60, help="documents of a language")
    parser.add_argument("--language-configs", type=Path, default=LANGUAGE_CONFIGS)
    arguments = parser.parse_args()
    texts: dict[str, list[str]] = defaultdict(list)
    for path in arguments.warcs:
        found = [clean(repair_encoding(text)[0]).strip() for text in texts_of_pages(path)]
        for text, answer in zip(found, LanguageIdentifier().identify(found), strict=True):
            if text and answer.label and (answer.score or 0) >= 0.3 and len(texts[answer.label]) < arguments.most:
                texts[answer.label].append(text)
    ways = ("words", "icu", "shipped")
    total: Counter[str] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    left_out: dict[str, str] = {}
    print("language   documents  dropped there   words     icu  shipped")
    for label in sorted(texts):
        theirs = import_fineweb2.LANGUAGES.get(label, (label,))[0]
        path = arguments.configs / f"{theirs}.yml"
        if label not in import_fineweb2.LANGUAGES or not path.exists():
            left_out[label] = "no YAML"
            continue
        try:
            split = segmenter_for(label, "datatrove")
        except ConfigError as error:
            left_out[label] = str(error).rpartition(": ")[2]
            continue
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "default.toml").write_text(import_fineweb2.FIXED, encoding="utf-8")
            rendered = import_fineweb2.render_published(label, config, "FineWeb-2", "")
            Path(folder, f"{label}.toml").write_text(rendered, encoding="utf-8")
            published = load_language_config(label, Path(folder))
        shipped = load_language_config(label, arguments.language_configs)
        filters = filters_of(config, theirs)
        counts: Counter[str] = Counter()
        for text in texts[label]:
            reason = reason_of(filters, text)
            icu = segmenter_for(label)(text)
            answers = {
                "words": fired(published, text, split(text)),
                "icu": fired(published, text, icu),
                "shipped": fired(shipped, text, icu),
            }
            counts["documents"] += 1
            counts["dropped"] += reason is not None
            for way in ways:
                same = bool(answers[way]) == (reason is not None)
                counts[way] += same
                if not same:
                    reasons[way, reason or f"ours only: {answers[way][0]}"] += 1
        total += counts
        print_line(label, counts)
    if total["documents"]:
        print_line("all", total)
    for way in ways:
        found_here = {reason: count for (one, reason), count in reasons.most_common() if one == way}
        print(f"differ by {way}: " + ", ".join(f"{reason} {count}" for reason, count in found_here.items()))
    print("left out: " + ", ".join(f"{label} ({why})" for label, why in left_out.items()))


def print_line(name: str, counts: Counter[str]) -> None:
    """One line of the table: shares of documents with the same verdict."""
    documents = counts["documents"]
    shares = "  ".join(f"{counts[way] / documents:6.1%}" for way in ("words", "icu", "shipped"))
    print(f"{name:9}  {documents:9}  {counts['dropped'] / documents:13.1%}  {shares}", flush=True)


if __name__ == "__main__":
    main()
