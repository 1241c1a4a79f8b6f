"""What a metric reads of a text. It stands apart from the metrics, which take long to import: the config names it."""

from typing import Literal

Reads = Literal["characters", "words", "lines", "document"]
"""What a metric is of: its characters; its words, so that an excerpt will do; its cut into lines and paragraphs; or
the whole document, because it grows with the text."""
