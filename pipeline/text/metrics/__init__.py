"""Metrics of a text. Importing any module here fills METRICS: each definition registers itself."""

from pipeline.text.metrics import definitions as _definitions  # noqa: F401  registers every metric
