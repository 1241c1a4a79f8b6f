"""remove and gc: what changes a finished output."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import Output, app, open_output, words_of

if TYPE_CHECKING:
    from pipeline.output.document_index import Kind


@app.command()
def remove(
    output: Output,
    urls: Annotated[list[str] | None, typer.Option(help="URL, or a file with one a line; may be repeated.")] = None,
    domains: Annotated[list[str] | None, typer.Option(help="Domain and all below it, or a file of them.")] = None,
    ids: Annotated[list[str] | None, typer.Option(help="WARC record id, or a file of them.")] = None,
    selection: Annotated[list[str] | None, typer.Option(help="Selections to rewrite now (all).")] = None,
    keep_another: Annotated[
        bool, typer.Option("--keep-another", help="Let a cluster keep its next best document instead.")
    ] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Empty its text in annotated/, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken out.")] = False,
) -> None:
    """Take documents out of the result, and keep them out of later selections.

    Only the files that hold them are rewritten. The record in take_downs/ has hashes, no URLs. The same command again
    finishes one that was interrupted.
    """
    from pipeline.errors import InputError
    from pipeline.operations.remove.remove import remove as remove_documents

    words: dict[Kind, list[str]] = {"url": words_of(urls), "domain": words_of(domains), "id": words_of(ids)}
    if not any(words.values()):
        raise InputError("nothing to take out: give --urls, --domains or --ids")
    report = remove_documents(open_output(output), words, selection, keep_another, purge, dry_run)
    for word in report.unknown:
        typer.echo(f"no record of the output matches {word}")
    taken = "would be taken out" if dry_run else "taken out"
    typer.echo(f"{report.documents} documents {taken}; records that match and were dropped already: {report.dropped}")
    for name, take_down in report.selections.items():
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in take_down.outcomes.most_common())
        typer.echo(f"selection {name}: {outcomes or 'none of them'}")
        for cluster in take_down.orphans:
            typer.echo(f"  {cluster.kept_document} was kept for {cluster.count} more documents of its cluster")
            for other in cluster.others:
                typer.echo(f"    {other.outcome:18} {other.id}  {other.url}")
            if cluster.count > len(cluster.others):
                typer.echo(f"    and {cluster.count - len(cluster.others)} more")
        if not dry_run:
            typer.echo(
                f"  files of clean/ written again: {len(take_down.files)}; "
                f"documents kept in place of others: {take_down.replacements}"
            )
        for mixture in take_down.stale_mixtures:
            typer.echo(f"  mixtures/{mixture} is of the selection before: make it again with `glotmill mix`")
    if report.purged:
        typer.echo(f"emptied texts in {len(report.purged)} shards of annotated/")


@app.command()
def gc(
    output: Output,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete selections that later ones replaced, and what interrupted runs left behind."""
    from pipeline.operations.clean_up import clean_up, leftovers

    layout = open_output(output)
    deleted = leftovers(layout) if dry_run else clean_up(layout)
    for leftover in deleted:
        typer.echo(f"{leftover.location}: {leftover.reason}, {leftover.size / 1e6:.1f} MB")
    typer.echo(f"{sum(leftover.size for leftover in deleted) / 1e6:.1f} MB {'would be ' if dry_run else ''}freed")
