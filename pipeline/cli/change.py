"""remove and gc: what changes a finished output."""

from typing import Annotated

import typer

from pipeline.cli.app import Output, app, open_output, words_of


@app.command()
def remove(
    output: Output,
    urls: Annotated[list[str] | None, typer.Option(help="URL, or a file with one a line; may be repeated.")] = None,
    domains: Annotated[list[str] | None, typer.Option(help="Domain and all below it, or a file of them.")] = None,
    ids: Annotated[list[str] | None, typer.Option(help="WARC record id, or a file of them.")] = None,
    selection: Annotated[list[str] | None, typer.Option(help="Selections to rewrite now (all).")] = None,
    keep_another: Annotated[
        bool, typer.Option("--keep-another", help="Let the next best of its cluster take a document's place.")
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

    words = {"url": words_of(urls), "domain": words_of(domains), "id": words_of(ids)}
    if not any(words.values()):
        raise InputError("nothing to take out: give --urls, --domains or --ids")
    done = remove_documents(open_output(output), words, selection, keep_another, purge, dry_run)  # type: ignore[arg-type]
    for word in done.unknown:
        typer.echo(f"no record: {word}")
    taken = "would be taken out" if dry_run else "taken out"
    typer.echo(f"{done.documents} documents {taken}; found among dropped records, which need nothing: {done.dropped}")
    for name, told in done.selections.items():
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in told.outcomes.most_common())
        typer.echo(f"selection {name}: {outcomes or 'none of them'}")
        for cluster in told.orphans:
            typer.echo(f"  {cluster.kept_document} stood for {cluster.count} more documents")
            for other in cluster.others:
                typer.echo(f"    {other['outcome']:18} {other['id']}  {other['url']}")
            if cluster.count > len(cluster.others):
                typer.echo(f"    and {cluster.count - len(cluster.others)} more")
        if not dry_run:
            typer.echo(f"  rewrote {len(told.files)} files of clean/, {told.replacements} documents took a place")
        for mixture in told.stale_mixtures:
            typer.echo(f"  mixtures/{mixture} is of the selection before: make it again")
    if done.purged:
        typer.echo(f"emptied texts in {len(done.purged)} shards of annotated/")


@app.command()
def gc(
    output: Output,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete selections that later ones replaced, and what interrupted runs left behind."""
    from pipeline.operations.clean_up import clean_up, leftovers

    layout = open_output(output)
    found = leftovers(layout) if dry_run else clean_up(layout)
    for one in found:
        typer.echo(f"{one.location}: {one.reason}, {one.size / 1e6:.1f} MB")
    typer.echo(f"{sum(one.size for one in found) / 1e6:.1f} MB {'would be ' if dry_run else ''}freed")
