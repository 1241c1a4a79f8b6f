"""What annotate depends on besides its input: settings, word lists, models and versions of libraries."""

from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from pipeline.config.reading import LANGUAGE_CONFIGS
from pipeline.config.run_settings import RunConfig
from pipeline.errors import ConfigError
from pipeline.execution.commit import sha256_of
from pipeline.text.language.identifiers import resolve_model
from pipeline.text.main_text import MODEL as EXTRACTION_MODEL
from pipeline.text.main_text.extractors import libraries_of

FORMAT = 2
LIBRARIES = [
    "fastwarc",
    "resiliparse",
    "ftfy",
    "icu4py",
    "fasttext-numpy2-wheel",
    "kenlm",
    "sentencepiece",
    "pyarrow",
    "faust-cchardet",
    "datatrove",
]
# Those of the word tokenizers that segmenter = "datatrove" may load, as far as they are installed.
TOKENIZERS = [
    "spacy",
    "SudachiPy",
    "sudachidict-core",
    "jieba",
    "pyvi",
    "pythainlp",
    "indic-nlp-library",
    "kiwipiepy",
    "kiwipiepy-model",
    "khmer-nltk",
    "laonlp",
    "botok",
    "pyidaungsu-numpy2",
    "stanza",
]


def annotate_state(config: RunConfig) -> dict[str, Any]:
    """Settings, word lists, models and library versions that annotate reads; a change of any makes it run again."""
    folder = Path(config.language_configs) if config.language_configs else LANGUAGE_CONFIGS
    models = Path(__file__).resolve().parents[1] / "models"
    files = sorted(folder.glob("*_words/*.txt")) + sorted(
        (Path(config.models) if config.models else models).rglob("*.*")
    )
    files.append(EXTRACTION_MODEL)
    digests = {
        path.name + path.parent.name: _digest(path, path.stat().st_mtime_ns) for path in files if path.suffix != ".md"
    }
    gate = [config.lid.gate.model] if config.lid.gate else []
    digests |= {f"lid {name}": _model_digest(name) for name in (config.lid.model, *gate)}
    versions = _versions() | _extractor_versions(config.extract.extractor)
    if config.segmenter == "datatrove":
        versions = versions | {name: version(name) for name in TOKENIZERS if any(distributions(name=name))}
    return {"format": FORMAT, "settings": config.annotate_settings(), "files": digests, "versions": versions}


@cache
def _digest(path: Path, _changed: int) -> str:
    """The sha256 of a word list or model, made once for each state of it, not once a shard."""
    return sha256_of(path)


@cache
def _model_digest(name: str) -> str:
    path, known = resolve_model(name)
    return known or sha256_of(path)


@cache
def _extractor_versions(extractor: str) -> dict[str, str]:
    try:
        return {name: version(name) for name in libraries_of(extractor)}
    except PackageNotFoundError as error:
        raise ConfigError(
            f'extract.extractor = "{extractor}": {error.name} is not installed; install the extra `{extractor}`'
        ) from None


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}
