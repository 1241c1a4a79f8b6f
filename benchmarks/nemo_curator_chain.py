"""NeMo Curator's CPU stages on one WARC file, from pages to Parquet, in one process and without its Ray executor.

PYTHON -m benchmarks.nemo_curator_chain WARC FOLDER

PYTHON is that of an environment with `nemo-curator[text-cpu]` (6 GB, hence of its own). Its reader of Common Crawl,
justext with pycld2 (the default), the English heuristic filters with their default bounds, ftfy, Parquet. Near
duplicates are not looked for: that needs a GPU.
"""

import sys
from pathlib import Path

import pandas as pd
from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
from nemo_curator.stages.text.download.common_crawl.warc_iterator import CommonCrawlWarcIterator
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic import repetition, string
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter
from nemo_curator.tasks import DocumentBatch

FILTERS = [
    string.NonAlphaNumericFilter(),
    string.SymbolsToWordsFilter(),
    string.NumbersFilter(),
    string.UrlsFilter(),
    string.WhiteSpaceFilter(),
    string.ParenthesesFilter(),
    string.BoilerPlateStringFilter(),
    string.MeanWordLengthFilter(),
    string.LongWordFilter(),
    string.WordCountFilter(),
    string.PunctuationFilter(),
    string.CommonEnglishWordsFilter(),
    string.WordsWithoutAlphabetsFilter(),
    string.BulletsFilter(),
    string.EllipsisFilter(),
    repetition.RepeatedLinesFilter(),
    repetition.RepeatedParagraphsFilter(),
    repetition.RepeatedLinesByCharFilter(),
    repetition.RepeatedParagraphsByCharFilter(),
    *(repetition.RepeatingTopNGramsFilter(n) for n in (2, 3, 4)),
    *(repetition.RepeatingDuplicateNGramsFilter(n) for n in (5, 6, 7, 8, 9, 10)),
]


def run(warc: Path, folder: Path) -> None:
    """Write the rows that are left to `folder`/clean.parquet."""
    extractor = CommonCrawlHTMLExtractor(algorithm="justext")
    rows = [row for record in CommonCrawlWarcIterator().iterate(str(warc)) if (row := extractor.extract(record))]
    shard_group = DocumentBatch(dataset_name="bench", data=pd.DataFrame(rows))
    for filter_ in FILTERS:
        shard_group = (
            ScoreFilter(filter_, text_field="text", score_field=type(filter_).__name__).process(shard_group)
            or shard_group
        )
    shard_group = Modify(UnicodeReformatter(), input_fields="text").process(shard_group) or shard_group
    folder.mkdir(parents=True, exist_ok=True)
    shard_group.to_pandas().to_parquet(folder / "clean.parquet")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
