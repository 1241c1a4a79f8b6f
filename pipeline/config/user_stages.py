"""Stages of the user's own: `[[stages]]` of the config names a class, which is loaded and asked what it adds.

A class takes its settings as keyword arguments and follows `pipeline.stages.contract.Stage`: `name`, `reads`, `adds`
and a call. Its columns are appended to those of annotated/ and go on to clean/. A column of whole numbers or floats for
which `metric_column` gives the range of its histogram is a metric: rules, percentiles and the report know it like ours.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.config.run_settings import StageConfig
from pipeline.errors import ConfigError
from pipeline.schema.columns import ANNOTATED, DECISION, DROP, MEASURED, PAYLOAD, missing_column, schema
from pipeline.schema.metrics import BUILT_IN, KINDS_OF_METRIC, MetricColumn, metric_of_field

READABLE = [*ANNOTATED, *schema(MEASURED, DROP)]  # when the user's stages run
RESERVED = {*ANNOTATED.names, *DECISION, *PAYLOAD, *MEASURED, "drop_reason"}


def build_user_stage(stage: StageConfig) -> Any:
    """An instance of the class with its settings.

    Raises ConfigError where it cannot be loaded, does not take the settings, or does not follow the contract.
    """
    stage_class = _load_class(stage.use)
    try:
        instance = stage_class(**stage.settings)
    except TypeError as error:
        raise ConfigError(f"stages: {stage.use}: does not take these settings: {error}") from None
    for attribute in ("name", "reads", "adds"):
        if not hasattr(instance, attribute):
            raise ConfigError(f"stages: {stage.use}: has no `{attribute}`; see pipeline/stages/contract.py")
    for attribute in ("reads", "adds"):
        if not isinstance(getattr(instance, attribute), pa.Schema):
            raise ConfigError(f"stages: {stage.use}: `{attribute}` must be a pyarrow.Schema")
    if not callable(instance):
        raise ConfigError(f"stages: {stage.use}: must be callable with a table; see pipeline/stages/contract.py")
    return instance


def user_columns(stages: Sequence[StageConfig]) -> list[pa.Field]:
    """The columns that the user's stages add, in order.

    Raises ConfigError for a name that Glotmill or another stage has already, and for a stage that reads a column that
    is not there when it runs.
    """
    fields: list[pa.Field] = []
    names: set[str] = set()
    for stage in stages:
        instance = build_user_stage(stage)
        if missing := missing_column(instance.reads, pa.schema([*READABLE, *fields])):
            raise ConfigError(f"stages: {stage.use}: reads {missing}; docs/reference/columns.md lists the columns")
        for field in instance.adds:
            if field.name in RESERVED or field.name in names:
                raise ConfigError(
                    f"stages: {stage.use}: adds the column {field.name}, which is there already; rename it"
                )
            names.add(field.name)
            fields.append(field)
    return fields


def user_metrics(stages: Sequence[StageConfig]) -> dict[str, MetricColumn]:
    """Those of the user's columns that are metrics, by name."""
    metrics = (metric_of_field(field) for field in user_columns(stages) if field.type in KINDS_OF_METRIC)
    return {metric.name: metric for metric in metrics if metric is not None}


def known_metrics(stages: Sequence[StageConfig]) -> dict[str, MetricColumn]:
    """Every metric that rules can bound, by name: Glotmill's and those of the user's stages."""
    return BUILT_IN | user_metrics(stages)


def annotated_schema(stages: Sequence[StageConfig]) -> pa.Schema:
    """The columns of annotated/ with those of the user's stages, which stand before `text`."""
    last = ANNOTATED.get_field_index("text")
    fields = list(ANNOTATED)
    return pa.schema([*fields[:last], *user_columns(stages), *fields[last:]])


def source_file(use: str) -> Path | None:
    """The file that defines the class of a stage, so that a change of it can be seen; None for one without a file."""
    path = inspect.getsourcefile(_load_class(use))
    return Path(path) if path else None


@cache
def _load_class(use: str) -> Any:
    where, _, name = use.rpartition(":")
    try:
        module = _load_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except (ImportError, OSError, SyntaxError) as error:
        raise ConfigError(
            f"stages: {use}: cannot be imported: {error}; write package.module:Class of an installed module, or "
            "file.py:Class with a path beside the config"
        ) from None
    if not isinstance(stage_class := getattr(module, name, None), type):
        raise ConfigError(f"stages: {use}: {where} has no class {name}")
    return stage_class


def _load_file(path: Path) -> Any:
    """A module from a file, under a name that processes agree on."""
    spec = importlib.util.spec_from_file_location(f"glotmill_user_stage_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"{path}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # before it runs: dataclasses look there
    spec.loader.exec_module(module)
    return module
