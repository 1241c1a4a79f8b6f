"""text -> label, score, other labels, script (fastText and a count of characters)."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pyarrow as pa

from pipeline.config.run_settings import LanguagesConfig, LidConfig
from pipeline.schema.columns import LANGUAGE, MEASURED, schema
from pipeline.schema.drop_reasons import DropReason
from pipeline.stages.contract import StageContext, add_columns
from pipeline.text.language.identifiers import Identification, LanguageIdentifier

NOTHING = Identification(None, None, [], None, 0.0, 0.0)


class IdentifyLanguage:
    """Drops what the gate takes, what no language reaches `lid.min_score` for, and languages that are not wanted."""

    name = "identify_language"
    reads = schema(MEASURED)
    adds = schema(LANGUAGE)

    def __init__(self, lid: LidConfig, languages: LanguagesConfig, group_of: Callable[[str], str]) -> None:
        self.lid = lid
        self.languages = languages
        self.group_of = group_of
        self.identifier = _identifier(lid.model)
        self.gate = _identifier(lid.gate.model) if lid.gate else None

    @classmethod
    def build(cls, context: StageContext) -> "IdentifyLanguage":
        """See StageClass.build."""
        return cls(context.config.lid, context.config.languages, context.config.group_of)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Drop reasons: language_gate, language_unknown, language_not_wanted; the dropped row has label and score.

        The gate comes first, as FineWeb-2's gate of English does; label and score are then the gate's.
        """
        texts = table["measured_text"].to_pylist()
        identifications, drops = self._taken_by_gate(texts)
        rest = [row for row, drop in enumerate(drops) if drop is None]
        answers = self.identifier.identify([texts[row] for row in rest], self.lid.max_characters)
        for row, identification in zip(rest, answers, strict=True):
            identifications[row], drops[row] = identification, self._drop(identification.label, identification.score)
        columns: dict[str, list[object]] = {name: [] for name in LANGUAGE}
        for identification in identifications:
            language, _, script = (identification.label or "").partition("_")
            columns["label"].append(identification.label)
            columns["language"].append(language or None)
            columns["language_script"].append(script or None)
            columns["language_score"].append(identification.score)
            columns["top_langs"].append(
                json.dumps(dict(identification.top), ensure_ascii=False) if identification.top else None
            )
            columns["script"].append(identification.script)
            columns["script_fraction"].append(identification.label_script_share)
            columns["group"].append(self.group_of(identification.label) if identification.label else None)
        return add_columns(table, self.adds, columns, drops)

    def _taken_by_gate(self, texts: list[str]) -> tuple[list[Identification], list[DropReason | None]]:
        """What the gate says of each text, with its label and score, and language_gate where it takes the text."""
        drops: list[DropReason | None] = [None] * len(texts)
        gate = self.lid.gate
        if gate is None or self.gate is None:
            return [NOTHING] * len(texts), drops
        identifications = self.gate.identify(texts, self.lid.max_characters)
        for row, identification in enumerate(identifications):
            score = dict(identification.top).get(gate.label, 0.0)
            if score > gate.min_score:
                identifications[row] = replace(identification, label=gate.label, score=score)
                drops[row] = DropReason.LANGUAGE_GATE
        return identifications, drops

    def _drop(self, label: str | None, score: float | None) -> DropReason | None:
        if label is None or score is None or score < self.lid.min_score:
            return DropReason.LANGUAGE_UNKNOWN
        wanted = self.languages
        if (wanted.include and label not in wanted.include) or label in wanted.exclude:
            return DropReason.LANGUAGE_NOT_WANTED
        return None


@cache
def _identifier(name: str) -> LanguageIdentifier:
    """The model of a name, kept from shard to shard."""
    return LanguageIdentifier(name=name)
