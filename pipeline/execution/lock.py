"""One run at a time in an output folder, and what killed runs left there is cleared away."""

import fcntl
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BusyError
from pipeline.execution.commit import names_full_storage
from pipeline.execution.storage import Location

logger = logging.getLogger(__name__)


@contextmanager
def sole_run(root: Location) -> Iterator[None]:
    """Hold `root`, made where it is absent, until the block ends; the kernel frees it when the process dies.

    On entry, temporary files and unfinished selections of killed runs are deleted, at the end those of killed workers.
    Raises BusyError, which names the holder, when another run has the folder. A file system without locks only gets a
    warning; object stores have no locks at all.
    """
    if not isinstance(root, Path):
        yield
        return
    root.mkdir(parents=True, exist_ok=True)
    path = root / "run.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "which is just starting or ending"
            raise BusyError(f"{root}: another run works there ({holder}); wait for it, or end it") from None
        except OSError as error:
            logger.warning("%s cannot be locked (%s): start no second run there", root, error.strerror)
        _sweep(root)
        with names_full_storage(path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
        try:
            yield
            _sweep(root)  # what workers of this run left that were killed and replaced
        finally:
            file.truncate(0)  # at rest it is empty, so that equal runs leave equal files


def _sweep(root: Path) -> None:
    for folder in (root / "selections").glob("*.partial"):
        shutil.rmtree(folder)
    for folder_path, _, names in os.walk(root):
        for name in names:
            if name.startswith(".") and name.endswith(".tmp"):
                (Path(folder_path) / name).unlink(missing_ok=True)
