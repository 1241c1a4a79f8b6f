"""Iterate over a mixture without writing it out: split over ranks, shuffled, resumable, the same for the same seed.

A *visit* is one pass over a block of rows of a clean file (a row group). The block is visited as often as its most
repeated row; a row with fewer copies takes part in some of the visits, evenly spaced. The visits of a block are spread
evenly over the whole, from a position that a hash gives. Ranks share the visits. Each rank collects whole visits until
it has `shuffle_buffer` documents (a window), gives these in the order of a hash, and goes on. So no state but the
number of documents given is needed to go on later, and memory is one window. The weakness is that a window has
documents of few blocks, often of few languages; for a shuffle over everything materialize the mixture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.errors import ConfigError, InputError
from pipeline.execution.storage import Location, locate
from pipeline.output.layout import filled
from pipeline.output.mixtures import Mixture, RepeatedRows, load_mixture, read_rows

COLUMNS = ("id", "text", "language", "language_script")
ROWS_AT_A_TIME = 256  # that become Python objects


@dataclass(frozen=True)
class _Visit:
    """One pass over rows of one block, each read once."""

    position: float  # in the whole, in [0, 1)
    number: int  # among the visits of the block
    parts: list[RepeatedRows]  # of one file, in its order

    @property
    def documents(self) -> int:
        return sum(part.rows for part in self.parts)


class MixtureReader:
    """The documents of one rank as dicts, in order; `read_mix` makes one.

    `position` is the number of documents given so far. `state_dict` and `load_state_dict` are what torchdata's
    StatefulDataLoader and the like ask for. Iterating again begins at `position`; at the end it is 0 again.
    """

    def __init__(
        self, mixture: Mixture, visits: list[_Visit], seed: int, shuffle_buffer: int, columns: Sequence[str]
    ) -> None:
        self.mixture, self.seed, self.columns = mixture, seed, tuple(columns)
        self.position = 0
        self.windows = _windows(visits, shuffle_buffer)
        self.shuffled = shuffle_buffer > 0

    def __len__(self) -> int:
        return sum(visit.documents for window in self.windows for visit in window)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        before = 0
        for window in self.windows:
            count = sum(visit.documents for visit in window)
            if before + count > self.position:
                table = self._read(window).slice(self.position - before)
                for start in range(0, table.num_rows, ROWS_AT_A_TIME):
                    for row in table.slice(start, ROWS_AT_A_TIME).to_pylist():
                        self.position += 1
                        yield row
            before += count
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Raises ConfigError for a position beyond the end."""
        if not 0 <= state["position"] <= len(self):
            raise ConfigError(f"position = {state['position']}: this rank has {len(self)} documents")
        self.position = state["position"]

    def _read(self, window: list[_Visit]) -> pa.Table:
        """The documents of a window in the order in which they are given."""
        tables = []
        keys: list[int] = []
        wanted = list(dict.fromkeys(["id", *self.columns]))
        for visit in window:
            path = self.mixture.folder / visit.parts[0].file
            for table, _ in read_rows(path, visit.parts, wanted):
                tables.append(table.select(self.columns))
                keys += [_hash(f"{visit.number} {record_id}", self.seed) for record_id in table["id"].to_pylist()]
        table = pa.concat_tables(tables)
        return table.take(pa.array(np.argsort(np.array(keys, np.uint64), kind="stable"))) if self.shuffled else table


def read_mix(
    path: str | Path | Location,
    seed: int = 0,
    shuffle_buffer: int = 20_000,
    rank: int = 0,
    world_size: int = 1,
    position: int = 0,
    columns: Sequence[str] = COLUMNS,
    block_rows: int | None = None,
) -> MixtureReader:
    """The documents of `<selection>/mixtures/<name>.json` that rank `rank` of `world_size` reads, each as a dict.

    Every document of the mixture, with its copies, is given by exactly one rank. Ranks differ by at most one block
    (`block_rows`, by default a row group of the clean files). Give another `seed` for each epoch. To go on after an
    interruption give the same arguments and the `position` that the reader had. Memory: `shuffle_buffer` documents and
    one block; keep it far below the mixture, as copies may come close within it. 0 leaves the stored order.

    Raises InputError where the mixture is absent or out of date or too small for so many ranks, ConfigError for a rank
    or a position that does not exist.
    """
    if not 0 <= rank < world_size:
        raise ConfigError(f"rank = {rank}: must be from 0 to world_size - 1 = {world_size - 1}")
    if shuffle_buffer < 0 or (block_rows is not None and block_rows < 1):
        raise ConfigError(f"shuffle_buffer = {shuffle_buffer}, block_rows = {block_rows}: too small")
    mixture = load_mixture(locate(path) if isinstance(path, str) else path)
    visits = _visits(mixture, seed, block_rows or mixture.manifest.row_group_rows)
    if len(visits) < world_size:
        raise InputError(f"{path}: {len(visits)} visits for {world_size} ranks; give a smaller block_rows")
    reader = MixtureReader(mixture, _of_rank(visits, rank, world_size), seed, shuffle_buffer, columns)
    reader.load_state_dict({"position": position})
    return reader


def _hash(key: str, seed: int) -> int:
    return xxhash.xxh64_intdigest(key.encode(), seed)


def _visits(mixture: Mixture, seed: int, block_rows: int) -> list[_Visit]:
    """Every visit, in the order of reading."""
    blocks: dict[tuple[str, int], list[RepeatedRows]] = {}
    for rows in mixture.rows():
        for block in range(rows.first_row // block_rows, (rows.end - 1) // block_rows + 1):
            first, end = max(rows.first_row, block * block_rows), min(rows.end, (block + 1) * block_rows)
            blocks.setdefault((rows.file, block), []).append(rows.part(first, end, rows.characters))
    visits = [visit for (file, block), parts in blocks.items() for visit in _visits_of_block(file, block, parts, seed)]
    return sorted(visits, key=lambda visit: (visit.position, visit.parts[0].file, visit.parts[0].first_row))


def _visits_of_block(file: str, block: int, parts: Sequence[RepeatedRows], seed: int) -> Iterator[_Visit]:
    """As many visits as the most repeated part has copies; the copies of each part take part evenly spaced."""
    most = max(part.repeats for part in parts)
    start = _hash(f"{file} {block}", seed) / 2**64
    parts_by_visit: list[list[RepeatedRows]] = [[] for _ in range(most)]
    for part in parts:
        offset = _hash(f"{file} {part.first_row}", seed) % most
        for copy in range(part.repeats):
            parts_by_visit[(offset + copy * most // part.repeats) % most].append(part)
    for number, of_visit in enumerate(parts_by_visit):
        if of_visit:
            yield _Visit((number + start) / most, number, of_visit)


def _of_rank(visits: list[_Visit], rank: int, world_size: int) -> list[_Visit]:
    """Each visit goes to the rank with the fewest documents so far, the first of these."""
    documents = np.zeros(world_size, dtype=np.int64)
    of_rank = []
    for visit in visits:
        least = int(np.argmin(documents))
        documents[least] += visit.documents
        if least == rank:
            of_rank.append(visit)
    return of_rank


def _windows(visits: list[_Visit], shuffle_buffer: int) -> list[list[_Visit]]:
    """Consecutive visits that are shuffled together: until there are `shuffle_buffer` documents."""
    return filled(visits, lambda visit: visit.documents, shuffle_buffer)
