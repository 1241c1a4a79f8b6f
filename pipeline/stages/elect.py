"""clusters + decisions -> one representative per cluster, and the fate of every document of a group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.config import KeepPolicy


@dataclass(frozen=True)
class Members:
    """The documents of one group in dense order, one array per fact, all of the same length."""

    leader: np.ndarray  # uint32: smallest dense index of the cluster
    failed: np.ndarray  # bool: some rule fired
    already_read: np.ndarray  # bool: the same record was read before
    url_hash: np.ndarray  # uint64: 0 is null
    characters: np.ndarray  # int64
    perplexity: np.ndarray  # float64, NaN is unknown
    date: np.ndarray  # str
    language_score: np.ndarray  # float64
    barred: np.ndarray | None = None  # bool: may not represent its cluster


FATE_NAMES = np.array(["kept", "failed_rules", "duplicate", "url_duplicate", "already_read"])


def _order(members: Members, keep: Sequence[KeepPolicy]) -> np.ndarray:
    """Dense indices, best first by the keep policy; ties go to the first seen."""
    total = len(members.leader)
    keys: list[np.ndarray] = [np.arange(total)]
    for policy in reversed(keep):
        if policy == "first_seen":
            keys.append(np.arange(total))
        elif policy == "longest":
            keys.append(-members.characters)
        elif policy == "lowest_perplexity":
            keys.append(np.nan_to_num(members.perplexity, nan=np.inf))
        elif policy == "newest":
            keys.append(-np.unique(members.date, return_inverse=True)[1])
        elif policy == "best_language_score":
            keys.append(-members.language_score)
    return np.lexsort(keys)


def elect(
    members: Members, keep: Sequence[KeepPolicy], url_duplicates: bool, elect_before_rules: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(fate (n,) index into FATE_NAMES, representative (n,) int64 dense index or -1).

    Documents that pass the rules come first, unless `elect_before_rules` (FineWeb2: an arbitrary member is kept and
    then filtered, so that a cluster whose survivor fails is lost).
    """
    total = len(members.leader)
    order = _order(members, keep)
    eligible = ~members.already_read if elect_before_rules else ~(members.failed | members.already_read)
    if members.barred is not None:
        eligible &= ~members.barred
    best = np.full(total, -1, dtype=np.int64)
    candidates = order[eligible[order]]
    best[members.leader[candidates][::-1]] = candidates[::-1]  # the first of the order is written last
    representative = best[members.leader]
    is_best = representative == np.arange(total)
    fate = np.where(members.failed, 1, 2)
    if elect_before_rules:
        fate = np.where(is_best & members.failed, 1, 2)
    fate[is_best & ~members.failed] = 0
    fate[members.already_read] = 4
    if url_duplicates:
        winners = order[(fate[order] == 0) & (members.url_hash[order] != 0)]
        _, first = np.unique(members.url_hash[winners], return_index=True)
        repeated = np.ones(len(winners), dtype=bool)
        repeated[first] = False
        fate[winners[repeated]] = 3
    return fate, representative
