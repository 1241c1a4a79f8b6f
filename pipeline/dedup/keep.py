"""clusters and which rules fired -> one kept document per cluster, and the outcome of every document of a group.

No sort: the best of a cluster is found policy by policy, each of which leaves those that have its best value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pipeline.dedup.lsh import link
from pipeline.kernels.compile import kernel

KeepPolicy = Literal["longest", "lowest_perplexity", "newest", "best_language_score", "first_seen"]
NOBODY = np.uint32(2**32 - 1)
KEPT, FAILED_RULES, DUPLICATE, URL_DUPLICATE, ALREADY_READ = range(5)  # codes of the outcome of a document


@dataclass(frozen=True)
class Members:
    """The documents of one group by their row numbers in it, one array per fact, all of the same length."""

    centre: np.ndarray  # uint32: smallest row number in the cluster
    failed: np.ndarray  # bool: some rule fired
    already_read: np.ndarray  # bool: the same record was read before
    url_hash: np.ndarray  # uint64: 0 is null
    # by policy, float64, more is better, NaN unknown
    keep_priority: dict[KeepPolicy, np.ndarray] = field(default_factory=dict)
    # bool: may not be the kept document, such as one that was taken out; it was clustered all the same
    not_eligible: np.ndarray | None = None


@kernel
def _leave_best(cluster: np.ndarray, candidate: np.ndarray, keep_priority: np.ndarray, best: np.ndarray) -> None:
    """Of each cluster's candidates those stay that have the greatest keep priority; NaN is less than any."""
    for document in range(cluster.size):
        if candidate[document] and keep_priority[document] > best[cluster[document]]:
            best[cluster[document]] = keep_priority[document]
    for document in range(cluster.size):
        if candidate[document]:
            own = keep_priority[document]
            candidate[document] = (-np.inf if np.isnan(own) else own) == best[cluster[document]]


@kernel
def _first_kernel(cluster: np.ndarray, candidate: np.ndarray, first: np.ndarray) -> None:
    for place in range(cluster.size):
        document = cluster.size - 1 - place
        if candidate[document]:
            first[cluster[document]] = document


def _best(
    cluster: np.ndarray, candidate: np.ndarray, keep: Sequence[KeepPolicy], keep_priority: dict[KeepPolicy, np.ndarray]
) -> np.ndarray:
    """The best candidate of each cluster, at the place of its smallest index, by the keep policy; ties: first seen."""
    candidate = candidate.copy()
    for policy in keep:
        if policy == "first_seen":
            break  # no two are first: what follows decides nothing
        _leave_best(cluster, candidate, keep_priority[policy], np.full(len(cluster), -np.inf))
    first = np.full(len(cluster), NOBODY, np.uint32)
    _first_kernel(cluster, candidate, first)
    return first


def choose_kept(
    members: Members, keep: Sequence[KeepPolicy], url_duplicates: bool, keep_before_rules: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(outcome (n,) uint8, one of the codes above; kept document (n,) uint32 row number or NOBODY).

    Documents that pass the rules come first, unless `keep_before_rules` (FineWeb2: an arbitrary member is kept and
    then filtered, so that a cluster whose kept document fails is lost). Takes some 25 bytes a document beside its
    input.
    """
    indices = np.arange(len(members.centre), dtype=np.uint32)
    candidate = ~members.already_read if keep_before_rules else ~(members.failed | members.already_read)
    if members.not_eligible is not None:
        candidate &= ~members.not_eligible
    kept_document = _best(members.centre, candidate, keep, members.keep_priority)[members.centre]
    is_best = kept_document == indices
    outcome = np.full(len(indices), DUPLICATE, np.uint8)
    outcome[is_best & members.failed if keep_before_rules else members.failed] = FAILED_RULES
    outcome[is_best & ~members.failed] = KEPT
    outcome[members.already_read] = ALREADY_READ
    if url_duplicates:
        of_url = indices.copy()
        first, other = link(members.url_hash, outcome != KEPT)
        of_url[other] = first
        best_of_url = _best(of_url, outcome == KEPT, keep, members.keep_priority)[of_url]
        outcome[(outcome == KEPT) & (best_of_url != indices)] = URL_DUPLICATE
    return outcome, kept_document
