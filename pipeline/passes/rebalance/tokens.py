"""Tokens of clean documents: counted with a file of the `tokenizers` library, else estimated from characters.

Counts are of the text alone, without special tokens. They are kept beside the mixtures, a file for each clean part and
tokenizer, so that the next mixture with the same tokenizer reads numbers and no text.
"""

import os
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError, ModelError
from pipeline.execution.commit import committed, sha256_of
from pipeline.execution.storage import Location, readable
from pipeline.execution.tasks import Executor, run_all
from pipeline.output.layout import filled

TASK_CHARACTERS = 64_000_000  # of the files that one task reads, about
BATCH_ROWS = 1000  # texts that are given to the tokenizer at a time
ESTIMATE = "characters / characters_per_token, of the language, else its script (characters_per_token.toml)"


@cache
def _characters_per_token() -> dict[str, Any]:
    return tomllib.loads(
        resources.files("pipeline.passes.rebalance").joinpath("characters_per_token.toml").read_text("utf-8")
    )


def characters_per_token(label: str) -> float:
    """Code points for a token: measured for the language, else the median of its script, else of all; above 0.

    Source: `characters_per_token.toml`, whose head says with what tokenizer and texts. Another tokenizer will differ,
    most in scripts that only few of its tokens cover.

    >>> characters_per_token("tur_Latn"), characters_per_token("xxx_Hang"), characters_per_token("xxx_Xxxx")
    (2.94, 1.76, 2.47)
    """
    table = _characters_per_token()
    script = label.partition("_")[2]
    return float(table["languages"].get(label, table["scripts"].get(script, table["other"])))


class TokenizerFile(NamedTuple):
    """A file that was loaded once and works; tasks load it again by path, so all nodes need it."""

    path: str
    sha256: str


def check_tokenizer(path: str) -> TokenizerFile:
    """Raises ConfigError where the library is missing, ModelError where the file is absent or no tokenizer."""
    if not find_spec("tokenizers"):
        raise ConfigError(f"--tokenizer {path}: the library `tokenizers` is not installed; install the extra `mix`")
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such tokenizer file; give the tokenizer.json of the model that you will train")
    _tokenizer(path)
    return TokenizerFile(path, sha256_of(Path(path)))


@cache
def _tokenizer(path: str) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tasks are the parallelism
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:
        if type(error) is not Exception:  # the library raises the bare class for whatever is wrong with a file
            raise
        raise ModelError(f"{path}: not a JSON file of the `tokenizers` library: {error}") from None
    tokenizer.no_truncation()  # files of models often cut at 512 tokens
    tokenizer.no_padding()
    return tokenizer


class Ranges(NamedTuple):
    """Rows of one clean file whose characters and tokens are wanted: (first row, rows) each."""

    path: str  # relative to the selection
    sha256: str
    characters: int  # of the whole file
    ranges: list[tuple[int, int]]


def sum_ranges(
    executor: Executor, folder: Location, files: Sequence[Ranges], tokenizer: TokenizerFile | None
) -> list[list[tuple[int, int]]]:
    """(characters, tokens) of every range of every file, exactly; tokens are 0 without a tokenizer."""
    tasks = filled(files, lambda one: one.characters, TASK_CHARACTERS)
    results = run_all(executor, sum_ranges_of, [(folder, task, tokenizer) for task in tasks])
    return [sums for task in results for sums in task]


def sum_ranges_of(
    folder: Location, files: Sequence[Ranges], tokenizer: TokenizerFile | None
) -> list[list[tuple[int, int]]]:
    """See sum_ranges; counts tokens where that was not done before."""
    found = []
    for one in files:
        characters = _characters(folder / one.path)
        tokens = _tokens(folder, one, tokenizer) if tokenizer else np.zeros_like(characters)
        found.append([(int(characters[a : a + n].sum()), int(tokens[a : a + n].sum())) for a, n in one.ranges])
    return found


def _characters(path: Location) -> npt.NDArray[np.int64]:
    column = pq.read_table(readable(path), columns=["character_count"])["character_count"]
    return column.to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _tokens(folder: Location, file: Ranges, tokenizer: TokenizerFile) -> npt.NDArray[np.int64]:
    kept = folder / "mixtures" / "tokens" / tokenizer.sha256[:16] / f"{file.sha256[:16]}.parquet"
    if not kept.exists():
        table = pa.table({"tokens": pa.array(_count(folder / file.path, tokenizer.path), pa.int32())})
        with committed(kept) as path:
            pq.write_table(table, path, compression="zstd")
    return pq.read_table(readable(kept))["tokens"].to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _count(path: Location, tokenizer_path: str) -> list[int]:
    tokenizer = _tokenizer(tokenizer_path)
    counts: list[int] = []
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=["text"]):
            texts = batch.column("text").to_pylist()
            counts += [len(one.ids) for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    return counts
