"""The decorator of compiled loops: Numba, with its machine code cached on disk where a folder can be written."""

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call.

    Numba caches in `__pycache__` beside the file, else below the user's home (or in $NUMBA_CACHE_DIR), and refuses
    where it can write to neither, as in a container with a read-only file system. There the kernel is compiled
    again in each process.

    Other threads go on while a kernel runs: some read ahead of it.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        return numba.njit(nogil=True)(function)
