"""docs/reading-map.md: the files that it names exist, and each is reached from those above it."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reading-map.md").read_text(encoding="utf-8")
STEP = re.compile(r"^\| (\d+) \| `([^`]+)` \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`((?:pipeline|recipes|lang_configs)/[\w./-]+)`")


def path_of(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def imports_of(path: Path) -> set[Path]:
    """Files of the package that a file imports, at its top or inside a function, with the packages they are in."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            parents = [node.module.rsplit(".", level)[0] for level in range(node.module.count(".") + 1)]
            modules |= {*parents, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {file for module in modules if module.startswith("pipeline") if (file := path_of(module)).is_file()}
    if path.name == "__init__.py" and "pipeline.registry" in modules:  # its modules are found by name
        files |= set(path.parent.glob("*.py"))
    return files


def test_every_file_that_the_map_names_exists() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_map_leads_from_the_command_to_the_row_in_clean_without_coming_back() -> None:
    numbers, files, _ = zip(*STEP.findall(PAGE), strict=True)
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))
    assert (files[0], files[-1]) == ("pipeline/cli/run.py", "pipeline/output/parts.py")
    assert len(set(files)) == len(files)


def test_each_file_is_imported_by_one_above_it_or_by_what_that_one_imports() -> None:
    steps = [ROOT / file for _, file, _ in STEP.findall(PAGE)]
    reached: set[Path] = set()
    unreached = []
    for number, path in enumerate(steps):
        if number and path not in reached:
            unreached.append(str(path.relative_to(ROOT)))
        direct = imports_of(path)
        reached |= direct.union(*map(imports_of, direct))
    assert unreached == []


def test_what_to_look_at_stands_in_its_file() -> None:
    """A name in code font in the last column is a name of that file."""
    absent = []
    for _, file, text in STEP.findall(PAGE):
        source = (ROOT / file).read_text(encoding="utf-8")
        names = [name for name in re.findall(r"`(\w+)`", text) if not re.search(rf"\b{name}\b", source)]
        absent += [f"{file}: {name}" for name in names]
    assert absent == []
