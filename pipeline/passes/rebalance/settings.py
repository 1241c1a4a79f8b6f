"""What a mixture is made from, and what cannot be meant."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.errors import ConfigError

MAX_EPOCHS = 4.0  # up to four passes are keep priority nearly as much as new text: arXiv:2305.16264
KINDS = ("default", "fineweb2", "txt360", "none")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class MixtureSettings:
    """What a mixture is made from.

    An epoch is a pass over a language as its weights have it. Without `temperature` and `token_budget` every language
    has one. `token_budget` alone is shared by UniMax, with `temperature` in proportion to tokens ** (1 / temperature);
    temperature alone shares as many tokens as the weights give. A language gets at most `max_epochs`. `languages` fixes
    the epochs of some, which count against the budget first; 0 leaves a language out. `updates` are outputs that were
    made over this one, oldest first: cluster sizes are those of the last.
    """

    name: str
    weights: str = "default"
    max_repeats: int = 10
    temperature: float | None = None
    token_budget: float | None = None
    max_epochs: float | None = None
    languages: Mapping[str, float] = field(default_factory=dict)
    tokenizer: str | None = None
    updates: tuple[str, ...] = ()

    def check(self, labels: Mapping[str, Any]) -> None:
        """Raises ConfigError for what cannot be meant; `labels` are the languages of the selection."""
        if not NAME.fullmatch(self.name):
            raise ConfigError(f"--name {self.name}: letters, digits, dots, dashes and underscores only")
        if self.weights not in KINDS:
            raise ConfigError(f"--weights {self.weights}: must be one of {', '.join(KINDS)}")
        if self.max_repeats < 1:
            raise ConfigError(f"--max-repeats {self.max_repeats}: must be at least 1")
        for option in ("temperature", "token_budget", "max_epochs"):
            value = getattr(self, option)
            if value is not None and not 0 < value < np.inf:
                raise ConfigError(f"--{option.replace('_', '-')} {value:g}: must be above 0")
        if self.max_epochs is not None and self.temperature is None and self.token_budget is None:
            raise ConfigError("--max-epochs limits how a budget is shared: give --token-budget or --temperature, too")
        for label, epochs in self.languages.items():
            if label not in labels:
                raise ConfigError(f"--language {label}: not in the selection, which has {', '.join(sorted(labels))}")
            if not 0 <= epochs < np.inf:
                raise ConfigError(f"--language {label}={epochs:g}: must be 0 or more")


def settings_of(settings: MixtureSettings) -> dict[str, Any]:
    found = asdict(settings) | {"languages": dict(settings.languages)}
    if not found.pop("updates"):
        return found
    return found | {"updates": list(settings.updates)}
