"""Gradient-boosted trees as plain arrays: loaded from a file of figures, evaluated by a compiled loop.

The file is written by `pipeline/training/extractor_trees.py`; no library of trees is needed to use it.

No block walks down a tree: which way it takes cannot be foreseen, and a processor that guesses wrong at every second
node spends its time on that. Instead each node is asked of all blocks at once, and takes the leaves below its lower
child from those that go to the upper one; the first leaf that is left is the block's (QuickScorer,
doi:10.1145/2766462.2767733).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.compile import inner_kernel, kernel

# Most blocks are plainly not text: after so many trees, a block this sure (in log odds) is not asked about further.
SETTLED_AFTER: Final = 120
SETTLED: Final = 4.0
MOST_LEAVES: Final = 32  # bits of a mask
TILE: Final = 64  # rows
# (2 ** k * _DE_BRUIJN modulo 2 ** 32) >> 27 is another number for each k from 0 to 31
_DE_BRUIJN: Final = 0x077CB531
FIELDS: Final = ("roots", "features", "thresholds", "lower", "upper", "values")


@dataclass(frozen=True, eq=False)
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
        scores = np.zeros(len(matrix))
        _add_trees(np.ascontiguousarray(matrix.T), *self._masks, scores)
        result: NDArray[np.float64] = 1 / (1 + np.exp(-scores))
        return result

    @cached_property
    def _masks(self) -> tuple[NDArray[Any], ...]:
        """First node of each tree, and of each node feature, threshold and mask of the leaves that it leaves; values.

        Leaves are numbered from the lowest. Values are (n_trees, MOST_LEAVES), in the order of the leaves' bits times
        _DE_BRUIJN. Raises ValueError where a tree has more leaves than a mask has bits.
        """
        nodes: list[tuple[int, float, int]] = []
        firsts = [0]
        values = np.zeros((len(self.roots), MOST_LEAVES), np.float32)

        def number(tree: int, k: int, leaf: int) -> int:
            """Note a subtree whose first leaf has this number; returns the number of the leaf behind it."""
            if k < 0:
                if leaf == MOST_LEAVES:
                    raise ValueError(f"a tree has more than {MOST_LEAVES} leaves: train it with smaller num_leaves")
                values[tree, (_DE_BRUIJN << leaf) % 2**32 >> 27] = self.values[~k]
                return leaf + 1
            upper = number(tree, int(self.lower[k]), leaf)
            nodes.append((self.features[k], self.thresholds[k], 2**MOST_LEAVES - 2**upper + 2**leaf - 1))
            return number(tree, int(self.upper[k]), upper)

        for tree, root in enumerate(self.roots.tolist()):
            number(tree, root, 0)
            firsts.append(len(nodes))
        features = np.array([feature for feature, _, _ in nodes], np.int32)
        thresholds = np.array([threshold for _, threshold, _ in nodes], np.float32)
        masks = np.array([mask for _, _, mask in nodes], np.uint32)
        return np.array(firsts), features, thresholds, masks, values


@kernel
def _add_trees(columns, firsts, features, thresholds, masks, values, scores):  # type: ignore[no-untyped-def]
    """Add up the leaves that the rows reach; columns are (n_features, n_rows), scores (n_rows,) 0 at first."""
    rows = np.arange(len(scores))
    tile = np.zeros((len(columns), TILE), np.float32)
    left = np.empty(TILE, np.uint32)
    last = len(firsts) - 1
    settled_after = min(SETTLED_AFTER, last)
    _add_leaves(columns, rows, firsts, features, thresholds, masks, values, 0, settled_after, scores, tile, left)
    undecided = 0
    for row in range(len(scores)):
        if abs(scores[row]) < SETTLED:
            rows[undecided] = row
            undecided += 1
    rows = rows[:undecided]
    _add_leaves(columns, rows, firsts, features, thresholds, masks, values, settled_after, last, scores, tile, left)


@inner_kernel
def _add_leaves(  # type: ignore[no-untyped-def]
    columns, rows, firsts, features, thresholds, masks, values, first_tree, last_tree, scores, tile, left
):
    """Ask some trees about some rows, TILE rows at once: their features stay in the nearest cache for all trees.

    `tile`, (n_features, TILE), and `left`, (TILE,), are room to work in.
    """
    for start in range(0, len(rows), TILE):
        width = min(TILE, len(rows) - start)
        for feature in range(len(columns)):
            for k in range(width):
                tile[feature, k] = columns[feature, rows[start + k]]
        for tree in range(first_tree, last_tree):
            left[:] = 2**32 - 1
            for node in range(firsts[tree], firsts[tree + 1]):
                column, threshold, mask = tile[features[node]], thresholds[node], masks[node]
                for k in range(TILE):  # also behind the last row: so many times becomes four instructions
                    left[k] &= mask if column[k] > threshold else np.uint32(2**32 - 1)
            for k in range(width):
                lowest = np.int64(left[k]) & -np.int64(left[k])
                scores[rows[start + k]] += values[tree, (lowest * _DE_BRUIJN & 0xFFFFFFFF) >> 27]
