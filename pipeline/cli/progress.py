"""Progress of a run: bars on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Bars on a terminal, else lines: bars have a thread, because of which the child that extracts is not forked."""
    if not sys.stdout.isatty():
        yield progress_by_lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bars: dict[str, Any] = {}
    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:

        def report(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done)

        yield report


def progress_by_lines(seconds: float = 10.0) -> Callable[[str, int, int], None]:
    """Progress for a log, such as a Ray job's: a line when a pass begins and ends, and one every so many seconds."""
    last = 0.0

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        if done in (0, total) or time.monotonic() - last >= seconds:
            last = time.monotonic()
            typer.echo(f"{what} {done}/{total}", err=True)

    return report
