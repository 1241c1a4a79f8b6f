"""Characters and tokens of rows of clean files: tokens are counted with a tokenizer, or estimated from characters.

Counts are of the text alone, without special tokens. They are kept beside the mixtures, a file for each clean file and
tokenizer, so that the next mixture with the same tokenizer reads numbers and no text.
"""

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
CHUNK_ROWS = 1000  # texts that are given to the tokenizer at a time
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


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer.json that was loaded once and works; tasks load it again by path, so all nodes need it there."""

    path: str
    sha256: str


def check_tokenizer(path: str) -> TokenizerFile:
    """Load a tokenizer to see that it works.

    Raises ConfigError where the library is missing, ModelError where the file is absent or no tokenizer.
    """
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


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows of a file."""

    first_row: int
    rows: int


@dataclass(frozen=True)
class FileRanges:
    """Ranges of rows of one clean file whose characters and tokens are wanted."""

    path: str  # relative to the selection
    sha256: str
    characters: int  # of the whole file
    ranges: list[RowRange]


@dataclass(frozen=True)
class TextCounts:
    """Characters (code points) and tokens of some rows; tokens are 0 where no tokenizer counted them."""

    characters: int
    tokens: int


@dataclass(frozen=True)
class CountTask:
    """What `count_files` counts: ranges of rows of some files of the selection in `folder`."""

    folder: Location
    files: list[FileRanges]
    tokenizer: TokenizerFile | None


@dataclass(frozen=True)
class TextCounter:
    """Counts characters and tokens of rows of the selection in `folder`; without a tokenizer only characters."""

    executor: Executor
    folder: Location
    tokenizer: TokenizerFile | None

    def count(self, files: Sequence[FileRanges]) -> list[list[TextCounts]]:
        """The exact counts of every range of every file, in the order given."""
        chunks = filled(files, lambda file: file.characters, TASK_CHARACTERS)
        tasks = [CountTask(self.folder, chunk, self.tokenizer) for chunk in chunks]
        return [counts for of_task in run_all(self.executor, count_files, tasks) for counts in of_task]


def count_files(task: CountTask) -> list[list[TextCounts]]:
    """The counts of every range of every file of a task; tokens of a file are counted where that was not done before.

    In memory are two numbers for each row of a file and the texts of 1,000 rows.
    """
    counts = []
    for file in task.files:
        characters = _read_characters(task.folder / file.path)
        tokens = _tokens_of_rows(task.folder, file, task.tokenizer) if task.tokenizer else np.zeros_like(characters)
        ends = [(rows.first_row, rows.first_row + rows.rows) for rows in file.ranges]
        counts.append(
            [TextCounts(int(characters[first:end].sum()), int(tokens[first:end].sum())) for first, end in ends]
        )
    return counts


def _read_characters(path: Location) -> npt.NDArray[np.int64]:
    column = pq.read_table(readable(path), columns=["character_count"])["character_count"]
    return column.to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _tokens_of_rows(folder: Location, file: FileRanges, tokenizer: TokenizerFile) -> npt.NDArray[np.int64]:
    """The tokens of every row of a file, from the counts kept beside the mixtures or counted now, (n,) int64."""
    kept = folder / "mixtures" / "tokens" / tokenizer.sha256[:16] / f"{file.sha256[:16]}.parquet"
    if not kept.exists():
        table = pa.table({"tokens": pa.array(_count_tokens(folder / file.path, tokenizer.path), pa.int32())})
        with committed(kept) as path:
            pq.write_table(table, path, compression="zstd")
    return pq.read_table(readable(kept))["tokens"].to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _count_tokens(path: Location, tokenizer_path: str) -> list[int]:
    tokenizer = _tokenizer(tokenizer_path)
    counts: list[int] = []
    with pq.ParquetFile(readable(path), pre_buffer=True) as file:
        for chunk in file.iter_batches(CHUNK_ROWS, columns=["text"]):
            texts = chunk.column("text").to_pylist()
            encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            counts += [len(encoding.ids) for encoding in encodings]
    return counts
