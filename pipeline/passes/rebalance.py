"""rebalance: cluster sizes and removal rates become a mix: (file, first row, rows, repeats) entries; no text moves."""

from typing import Any

import numpy as np

from pipeline.config import RunConfig
from pipeline.dedup.weights import default_weights, fineweb2_weights, repeats_of, txt360_weights
from pipeline.execution.manifests import read_json, write_json
from pipeline.passes.layout import Layout

TAIL_SHARE = 0.999


def rebalance(config: RunConfig, layout: Layout) -> dict[str, Any]:
    """Write `mixes/<weights>.json` of the selection and return it, with exact document totals by language."""
    folder = layout.selection(config.selection)
    manifest = read_json(folder / "manifest.json")
    entries: list[dict[str, Any]] = []
    totals: dict[str, dict[str, int]] = {}
    weights_by_label: dict[str, list[list[int]]] = {}
    for label, files in manifest["files"].items():
        weights = _weights(config, manifest["cluster_statistics"].get(label, []))
        weights_by_label[label] = [list(one) for one in weights]
        total = totals.setdefault(label, {"documents": 0, "repeated_documents": 0, "characters": 0})
        for file in files:
            if file["split"] != "train":
                continue
            for size, first, rows, characters, _ in file["run_lengths"]:
                repeats = repeats_of(size, weights)
                entries.append({"file": file["path"], "first_row": first, "rows": rows, "repeats": repeats})
                total["documents"] += rows
                total["repeated_documents"] += rows * repeats
                total["characters"] += characters * repeats
    mix = {
        "weights": config.rebalance.weights,
        "max_repeats": config.rebalance.max_repeats,
        "selection": manifest["fingerprint"],
        "weights_by_label": weights_by_label,
        "totals": totals,
        "entries": entries,
    }
    write_json(folder / "mixes" / f"{config.rebalance.weights}.json", mix)
    return mix


def _weights(config: RunConfig, statistics: list[list[int]]) -> list[tuple[int, int]]:
    kind, cap = config.rebalance.weights, config.rebalance.max_repeats
    if kind == "none" or not statistics:
        return [(1, 1)]
    if kind == "txt360":
        return txt360_weights()
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
