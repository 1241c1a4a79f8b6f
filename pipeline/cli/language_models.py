"""lm train and lm import."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import lm_app


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
