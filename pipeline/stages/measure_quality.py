"""measured_text -> every metric of METRICS. Nothing is decided here: rules are applied later, to the stored values."""

from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from pipeline.config.language_files import load_language_config
from pipeline.schema.columns import LANGUAGE, MEASURED, METRIC, schema
from pipeline.stages.contract import StageContext, add_columns
from pipeline.stages.shared_words import split_words
from pipeline.text.metrics.contract import WordLists, measure
from pipeline.text.metrics.view import TextView


class MeasureQuality:
    """Measures the text of each document with the word lists of its language."""

    name = "measure_quality"
    reads = schema({"label": LANGUAGE["label"]}, MEASURED)
    adds = schema(METRIC)

    def __init__(self, segmenter: str, language_configs: str) -> None:
        self.segmenter = segmenter
        self.language_configs = language_configs

    @classmethod
    def build(cls, context: StageContext) -> "MeasureQuality":
        """See StageClass.build."""
        return cls(context.config.segmenter, context.config.language_configs)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Never drops a row."""
        texts, labels = table["measured_text"].to_pylist(), table["label"].to_pylist()
        columns: dict[str, list[object]] = {name: [] for name in METRIC}
        for chunk in split_words(texts, labels, self.segmenter):
            views = TextView.of_all(texts[chunk.first : chunk.end], chunk.words)
            for view, label in zip(views, labels[chunk.first : chunk.end], strict=True):
                for name, value in measure(view, _word_lists(label, self.language_configs)).items():
                    columns[name].append(value)
        return add_columns(table, self.adds, columns)


@lru_cache(maxsize=256)
def _word_lists(label: str, folder: str) -> WordLists:
    language = load_language_config(label, Path(folder) if folder else None)
    return WordLists(frozenset(language.stop_words), frozenset(language.flagged_words))
