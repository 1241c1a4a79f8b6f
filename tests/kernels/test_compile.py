"""Kernels compiled ahead say what Numba says, are used for what they were made of alone, and need no Numba."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.kernels.compile import PACKAGE, index_paths, inlined_kernel, inner_kernel, kernel

ROOT = PACKAGE.parent
TOYS = '''
from factors import DOUBLE
import sys
import numpy as np
from pipeline.kernels.ahead_of_time import compile_ahead_of_time
from pipeline.kernels.compile import Kernel, kernel

@kernel
def _double(value):
    return value * DOUBLE

@kernel
def total(values, parts, factor, offset, share, is_negative):
    """Entries of parts[0] are written to."""
    result = share
    for place in range(len(values)):
        result += values[place] * factor + np.int64(offset)
        parts[0][place] = _double(values[place])
    return (-result if is_negative else result), parts[1].copy()

@kernel
def refuse(value):
    if value > 0:
        raise ValueError("too large")
    return value

def arguments(values, room=None, factor=3):
    room = np.zeros(9, np.int64) if room is None else room
    return values, (room, np.arange(2, dtype=np.uint8)), factor, np.uint64(5), 0.5, True

def says(values, room=None, factor=3):
    given = arguments(values, room, factor)
    result, copy = total(*given)
    written = given[1][0][: len(values)]
    assert written.tolist() == [2 * int(value) for value in values], written
    assert copy.tolist() == [0, 1]
    return result

def expected(values, factor=3):
    return -(0.5 + sum(int(value) * int(factor) + 5 for value in values))

NUMBERS = np.arange(9, dtype=np.uint32)
NUMBERS.flags.writeable = False
'''
MAKE = """
Kernel.ahead_is_used = False
says(NUMBERS), says(NUMBERS.copy()), refuse(0)
print(compile_ahead_of_time(Kernel.registered))
"""
USE = """
assert says(NUMBERS) == expected(NUMBERS)
assert says(NUMBERS.copy(), factor=np.int64(4)) == expected(NUMBERS, 4)
assert says(NUMBERS[:0]) == expected([])
assert says(np.memmap("numbers", np.uint32, "w+", shape=4)) == expected([0] * 4)
try:
    refuse(1)
except ValueError as error:
    assert str(error) == "too large"
assert "numba" not in sys.modules
"""
# Each is one that machine code would misread: of another dtype, with gaps, in several dimensions, badly placed, ...
OTHERS = {
    "dtype": "says(NUMBERS.astype(np.int64)) == expected(NUMBERS)",
    "gaps": "says(NUMBERS[::2]) == expected(NUMBERS[::2])",
    "place": "says(np.frombuffer(b'.' + NUMBERS.tobytes(), np.uint32, offset=1)) == expected(NUMBERS)",
    "float": "says(NUMBERS, factor=2.5) == -(0.5 + 36 * 2.5 + 45)",
    "bool": "says(NUMBERS, factor=True) == expected(NUMBERS, 1)",
    "room": "says(NUMBERS, np.zeros(9, np.float32)) == expected(NUMBERS)",
}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy kernels, and their library in a cache of its own."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toys.py").write_text(TOYS)
    (folder / "factors.py").write_text("DOUBLE = 2")
    return folder


def run_code(toys: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(toys / "cache"), "PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, "-c", f"from toys import *\n{code}"]
    return subprocess.run(command, cwd=toys, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def compiled(toys: Path) -> Path:
    made = run_code(toys, MAKE)
    assert made.stdout.endswith(".json\n"), made.stderr
    return toys


def test_kernels_compiled_ahead_run_without_numba_and_raise_what_they_raise(compiled: Path) -> None:
    used = run_code(compiled, USE)
    assert used.returncode == 0, used.stderr


@pytest.mark.parametrize("name", OTHERS)
def test_what_kernels_were_not_compiled_for_goes_to_numba(compiled: Path, name: str) -> None:
    used = run_code(compiled, f"assert {OTHERS[name]}\nassert total.has_run_by_numba")
    assert used.returncode == 0, used.stderr


def test_an_array_that_must_be_written_to_and_cannot_is_refused(compiled: Path) -> None:
    used = run_code(compiled, "room = np.zeros(9, np.int64)\nroom.flags.writeable = False\nsays(NUMBERS, room)")
    assert "Cannot modify readonly array" in used.stderr


@pytest.mark.parametrize(
    ("name", "line", "other"), [("toys.py", "value * DOUBLE", "value * DOUBLE + 0"), ("factors.py", "2", "1 + 1")]
)
def test_a_library_of_other_sources_is_not_used(compiled: Path, name: str, line: str, other: str) -> None:
    source = compiled / name
    text = source.read_text()
    try:
        source.write_text(text.replace(line, other))
        used = run_code(compiled, "assert says(NUMBERS) == expected(NUMBERS)\nassert total.has_run_by_numba")
    finally:
        source.write_text(text)
    assert used.returncode == 0, used.stderr


def test_a_kernel_is_compiled_again_when_one_that_it_calls_has_changed(tmp_path: Path) -> None:
    (tmp_path / "toys.py").write_text(
        "from inner import add\nfrom pipeline.kernels.compile import kernel\n\n"
        "@kernel\ndef total(value):\n    return add(value)\n"
    )
    inner = "from pipeline.kernels.compile import inner_kernel\n\n@inner_kernel\ndef add(value):\n    return value + "
    for summand, is_cached in ((1, False), (1, True), (2, False)):
        (tmp_path / "inner.py").write_text(inner + f"{summand}\n")
        ran = run_code(tmp_path, "print(total(1), len(total.dispatcher.stats.cache_hits) > 0)")
        assert ran.stdout == f"{1 + summand} {is_cached}\n", ran.stderr


def test_a_damaged_library_is_not_used(compiled: Path, tmp_path: Path) -> None:
    shutil.copytree(compiled / "cache", tmp_path / "cache")
    (library,) = (tmp_path / "cache").glob("*.so")
    library.write_bytes(library.read_bytes()[:1000])
    code = "assert says(NUMBERS) == expected(NUMBERS)\nassert total.has_run_by_numba"
    used = run_code(compiled, code, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert used.returncode == 0, used.stderr


def test_without_a_c_compiler_a_warning_says_what_follows(toys: Path, tmp_path: Path) -> None:
    made = run_code(toys, MAKE, NUMBA_CACHE_DIR=str(tmp_path), PATH=str(tmp_path), CC="no-such-compiler")
    assert (made.returncode, made.stdout) == (0, "None\n"), made.stderr
    assert "kernels were not compiled ahead" in made.stderr
    assert list(tmp_path.glob("*.json")) == []


def test_setting_up_compiles_the_modules_too() -> None:
    """Where Python writes no bytecode, each process would compile them again."""
    assert Path(cache_from_source(str(PACKAGE / "plan.py"))).exists(), (
        "make setup does (python -m pipeline.cli.compile_kernels)"
    )


def _sum_before_7(values, start):  # type: ignore[no-untyped-def]
    part = values[start : start + 4]
    total = 0
    for place in range(len(part)):
        if part[place] == 7:
            break
        total += part[place]
    return total


@pytest.mark.parametrize("decorator", [kernel, inner_kernel, inlined_kernel])
def test_an_inner_kernel_gives_the_same_and_counts_no_references(decorator: Callable[..., Any]) -> None:
    numba = pytest.importorskip("numba")
    compiled = numba.njit(**decorator(_sum_before_7).options)(_sum_before_7)
    assert compiled(np.arange(9), 4) == 15
    assert ("NRT_incref" in str(compiled.inspect_llvm())) == (decorator is kernel)


# A function that is too long for LLVM to put it where it is called of its own accord.
LONG = """
from pipeline.kernels.compile import *

@{decorator}
def fold(values, factor):
    total = 0
    for value in values:
{lines}
    return total

@kernel
def folds(values):
    return fold(values, 1) + fold(values, 2)
"""


@pytest.mark.parametrize("decorator", ["inner_kernel", "inlined_kernel"])
def test_only_an_inlined_kernel_is_not_called_by_what_it_is_compiled_into(decorator: str, tmp_path: Path) -> None:
    lines = "\n".join(f"        total = (total ^ value) * {number} + factor" for number in range(3, 120))
    (tmp_path / "toys.py").write_text(LONG.format(decorator=decorator, lines=lines))
    code = "import numpy, re\nfolds(numpy.arange(9))\n(llvm,) = folds.dispatcher.inspect_llvm().values()\n"
    ran = run_code(tmp_path, code + "print(len(re.findall(r'call \\S+ @\\S*4fold', llvm)))")
    assert ran.stdout == ("2\n" if decorator == "inner_kernel" else "0\n"), ran.stderr


def test_a_run_does_not_load_numba(tmp_path: Path) -> None:
    """All scripts of the samples, with duplicates: what the library lacks would load Numba."""
    assert any(path.exists() for path in index_paths()), (
        "make setup compiles kernels (python -m pipeline.cli.compile_kernels)"
    )
    code = (
        "import sys; from pipeline.cli.main import app; from pipeline.kernels.compile import Kernel\n"
        f"app(['run', 'recipes/demo.toml', '--output', {str(tmp_path / 'demo')!r}], standalone_mode=False)\n"
        "print([one.symbol for one in Kernel.registered if one.has_run_by_numba], 'numba' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[] False", ran.stdout + ran.stderr
