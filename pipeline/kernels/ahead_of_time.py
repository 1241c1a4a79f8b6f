"""Kernels to one shared library, by Numba's compiler ahead of time (pycc) and the C compiler of the machine.

pycc has been announced to be replaced, and has no successor yet. Should it go, kernels load as Numba's cache gives
them: each process then takes 0.8 s longer to start.
"""

import json
import logging
import os
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.kernels.compile import DTYPES, LIBRARY, Kernel, digest, index_paths, sources

logger = logging.getLogger(__name__)


def compile_ahead_of_time(kernels: list[Kernel]) -> Path | None:
    """Compile those kernels that Numba has run in this process, for the types of its calls.

    Returns the path of the index that `pipeline.kernels.compile` looks for, None where no folder can be written, or the
    machine has no C compiler; then a warning says so, and Numba's cache serves.
    """
    known = [kernel for kernel in kernels if kernel.has_run_by_numba and kernel.dispatcher.signatures]
    types = {kernel: kinds for kernel in known if _described(kinds := _types(kernel)) is not None}
    made_of = {path for kernel in kernels for path in sources(kernel.function)}
    why: Exception | None = None
    for index_path in index_paths():
        try:
            _make(index_path, types, sorted(made_of))
        except OSError as error:  # of this folder
            why = error
        except Exception as error:  # of setuptools, whose classes have moved about, or of the compiler
            why = error
            break
        else:
            return index_path
    logger.warning("kernels were not compiled ahead, each process loads them from Numba's cache: %s", why)
    return None


def _make(index_path: Path, types: dict[Kernel, tuple[Any, ...]], made_of: list[Path]) -> None:
    """Write a library and its index; another process that does the same does no harm."""
    index_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=index_path.parent) as folder:
        built = _build(types, Path(folder))
        library = index_path.with_name(f"{index_path.stem}-{digest(built)[:12]}{''.join(built.suffixes)}")
        index = {
            "sources": {os.path.relpath(source, index_path.parent): digest(source) for source in made_of},
            "library": {library.name: digest(built)},
            "types": {kernel.symbol: _described(kinds)[1:] for kernel, kinds in types.items()},
        }
        os.replace(built, library)
        written = Path(folder) / index_path.name
        written.write_text(json.dumps(index))
        os.replace(written, index_path)
    for other in index_path.parent.glob(f"{index_path.stem}-*"):
        if other != library:
            other.unlink(missing_ok=True)


def _build(types: dict[Kernel, tuple[Any, ...]], folder: Path) -> Path:
    """The library as a file in `folder`, which has a name that this Python imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumbaPendingDeprecationWarning
        pycc: Any = import_module("numba.pycc")
    made = pycc.CC(LIBRARY, source_module=__name__)
    made.output_dir, made.target_cpu = str(folder), "host"
    for kernel, arguments in types.items():
        made.export(kernel.symbol, arguments)(kernel.function)
    flags = pycc.compiler.Flags
    pycc.compiler.Flags = _flags_that_release_the_lock(flags)  # it has no option of its own for that
    try:
        made.compile()
    finally:
        pycc.compiler.Flags = flags
    return folder / str(made.output_file)


def _flags_that_release_the_lock(usual: Any) -> Any:
    def flags() -> Any:
        flags_of_kernel = usual()
        flags_of_kernel.release_gil = True
        return flags_of_kernel

    return flags


def _types(kernel: Kernel) -> tuple[Any, ...]:
    """Numba's types of a kernel's arguments: those of the first call, and where a later one differs only in having
    an array that cannot be written to, that array's."""
    first = kernel.dispatcher.signatures[0]
    alike = [
        signature
        for signature in kernel.dispatcher.signatures
        if _described(signature, True) == _described(first, True)
    ]
    return tuple(min(kinds, key=lambda kind: getattr(kind, "mutable", False)) for kinds in zip(*alike, strict=True))


def _described(kind: Any, writeable: bool | None = None) -> Any:
    """A type of Numba's, or a sequence of them, as `type_check` has it; None where it has no name."""
    from numba import types
    from numba.np.numpy_support import as_dtype

    if isinstance(kind, types.UniTuple | types.Tuple | tuple):
        parts = [_described(part, writeable) for part in (kind if isinstance(kind, tuple) else kind.types)]
        return None if None in parts else ["tuple", *parts]
    if isinstance(kind, types.Array):
        dtype = as_dtype(kind.dtype).name
        if kind.layout != "C" or dtype not in DTYPES:
            return None
        return ["array", dtype, kind.ndim, kind.mutable if writeable is None else writeable]
    return {types.int64: "int", types.uint64: "uint64", types.float64: "float", types.boolean: "bool"}.get(kind)
