"""run, select and plan."""

from typing import Annotated

import typer

from pipeline.cli.app import AcceptMissing, ConfigPath, Output, Selection, Set, app, layout_of, settings_of
from pipeline.cli.progress import progress
from pipeline.cli.startup import leave_out_unused_imports
from pipeline.cli.tables import print_funnel
from pipeline.registry import names_of


@app.command()
def run(
    config: ConfigPath = None,
    input: Annotated[list[str] | None, typer.Option(help="File or glob; may be repeated.")] = None,
    output: Annotated[str | None, typer.Option(help="Output folder.")] = None,
    executor: Annotated[str | None, typer.Option(help=" or ".join(names_of("execution.executors")) + ".")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of a local Ray; needs --executor ray.")] = None,
    baseline: Annotated[list[str] | None, typer.Option(help="Earlier output, oldest first; may be repeated.")] = None,
    languages: Annotated[str | None, typer.Option(help="Labels to keep, with commas: tur_Latn,rus_Cyrl.")] = None,
    selection: Selection = None,
    accept_missing: AcceptMissing = False,
    assignments: Set = None,
    force: Annotated[bool, typer.Option("--force", help="Read all inputs again after a change of settings.")] = False,
) -> None:
    """Annotate, deduplicate, select, rebalance, audit and report. The same command again resumes.

    A shard that fails three times is quarantined; then the run ends with code 3. Run again to try it again, or with
    --accept-missing to go on without it.
    """
    leave_out_unused_imports()
    included = {"include": languages.split(",")} if languages else None
    settings, rules = settings_of(
        config,
        assignments,
        inputs=input,
        output=output,
        executor=executor,
        workers=workers,
        baseline=baseline,
        languages=included,
        selection=selection,
    )
    from pipeline.operations.run import run as run_plan

    with progress() as told:
        layout = run_plan(settings, rules, told, accept_missing, force)
    print_funnel(layout, settings.selection)


@app.command()
def select(
    output: Output, selection: Selection = None, accept_missing: AcceptMissing = False, assignments: Set = None
) -> None:
    """Make another selection from the same measurements; no WARC is read."""
    leave_out_unused_imports()
    from pipeline.config.reading import merge, parse_overrides
    from pipeline.config.run_settings import RunConfig
    from pipeline.operations.run import reselect
    from pipeline.output.output import Output as OutputFolder

    layout = layout_of(output)
    assert isinstance(layout, OutputFolder)
    nested = parse_overrides(assignments or [])
    rules = {"rules": nested.pop("rules")} if "rules" in nested else {}
    given = {"selection": selection} if selection else {}
    plan_of_run = layout.plan
    stored = plan_of_run.config
    rules = merge(plan_of_run.rule_overrides, rules)
    settings = RunConfig.model_validate(merge(merge(stored, given), nested) | {"output": output})
    reselect(settings, layout, rules, accept_missing)
    print_funnel(layout, settings.selection)


@app.command()
def plan(
    config: ConfigPath = None,
    input: Annotated[list[str] | None, typer.Option(help="File or glob; may be repeated.")] = None,
    estimate: Annotated[int, typer.Option(help="Annotate this many shards to estimate time and bytes.")] = 0,
    assignments: Set = None,
) -> None:
    """Show what `run` would do, without doing it."""
    settings, _ = settings_of(config, assignments, inputs=input)
    from pipeline.execution.inputs import resolve_inputs
    from pipeline.operations.estimate import total_bytes
    from pipeline.output.layout import shard_name

    inputs = resolve_inputs(settings.inputs, settings.inputs_prefix)
    size = total_bytes(inputs)
    typer.echo(f"{len(inputs)} shards, {size / 1e6:.1f} MB, executor {settings.executor}, output {settings.output}")
    for path in inputs:
        typer.echo(f"  annotate {path} -> annotated/{shard_name(path)}.parquet")
    shard_group_count = -(-len(inputs) // settings.dedup.shard_group_size)
    typer.echo(
        f"  deduplicate {shard_group_count} shard groups, {settings.dedup.bands} bands of {settings.dedup.rows} rows"
    )
    if settings.boilerplate.enabled:
        typer.echo(f"  boilerplate: lines that repeat across a host{', and remove them' * settings.boilerplate.remove}")
    typer.echo(f"  select {settings.selection}, keep {', '.join(settings.select.keep)}")
    typer.echo(
        f"  rebalance with weights {settings.rebalance.weights}, at most {settings.rebalance.max_repeats} copies"
    )
    if estimate > 0:
        from pipeline.operations.estimate import estimate as estimate_cost

        cost = estimate_cost(settings, inputs, estimate)
        typer.echo(f"estimate from {cost.sampled_shards} shards, {cost.sampled_bytes / 1e6:.1f} MB:")
        typer.echo(f"  {cost.core_hours:.3f} core hours, about {cost.documents} documents")
        for folder, size in cost.bytes_by_folder.items():
            typer.echo(f"  {folder}/ {size / 1e6:.1f} MB")
