"""text -> perplexity (KenLM), for the languages that have a model; language by language, one model mapped at a time."""

from functools import cache
from pathlib import Path

import pyarrow as pa

from pipeline.schema.columns import LANGUAGE, MEASURED, PERPLEXITY, schema
from pipeline.stages.contract import StageContext, add_columns
from pipeline.text.perplexity import CALIBRATION_FILE, MODELS, LanguageModel, available_models


class ScorePerplexity:
    """Null where the language has no model or the text no line: never a default number."""

    name = "score_perplexity"
    reads = schema(MEASURED, {"label": LANGUAGE["label"]})
    adds = schema(PERPLEXITY)

    def __init__(self, models: dict[str, LanguageModel]) -> None:
        self.models = models

    @classmethod
    def build(cls, context: StageContext) -> "ScorePerplexity":
        """See StageClass.build."""
        config = context.config
        folder = Path(config.models) if config.models else MODELS
        folders = available_models(folder) if config.perplexity else {}
        return cls({label: _model(path, _changed(path)) for label, path in folders.items()})

    def __call__(self, table: pa.Table) -> pa.Table:
        """Never drops a row."""
        texts, labels = table["measured_text"].to_pylist(), table["label"].to_pylist()
        columns: dict[str, list[object]] = {name: [None] * table.num_rows for name in PERPLEXITY}
        for label in sorted(set(labels) & set(self.models)):
            rows = [row for row, label_of_row in enumerate(labels) if label_of_row == label]
            for row, scores in zip(rows, self.models[label].score_all([texts[row] for row in rows]), strict=True):
                if scores is not None:
                    for name, value in zip(PERPLEXITY, scores, strict=True):
                        columns[name][row] = value
        return add_columns(table, self.adds, columns)


@cache
def _model(folder: Path, _changed: int) -> LanguageModel:
    """The model of a folder, kept from shard to shard until it is trained again."""
    return LanguageModel(folder)


def _changed(folder: Path) -> int:
    return (folder / CALIBRATION_FILE).stat().st_mtime_ns
