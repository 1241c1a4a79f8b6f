"""What was read from a shard and where it went."""

from collections import Counter

from pipeline.schema.manifests import UnreadableBytes


class RecordAccounts:
    """What was read and where it went; audit balances it."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.record_bytes = self.documents = self.characters = 0
        self.unreadable_ranges: list[UnreadableBytes] = []
        self.runs: list[int] = []
