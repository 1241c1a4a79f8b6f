"""explain, audit and config show: what an output says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import Output, Selection, app, config_app, open_output, selection_of

if TYPE_CHECKING:
    from pipeline.operations.explain import Explanation


@app.command()
def audit(output: Output, selection: Selection = None) -> None:
    """Check that bytes, records and outcomes agree and that every file has its checksum.

    A selection that is named must be there; without --selection the one that the run configured is checked if it is.
    """
    from pipeline.passes.audit import audit as audit_output

    layout = open_output(output)
    configured = selection_of(layout, None)
    name = selection or (configured if configured in layout.selections() else None)
    for line in audit_output(layout, name):
        typer.echo(line)
    if name is None:
        typer.echo(f"selection {configured}: not made yet, so it was not checked")
    typer.echo("the accounts agree")


@app.command()
def explain(
    output: Output,
    document: Annotated[str, typer.Argument(help="URL or WARC record id.")],
    selection: Selection = None,
) -> None:
    """One document's way: where it was read, what was measured, each rule, its cluster, its outcome."""
    from pipeline.operations.explain import explain as explain_document

    layout = open_output(output)
    for explanation in explain_document(layout, selection_of(layout, selection), document):
        _print_explanation(explanation)


def _print_explanation(explanation: "Explanation") -> None:
    record, decision = explanation.record, explanation.decision
    typer.echo(f"{record['id']}  {record['url']}")
    typer.echo(f"  read from {record['file_path']}, offset {record['warc_offset']}, {record['warc_length']} bytes")
    if record.get("drop_reason"):
        typer.echo(f"  dropped: {record['drop_reason']} (HTTP status {record['http_status']})")
        return
    typer.echo(f"  decoded as {record['encoding']} (from {record['encoding_source']})")
    typer.echo(f"  language {record['label']}, score {record['language_score']}, all scores {record['top_langs']}")
    for rule in explanation.rules:
        low = "" if rule.min is None else f"{rule.min:g} <= "
        high = "" if rule.max is None else f" <= {rule.max:g}"
        mark = "FIRED" if rule.fired else "ok"
        typer.echo(f"  {mark:5} {low}{rule.metric} = {rule.value}{high}  [{rule.origin}]")
    if decision:
        outside = "" if decision["is_eligible"] else ", not eligible for deduplication"
        typer.echo(f"  cluster {decision['minhash_cluster_id']} of {decision['minhash_cluster_size']}{outside}")
        typer.echo(f"  kept document of the cluster: {decision['kept_document'] or 'none'}")
        typer.echo(f"  outcome: {decision['outcome']}")
    if explanation.boilerplate is not None:
        typer.echo(f"  lines that repeat across the host: {len(explanation.boilerplate)}")
        for line in explanation.boilerplate:
            typer.echo(f"    {line if len(line) <= 100 else line[:99] + chr(0x2026)}")


@config_app.command("show")
def show(
    language: Annotated[str, typer.Argument(help="Label such as tur_Latn.")],
    folder: Annotated[Path | None, typer.Option(help="Folder of language files.")] = None,
    output: Annotated[str | None, typer.Option(help="Output of a run: its rules, percentiles as numbers.")] = None,
    selection: Selection = None,
) -> None:
    """Every effective value of a language and where it comes from."""
    from pipeline.config.language_files import Rule, load_language_config
    from pipeline.operations.explain import rules_of

    if output:
        layout = open_output(output)
        config = rules_of(layout, selection_of(layout, selection), language)
    else:
        config = load_language_config(language, folder)
    typer.echo(f"{language}: {config.name}")
    for metric, rule in config.rules.items():
        if isinstance(rule, Rule):
            low = "-inf" if rule.min is None else f"{rule.min:.9g}"
            high = "inf" if rule.max is None else f"{rule.max:.9g}"
            value = f"[{low}, {high}]"
        else:
            value = "off"
        typer.echo(f"  {metric:42} {value:18} {config.origins[metric]}  {rule.source}")
    typer.echo(f"  stop words ({len(config.stop_words)}): {' '.join(config.stop_words)}")
    buckets = config.perplexity
    typer.echo(f"  perplexity buckets: head below {buckets.head:g}, middle below {buckets.middle:g}")
