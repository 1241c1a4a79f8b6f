"""Tables of numbers by language, as commands print them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pipeline.output.output import Output


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


def print_funnel(output: "Output", selection: str) -> None:
    """The funnel of a selection by language, what was dropped and why, and where the results lie."""
    from pipeline.output.selection import SelectionFolder
    from pipeline.report.funnel import FUNNEL_COLUMNS, funnel_of

    funnel = funnel_of(output, selection)
    totals = {name: funnel.total(name) for name in FUNNEL_COLUMNS}
    shown = [name for name in FUNNEL_COLUMNS if totals[name]]
    print_table(
        f"Funnel of selection {selection}",
        ["language", *(name.replace("_", " ") for name in shown)],
        [[row.label, *(str(row.counts[name]) for name in shown)] for row in funnel.rows],
        ["all", *(str(totals[name]) for name in shown)],
    )
    reasons = ", ".join(f"{reason} {count}" for reason, count in funnel.dropped.most_common())
    typer.echo(f"Dropped before measuring: {funnel.dropped.total()} ({reasons})")
    if missing := output.missing():
        typer.echo(f"Missing      {len(missing)} quarantined shards: {', '.join(missing)}")
    folder = SelectionFolder(output.selection(selection))
    typer.echo(f"Clean text   {folder.root / 'clean'}")
    typer.echo(f"Mixtures     {folder.root / 'mixtures'}")
    typer.echo(f"Report       {folder.report}")
    typer.echo(f"Card         {folder.card}")
