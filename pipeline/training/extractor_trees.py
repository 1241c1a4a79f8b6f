"""Train the trees of the main-text extractor on pages with reference text.

    python -m pipeline.training.extractor_trees [--output FILE] [--data FOLDER] [--without CORPUS]

It reads the gold pages of the development data (`gold_pages.py`) and writes pipeline/models/extract/blocks.npz. The
extra `train` has the libraries that it needs, LightGBM and regex. The same pages and the same LightGBM give the same
file, byte for byte.

A block is labelled main text when most of its words lie in runs of words that the reference has too; where there are
only snippets, the blocks that hold them are labelled, with more weight, because they are few and say what people asked
for. Pages that were found to have no main text teach what is not. No extractor's output is a label.
"""

import argparse
import html
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.main_text import MODEL, Blocks, Forest, read_declared, tokenise
from pipeline.text.main_text.feature_columns import NAMES
from pipeline.text.main_text.features import measure
from pipeline.training.gold_pages import WARC, GoldPage, is_han_or_kana, load_kinds, load_pages, tokens

if TYPE_CHECKING:
    import lightgbm

SNIPPET_WEIGHT: Final = 8.0
BARE_WEIGHT: Final = 0.5
TREES: Final = 400
PARAMETERS: Final = {
    "objective": "binary",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "max_depth": 6,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.25,  # few features and random thresholds a split: what one site taught counts less
    "extra_trees": True,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A page as the trees see it; label -1 is unknown."""

    page: GoldPage
    blocks: Blocks
    matrix: NDArray[np.float32]  # (n_blocks, n_features)
    labels: NDArray[np.int8]  # (n_blocks,) 1 main text, 0 not, -1 unknown
    bare: tuple[NDArray[np.float32], NDArray[np.int8]] | None  # features and labels of some of its text without a site


def examples(pages: Iterable[GoldPage]) -> list[Example]:
    """Features and labels of the pages that show any text."""
    result: list[Example] = []
    for page in pages:
        blocks = tokenise(page.html)
        if len(blocks.blocks) == 0:
            continue
        texts = [blocks.text(block) for block in range(len(blocks.blocks))]
        matrix = measure(blocks, read_declared(page.html, blocks))
        labels = snippet_labels(texts, page) if page.text is None else reference_labels(texts, page.text)
        result.append(Example(page, blocks, matrix, labels, _bare(page)))
    return result


def _bare(page: GoldPage) -> tuple[NDArray[np.float32], NDArray[np.int8]] | None:
    """A page of nothing but the first lines of a reference: little text without a site around it is text too."""
    if not page.text:
        return None
    lines = [line for line in page.text.split("\n") if line.strip()]
    lines = lines[: 1 + zlib.crc32(page.id.encode()) % 6]
    source = "<html><body>" + "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    blocks = tokenise(source)
    matrix = measure(blocks, read_declared(source, blocks))
    return matrix, np.ones(len(matrix), np.int8)


def train(chosen: Sequence[Example], trees: int = TREES) -> Forest:
    """A forest from the labelled blocks of the examples."""
    import lightgbm

    parts = []
    for example in chosen:
        known = example.labels >= 0
        weight = SNIPPET_WEIGHT if example.page.text is None else 1.0
        parts.append((example.matrix[known], example.labels[known], np.full(known.sum(), weight)))
        if example.bare is not None:
            parts.append((*example.bare, np.full(len(example.bare[0]), BARE_WEIGHT)))
    rows, labels, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    data = lightgbm.Dataset(rows, label=labels, weight=weights)
    return forest_of(lightgbm.train(dict(PARAMETERS), data, trees), NAMES)


def forest_of(booster: "lightgbm.Booster", names: tuple[str, ...]) -> Forest:
    """The trees of a LightGBM model as plain arrays."""
    roots: list[int] = []
    nodes: list[tuple[int, float, int, int]] = []
    values: list[float] = []

    def add(tree: dict[str, Any]) -> int:
        """Append a node and what is below it; its position, or for a leaf the complement of its value's."""
        if "leaf_value" in tree:
            values.append(float(tree["leaf_value"]))
            return ~(len(values) - 1)
        position = len(nodes)
        nodes.append((0, 0.0, 0, 0))
        lower, upper = add(tree["left_child"]), add(tree["right_child"])
        nodes[position] = (int(tree["split_feature"]), float(tree["threshold"]), lower, upper)
        return position

    for tree in booster.dump_model()["tree_info"]:
        roots.append(add(tree["tree_structure"]))
    features, thresholds, lower, upper = zip(*nodes, strict=True)
    exact = np.array(thresholds, np.float64)
    rounded = exact.astype(np.float32)
    down = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)  # x <= t stays as it is
    return Forest(
        names, np.array(roots, np.int32), np.array(features, np.int16), down.astype(np.float32),
        np.array(lower, np.int32), np.array(upper, np.int32), np.array(values, np.float32),
    )  # fmt: skip


def reference_labels(texts: Sequence[str], reference: str) -> NDArray[np.int8]:
    """1 for the blocks that the reference holds, else 0.

    A block of at least n words counts when more than half of them lie in n-grams of the reference (n = 4; 6 in
    Chinese and Japanese, where a word is a character). A shorter one must stand in the reference whole, and close to
    a long block of the page at about the same distance. A text that the page repeats counts as often as the reference
    has it, where most of its neighbours count.

    >>> reference_labels(["Home", "one two three four five six seven eight", "nine"], "One two three four five six "
    ...     "seven eight. Nine").tolist()
    [0, 1, 1]
    """
    wanted = tokens(reference)
    characters = sum(map(is_han_or_kana, wanted)) > len(wanted) / 2
    n = 6 if characters else 4
    places: list[dict[tuple[str, ...], list[int]]] = [defaultdict(list) for _ in range(n + 1)]
    for size in range(1, n + 1):
        for place in range(len(wanted) - size + 1):
            places[size][tuple(wanted[place : place + size])].append(place)
    words = [tokens(text) for text in texts]
    candidates: dict[int, list[int]] = {}  # where in the reference a block may begin
    for block, found in enumerate(words):
        if 0 < len(found) < n:
            starts = places[len(found)].get(tuple(found), [])
        else:
            starts = _covered(found, places[n], n)
        if starts:
            candidates[block] = starts
    anchors = [block for block in candidates if len(words[block]) >= 2 * n]
    anchors = anchors or [block for block in candidates if len(words[block]) >= n]
    offsets = np.cumsum([0, *map(len, words)])
    hits = {block for block in candidates if block in set(anchors)}
    for block, starts in candidates.items():
        reach = 6 if len(words[block]) >= n else 4
        for anchor in anchors:
            distance = offsets[block] - offsets[anchor]
            slack = 40 + abs(distance) / 2
            if abs(anchor - block) <= reach and any(
                abs(start - candidates[anchor][0] - distance) <= slack for start in starts
            ):
                hits.add(block)
                break
    return _without_repeats(hits, words, places, n)


def _covered(found: list[str], places: dict[tuple[str, ...], list[int]], n: int) -> list[int]:
    covered = np.zeros(len(found), bool)
    starts: set[int] = set()
    for position in range(len(found) - n + 1):
        if matches := places.get(tuple(found[position : position + n])):
            if not covered.any():
                starts.update(match - position for match in matches)
            covered[position : position + n] = True
    return sorted(starts) if len(found) and covered.mean() > 0.5 else []


def _without_repeats(
    hits: set[int], words: list[list[str]], places: list[dict[tuple[str, ...], list[int]]], n: int
) -> NDArray[np.int8]:
    labels = np.zeros(len(words), np.int8)
    labels[sorted(hits)] = 1
    same: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for block in sorted(hits):
        same[tuple(words[block])].append(block)
    for text, blocks in same.items():
        allowed = max(1, len(places[min(len(text), n)].get(text[:n], ())))
        if len(blocks) > allowed:
            blocks.sort(key=lambda block: (-int(labels[max(0, block - 4) : block + 5].sum()), block))
            labels[blocks[allowed:]] = 0
    return labels


def snippet_labels(texts: Sequence[str], page: GoldPage) -> NDArray[np.int8]:
    """1 for the blocks of the first copy of a wanted snippet, 0 for those of all copies of an unwanted one, else -1."""
    flat = [" ".join(text.split()) for text in texts]
    joined = " ".join(flat)
    starts = np.cumsum([0, *(len(text) + 1 for text in flat)])
    labels = np.full(len(texts), -1, np.int8)
    for snippets, label in ((page.unwanted, 0), (page.wanted, 1)):
        for snippet in (" ".join(snippet.split()) for snippet in snippets):
            place = joined.find(snippet)
            while place >= 0:
                first = int(np.searchsorted(starts, place, "right")) - 1
                last = int(np.searchsorted(starts, place + len(snippet) - 1, "right")) - 1
                labels[first : last + 1] = label
                place = -1 if label else joined.find(snippet, place + 1)
    return labels


def main() -> None:
    """Train on the development data and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=MODEL)
    parser.add_argument("--data", type=Path, default=WARC, help="folder of the gold pages' WARC files and manifests")
    parser.add_argument("--without", action="append", default=[], help="corpus that is left out, such as daniel")
    arguments = parser.parse_args()
    output: Path = arguments.output
    pages = load_pages(folder=arguments.data) + load_kinds(arguments.data)
    training = examples(page for page in pages if page.corpus not in arguments.without)
    output.parent.mkdir(parents=True, exist_ok=True)
    train(training).save(output)
    print(f"{output}: {TREES} trees, {len(NAMES)} features, {len(training)} pages, {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
