"""Pages that killed two fresh children: found out once, written down, and replayed by every later attempt."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator

from pipeline.execution.commit import read_json, write_json
from pipeline.execution.sandbox.parent import SandboxedExtractor
from pipeline.execution.storage import Location
from pipeline.schema.drop_reasons import DropReason
from pipeline.text.main_text import Utf8
from pipeline.text.main_text.extractors import Extraction

KILLING = (DropReason.CPU_LIMIT, DropReason.MEMORY_LIMIT, DropReason.KILLED)


class CachedFailures:
    """Records that killed two fresh children: the verdict is written before going on and replayed afterwards."""

    def __init__(self, path: Location, child: SandboxedExtractor) -> None:
        self.path = path
        self.child = child
        self.known: dict[str, str] = read_json(path) if path.exists() else {}

    def extract(self, pages: Iterable[Utf8]) -> Iterator[Extraction]:
        waiting: deque[tuple[Utf8, str | None]] = deque()  # a page and what is known of it, while the child reads ahead
        answers = self.child.extract(self._unknown(pages, waiting))
        for answer in answers:
            yield from _replayed(waiting)
            page, _ = waiting.popleft()
            if answer.fault in KILLING:
                self.known[_key(page)] = answer.fault
                write_json(self.path, self.known)
            yield answer
        yield from _replayed(waiting)

    def _unknown(self, pages: Iterable[Utf8], waiting: deque[tuple[Utf8, str | None]]) -> Iterator[Utf8]:
        for page in pages:
            fault = self.known.get(_key(page)) if self.known else None
            waiting.append((page, fault))
            if fault is None:
                yield page


def _replayed(waiting: deque[tuple[Utf8, str | None]]) -> Iterator[Extraction]:
    """The cached failures of the pages that come before the next one without."""
    while waiting and waiting[0][1] is not None:
        yield Extraction(fault=waiting.popleft()[1])


def _key(page: Utf8) -> str:
    return hashlib.sha256(page).hexdigest()
