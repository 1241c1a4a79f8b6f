"""How often each language is read: weights by duplicate count, and epochs from a budget or a temperature."""

from collections.abc import Mapping

import numpy as np

from pipeline.dedup.weights import (
    Weights,
    default_weights,
    fineweb2_weights,
    temperature_budget,
    txt360_weights,
    unimax_budget,
)
from pipeline.errors import ConfigError
from pipeline.passes.rebalance.settings import MAX_EPOCHS, MixtureSettings

TAIL_SHARE = 0.999
EPOCHS_DECIMALS = 6  # epochs are rounded, so that a mixture does not depend on the last bits of a machine's pow()


def weights_of(settings: MixtureSettings, statistics: list[list[int]]) -> Weights:
    kind, cap = settings.weights, settings.max_repeats
    if kind == "txt360":
        return [(start, min(repeats, cap)) for start, repeats in txt360_weights()]
    if kind == "none" or not statistics:
        return [(1, 1)]
    sizes, documents, removed = (np.array(column, dtype=np.int64) for column in zip(*statistics, strict=True))
    if kind == "default":
        return default_weights(sizes, documents, removed, cap)
    # FineWeb2 pools the tail at about the 99.9th percentile of cluster size over documents
    reached = np.searchsorted(np.cumsum(documents) / documents.sum(), TAIL_SHARE)
    cut = max(1, int(reached))
    rates = removed / documents
    tail_rate = float(removed[cut:].sum() / documents[cut:].sum()) if cut < len(sizes) else float(rates[-1])
    threshold = int(sizes[cut]) if cut < len(sizes) else int(sizes[-1]) + 1
    overall = float(removed.sum() / documents.sum())
    return fineweb2_weights(sizes[:cut].tolist(), rates[:cut].tolist(), threshold, tail_rate, overall, cap)


def epochs_of(settings: MixtureSettings, weighted: Mapping[str, float]) -> dict[str, float]:
    """Passes over each language as its weights have it."""
    epochs = {label: float(settings.languages.get(label, 1.0)) for label in weighted}
    if settings.temperature is None and settings.token_budget is None:
        return epochs
    fixed = sum(weighted[label] * settings.languages[label] for label in settings.languages)
    shared = {label: tokens for label, tokens in weighted.items() if label not in settings.languages}
    budget = sum(shared.values()) if settings.token_budget is None else settings.token_budget - fixed
    if settings.token_budget is not None and budget < 0:
        raise ConfigError(
            f"--token-budget {settings.token_budget:.0f}: the languages given with --language take {fixed:.0f} tokens"
        )
    if not budget or not shared:
        return epochs | dict.fromkeys(shared, 0.0)
    cap = settings.max_epochs or MAX_EPOCHS
    if settings.temperature is None:
        shares = unimax_budget(shared, budget, cap)
    else:
        shares = temperature_budget(shared, settings.temperature, budget, cap)
    return epochs | {
        label: round(shares[label] / shared[label], EPOCHS_DECIMALS) if shared[label] else 0.0 for label in shared
    }
