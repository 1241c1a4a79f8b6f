"""run, select and plan."""

from typing import Annotated

import typer

from pipeline.cli.app import AcceptMissing, ConfigPath, Output, Selection, Set, app, open_output, settings_of
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
    workers: Annotated[
        int | None, typer.Option(help="Processes that run tasks; inline, which is the default executor, has one.")
    ] = None,
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

    with progress() as report:
        output_folder = run_plan(settings, rules, report, accept_missing, force)
    print_funnel(output_folder, settings.selection)


@app.command()
def select(
    output: Output, selection: Selection = None, accept_missing: AcceptMissing = False, assignments: Set = None
) -> None:
    """Make another selection from the same measurements; no WARC is read."""
    leave_out_unused_imports()
    from pipeline.config.reading import merge, parse_overrides
    from pipeline.config.run_settings import RunConfig
    from pipeline.operations.run import reselect

    opened = open_output(output)
    nested = parse_overrides(assignments or [])
    rules = {"rules": nested.pop("rules")} if "rules" in nested else {}
    given = {"selection": selection} if selection else {}
    stored = opened.plan
    settings = RunConfig.model_validate(merge(merge(stored.config, given), nested) | {"output": output})
    reselect(settings, opened, merge(stored.rule_overrides, rules), accept_missing)
    print_funnel(opened, settings.selection)


@app.command()
def plan(
    config: ConfigPath = None,
    input: Annotated[list[str] | None, typer.Option(help="File or glob; may be repeated.")] = None,
    estimate: Annotated[int, typer.Option(help="Annotate this many shards to estimate time and bytes.")] = 0,
    assignments: Set = None,
) -> None:
    """Show what `run` would do, without doing it."""
    settings, _ = settings_of(config, assignments, inputs=input)
    from pipeline.config.user_stages import build_user_stage
    from pipeline.execution.inputs import resolve_inputs
    from pipeline.operations.estimate import total_bytes
    from pipeline.output.layout import shard_groups, shard_name
    from pipeline.plan import PASSES, STAGES

    inputs = resolve_inputs(settings.inputs, settings.inputs_prefix)
    size = total_bytes(inputs)
    typer.echo(f"{len(inputs)} shards, {size / 1e6:.1f} MB, executor {settings.executor}, output {settings.output}")
    for path in inputs:
        typer.echo(f"  {path} -> annotated/{shard_name(path)}.parquet")
    stages = [stage.name for stage in STAGES] + [build_user_stage(stage).name for stage in settings.stages]
    typer.echo(f"Stages of a shard: {', '.join(stages)}")
    typer.echo("Passes:")
    for planned in PASSES:
        if planned.is_wanted(settings):
            typer.echo(f"  {planned.name:16} {planned.does}")
    groups = len(shard_groups(inputs, settings.dedup.shard_group_size))
    typer.echo(f"Shard groups: {groups}, of at most {settings.dedup.shard_group_size} shards")
    typer.echo(f"Near duplicates: {settings.dedup.bands} bands of {settings.dedup.rows} rows")
    if settings.boilerplate.enabled:
        does = "measured, and left out of clean/" if settings.boilerplate.remove else "measured"
        typer.echo(f"Host boilerplate: {does}")
    typer.echo(f"Selection: {settings.selection}, keeps {', then '.join(settings.select.keep)}")
    typer.echo(f"Data mixture: weights {settings.rebalance.weights}, at most {settings.rebalance.max_repeats} copies")
    if estimate > 0:
        from pipeline.operations.estimate import estimate as estimate_cost

        cost = estimate_cost(settings, inputs, estimate)
        typer.echo(f"estimate from {cost.sampled_shards} shards, {cost.sampled_bytes / 1e6:.1f} MB:")
        typer.echo(f"  {cost.core_hours:.3f} core hours, about {cost.documents} documents")
        for folder, size in cost.bytes_by_folder.items():
            typer.echo(f"  {folder}/ {size / 1e6:.1f} MB")
