"""What the settings of a mixture may be, checked before anything is read."""

import re
from collections.abc import Collection

import numpy as np

from pipeline.errors import ConfigError
from pipeline.schema.manifests import MixtureSettings

MAX_EPOCHS = 4.0  # up to four passes are worth nearly as much as new text: arXiv:2305.16264
KINDS = ("default", "fineweb2", "txt360", "none")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_settings(settings: MixtureSettings, labels: Collection[str]) -> None:
    """Raises ConfigError for settings that contradict each other; `labels` are the languages of the selection."""
    if not NAME.fullmatch(settings.name):
        raise ConfigError(f"--name {settings.name}: letters, digits, dots, dashes and underscores only")
    if settings.weights not in KINDS:
        raise ConfigError(f"--weights {settings.weights}: must be one of {', '.join(KINDS)}")
    if settings.max_repeats < 1:
        raise ConfigError(f"--max-repeats {settings.max_repeats}: must be at least 1")
    for option, value in (
        ("--temperature", settings.temperature),
        ("--token-budget", settings.token_budget),
        ("--max-epochs", settings.max_epochs),
    ):
        if value is not None and not 0 < value < np.inf:
            raise ConfigError(f"{option} {value:g}: must be above 0")
    if settings.max_epochs is not None and settings.temperature is None and settings.token_budget is None:
        raise ConfigError("--max-epochs limits how a budget is shared: give --token-budget or --temperature, too")
    for label, epochs in settings.languages.items():
        if label not in labels:
            raise ConfigError(f"--language {label}: not in the selection, which has {', '.join(sorted(labels))}")
        if not 0 <= epochs < np.inf:
            raise ConfigError(f"--language {label}={epochs:g}: must be 0 or more")
