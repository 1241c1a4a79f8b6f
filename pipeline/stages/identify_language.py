"""text -> label, score, other labels, script (fastText and a count of characters)."""

import json

import pyarrow as pa

from pipeline.columns import LANGUAGE, TEXT, schema
from pipeline.config import RunConfig
from pipeline.stages.contract import add_columns
from pipeline.text.lid import LanguageIdentifier


class IdentifyLanguage:
    """Drops what no language reaches `lid.min_score` for, and languages that the config does not want."""

    name = "identify_language"
    reads = schema({"text": TEXT["text"]})
    adds = schema(LANGUAGE)

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.identifier = LanguageIdentifier(name=config.lid.model)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Drop reasons: language_unknown, language_not_wanted; label and score are kept in the dropped row."""
        found = self.identifier.identify(table["text"].to_pylist(), self.config.lid.max_characters)
        columns: dict[str, list[object]] = {name: [] for name in LANGUAGE}
        drops: list[str | None] = []
        for one in found:
            language, _, script = (one.label or "").partition("_")
            columns["label"].append(one.label)
            columns["language"].append(language or None)
            columns["language_script"].append(script or None)
            columns["language_score"].append(one.score)
            columns["top_langs"].append(json.dumps(dict(one.top), ensure_ascii=False) if one.top else None)
            columns["script"].append(one.script)
            columns["script_fraction"].append(one.label_script_share)
            columns["group"].append(self.config.group_of(one.label) if one.label else None)
            drops.append(self._drop(one.label, one.score))
        return add_columns(table, self.adds, columns, drops)

    def _drop(self, label: str | None, score: float | None) -> str | None:
        if label is None or score is None or score < self.config.lid.min_score:
            return "language_unknown"
        wanted = self.config.languages
        if (wanted.include and label not in wanted.include) or label in wanted.exclude:
            return "language_not_wanted"
        return None
