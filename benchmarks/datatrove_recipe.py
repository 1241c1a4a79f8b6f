"""datatrove's FineWeb2 recipe on one WARC file, from pages to clean documents, as far as it runs without a network.

python -m benchmarks.datatrove_recipe WARC FOLDER

Order and arguments are those of FineWeb2's script: WarcReader, URLFilter, Trafilatura, language; MinHash signatures of
all documents (the join of signatures is left out); GopherRepetition, FineWebQuality, GopherQuality; FTFY, PII, lines
of symbols. Three departures: the language model is our lid.176.ftz, because GlotLID has to be downloaded; words are
those of its English tokenizer in every language; Trafilatura may take 30 seconds for a page in place of 1, so that a
busy machine drops none.
"""

import sys
from pathlib import Path

import xxhash
from datatrove.data import DocumentsPipeline
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    URLFilter,
)
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter, SymbolLinesFormatter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from fasttext.FastText import _FastText

MODEL = Path(__file__).resolve().parents[1] / "pipeline" / "models" / "lid.176.ftz"
LANGUAGE = "eng"


class WithOurModel(LanguageFilter):
    """LanguageFilter, with a model from a file."""

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        self.model._model = _FastText(str(MODEL))
        yield from super().run(data, rank, world_size)


def run(warc: Path, folder: Path) -> None:
    """Run the recipe; clean documents lie in `folder`/clean."""
    lid = WithOurModel(language_threshold=0.3, label_only=False, keep_top_pairs_threshold=0.01)
    minhash = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
    signature = MinhashDedupSignature(str(folder / "signatures"), config=minhash, language=LANGUAGE)
    signature._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())  # xxhash 4 takes no strings
    steps: list[list[PipelineStep]] = [
        [
            WarcReader(str(warc.parent), glob_pattern=warc.name),
            URLFilter(),
            Trafilatura(favour_precision=True, timeout=30),
            lid,
            JsonlWriter(str(folder / "read")),
        ],
        [JsonlReader(str(folder / "read")), signature],
        [
            JsonlReader(str(folder / "read")),
            GopherRepetitionFilter(language=LANGUAGE),
            FineWebQualityFilter(language=LANGUAGE),
            GopherQualityFilter(language=LANGUAGE),
            FTFYFormatter(),
            PIIFormatter(),
            SymbolLinesFormatter(symbols_to_remove=["|"], replace_char="\n"),
            JsonlWriter(str(folder / "clean")),
        ],
    ]
    for number, pipeline in enumerate(steps):
        LocalPipelineExecutor(pipeline, tasks=1, logging_dir=str(folder / f"logs-{number}")).run()


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
