"""text -> label, score, other labels, script (fastText and a count of characters)."""

import json
from dataclasses import replace
from functools import cache

import pyarrow as pa

from pipeline.config.run_settings import RunConfig
from pipeline.schema.columns import LANGUAGE, MEASURED, schema
from pipeline.schema.drop_reasons import DropReason
from pipeline.stages.contract import add_columns
from pipeline.text.language.identifiers import Identification, LanguageIdentifier

NOTHING = Identification(None, None, [], None, 0.0, 0.0)


class IdentifyLanguage:
    """Drops what the gate takes, what no language reaches `lid.min_score` for, and languages that are not wanted."""

    name = "identify_language"
    reads = schema(MEASURED)
    adds = schema(LANGUAGE)

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.identifier = _identifier(config.lid.model)
        self.gate = _identifier(config.lid.gate.model) if config.lid.gate else None

    def __call__(self, table: pa.Table) -> pa.Table:
        """Drop reasons: language_gate, language_unknown, language_not_wanted; the dropped row has label and score.

        The gate comes first, as FineWeb-2's gate of English does; label and score are then the gate's.
        """
        texts = table["measured_text"].to_pylist()
        found, drops = self._taken_by_gate(texts)
        rest = [row for row, drop in enumerate(drops) if drop is None]
        answers = self.identifier.identify([texts[row] for row in rest], self.config.lid.max_characters)
        for row, one in zip(rest, answers, strict=True):
            found[row], drops[row] = one, self._drop(one.label, one.score)
        columns: dict[str, list[object]] = {name: [] for name in LANGUAGE}
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
        return add_columns(table, self.adds, columns, drops)

    def _taken_by_gate(self, texts: list[str]) -> tuple[list[Identification], list[DropReason | None]]:
        """What the gate says of each text, with its label and score, and language_gate where it takes the text."""
        drops: list[DropReason | None] = [None] * len(texts)
        gate = self.config.lid.gate
        if gate is None or self.gate is None:
            return [NOTHING] * len(texts), drops
        found = self.gate.identify(texts, self.config.lid.max_characters)
        for row, one in enumerate(found):
            score = dict(one.top).get(gate.label, 0.0)
            if score > gate.min_score:
                found[row] = replace(one, label=gate.label, score=score)
                drops[row] = DropReason.LANGUAGE_GATE
        return found, drops

    def _drop(self, label: str | None, score: float | None) -> DropReason | None:
        if label is None or score is None or score < self.config.lid.min_score:
            return DropReason.LANGUAGE_UNKNOWN
        wanted = self.config.languages
        if (wanted.include and label not in wanted.include) or label in wanted.exclude:
            return DropReason.LANGUAGE_NOT_WANTED
        return None


@cache
def _identifier(name: str) -> LanguageIdentifier:
    """The model of a name, kept from shard to shard."""
    return LanguageIdentifier(name=name)
