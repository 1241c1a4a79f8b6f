"""One run of the demonstration that the tests share; nobody writes into it."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import RunConfig, load_run_config
from pipeline.passes.layout import Layout
from pipeline.plan import run

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def demo_config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """recipes/demo.toml, inline, with little CPU time for a page."""
    output = tmp_path_factory.mktemp("demo") / "output"
    overrides: dict[str, Any] = {
        "output": str(output),
        "executor": "inline",
        "extract": {"cpu_seconds": 1.0},
    }
    return load_run_config(ROOT / "recipes" / "demo.toml", overrides)


@pytest.fixture(scope="session")
def demo(demo_config: RunConfig) -> Layout:
    """The demonstration's output."""
    return run(demo_config)
