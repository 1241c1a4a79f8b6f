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
    name: Annotated[str, typer.Option(help="Name of the data mixture, written to mixtures/NAME.json.")] = "mix",
    weights: Annotated[
        str | None,
        typer.Option(help="Repeats of a document by the size of its cluster: default, fineweb2, txt360, none."),
    ] = None,
    max_repeats: Annotated[int | None, typer.Option(help="Most copies of a document in one epoch.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="T: shares of languages go with tokens ** (1 / T); a large T evens them.")
    ] = None,
    token_budget: Annotated[
        float | None, typer.Option(help="Tokens of the mixture; without --temperature UniMax shares them.")
    ] = None,
    max_epochs: Annotated[
        float | None, typer.Option(help="Most epochs of a language when tokens are shared; by default 4.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="LABEL=EPOCHS fixes a language, such as tur_Latn=2.0; 0 leaves it out.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="A tokenizer.json that counts tokens; without it they are estimated.")
    ] = None,
    updates: Annotated[
        list[str] | None,
        typer.Option(help="Later output that has this one as its baseline, oldest first; gives its cluster sizes."),
    ] = None,
    materialize: Annotated[
        str | None, typer.Option(help="Folder or URL for the mixture, written as shuffled Parquet.")
    ] = None,
    shards: Annotated[
        int | None, typer.Option(help="Number of files of --materialize; by default one for each 256 M characters.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the order of --materialize.")] = 0,
    executor: Annotated[str, typer.Option(help="Where tasks run: inline, ray, ...")] = "inline",
    workers: Annotated[
        int, typer.Option(help="Processes that run tasks; inline, which is the default executor, has one.")
    ] = 1,
) -> None:
    """Make a data mixture: how often training reads each document, by cluster size, language and token budget.

    One epoch reads every document of a language as often as its weight says. Without --temperature and --token-budget
    each language has one epoch. No text is copied unless --materialize is given.
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
