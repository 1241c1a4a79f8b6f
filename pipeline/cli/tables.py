"""Tables of numbers by language."""

import sys
from collections.abc import Sequence
from typing import Any

import typer


def print_table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str]) -> None:
    """A table of numbers by language; in a log lines that nothing wraps, without rich, which takes 40 ms to load."""
    if not sys.stdout.isatty():
        lines = [names, *rows, total]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        typer.echo(title.center(sum(widths) + 3 * len(widths)).rstrip())
        for first, *others in lines:
            cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
            typer.echo(f"  {'   '.join(cells)}".rstrip())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name in names:
        table.add_column(name, justify="right" if table.columns else "left")
    for row in rows:
        table.add_row(*row)
    table.add_section()
    table.add_row(*total)
    Console().print(table)


def print_funnel(layout: Any, selection: str) -> None:
    from pipeline.report.page import FUNNEL_COLUMNS, funnel

    rows, dropped = funnel(layout, selection)
    shown = [name for name in FUNNEL_COLUMNS if any(row[name] for row in rows)]
    names = ["language", *(name.replace("_", " ") for name in shown)]
    counts = [[row["label"], *(str(row[name]) for name in shown)] for row in rows]
    print_table(
        f"Funnel of selection {selection}",
        names,
        counts,
        ["all", *(str(sum(row[name] for row in rows)) for name in shown)],
    )
    reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.most_common())
    typer.echo(f"Dropped before measuring: {sum(dropped.values())} ({reasons})")
    if missing := layout.missing():
        typer.echo(f"Missing      {len(missing)} quarantined shards: {', '.join(missing)}")
    folder = layout.selection(selection)
    typer.echo(f"Clean text   {folder / 'clean'}")
    typer.echo(f"Mixtures     {folder / 'mixtures'}")
    typer.echo(f"Report       {folder / 'report' / 'index.html'}")
    typer.echo(f"Card         {folder / 'README.md'}")
