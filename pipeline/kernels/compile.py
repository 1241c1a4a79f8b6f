"""The decorator of compiled loops. Numba compiles them: ahead of time where the machine was set up, else when called.

`pipeline.cli.compile_kernels` makes one shared library of the kernels (`ahead_of_time.py`). It loads in a millisecond
and without Numba, whose import and own cache cost each process 0.8 s of CPU. It serves for the sources and the
processor that it was made of, and for the types of arguments that were met then. In any other case Numba compiles on
the first call and caches in `__pycache__` beside the file, else below the user's home (or in $NUMBA_CACHE_DIR); where
it can write to neither, as in a container with a read-only file system, each process compiles for itself.
"""

import ast
import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from functools import cache, cached_property, update_wrapper
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

LIBRARY: Final = "glotmill_kernels"  # as a module of Python
PACKAGE: Final = Path(__file__).resolve().parents[1]
# bits of `ndarray.flags.num`, as NumPy's C interface numbers them
CONTIGUOUS: Final = 0x1
ALIGNED: Final = 0x100
WRITEABLE: Final = 0x400
DTYPES: Final = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"
)  # fmt: skip


class Kernel:
    """A function of arrays and numbers that runs as machine code; other threads go on meanwhile: some read ahead of it.

    Types of arguments that were not compiled ahead load Numba: callers keep to one dtype for each argument.
    """

    registered: Final[list["Kernel"]] = []
    ahead_is_used = True

    def __init__(self, function: Callable[..., Any], counts_references: bool = True, is_inlined: bool = False) -> None:
        update_wrapper(self, function)
        self.function = function
        self.options = {"nogil": True, "_nrt": counts_references} | ({"forceinline": True} if is_inlined else {})
        self.symbol = f"{function.__module__}.{function.__qualname__}".replace(".", "_")
        self.has_run_by_numba = False
        self.registered.append(self)
        self._run: Callable[..., Any] = self._find_and_run

    def __call__(self, *arguments: Any) -> Any:
        """Run it. Raises Numba's TypingError for arguments that it cannot be compiled for."""
        return self._run(*arguments)

    def _find_and_run(self, *arguments: Any) -> Any:
        self._run = _made_ahead(self.symbol, self.run_by_numba) if self.ahead_is_used else self.run_by_numba
        return self._run(*arguments)

    def run_by_numba(self, *arguments: Any) -> Any:
        """Run it by way of Numba's dispatcher, which compiles for types of arguments that are new."""
        self.has_run_by_numba = True
        return self.dispatcher(*arguments)

    @cached_property
    def dispatcher(self) -> Any:
        """Numba's own form of the function."""
        numba = _numba()
        try:
            made = numba.njit(cache=True, **self.options)(self.function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return numba.njit(**self.options)(self.function)
        if not numba.config.DISABLE_JIT:
            # Numba looks at the kernel's own file alone, and would give what it compiled with others as they were.
            made._cache._cache_file._source_stamp = [digest(path) for path in sources(self.function)]
        return made


class Intrinsic:
    """A part of kernels in LLVM's own words; the function is one that `numba.extending.intrinsic` takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @cached_property
    def in_numba(self) -> Any:
        """Numba's own form of the function."""
        from numba.extending import intrinsic

        return intrinsic(self.function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function. Functions of ours that it calls are kernels or intrinsics too."""
    return Kernel(function)


def inner_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call, and that makes no array: it looks at theirs, and changes them.

    A kernel counts a reference to each array that it is given and each part that it takes of one. Where it is called
    for each word or byte that takes longer than what it does; here nothing is counted, as the caller holds them.
    """
    return Kernel(function, counts_references=False)


def inlined_kernel(function: Callable[..., Any]) -> Any:
    """Compile an inner kernel into each place that calls it, so that a long loop can be written as several functions.

    LLVM does so by itself with short functions. A call of a long one hands over seven numbers for each array, and what
    it works on goes through memory.
    """
    return Kernel(function, counts_references=False, is_inlined=True)


def intrinsic(function: Callable[..., Any]) -> Any:
    """A function that writes a part of a kernel in LLVM's own words."""
    return Intrinsic(function)


@cache
def _numba() -> ModuleType:
    """Numba, told what our functions are that a kernel calls."""
    import numba
    from numba.core.registry import cpu_target
    from numba.extending import typeof_impl

    @typeof_impl.register(Kernel)
    def _(callee: Kernel, context: object) -> Any:
        return numba.types.Dispatcher(callee.dispatcher)

    @typeof_impl.register(Intrinsic)
    def _(callee: Intrinsic, context: object) -> Any:
        made = callee.in_numba
        cpu_target.typing_context.refresh()  # takes note of what has just been made
        return cpu_target.typing_context.resolve_value_type(made)

    return numba


class Ahead(NamedTuple):
    """What was compiled ahead: a module of functions, and the types of the arguments of each (see `type_check`)."""

    library: ModuleType
    types: dict[str, list[Any]]


def _made_ahead(symbol: str, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """The function that was compiled ahead for arguments of its types, `otherwise` for others and where there is none.

    Machine code takes the types on trust: an array of another dtype, or with gaps, would be read as what it is not.
    """
    ahead = _ahead()
    types = None if ahead is None else ahead.types.get(symbol)
    if ahead is None or types is None:
        return otherwise
    names = [f"a{number}" for number in range(len(types))]
    checks = " and ".join(type_check(name, kind) for name, kind in zip(names, types, strict=True))
    source = f"lambda {', '.join(names)}: (compiled if {checks} else otherwise)({', '.join(names)})"
    # Written out, as a loop over the arguments would take longer than many a kernel. It is made of our own index.
    known = {"compiled": getattr(ahead.library, symbol), "otherwise": otherwise, "ndarray": np.ndarray}
    known |= {f"np_{name}": np.dtype(name) for name in DTYPES} | {"Int64": np.int64, "UInt64": np.uint64}
    function: Callable[..., Any] = eval(source, known)
    return function


def type_check(name: str, kind: Any) -> str:
    """An expression that says whether a variable is what a kernel was compiled for.

    `kind` is "int", "uint64", "float" or "bool", or a list: ["array", dtype, ndim, writeable] for arrays in C's order,
    ["tuple", kind, ...] for tuples.

    >>> type_check("a", "int")
    '(type(a) is int or isinstance(a, Int64))'
    >>> type_check("a", ["array", "float32", 2, False])
    '(isinstance(a, ndarray) and a.dtype == np_float32 and a.ndim == 2 and a.flags.num & 257 == 257)'
    """
    if isinstance(kind, str):
        return {
            "int": f"(type({name}) is int or isinstance({name}, Int64))",
            "uint64": f"isinstance({name}, UInt64)",
            "float": f"isinstance({name}, float)",  # float64 is one
            "bool": f"isinstance({name}, bool)",
        }[kind]
    if kind[0] == "tuple":
        parts = [type_check(f"{name}[{position}]", part) for position, part in enumerate(kind[1:])]
        return f"({' and '.join([f'isinstance({name}, tuple)', f'len({name}) == {len(parts)}', *parts])})"
    _, dtype, ndim, writeable = kind
    flags = CONTIGUOUS | ALIGNED | (WRITEABLE if writeable else 0)
    return (
        f"(isinstance({name}, ndarray) and {name}.dtype == np_{dtype} and {name}.ndim == {ndim} "
        f"and {name}.flags.num & {flags} == {flags})"
    )


@cache
def _ahead() -> Ahead | None:
    """The library that was made of these sources for this processor, if there is one."""
    for path in index_paths():
        try:
            index = json.loads(path.read_bytes())
            files = index["sources"] | index["library"]
            if any(digest(path.parent / name) != made_of for name, made_of in files.items()):
                continue  # of other sources, or damaged
            (name,) = index["library"]
            loader = ExtensionFileLoader(LIBRARY, str(path.parent / name))
            library = module_from_spec(spec_from_loader(LIBRARY, loader))  # type: ignore[arg-type]  # it has one
            loader.exec_module(library)
        except (OSError, ImportError, ValueError, KeyError):
            continue  # there is none, or it is of another machine
        return Ahead(library, index["types"])
    return None


def index_paths() -> Iterator[Path]:
    """Where the index of a library can lie, for this Python and this processor."""
    name = f"{LIBRARY}.{sys.implementation.cache_tag}-{_processor()}.json"
    folders = [PACKAGE / "__pycache__", Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "glotmill"]
    if own := os.environ.get("NUMBA_CACHE_DIR"):
        folders = [Path(own)]
    for folder in folders:
        yield folder / name


def sources(function: Callable[..., Any]) -> list[Path]:
    """The files whose kernels and constants a kernel's machine code can have, in order: its own module, and those that
    this one imports, directly or not, from where its top-level package stands."""
    own = Path(function.__code__.co_filename)
    root = own.parents[function.__module__.count(".")]
    files: set[Path] = set()
    rest = [own]
    while rest:
        if (file := rest.pop()) not in files:
            files.add(file)
            rest += _imported(file, root)
    return sorted(files)


@cache
def _imported(file: Path, root: Path) -> list[Path]:
    """The modules below `root` that a module imports."""

    def file_of(name: str) -> Path | None:
        path = root.joinpath(*name.split("."))
        return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)

    files: list[Path | None] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            files += [file_of(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:  # what is imported is a module, or stands in one
            files += [file_of(f"{node.module}.{alias.name}") or file_of(node.module) for alias in node.names]
    return [file for file in files if file]


def digest(source: Path) -> str:
    """What is told apart of a file. Raises OSError."""
    return hashlib.sha256(source.read_bytes()).hexdigest()


def _processor() -> str:
    """The processor's model and what it can do, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            lines = file.read(8_192).splitlines()  # the first of them; they are alike
    except OSError:
        lines = [platform.processor().encode()]
    fields = (b"vendor_id", b"cpu family", b"model", b"model name", b"flags", b"Features", b"CPU part")
    parts = {line.partition(b":")[0].strip(): line for line in reversed(lines)}
    known = b"\n".join(parts.get(name, b"") for name in fields) or lines[0]
    return f"{platform.machine()}-{hashlib.sha256(known).hexdigest()[:12]}"
