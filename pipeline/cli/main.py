"""The command line: parses, calls one function, prints. Heavy modules are imported inside commands."""

import atexit
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from gc import freeze, set_threshold
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import PipelineError

EXIT_CODES = (
    "Exit codes: 0 done; 1 the run failed (too many shards, books that do not balance, no room, another run there); "
    "2 a setting, an input or a model was refused; 3 annotate has ended but for quarantined shards, and nobody said "
    "--accept-missing; 130 interrupted."
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Common Crawl WARC files to clean, deduplicated Parquet.",
    epilog=EXIT_CODES,
)
config_app = typer.Typer(no_args_is_help=True, help="Show settings and where they come from.")
lm_app = typer.Typer(no_args_is_help=True, help="Train and import language models for perplexity.")
app.add_typer(config_app, name="config")
app.add_typer(lm_app, name="lm")

ConfigPath = Annotated[Path | None, typer.Argument(help="The run's TOML, or a recipe that comes along: fineweb2.")]
Output = Annotated[str, typer.Argument(help="Output folder of a run.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key=value over the config; rules.METRIC.max=0.2 too.")]
AcceptMissing = Annotated[
    bool, typer.Option("--accept-missing", help="Go on without quarantined shards; the card names them.")
]
Selection = Annotated[str | None, typer.Option(help="Name of the selection (main).")]


def _settings(path: Path | None, assignments: list[str] | None, **given: Any) -> tuple[Any, dict[str, Any]]:
    """Run config and the part of --set that goes to every language (rules.*, perplexity of languages stays there)."""
    from pipeline.config.run_settings import load_run_config, merge, parse_overrides

    nested = parse_overrides(assignments or [])
    rules = {"rules": nested.pop("rules")} if "rules" in nested else {}
    options = {key: value for key, value in given.items() if value not in (None, [], ())}
    return load_run_config(path, merge(options, nested)), rules


@app.command()
def run(
    config: ConfigPath = None,
    input: Annotated[list[str] | None, typer.Option(help="File or glob; may be repeated.")] = None,
    output: Annotated[str | None, typer.Option(help="Output folder.")] = None,
    executor: Annotated[str | None, typer.Option(help="inline or ray.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of a local Ray; needs --executor ray.")] = None,
    index: Annotated[list[str] | None, typer.Option(help="Earlier output, oldest first; may be repeated.")] = None,
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
    _leave_out_unused_imports()
    included = {"include": languages.split(",")} if languages else None
    settings, rules = _settings(
        config,
        assignments,
        inputs=input,
        output=output,
        executor=executor,
        workers=workers,
        index=index,
        languages=included,
        selection=selection,
    )
    from pipeline.plan import run as run_plan

    with _progress() as told:
        layout = run_plan(settings, rules, told, accept_missing, force)
    _print_funnel(layout, settings.selection)


@app.command()
def select(
    output: Output, selection: Selection = None, accept_missing: AcceptMissing = False, assignments: Set = None
) -> None:
    """Make another selection from the same measurements; no WARC is read."""
    _leave_out_unused_imports()
    from pipeline.config.run_settings import RunConfig, merge, parse_overrides
    from pipeline.execution.commit import read_json
    from pipeline.output.layout import Layout
    from pipeline.plan import reselect

    layout = _layout(output)
    assert isinstance(layout, Layout)
    nested = parse_overrides(assignments or [])
    rules = {"rules": nested.pop("rules")} if "rules" in nested else {}
    given = {"selection": selection} if selection else {}
    plan_of_run = read_json(layout.run)
    stored = plan_of_run["config"]
    rules = merge(plan_of_run["rule_overrides"], rules)
    settings = RunConfig.model_validate(merge(merge(stored, given), nested) | {"output": output})
    reselect(settings, layout, rules, accept_missing)
    _print_funnel(layout, settings.selection)


@app.command()
def plan(
    config: ConfigPath = None,
    input: Annotated[list[str] | None, typer.Option(help="File or glob; may be repeated.")] = None,
    estimate: Annotated[int, typer.Option(help="Annotate this many shards to estimate time and bytes.")] = 0,
    assignments: Set = None,
) -> None:
    """Show what `run` would do, without doing it."""
    settings, _ = _settings(config, assignments, inputs=input)
    from pipeline.execution.inputs import resolve_inputs
    from pipeline.operations.estimate import total_bytes
    from pipeline.passes.annotate.shard import shard_name

    inputs = resolve_inputs(settings.inputs, settings.inputs_prefix)
    size = total_bytes(inputs)
    typer.echo(f"{len(inputs)} shards, {size / 1e6:.1f} MB, executor {settings.executor}, output {settings.output}")
    for path in inputs:
        typer.echo(f"  annotate {path} -> annotated/{shard_name(path)}.parquet")
    batch_count = -(-len(inputs) // settings.dedup.batch_shards)
    typer.echo(f"  deduplicate {batch_count} batches, {settings.dedup.bands} bands of {settings.dedup.rows} rows")
    if settings.host_lines.enabled:
        typer.echo(f"  host_lines: lines that repeat across a host{', and strip them' * settings.host_lines.strip}")
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


@app.command()
def audit(output: Output, selection: Selection = None) -> None:
    """Check that bytes, records and fates balance and that every file has its checksum."""
    from pipeline.operations.audit import audit as audit_books

    layout = _layout(output)
    for line in audit_books(layout, _selection(layout, selection)):
        typer.echo(line)
    typer.echo("the books balance")


@app.command()
def explain(
    output: Output,
    document: Annotated[str, typer.Argument(help="URL or WARC record id.")],
    selection: Selection = None,
) -> None:
    """One document's way: where it was read, what was measured, each rule, its cluster, its fate."""
    from pipeline.operations.explain import explain as explain_document

    layout = _layout(output)
    for story in explain_document(layout, _selection(layout, selection), document):
        record = story["record"]
        typer.echo(f"{record['id']}  {record['url']}")
        typer.echo(f"  read from {record['file_path']}, offset {record['warc_offset']}, {record['warc_length']} bytes")
        if record.get("drop_reason"):
            typer.echo(f"  dropped: {record['drop_reason']} (HTTP status {record['http_status']})")
            continue
        typer.echo(f"  decoded as {record['encoding']} (from {record['encoding_source']})")
        typer.echo(f"  language {record['label']}, score {record['language_score']}, others {record['top_langs']}")
        for rule in story["rules"]:
            low = "" if rule["min"] is None else f"{rule['min']:g} <= "
            high = "" if rule["max"] is None else f" <= {rule['max']:g}"
            mark = "FIRED" if rule["fired"] else "ok"
            typer.echo(f"  {mark:5} {low}{rule['metric']} = {rule['value']}{high}  [{rule['origin']}]")
        decision = story["decision"]
        if decision:
            outside = "" if decision["in_population"] else ", outside the population that is compared"
            typer.echo(f"  cluster {decision['minhash_cluster_id']} of {decision['minhash_cluster_size']}{outside}")
            typer.echo(f"  represented by {decision['representative']}")
            typer.echo(f"  fate: {decision['fate']}")
        if story["host_lines"] is not None:
            typer.echo(f"  lines that repeat across the host: {len(story['host_lines'])}")
            for line in story["host_lines"]:
                typer.echo(f"    {line if len(line) <= 100 else line[:99] + chr(0x2026)}")


@app.command()
def remove(
    output: Output,
    urls: Annotated[list[str] | None, typer.Option(help="URL, or a file with one a line; may be repeated.")] = None,
    domains: Annotated[list[str] | None, typer.Option(help="Domain and all below it, or a file of them.")] = None,
    ids: Annotated[list[str] | None, typer.Option(help="WARC record id, or a file of them.")] = None,
    selection: Annotated[list[str] | None, typer.Option(help="Selections to rewrite now (all).")] = None,
    re_elect: Annotated[
        bool, typer.Option("--re-elect", help="Let the next best of its cluster take a document's place.")
    ] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Empty its text in annotated/, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken out.")] = False,
) -> None:
    """Take documents out of the result, and keep them out of later selections.

    Only the files that hold them are rewritten. The record in removals/ has hashes, no URLs. The same command again
    finishes one that was interrupted.
    """
    from pipeline.errors import InputError
    from pipeline.operations.remove import remove as remove_documents

    words = {"url": _words_of(urls), "domain": _words_of(domains), "id": _words_of(ids)}
    if not any(words.values()):
        raise InputError("nothing to take out: give --urls, --domains or --ids")
    done = remove_documents(_layout(output), words, selection, re_elect, purge, dry_run)  # type: ignore[arg-type]
    for word in done.unknown:
        typer.echo(f"no record: {word}")
    taken = "would be taken out" if dry_run else "taken out"
    typer.echo(f"{done.documents} documents {taken}; found among dropped records, which need nothing: {done.dropped}")
    for name, told in done.selections.items():
        fates = ", ".join(f"{fate} {count}" for fate, count in told.fates.most_common())
        typer.echo(f"selection {name}: {fates or 'none of them'}")
        for cluster in told.orphans:
            typer.echo(f"  {cluster.representative} stood for {cluster.count} more documents")
            for other in cluster.others:
                typer.echo(f"    {other['fate']:18} {other['id']}  {other['url']}")
            if cluster.count > len(cluster.others):
                typer.echo(f"    and {cluster.count - len(cluster.others)} more")
        if not dry_run:
            typer.echo(f"  rewrote {len(told.files)} files of clean/, {told.elected} documents took a place")
        for mix in told.stale_mixes:
            typer.echo(f"  mixes/{mix} is of the selection before: make it again")
    if done.purged:
        typer.echo(f"emptied texts in {len(done.purged)} shards of annotated/")


@app.command()
def gc(
    output: Output,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete selections that later ones replaced, and what interrupted runs left behind."""
    from pipeline.operations.clean_up import clean_up, leftovers

    layout = _layout(output)
    found = leftovers(layout) if dry_run else clean_up(layout)
    for one in found:
        typer.echo(f"{one.location}: {one.reason}, {one.size / 1e6:.1f} MB")
    typer.echo(f"{sum(one.size for one in found) / 1e6:.1f} MB {'would be ' if dry_run else ''}freed")


@config_app.command("show")
def show(
    language: Annotated[str, typer.Argument(help="Label such as tur_Latn.")],
    folder: Annotated[Path | None, typer.Option(help="Folder of language files.")] = None,
    output: Annotated[str | None, typer.Option(help="Output of a run: its rules, percentiles as numbers.")] = None,
    selection: Selection = None,
) -> None:
    """Every effective value of a language and where it comes from."""
    from pipeline.config.run_settings import Rule, load_language_config
    from pipeline.operations.explain import rules_of

    if output:
        layout = _layout(output)
        one = rules_of(layout, _selection(layout, selection), language)
    else:
        one = load_language_config(language, folder)
    typer.echo(f"{language}: {one.name}")
    for metric, rule in one.rules.items():
        if isinstance(rule, Rule):
            low, high = (
                ("-inf" if rule.min is None else f"{rule.min:.9g}"),
                ("inf" if rule.max is None else f"{rule.max:.9g}"),
            )
            value = f"[{low}, {high}]"
        else:
            value = "off"
        typer.echo(f"  {metric:42} {value:18} {one.origins[metric]}  {rule.source}")
    typer.echo(f"  stop words ({len(one.stop_words)}): {' '.join(one.stop_words)}")
    typer.echo(f"  perplexity buckets: head below {one.perplexity.head:g}, middle below {one.perplexity.middle:g}")


@lm_app.command("train")
def train(
    text: Annotated[list[Path], typer.Argument(help="Plain text, one sentence or paragraph a line.")],
    language: Annotated[str, typer.Option(help="Label such as tur_Latn.")],
    output: Annotated[Path, typer.Option(help="Folder that gets sp.model, lm.binary and calibration.json.")],
) -> None:
    """Train SentencePiece and KenLM on reference text and calibrate; needs lmplz (make lmplz)."""
    from pipeline.training.language_models import train as train_model

    train_model(text, language, output)
    typer.echo(f"wrote {output}")


@lm_app.command("import")
def import_lm(
    sentencepiece: Annotated[Path, typer.Argument(help="SentencePiece model of a CCNet-style pair.")],
    kenlm: Annotated[Path, typer.Argument(help="KenLM binary or ARPA file.")],
    reference: Annotated[list[Path], typer.Option(help="Plain text that calibrates percentiles; may be repeated.")],
    language: Annotated[str, typer.Option(help="Label such as tur_Latn.")],
    output: Annotated[Path, typer.Option(help="Folder that gets sp.model, lm.binary and calibration.json.")],
) -> None:
    """Import a SentencePiece and KenLM pair and calibrate it on reference text."""
    from pipeline.training.language_models import import_model

    import_model(sentencepiece, kenlm, output, reference, language)
    typer.echo(f"wrote {output}")


@app.command()
def mix(
    output: Output,
    selection: Selection = None,
    name: Annotated[str, typer.Option(help="Name of the mix: mixes/NAME.json of the selection.")] = "mix",
    weights: Annotated[
        str | None, typer.Option(help="How often documents repeat by duplicate count: default, fineweb2, txt360, none.")
    ] = None,
    max_repeats: Annotated[int | None, typer.Option(help="Copies that the best cluster size gets in an epoch.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Languages in proportion to tokens ** (1 / T): 1 as they are, large: equal.")
    ] = None,
    token_budget: Annotated[float | None, typer.Option(help="Tokens of the mix; alone: UniMax.")] = None,
    max_epochs: Annotated[float | None, typer.Option(help="Most epochs of a language that shares tokens (4).")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="tur_Latn=2.0: epochs of a language, whatever the rest; 0 leaves it out.")
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="tokenizer.json to count tokens; else estimated.")] = None,
    updates: Annotated[
        list[str] | None,
        typer.Option(help="Output made over this one, oldest first: cluster sizes are as of the last."),
    ] = None,
    materialize: Annotated[str | None, typer.Option(help="Folder or URL for the mix as shuffled Parquet.")] = None,
    shards: Annotated[int | None, typer.Option(help="Files of --materialize; by default of 256 M characters.")] = None,
    seed: Annotated[int, typer.Option(help="Of the order of --materialize.")] = 0,
    executor: Annotated[str, typer.Option(help="inline or ray.")] = "inline",
    workers: Annotated[int, typer.Option(help="Processes of a local Ray; needs --executor ray.")] = 1,
) -> None:
    """Say how often to read what: by duplicate count, language and token budget. No text moves, but for --materialize.

    An epoch is a pass over a language as its weights have it. Without --temperature and --token-budget each has one.
    """
    from pipeline.plan import make_and_write_mix

    layout = _layout(output)
    made, written = make_and_write_mix(
        layout,
        _selection(layout, selection),
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
    _print_mix(made, token_budget)
    typer.echo(f"Mix          {layout.selection(_selection(layout, selection)) / 'mixes' / f'{name}.json'}")
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


def _print_mix(made: dict[str, Any], token_budget: float | None) -> None:
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
    _print_table(f"Mix {made['name']}, weights {made['weights']}", names, rows, ["all", *map(str, numbers), "", ""])
    if token_budget and total["tokens"] < 0.99 * token_budget:
        typer.echo(f"The cap on epochs leaves {token_budget - total['tokens']:.0f} tokens of the budget unspent.")


def _print_table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str]) -> None:
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


class _Hidden(MetaPathFinder):
    """Says of pandas that it is not installed."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Raise ModuleNotFoundError for what is hidden; leave all else to the other finders."""
        if name == "pandas":
            raise ModuleNotFoundError(f"{name} is hidden", name=name)


def _leave_out_unused_imports() -> None:
    """Hide pandas from pyarrow, which imports it with its first array where it is installed: 0.5 s for no use.

    It looks once; afterwards pandas can be imported.
    """
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        import pyarrow

        pyarrow.array([0])
    finally:
        sys.meta_path.remove(hidden)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Bars on a terminal, else lines: bars have a thread, because of which the child that extracts is not forked."""
    if not sys.stdout.isatty():
        yield _tell_by_lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bars: dict[str, Any] = {}
    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:

        def tell(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done)

        yield tell


def _tell_by_lines(seconds: float = 10.0) -> Callable[[str, int, int], None]:
    """Progress for a log, such as a Ray job's: a line when a pass begins and ends, and one every so many seconds."""
    last = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if done in (0, total) or time.monotonic() - last >= seconds:
            last = time.monotonic()
            typer.echo(f"{what} {done}/{total}", err=True)

    return tell


def _layout(output: str) -> Any:
    from pipeline.errors import InputError
    from pipeline.execution.storage import check_reachable, locate_output
    from pipeline.output.layout import Layout

    folder = locate_output(output)
    check_reachable(folder)
    if not (folder / "run.json").exists():
        raise InputError(f"{output}: no run.json there; give the output folder of a `glotmill run`")
    return Layout(folder)


def _words_of(given: list[str] | None) -> list[str]:
    """Words of an option: each is one itself, or a file with one a line."""
    words = []
    for one in given or []:
        is_file = "://" not in one and Path(one).is_file()
        words += Path(one).read_text(encoding="utf-8").splitlines() if is_file else [one]
    return [word.strip() for word in words if word.strip()]


def _selection(layout: Any, name: str | None) -> str:
    """The selection asked for, else the one that the run configured."""
    from pipeline.execution.commit import read_json

    return name or str(read_json(layout.run)["config"]["selection"])


def _print_funnel(layout: Any, selection: str) -> None:
    from pipeline.report.page import FUNNEL_COLUMNS, funnel

    rows, dropped = funnel(layout, selection)
    shown = [name for name in FUNNEL_COLUMNS if any(row[name] for row in rows)]
    names = ["language", *(name.replace("_", " ") for name in shown)]
    counts = [[row["label"], *(str(row[name]) for name in shown)] for row in rows]
    _print_table(
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
    typer.echo(f"Mixes        {folder / 'mixes'}")
    typer.echo(f"Report       {folder / 'report' / 'index.html'}")
    typer.echo(f"Card         {folder / 'README.md'}")


def main() -> None:
    """Entry point: errors made for users are printed without a traceback; exit codes are in EXIT_CODES."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # What libraries make when they load stays; with the usual thresholds it is looked through again and again: 0.1 s.
    set_threshold(50_000, 20, 20)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nobody multiplies matrices, and without threads we can fork
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it asks every installed package for one
    atexit.register(freeze)  # the last collection looks through all that was loaded, for nothing: 0.2 s
    from pydantic import ValidationError

    from pipeline.errors import ConfigError, InputError, MissingError, ModelError

    try:
        app(standalone_mode=False)
    except (ConfigError, InputError, ModelError) as error:
        typer.echo(f"glotmill: {error}", err=True)
        sys.exit(2)
    except MissingError as error:
        typer.echo(f"glotmill: {error}", err=True)
        sys.exit(3)
    except PipelineError as error:
        typer.echo(f"glotmill: {error}", err=True)
        sys.exit(1)
    except ValidationError as error:
        details = json.loads(error.json())
        for one in details:
            typer.echo(f"glotmill: {'.'.join(map(str, one['loc']))}: {one['msg']}", err=True)
        sys.exit(2)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        # Usage errors: their class is click's with one version of typer and typer's own with another, so that they are
        # known by what they can do. Everything else keeps its traceback.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            typer.echo(f"glotmill: {error.format_message()}", err=True)
            sys.exit(error.exit_code)
        raise
