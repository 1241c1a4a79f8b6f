"""The command line: parses, calls one function, prints. Heavy modules are imported inside commands."""

import atexit
import json
import logging
import os
import sys
from gc import freeze, set_threshold
from importlib import import_module

import typer

from pipeline.cli.app import app
from pipeline.errors import PipelineError

for group in ("run", "look", "change", "mix", "language_models"):  # in the order in which help lists their commands
    import_module(f"pipeline.cli.{group}")


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
        for detail in details:
            typer.echo(f"glotmill: {'.'.join(map(str, detail['loc']))}: {detail['msg']}", err=True)
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
