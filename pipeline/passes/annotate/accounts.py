"""What was read from a shard and where it went."""

from collections import Counter

from pipeline.readers.contract import Item, OtherRecord, UnreadableRange
from pipeline.schema.manifests import UnreadableBytes


class RecordAccounts:
    """Counts of one input: bytes and records as they are read, documents and drop reasons as rows are written.

    They go into the shard's manifest, and audit checks that they agree.
    """

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.record_bytes = self.document_records = self.documents = self.characters = 0
        self.unreadable_ranges: list[UnreadableBytes] = []
        self.runs: list[int] = []

    def add(self, item: Item) -> None:
        """Count what a reader yields."""
        if isinstance(item, UnreadableRange):
            self.unreadable_ranges.append(UnreadableBytes(start=item.start, end=item.end, reason=item.reason))
        elif isinstance(item, OtherRecord):
            self.types[item.record_type] += 1
            self.record_bytes += item.length
        else:
            self.types[item.warc_type] += 1
            self.record_bytes += item.warc_length
            self.document_records += 1
