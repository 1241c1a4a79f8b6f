"""Gradient-boosted trees as plain arrays: loaded from a file of figures, evaluated by a compiled loop.

The file is written by `scripts/train_extractor.py`; no library of trees is needed to use it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels import kernel

# Most blocks are plainly not text: after so many trees, a block this sure (in log odds) is not asked about further.
SETTLED_AFTER: Final = 120
SETTLED: Final = 4.0
FIELDS: Final = ("roots", "features", "thresholds", "lower", "upper", "values")


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Inner nodes of all trees in one list, leaves in another; child k >= 0 is a node, k < 0 the leaf ~k."""

    names: tuple[str, ...]  # of the features, in the order of the columns
    roots: NDArray[np.int32]  # (n_trees,)
    features: NDArray[np.int16]  # (n_nodes,) column that the node looks at
    thresholds: NDArray[np.float32]  # (n_nodes,) at most this: lower child
    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    values: NDArray[np.float32]  # (n_leaves,) log odds

    @classmethod
    def load(cls, path: Path) -> "Forest":
        """Read a forest. Raises OSError where there is none, KeyError or ValueError where it is another thing."""
        with np.load(path, allow_pickle=False) as file:
            return cls(tuple(str(name) for name in file["names"]), *(file[field] for field in FIELDS))

    def save(self, path: Path) -> None:
        """Write the forest; the same forest gives the same bytes."""
        arrays = {field: getattr(self, field) for field in FIELDS}
        with path.open("wb") as file:
            np.savez_compressed(file, names=np.array(self.names), **arrays)

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of each row; (n_rows,) float64 in (0, 1)."""
        scores = _scores(matrix, self.roots, self.features, self.thresholds, self.lower, self.upper, self.values)
        result: NDArray[np.float64] = 1 / (1 + np.exp(-scores))
        return result


@kernel
def _scores(matrix, roots, features, thresholds, lower, upper, values):  # type: ignore[no-untyped-def]
    scores = np.zeros(len(matrix))
    rows = np.arange(len(matrix))
    active = len(rows)
    for tree in range(len(roots)):
        for i in range(active):
            row = rows[i]
            k = roots[tree]
            while k >= 0:
                k = lower[k] if matrix[row, features[k]] <= thresholds[k] else upper[k]
            scores[row] += values[~k]
        if tree + 1 == SETTLED_AFTER:
            kept = 0
            for i in range(active):
                rows[kept] = rows[i]
                kept += abs(scores[rows[i]]) < SETTLED
            active = kept
    return scores
