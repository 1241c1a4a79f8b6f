"""What a mixture lists: pieces of runs with their repeats, characters and tokens, and totals by language."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.execution.commit import committed, sha256_of
from pipeline.execution.storage import Location
from pipeline.execution.tasks import Executor
from pipeline.output.mixtures import mixture_path
from pipeline.passes.rebalance.epochs import EPOCHS_DECIMALS
from pipeline.passes.rebalance.runs import Moved, Run
from pipeline.passes.rebalance.tokens import ESTIMATE, Ranges, TokenizerFile, characters_per_token, sum_ranges


def pieces_of(runs: list[Run], epochs: float) -> list[tuple[int, int, int, int]]:
    """(number of the run, first of its rows, rows, repeats): a run in one piece, or a prefix with one copy more and the
    rest.

    What is rounded off at one run is added to the next, so that many short runs do not add up to a wrong total.
    """
    pieces = []
    due = 0.0
    taken = 0
    for number, run in enumerate(runs):
        copies = round(run.weight * epochs, EPOCHS_DECIMALS)
        whole = int(copies)
        due += (copies - whole) * run.rows
        more = min(run.rows, int(due + 0.5) - taken)
        taken += more
        for first, rows, repeats in ((0, more, whole + 1), (more, run.rows - more, whole)):
            if rows and repeats:
                pieces.append((number, first, rows, repeats))
    return pieces


def entries_of(
    manifest: dict[str, Any],
    runs: dict[str, list[Run]],
    pieces: dict[str, list[tuple[int, int, int, int]]],
    executor: Executor,
    folder: Location,
    tokenizer: TokenizerFile | None,
) -> dict[str, list[dict[str, Any]]]:
    """What the manifest lists: pieces with their characters and tokens, of one copy. Only cut runs are looked up."""
    cut: dict[str, list[tuple[int, int]]] = {}
    for label, ones in pieces.items():
        for number, first, rows, _ in ones:
            run = runs[label][number]
            if run.file and rows < run.rows:
                cut.setdefault(run.file, []).extend(run.ranges(first, rows))
    known = {file["path"]: file for ones in manifest["files"].values() for file in ones}
    wanted = [Ranges(path, known[path]["sha256"], known[path]["characters"], cut[path]) for path in sorted(cut)]
    sums = sum_ranges(executor, folder, wanted, tokenizer)
    found = {
        (one.path, first): numbers
        for one, many in zip(wanted, sums, strict=True)
        for (first, _), numbers in zip(one.ranges, many, strict=True)
    }
    entries: dict[str, list[dict[str, Any]]] = {}
    for label, ones in pieces.items():
        entries[label] = []
        for number, first, rows, repeats in ones:
            run = runs[label][number]
            if not run.file:
                continue
            characters, tokens = run.characters, run.tokens
            if rows < run.rows:
                numbers = [found[run.file, place] for place, _ in run.ranges(first, rows)]
                characters, tokens = (sum(column) for column in zip(*numbers, strict=True))
            if not tokenizer:
                tokens = characters / characters_per_token(label)
            start, end = run.place(first), run.place(first + rows)
            entry = {
                "file": run.file,
                "first_row": start,
                "rows": end - start,
                "repeats": repeats,
                "characters": characters,
                "tokens": round(tokens),
            }
            entries[label].append(entry | ({"changed": end - start - rows} if end - start > rows else {}))
    return entries


def moved_entries(
    runs: list[Run], pieces: list[tuple[int, int, int, int]], moved: dict[int, Moved]
) -> list[tuple[dict[str, Any], Moved]]:
    """As `_entries`, of the rows that moved, with the rows; those of no copy, too."""
    entries = []
    for number, rows_of_run in moved.items():
        mine = [piece[1:] for piece in pieces if piece[0] == number]
        read = sum(rows for _, rows, _ in mine)
        mine += [(read, runs[number].rows - read, 0)] if read < runs[number].rows else []
        for first, rows, repeats in mine:
            here = rows_of_run.slice(first, rows)
            sums = {"characters": int(here.characters.sum()), "tokens": round(float(here.tokens.sum()))}
            entries.append(({"rows": rows, "repeats": repeats} | sums, here))
    return entries


def write_changed(
    folder: Location, name: str, changed: Mapping[str, list[tuple[dict[str, Any], Moved]]]
) -> dict[str, Any]:
    """Write `mixtures/<name>.changed.parquet`, a row for each row that does not follow its entry, by file and row."""
    pieces = [piece for of_label in changed.values() for piece in of_label]
    table = pa.table(
        {
            "file": pa.array([file for _, one in pieces for file in one.file], pa.string()),
            "row": pa.array([row for _, one in pieces for row in one.row], pa.int64()),
            "repeats": pa.array([told["repeats"] for told, one in pieces for _ in one.file], pa.int32()),
            "characters": pa.array([count for _, one in pieces for count in one.characters], pa.int64()),
        }
    ).sort_by([("file", "ascending"), ("row", "ascending")])
    path = mixture_path(folder, name).with_name(f"{name}.changed.parquet")
    with committed(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        digest = sha256_of(temporary)
    return {"file": path.name, "rows": table.num_rows, "sha256": digest}


SUMMED = ("clean_documents", "clean_tokens", "documents", "repeated_documents", "characters", "tokens")


def total_of(runs: list[Run], entries: list[dict[str, Any]], epochs: float) -> dict[str, Any]:
    """Totals of a language; `clean_` is what the selection has, the rest what a pass over the mixture reads."""
    return {
        "clean_documents": sum(run.rows for run in runs),
        "clean_tokens": round(sum(run.tokens for run in runs)),
        "documents": sum(_documents(one) for one in entries if one["repeats"]),
        "repeated_documents": sum(_documents(one) * one["repeats"] for one in entries),
        "characters": sum(one["characters"] * one["repeats"] for one in entries),
        "tokens": sum(one["tokens"] * one["repeats"] for one in entries),
        "epochs": epochs,
        "most_copies": max((one["repeats"] for one in entries), default=0),
    }


def _documents(entry: dict[str, Any]) -> int:
    documents: int = entry["rows"] - entry.get("changed", 0)
    return documents


def how_counted(tokenizer: TokenizerFile | None, runs: Mapping[str, Any]) -> dict[str, Any]:
    if tokenizer:
        return {
            "method": "tokenizer",
            "file": Path(tokenizer.path).name,
            "sha256": tokenizer.sha256,
            "special_tokens": False,
        }
    return {
        "method": "estimate",
        "formula": ESTIMATE,
        "characters_per_token": {label: characters_per_token(label) for label in sorted(runs)},
    }
