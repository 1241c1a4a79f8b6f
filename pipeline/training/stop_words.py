"""Stop words from reference text: the words of a language that make up a large enough share of its text.

    python -m pipeline.training.stop_words TEXT_REF UDHR_JSONL_GZ --labels tur_Latn tha_Thai ... [--output FOLDER]

TEXT_REF is a folder of sentences, a file `<label>.txt.gz` a language, with an index.jsonl that names their sources.
UDHR_JSONL_GZ has a line of JSON for each translation of the Universal Declaration of Human Rights.

Words are ICU's (icu4py) in NFC, with at least one letter and no digit, counted in lower case because the
metric compares case-sensitively and lists hold lower-case forms. A word is listed above 0.8 %; where fewer
than eight remain the threshold falls. Where there are two references a word must occur in both, which strikes
the topics of one (sentences of Common Voice, stubs of Wikipedia). A word frequent in English is in no other
language's list: it would let English pass. Weakness: with little text (the UDHR is some 1,500 words) topical
words are listed; a speaker should strike them.
"""

import argparse
import gzip
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from icu4py.breakers import WordBreaker

from pipeline.config.reading import LANGUAGE_CONFIGS

THRESHOLDS: Final = (0.008, 0.005, 0.003, 0.002, 0.001, 0.0005, 0.0)
FEWEST: Final = 8
ENGLISH_THRESHOLD: Final = 0.001
TEXT_REF_NAMES: Final = {"zho_Hani": "zho_Hans", "kor_Hang": "kor_Kore"}  # our label: the file's
UDHR_NAMES: Final = {
    "ara_Arab": "arb_Arab",
    "est_Latn": "ekk_Latn",
    "fas_Arab": "pes_Arab",
    "kor_Hang": "kor_Kore",
    "lav_Latn": "lvs_Latn",
    "mon_Cyrl": "khk_Cyrl",
    "msa_Latn": "zlm_Latn",
    "sqi_Latn": "als_Latn",
    "swa_Latn": "swh_Latn",
    "zho_Hani": "cmn_Hani",
}
DOTTED: Final = frozenset({"tur", "aze"})  # I is the capital of dotless ı here
LICENCES: Final = {
    "Common Voice": "CC0-1.0",
    "lingua/Leipzig": "CC BY 4.0 (Leipzig Corpora Collection)",
    "FLORESv1": "CC BY-SA 4.0",
    "UDHR": "text free of copyright",
    "MasakhaNEWS": "news text of its publishers",
}


def lower(word: str, label: str) -> str:
    """The word in lower case, by the rules of the label's language.

    >>> lower("Iİ", "tur_Latn")
    'ıi'
    """
    if label[:3] in DOTTED:
        word = word.replace("I", "ı").replace("İ", "i")
    return word.lower()


def count_words(lines: Iterable[str], label: str, keep_case: bool = False) -> Counter[str]:
    """How often each word occurs; symbols and numbers are left out."""
    counts: Counter[str] = Counter()
    for line in lines:
        line = unicodedata.normalize("NFC", line)
        for start, end in WordBreaker(line, label[:3]).segments():
            word = line[start:end].strip("\u200b\u200c\u200d\ufeff")
            if any(character.isalpha() for character in word) and not any(c.isdigit() for c in word):
                counts[word if keep_case else lower(word, label)] += 1
    return counts


def choose(
    counts: Counter[str],
    thresholds: Iterable[float],
    fewest: int,
    excluded: frozenset[str] = frozenset(),
    also_in: Counter[str] | None = None,
) -> tuple[list[str], float]:
    """Words at or above the first threshold that leaves enough, most frequent first, and that threshold.

    Words in `excluded` are passed over, and words that `also_in`, if it has any, does not know.

    >>> choose(Counter({"a": 6, "b": 3, "c": 1}), (0.5, 0.2), 2)
    (['a', 'b'], 0.2)
    """
    total = counts.total()
    words: list[str] = []
    threshold = 0.0
    for threshold in thresholds:
        frequent = [(-count, word) for word, count in counts.items() if count / total >= threshold]
        words = [word for _, word in sorted(frequent) if word not in excluded and (not also_in or word in also_in)]
        if len(words) >= fewest:
            break
    return words, threshold


def read_text_ref(folder: Path, label: str) -> tuple[list[str], dict[str, int]]:
    """Lines of a language's file in text_ref and how many came from each source; none without a file."""
    path = folder / f"{TEXT_REF_NAMES.get(label, label)}.txt.gz"
    if not path.exists():
        return [], {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    index = map(json.loads, (folder / "index.jsonl").read_text(encoding="utf-8").splitlines())
    return lines, next((entry["sources"] for entry in index if entry["file"] == path.name), {})


def read_udhr(path: Path, label: str) -> list[str]:
    """Paragraphs of all translations into the label's language; none if there is no translation."""
    code, script = UDHR_NAMES.get(label, label).split("_")
    paragraphs: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for entry in map(json.loads, file):
            if (entry["iso6393"], entry["script"]) == (code, script):
                paragraphs += entry["paragraphs"]
    return paragraphs


def render(label: str, words: list[str], threshold: float, total: int, sources: dict[str, int], date: str) -> str:
    """The text of stop_words/<label>.txt."""
    licences = sorted({LICENCES.get(source.rpartition(" ")[0], "see source") for source in sources})
    head = [
        f"# Stop words of {label}, lower case, most frequent first; review by a speaker is welcome.",
        "# source: " + ", ".join(f"{source} ({lines} lines)" for source, lines in sorted(sources.items())),
        f"# licence: list Apache-2.0 (counts of words); counted text: {'; '.join(licences)}",
        f"# method: pipeline/training/stop_words.py, ICU words, share of {total} words >= {threshold:.2%}",
        f"# date: {date}",
    ]
    return "\n".join([*head, *words]) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a list for each label that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text_ref", type=Path, help="folder of LANG_SCRIPT.txt.gz, with index.jsonl")
    parser.add_argument("udhr", type=Path, help="udhr.jsonl.gz, for languages that text_ref lacks")
    parser.add_argument("--labels", nargs="+", required=True)
    parser.add_argument("--output", type=Path, default=LANGUAGE_CONFIGS / "stop_words")
    parser.add_argument("--frequency", type=float, help="one threshold for all, instead of the falling ones")
    parser.add_argument("--all", action="store_true", help="keep English words and words of one reference only")
    parser.add_argument("--date", default="2026-11-23", help="date of the derivation")
    options = parser.parse_args(arguments)
    english = count_words(read_text_ref(options.text_ref, "eng_Latn")[0], "eng_Latn", keep_case=True)
    common_in_english = frozenset(
        word for word, count in english.items() if count >= ENGLISH_THRESHOLD * english.total()
    )
    for label in options.labels:
        lines, sources = read_text_ref(options.text_ref, label)
        declaration = read_udhr(options.udhr, label)
        if declaration:
            sources = sources | {f"UDHR {label[:3]}": len(declaration)}
        second = count_words(declaration, label) if lines else None
        lines = lines or declaration
        if not lines:
            print(f"{label}: no reference text, no list")
            continue
        counts = count_words(lines, label)
        excluded = frozenset() if label == "eng_Latn" or options.all else common_in_english
        thresholds = (options.frequency,) if options.frequency else THRESHOLDS
        words, threshold = choose(counts, thresholds, FEWEST, excluded, None if options.all else second)
        text = render(label, words, threshold, counts.total(), sources, options.date)
        (options.output / f"{label}.txt").write_text(text, encoding="utf-8")
        print(f"{label}: {len(words)} words, {threshold:.2%}: {' '.join(words[:12])}")


if __name__ == "__main__":
    main()
