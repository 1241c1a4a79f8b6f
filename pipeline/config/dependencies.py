"""What annotate depends on besides its input: settings, columns, word lists, models and versions of libraries.

A change of any of it makes annotate run again. Columns count, because a new metric changes what a finished shard lacks.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from pipeline.config.reading import LANGUAGE_CONFIGS
from pipeline.config.run_settings import RunConfig
from pipeline.config.user_stages import annotated_schema, source_file
from pipeline.errors import ConfigError
from pipeline.execution.commit import sha256_of
from pipeline.text.language.identifiers import resolve_model
from pipeline.text.main_text import MODEL as EXTRACTION_MODEL
from pipeline.text.main_text.extractors import libraries_of

FORMAT = 3
LIBRARIES = [
    "fastwarc",
    "warcio",
    "resiliparse",
    "ftfy",
    "icu4py",
    "fasttext-numpy2-wheel",
    "kenlm",
    "sentencepiece",
    "pyarrow",
    "faust-cchardet",
    "datatrove",
    "publicsuffixlist",
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
    """Settings, columns, word lists, models and library versions that annotate reads, as JSON."""
    folder = Path(config.language_configs) if config.language_configs else LANGUAGE_CONFIGS
    models = Path(__file__).resolve().parents[1] / "models"
    files = sorted(folder.glob("*_words/*.txt")) + sorted(
        (Path(config.models) if config.models else models).rglob("*.*")
    )
    files.append(EXTRACTION_MODEL)
    digests = {
        path.name + path.parent.name: _digest(path, path.stat().st_mtime_ns) for path in files if path.suffix != ".md"
    }
    digests |= _stage_digests(config)
    gate = [config.lid.gate.model] if config.lid.gate else []
    digests |= {f"lid {name}": _model_digest(name) for name in (config.lid.model, *gate)}
    versions = _versions() | _extractor_versions(config.extract.extractor)
    if config.segmenter == "datatrove":
        versions = versions | {name: version(name) for name in TOKENIZERS if any(distributions(name=name))}
    return {
        "format": FORMAT,
        "settings": config.annotate_settings(),
        "schema": {field.name: str(field.type) for field in annotated_schema(config.stages)},
        "files": digests,
        "versions": versions,
    }


def _stage_digests(config: RunConfig) -> dict[str, str]:
    """The source of each stage of the user's own, and the files that its settings name."""
    files: dict[str, Path] = {}
    for stage in config.stages:
        if source := source_file(stage.use):
            files[f"stage {stage.use}"] = source
        for name, value in stage.settings.items():
            if isinstance(value, str) and Path(value).is_file():
                files[f"stage {stage.use} {name}"] = Path(value)
    return {name: _digest(path, path.stat().st_mtime_ns) for name, path in files.items()}


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
