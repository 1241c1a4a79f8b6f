"""measured_text -> the score of a fastText classifier of the user's own, such as one for educational pages.

It is no part of the plan: a run takes it with its settings, and any number of them.

    [[stages]]
    use = "pipeline.stages.score_classifier:ScoreClassifier"
    settings = { model = "edu.ftz", label = "__label__edu", column = "edu_score" }
"""

from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigError, ModelError
from pipeline.schema.columns import MEASURED, schema
from pipeline.schema.metrics import metric_column
from pipeline.stages.contract import add_columns


class ScoreClassifier:
    """The probability, 0 to 1, that a supervised fastText model gives `label`, in a column of its own."""

    reads = schema(MEASURED)

    def __init__(self, model: str, label: str, column: str, max_characters: int = 10_000) -> None:
        if not column.isidentifier() or column != column.lower():
            raise ConfigError(f"stages: column = {column!r}: must be a lower-case name such as edu_score")
        if max_characters < 1:
            raise ConfigError(f"stages: max_characters = {max_characters}: must be at least 1")
        self.name = f"score_classifier_{column}"
        self.model, self.label, self.column, self.max_characters = model, label, column, max_characters
        self.adds = pa.schema([metric_column(column, description=f"probability of {label} by {Path(model).name}")])

    def __call__(self, table: pa.Table) -> pa.Table:
        """Never drops a row. The model sees the beginning of the text, `max_characters`, on one line."""
        classifier = _classifier(self.model)
        if self.label not in classifier.get_labels():
            known = ", ".join(classifier.get_labels()[:10])
            raise ModelError(f"{self.model}: has no label {self.label}; it has {known}")
        scores = [self._score(classifier, text) for text in table["measured_text"].to_pylist()]
        return add_columns(table, self.adds, {self.column: scores})

    def _score(self, classifier: Any, text: str) -> float:
        line = text[: self.max_characters].replace("\n", " ")
        labels, probabilities = classifier.predict(line, k=-1)
        of_label = dict(zip(labels, probabilities, strict=True))
        return min(1.0, max(0.0, round(float(of_label.get(self.label, 0.0)), 6)))  # fastText's may exceed 1 by a little


@cache
def _classifier(path: str) -> Any:
    """The model, kept from shard to shard."""
    from pipeline.text.language.fasttext_models import load_by_fasttext

    if not Path(path).is_file():
        raise ModelError(f"{path}: no such fastText model")
    return load_by_fasttext(Path(path))
