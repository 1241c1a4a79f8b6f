"""mix: how often to read what."""

from typing import Annotated, Any

import typer

from pipeline.cli.app import Output, Selection, app, open_output, selection_of
from pipeline.cli.tables import print_table


@app.command("mix")
def mixture(
    output: Output,
    selection: Selection = None,
    name: Annotated[str, typer.Option(help="Name of the mixture: mixtures/NAME.json of the selection.")] = "mix",
    weights: Annotated[
        str | None, typer.Option(help="How often documents repeat by duplicate count: default, fineweb2, txt360, none.")
    ] = None,
    max_repeats: Annotated[int | None, typer.Option(help="Copies that the best cluster size gets in an epoch.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Languages in proportion to tokens ** (1 / T): 1 as they are, large: equal.")
    ] = None,
    token_budget: Annotated[float | None, typer.Option(help="Tokens of the mixture; alone: UniMax.")] = None,
    max_epochs: Annotated[float | None, typer.Option(help="Most epochs of a language that shares tokens (4).")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="tur_Latn=2.0: epochs of a language, whatever the rest; 0 leaves it out.")
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="tokenizer.json to count tokens; else estimated.")] = None,
    updates: Annotated[
        list[str] | None,
        typer.Option(help="Output made over this one, oldest first: cluster sizes are as of the last."),
    ] = None,
    materialize: Annotated[str | None, typer.Option(help="Folder or URL for the mixture as shuffled Parquet.")] = None,
    shards: Annotated[int | None, typer.Option(help="Files of --materialize; by default of 256 M characters.")] = None,
    seed: Annotated[int, typer.Option(help="Of the order of --materialize.")] = 0,
    executor: Annotated[str, typer.Option(help="inline or ray.")] = "inline",
    workers: Annotated[int, typer.Option(help="Processes of a local Ray; needs --executor ray.")] = 1,
) -> None:
    """Say how often to read what: by duplicate count, language and token budget. No text moves, but for --materialize.

    An epoch is a pass over a language as its weights have it. Without --temperature and --token-budget each has one.
    """
    from pipeline.operations.mix import make_and_write_mixture

    layout = open_output(output)
    made, written = make_and_write_mixture(
        layout,
        selection_of(layout, selection),
        {
            "name": name,
            "weights": weights,
            "max_repeats": max_repeats,
            "temperature": temperature,
            "token_budget": token_budget,
            "max_epochs": max_epochs,
            "languages": _epochs(language or []),
            "tokenizer": tokenizer,
            "updates": tuple(updates or ()),
        },
        {"executor": executor, "workers": workers},
        materialize,
        shards,
        seed,
    )
    _print_mixture(made, token_budget)
    typer.echo(f"Mixture      {layout.selection(selection_of(layout, selection)) / 'mixtures' / f'{name}.json'}")
    if written:
        size = sum(one["bytes"] for one in written["files"])
        typer.echo(f"Parquet      {materialize}: {len(written['files'])} files, {size / 1e6:.1f} MB")


def _epochs(assignments: list[str]) -> dict[str, float]:
    """`tur_Latn=2.0` as a mapping."""
    from pipeline.errors import ConfigError

    found = {}
    for one in assignments:
        label, sign, value = one.partition("=")
        try:
            found[label] = float(value)
        except ValueError:
            raise ConfigError(f"--language {one}: must be LABEL=EPOCHS, such as tur_Latn=2.0") from None
    return found


def _print_mixture(made: dict[str, Any], token_budget: float | None) -> None:
    estimated = made["token_counts"]["method"] == "estimate"
    names = (
        "language",
        "clean documents",
        "documents",
        "rows",
        "tokens" + (" (estimated)" if estimated else ""),
        "epochs",
        "copies",
    )
    rows = []
    for label, one in sorted(made["totals"].items(), key=lambda entry: (-entry[1]["tokens"], entry[0])):
        numbers = (one["clean_documents"], one["documents"], one["repeated_documents"], one["tokens"])
        rows.append([label, *map(str, numbers), f"{one['epochs']:g}", f"up to {one['most_copies']}"])
    total = made["total"]
    numbers = (total["clean_documents"], total["documents"], total["repeated_documents"], total["tokens"])
    print_table(f"Mixture {made['name']}, weights {made['weights']}", names, rows, ["all", *map(str, numbers), "", ""])
    if token_budget and total["tokens"] < 0.99 * token_budget:
        typer.echo(f"The cap on epochs leaves {token_budget - total['tokens']:.0f} tokens of the budget unspent.")
