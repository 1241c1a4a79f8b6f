"""mix: how often a training run reads what."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import Output, Selection, app, open_output, selection_of
from pipeline.cli.tables import print_table

if TYPE_CHECKING:
    from pipeline.schema.manifests import MixtureManifest


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
    from pipeline.errors import ConfigError
    from pipeline.operations.mix import ShuffledFiles, mix
    from pipeline.output.mixtures import mixture_path
    from pipeline.schema.manifests import MixtureSettings

    layout = open_output(output)
    config = layout.config(executor=executor, workers=workers)
    folder = layout.selection(selection_of(layout, selection))
    if shards and not materialize:
        raise ConfigError("--shards is the number of files of --materialize: give --materialize FOLDER, too")
    settings = MixtureSettings(
        name=name,
        weights=weights or config.rebalance.weights,
        max_repeats=config.rebalance.max_repeats if max_repeats is None else max_repeats,
        temperature=temperature,
        token_budget=token_budget,
        max_epochs=max_epochs,
        languages=_epochs(language or []),
        tokenizer=tokenizer,
        updates=updates or [],
    )
    mixture, files = mix(
        config, layout, folder, settings, ShuffledFiles(materialize, shards, seed) if materialize else None
    )
    _print_mixture(mixture)
    typer.echo(f"Mixture      {mixture_path(folder, name)}")
    if files:
        size = sum(file.bytes for file in files.files)
        typer.echo(f"Parquet      {materialize}: {len(files.files)} files, {size / 1e6:.1f} MB")


def _epochs(assignments: list[str]) -> dict[str, float]:
    """`tur_Latn=2.0` as a mapping."""
    from pipeline.errors import ConfigError

    epochs = {}
    for assignment in assignments:
        label, _, value = assignment.partition("=")
        try:
            epochs[label] = float(value)
        except ValueError:
            raise ConfigError(f"--language {assignment}: must be LABEL=EPOCHS, such as tur_Latn=2.0") from None
    return epochs


def _print_mixture(mixture: "MixtureManifest") -> None:
    """The totals by language, most tokens first, and what a budget could not spend."""
    from pipeline.schema.manifests import EstimatedTokens

    estimated = isinstance(mixture.token_counts, EstimatedTokens)
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
    for label, of_label in sorted(mixture.totals.items(), key=lambda entry: (-entry[1].tokens, entry[0])):
        numbers = (of_label.clean_documents, of_label.documents, of_label.repeated_documents, of_label.tokens)
        rows.append([label, *map(str, numbers), f"{of_label.epochs:g}", f"up to {of_label.most_copies}"])
    total = mixture.total
    numbers = (total.clean_documents, total.documents, total.repeated_documents, total.tokens)
    title = f"Mixture {mixture.name}, weights {mixture.weights}"
    print_table(title, names, rows, ["all", *map(str, numbers), "", ""])
    budget = mixture.settings.token_budget
    if budget and total.tokens < 0.99 * budget:
        typer.echo(f"The cap on epochs leaves {budget - total.tokens:.0f} tokens of the budget unspent.")
