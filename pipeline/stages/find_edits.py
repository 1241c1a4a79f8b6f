"""text -> edits: which pieces of it are replaced or left out when it is written, such as addresses and footers.

Edits are found once and stored; `select` applies them, or does not, without reading a page again.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.schema.columns import EDITS, TEXT, schema
from pipeline.stages.contract import StageContext, add_columns
from pipeline.text.edits import find_edits


class FindEdits:
    """Finds the edits of the refinements that the config names."""

    name = "find_edits"
    reads = schema({"text": TEXT["text"]})
    adds = schema(EDITS)

    def __init__(self, refinements: Sequence[str]) -> None:
        self.refinements = tuple(refinements)

    @classmethod
    def build(cls, context: StageContext) -> "FindEdits":
        """See StageClass.build."""
        return cls(context.config.refinements)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Never drops a row."""
        edits = [find_edits(text, self.refinements) for text in table["text"].to_pylist()]
        columns: dict[str, list[Any]] = {
            "edit_starts": [[start for start, _, _ in text_edits] for text_edits in edits],
            "edit_ends": [[end for _, end, _ in text_edits] for text_edits in edits],
            "edit_texts": [[text for _, _, text in text_edits] for text_edits in edits],
        }
        return add_columns(table, self.adds, columns)
