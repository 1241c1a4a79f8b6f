"""The application and the options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # loaded by the commands that need it
    from pipeline.output.output import Output as OutputFolder

EXIT_CODES = (
    "Exit codes: 0 done; 1 the run failed (too many shards, accounts that do not agree, no room, another run there); "
    "2 a setting, an input or a model was refused; 3 some shards are quarantined and --accept-missing was not given; "
    "130 interrupted."
)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Turn Common Crawl WARC files into clean, deduplicated Parquet, by language.",
    epilog=EXIT_CODES,
)
config_app = typer.Typer(no_args_is_help=True, help="Show settings and where they come from.")
lm_app = typer.Typer(no_args_is_help=True, help="Train and import language models for perplexity.")
app.add_typer(config_app, name="config")
app.add_typer(lm_app, name="lm")
ConfigPath = Annotated[
    Path | None, typer.Argument(help="A config file (TOML), or the name of a recipe such as fineweb2.")
]
Output = Annotated[str, typer.Argument(help="Output folder of a run.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE changes a setting, such as select.mask=false or rules.word_count.min=20."),
]
AcceptMissing = Annotated[
    bool, typer.Option("--accept-missing", help="Go on without quarantined shards; the dataset card names them.")
]
Selection = Annotated[str | None, typer.Option(help="Name of the selection; by default that of the config.")]


def settings_of(path: Path | None, assignments: list[str] | None, **given: Any) -> tuple[Any, dict[str, Any]]:
    """Run config and the part of --set that goes to every language (rules.*, perplexity of languages stays there)."""
    from pipeline.config.reading import load_run_config, merge, parse_overrides

    nested = parse_overrides(assignments or [])
    rules = {"rules": nested.pop("rules")} if "rules" in nested else {}
    options = {key: value for key, value in given.items() if value not in (None, [], ())}
    return load_run_config(path, merge(options, nested)), rules


def open_output(folder: str) -> "OutputFolder":
    """The output of a run. Raises InputError where there is none, FormatError where another version wrote it."""
    from pipeline.output.output import Output as OutputFolder

    return OutputFolder.open(folder)


def words_of(given: list[str] | None) -> list[str]:
    """Words of an option: each is one itself, or a file with one a line."""
    words = []
    for word in given or []:
        is_file = "://" not in word and Path(word).is_file()
        words += Path(word).read_text(encoding="utf-8").splitlines() if is_file else [word]
    return [word.strip() for word in words if word.strip()]


def selection_of(output: "OutputFolder", name: str | None) -> str:
    """The selection asked for, else the one that the run configured."""
    return name or str(output.plan.config["selection"])
