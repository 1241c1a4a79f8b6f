"""A choice is a module: its name is known without an import, and another name is refused with those that there are."""

import subprocess
import sys

import pytest

from pipeline.config.reading import load_run_config
from pipeline.dedup.minhash import UNITS, SignatureScheme
from pipeline.errors import ConfigError
from pipeline.execution.executors import PACKAGE as EXECUTORS
from pipeline.execution.executors import make_executor
from pipeline.registry import load, names_of
from pipeline.text.main_text.extractors import PACKAGE as EXTRACTORS
from pipeline.text.main_text.extractors import extract

SETTINGS = {"extract.extractor": EXTRACTORS, "dedup.shingle_unit": UNITS, "executor": EXECUTORS}


def nested(key: str, value: str) -> dict[str, object]:
    parent, dot, child = key.partition(".")
    return {parent: {child: value}} if dot else {parent: value}


@pytest.mark.parametrize("key", SETTINGS)
def test_a_config_takes_every_name_of_a_module(key: str) -> None:
    assert len(names_of(SETTINGS[key])) >= 2
    for name in names_of(SETTINGS[key]):
        config = load_run_config(None, nested(key, name)).model_dump()
        for part in key.split("."):
            config = config[part]
        assert config == name


@pytest.mark.parametrize("key", SETTINGS)
def test_a_config_refuses_another_name_and_lists_those_that_there_are(key: str) -> None:
    names = ", ".join(names_of(SETTINGS[key]))
    with pytest.raises(ConfigError, match=f"{key} = 'another': must be one of {names}"):
        load_run_config(None, nested(key, "another"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: extract("<p>a", "another"),
        lambda: SignatureScheme(shingle_unit="another"),
        lambda: make_executor("another", 1, 1),
    ],
    ids=["extractor", "shingle_unit", "executor"],
)
def test_a_function_refuses_another_name_as_the_config_does(call: object, request: pytest.FixtureRequest) -> None:
    assert callable(call)
    with pytest.raises(ConfigError, match=f"{request.node.callspec.id} = 'another': must be one of "):
        call()


def test_units_of_shingles_have_letters_of_their_own() -> None:
    letters = [load(UNITS, name, "shingle_unit").LETTER for name in names_of(UNITS)]
    assert len(set(letters)) == len(letters)


def test_to_check_a_config_imports_none_of_the_modules() -> None:
    code = (
        "import sys; from pipeline.config.reading import load_run_config; "
        "load_run_config(None, {'extract': {'extractor': 'trafilatura'}, 'executor': 'ray'}); "
        "print(*(name for name in sys.modules if name.startswith(('pipeline.text', 'pipeline.execution', 'numba'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pipeline.text", "pipeline.text.reads"]  # what a metric can read: a list of words
