"""What a mixture lists: pieces of runs with their repeats, characters and tokens, and totals by language."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed, sha256_of
from pipeline.execution.storage import Location
from pipeline.output.mixtures import mixture_path
from pipeline.passes.rebalance.epochs import EPOCHS_DECIMALS
from pipeline.passes.rebalance.runs import FileRun, MovedRows, MovedRun, Run
from pipeline.passes.rebalance.tokens import (
    ESTIMATE,
    FileRanges,
    RowRange,
    TextCounter,
    TextCounts,
    TokenizerFile,
    characters_per_token,
)
from pipeline.schema.manifests import (
    ChangedRows,
    CleanFile,
    CountedTokens,
    EstimatedTokens,
    LanguageTotals,
    MixtureEntry,
    MixtureTotals,
)


@dataclass(frozen=True)
class Piece:
    """Rows of a run that are read `repeats` times, which can be 0; `first` counts from the run's first row."""

    run: Run
    first: int
    rows: int
    repeats: int


@dataclass(frozen=True)
class MovedPiece:
    """Moved rows that are read `repeats` times, which can be 0."""

    moved_rows: MovedRows
    repeats: int


@dataclass(frozen=True)
class _Amount:
    """Documents that are read `repeats` times; characters and tokens are those of one copy of all."""

    documents: int
    repeats: int
    characters: int
    tokens: int


def cut_runs(runs: Iterable[Run], epochs: float) -> list[Piece]:
    """The pieces of the runs of a language: a run in one piece, or a prefix with one copy more and the rest.

    What is rounded off at one run is added to the next, so that many short runs do not add up to a wrong total.
    """
    pieces = []
    due = 0.0
    taken = 0
    for run in runs:
        copies = round(run.weight * epochs, EPOCHS_DECIMALS)
        whole = int(copies)
        due += (copies - whole) * run.rows
        more = min(run.rows, int(due + 0.5) - taken)
        taken += more
        for piece in (Piece(run, 0, more, whole + 1), Piece(run, more, run.rows - more, whole)):
            if piece.rows:
                pieces.append(piece)
    return pieces


def list_entries(
    files: Mapping[str, Sequence[CleanFile]], pieces: Mapping[str, Sequence[Piece]], counter: TextCounter
) -> dict[str, list[MixtureEntry]]:
    """The entries of each language: pieces of files that are read, with the characters and tokens of one copy.

    What the run does not say, the counts of a part of it, is read from the files.
    """
    read = {
        label: [(piece.run, piece) for piece in of_label if isinstance(piece.run, FileRun) and piece.repeats]
        for label, of_label in pieces.items()
    }
    parts: dict[str, list[RowRange]] = {}
    for run, piece in (pair for of_label in read.values() for pair in of_label):
        if piece.rows < run.rows:
            parts.setdefault(run.file, []).extend(run.ranges(piece.first, piece.rows))
    counts = _count_parts(files, parts, counter)
    return {
        label: [_entry(run, piece, counts, None if counter.tokenizer else label) for run, piece in of_label]
        for label, of_label in read.items()
    }


def _count_parts(
    files: Mapping[str, Sequence[CleanFile]], parts: Mapping[str, list[RowRange]], counter: TextCounter
) -> dict[tuple[str, int], TextCounts]:
    """The counts of ranges of rows, by path and first row."""
    by_path = {file.path: file for of_label in files.values() for file in of_label}
    wanted = [FileRanges(path, by_path[path].sha256, by_path[path].characters, parts[path]) for path in sorted(parts)]
    return {
        (file.path, rows.first_row): counts
        for file, of_file in zip(wanted, counter.count(wanted), strict=True)
        for rows, counts in zip(file.ranges, of_file, strict=True)
    }


def _entry(
    run: FileRun, piece: Piece, counts: Mapping[tuple[str, int], TextCounts], estimated: str | None
) -> MixtureEntry:
    """The entry of a piece; tokens are estimated where a language is given for it."""
    characters, tokens = run.characters, run.tokens
    if piece.rows < run.rows:
        of_ranges = [counts[run.file, rows.first_row] for rows in run.ranges(piece.first, piece.rows)]
        characters = sum(count.characters for count in of_ranges)
        tokens = sum(count.tokens for count in of_ranges)
    if estimated:
        tokens = characters / characters_per_token(estimated)
    start, end = run.file_row(piece.first), run.file_row(piece.first + piece.rows)
    return MixtureEntry(
        file=run.file,
        first_row=start,
        rows=end - start,
        repeats=piece.repeats,
        characters=characters,
        tokens=round(tokens),
        changed_rows=end - start - piece.rows,
    )


def moved_pieces(pieces: Iterable[Piece]) -> list[MovedPiece]:
    """The pieces of moved rows; those of no copy, too, as the entry in which the rows stand does not hold for them."""
    return [
        MovedPiece(piece.run.moved_rows.slice(piece.first, piece.rows), piece.repeats)
        for piece in pieces
        if isinstance(piece.run, MovedRun)
    ]


def write_changed_rows(folder: Location, name: str, pieces: Sequence[MovedPiece]) -> ChangedRows:
    """Write `mixtures/<name>.changed.parquet`: each row that does not follow its entry, with its repeats and
    characters, by file and row."""
    moved = [(piece.repeats, piece.moved_rows) for piece in pieces]
    table = pa.table(
        {
            "file": pa.array([file for _, rows in moved for file in rows.files], pa.string()),
            "row": pa.array([row for _, rows in moved for row in rows.file_rows], pa.int64()),
            "repeats": pa.array([repeats for repeats, rows in moved for _ in rows.files], pa.int32()),
            "characters": pa.array([count for _, rows in moved for count in rows.row_characters], pa.int64()),
        }
    ).sort_by([("file", "ascending"), ("row", "ascending")])
    path = mixture_path(folder, name).with_name(f"{name}.changed.parquet")
    with committed(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        digest = sha256_of(temporary)
    return ChangedRows(file=path.name, rows=table.num_rows, sha256=digest)


def sum_language(
    runs: Sequence[Run], entries: Sequence[MixtureEntry], moved: Sequence[MovedPiece], epochs: float
) -> LanguageTotals:
    """The totals of a language, of its runs and of what is read of them."""
    amounts = [
        _Amount(entry.rows - entry.changed_rows, entry.repeats, entry.characters, entry.tokens) for entry in entries
    ]
    for piece in moved:
        rows = piece.moved_rows
        amounts.append(_Amount(rows.rows, piece.repeats, rows.characters, round(rows.tokens)))
    return LanguageTotals(
        clean_documents=sum(run.rows for run in runs),
        clean_tokens=round(sum(run.tokens for run in runs)),
        documents=sum(amount.documents for amount in amounts if amount.repeats),
        repeated_documents=sum(amount.documents * amount.repeats for amount in amounts),
        characters=sum(amount.characters * amount.repeats for amount in amounts),
        tokens=sum(amount.tokens * amount.repeats for amount in amounts),
        epochs=epochs,
        most_copies=max((amount.repeats for amount in amounts), default=0),
    )


def sum_languages(totals: Iterable[LanguageTotals]) -> MixtureTotals:
    """The totals of all languages together."""
    languages = list(totals)
    return MixtureTotals(
        **{name: sum(getattr(language, name) for language in languages) for name in MixtureTotals.__struct_fields__}
    )


def describe_token_counts(tokenizer: TokenizerFile | None, labels: Iterable[str]) -> CountedTokens | EstimatedTokens:
    """How the tokens of these languages were counted, for the manifest."""
    if tokenizer:
        return CountedTokens(file=Path(tokenizer.path).name, sha256=tokenizer.sha256, special_tokens=False)
    return EstimatedTokens(
        formula=ESTIMATE, characters_per_token={label: characters_per_token(label) for label in sorted(labels)}
    )
