"""How often a training run reads what: weights by cluster size, and epochs of each language."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.dedup.weights import (
    Weight,
    Weights,
    default_weights,
    fineweb2_weights,
    temperature_budget,
    txt360_weights,
    unimax_budget,
)
from pipeline.errors import ConfigError
from pipeline.passes.rebalance.settings import MAX_EPOCHS
from pipeline.schema.manifests import ClusterSizeStatistics, MixtureSettings

TAIL_SHARE = 0.999
EPOCHS_DECIMALS = 6  # epochs are rounded, so that a mixture does not depend on the last bits of a machine's pow()


def choose_weights(settings: MixtureSettings, statistics: Sequence[ClusterSizeStatistics]) -> Weights:
    """The weights of a language by the way that the settings name; `statistics` are in ascending cluster size.

    Every document counts once where there are no statistics, but for TxT360's table, which needs none.
    """
    kind, cap = settings.weights, settings.max_repeats
    if kind == "txt360":
        return [Weight(weight.from_cluster_size, min(weight.repeats, cap)) for weight in txt360_weights()]
    if kind == "none" or not statistics:
        return [Weight(1, 1)]
    sizes = np.array([size.cluster_size for size in statistics], dtype=np.int64)
    documents = np.array([size.documents for size in statistics], dtype=np.int64)
    failed = np.array([size.failed for size in statistics], dtype=np.int64)
    if kind == "default":
        return default_weights(sizes, documents, failed, cap)
    # FineWeb2 pools the tail at about the 99.9th percentile of cluster size over documents
    reached = np.searchsorted(np.cumsum(documents) / documents.sum(), TAIL_SHARE)
    cut = max(1, int(reached))
    rates = failed / documents
    tail_rate = float(failed[cut:].sum() / documents[cut:].sum()) if cut < len(sizes) else float(rates[-1])
    threshold = int(sizes[cut]) if cut < len(sizes) else int(sizes[-1]) + 1
    overall = float(failed.sum() / documents.sum())
    return fineweb2_weights(sizes[:cut].tolist(), rates[:cut].tolist(), threshold, tail_rate, overall, cap)


def share_epochs(settings: MixtureSettings, weighted_tokens: Mapping[str, float]) -> dict[str, float]:
    """Epochs of each language: passes over it as its weights have it, 0 or more.

    `weighted_tokens` are the tokens of one such pass. Raises ConfigError where the languages whose epochs are given
    take more than the token budget.
    """
    epochs = {label: float(settings.languages.get(label, 1.0)) for label in weighted_tokens}
    if settings.temperature is None and settings.token_budget is None:
        return epochs
    fixed = sum(weighted_tokens[label] * settings.languages[label] for label in settings.languages)
    shared = {label: tokens for label, tokens in weighted_tokens.items() if label not in settings.languages}
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
