"""Features of a page's blocks as one would write them down: a list a feature, sums over slices, no running totals."""

from collections.abc import Sequence
from math import log1p

from pipeline.text.main_text import Blocks, Declared
from pipeline.text.main_text import blocks as b
from pipeline.text.main_text import feature_columns as f
from pipeline.text.main_text import vocabulary as v


def obvious_features(page: Blocks, declared: Declared) -> dict[str, list[float]]:
    """Every feature by name, a number a block."""
    n = len(page.blocks)
    every = range(n)
    texts = [page.text(i) for i in range(n)]
    rows = page.blocks.tolist()
    nodes = page.nodes.tolist()
    counts = [row[b.COUNTS :] for row in rows]
    holders = [row[b.NODE] for row in rows]
    tags = [v.TAG_NAMES[nodes[holder][b.TAG]] for holder in holders]
    length = [
        len(text) + 1.5 * count[v.HAN_KANA] + count[v.SYLLABLE] for text, count in zip(texts, counts, strict=True)
    ]
    density = [row[b.LINK_CHARACTERS] / max(sum(count), 1) for row, count in zip(rows, counts, strict=True)]
    linked = [length[i] * density[i] for i in range(n)]
    good = [
        length[i] >= 80 and density[i] < 0.3 and (counts[i][v.TERMINAL_MARK] > 0 or length[i] >= 200) for i in range(n)
    ]
    good_length = [length[i] if good[i] else 0.0 for i in range(n)]
    total, total_good = sum(length), sum(good_length)
    result: dict[str, list[float]] = {}

    order = f.TAG_ORDER.split()
    result["length"] = [log1p(length[i]) for i in every]
    result["words"] = [log1p(rows[i][b.WORDS]) for i in every]
    result["word_length"] = [sum(counts[i]) / rows[i][b.WORDS] for i in every]
    result["link_density"] = [density[i] for i in every]
    result["links"] = [min(rows[i][b.LINKS], 50) for i in every]
    result["unlinked_length"] = [log1p(length[i] - linked[i]) for i in every]
    for name, kind in (
        ("upper", v.UPPER),
        ("digits", v.DIGIT),
        ("commas", v.COMMA),
        ("symbols", v.SYMBOL),
        ("han_kana", v.HAN_KANA),
    ):
        result[name] = [counts[i][kind] / max(sum(counts[i]), 1) for i in every]
    result["comma_count"] = [min(counts[i][v.COMMA], 50) for i in every]
    result["terminals"] = [min(counts[i][v.TERMINAL_MARK], 50) for i in every]
    result["terminals_per_length"] = [counts[i][v.TERMINAL_MARK] / length[i] for i in every]
    result["bold"] = [rows[i][b.BOLD_CHARACTERS] / max(sum(counts[i]), 1) for i in every]
    result["images"] = [min(rows[i][b.IMAGES], 20) for i in every]
    result["first_class"] = [rows[i][b.FIRST_CLASS] for i in every]
    result["last_class"] = [rows[i][b.LAST_CLASS] for i in every]
    for name, flag in (("after_break", b.AFTER_BREAK), ("hidden", b.HIDDEN), ("preformatted", b.PREFORMATTED)):
        result[name] = [rows[i][b.FLAGS] & flag for i in every]
    result["good"] = [good[i] for i in every]
    result["repeats"] = [min(texts.count(texts[i]) - 1, 20) for i in every]
    result["tag"] = [1 + order.index(tags[i]) if tags[i] in order else 0 for i in every]
    result["heading"] = [int(tags[i][1]) if tags[i] in ("h1", "h2", "h3", "h4", "h5", "h6") else 0 for i in every]
    result["depth"] = [nodes[holders[i]][b.DEPTH] for i in every]
    result["position"] = [i / n for i in every]
    result["first_blocks"] = [min(i, 200) for i in every]
    result["last_blocks"] = [min(n - 1 - i, 200) for i in every]
    result["offset"] = [sum(length[:i]) / total for i in every]
    result["page_blocks"] = [log1p(n) for i in every]
    result["page_length"] = [log1p(total) for i in every]
    result["page_good"] = [log1p(total_good) for i in every]
    result["page_link_density"] = [sum(linked) / total for i in every]
    result["page_good_blocks"] = [min(sum(good), 200) for i in every]

    found = [_words(text) for text in texts]
    title = set(_words(declared.title[:400]))
    short = [found[i] if len(texts[i]) <= 400 else [] for i in range(n)]
    result["title_match"] = [sum(word in title for word in words) / max(len(words), 1) for words in short]
    result["title_coverage"] = [_coverage(_words(declared.title[:400]), short[i]) for i in every]
    result["described"] = [_shared_pairs(found[i], _words(declared.description)) for i in every]
    result["description_best"] = [max(result["described"]) for i in every]
    result["stated"] = [_shared_pairs(found[i], _words(declared.body)) for i in every]
    result["stated_length"] = [log1p(len(declared.body)) for i in every]
    result["stated_share"] = [sum(length[i] for i in range(n) if result["stated"][i] > 0.5) / total for i in every]

    beyond = {"length": 0, "link_density": 1, "tag": -1, "last_class": -1}
    for place, by in (("before2", -2), ("before1", -1), ("after1", 1), ("after2", 2)):
        for name, value in beyond.items():
            whole = [int(x) for x in result[name]]
            result[f"{place}_{name}"] = [whole[i + by] if 0 <= i + by < n else value for i in every]
    for reach in f.REACHES:
        spans = [slice(max(i - reach, 0), i + reach + 1) for i in range(n)]
        held = [sum(length[span]) for span in spans]
        result[f"window{reach}_length"] = [log1p(held[i]) for i in every]
        for name, part in (("link_density", linked), ("good", good_length)):
            result[f"window{reach}_{name}"] = [sum(part[spans[i]]) / held[i] for i in every]
    before = [max((k for k in range(i + 1) if good[k]), default=None) for i in range(n)]
    after = [min((k for k in range(i, n) if good[k]), default=None) for i in range(n)]
    result["since_good"] = [100 if (k := before[i]) is None else min(i - k, 100) for i in every]
    result["until_good"] = [100 if (k := after[i]) is None else min(k - i, 100) for i in every]
    result["length_since_good"] = [1e4 if (k := before[i]) is None else _between(length, k, i) for i in every]
    result["length_until_good"] = [1e4 if (k := after[i]) is None else _between(length, i, k) for i in every]

    heading = result["heading"]
    before = [max((k for k in range(i + 1) if heading[k]), default=None) for i in range(n)]
    after = [min((k for k in range(i, n) if heading[k]), default=None) for i in range(n)]
    result["since_heading"] = [101 if (k := before[i]) is None else min(i - k, 100) for i in every]
    result["until_heading"] = [101 if (k := after[i]) is None else min(k - i, 100) for i in every]
    result["heading_level"] = [7 if (k := before[i]) is None else heading[k] for i in every]
    result["heading_link_density"] = [-1 if (k := before[i]) is None else density[k] for i in every]
    result["headings_before"] = [min(sum(level > 0 for level in heading[: i + 1]), 100) for i in every]
    first = heading.index(1) if 1 in heading else None
    result["since_h1"] = [-201 if first is None else _within(i - first, -200, 200) for i in every]
    like = [result["title_match"][i] * result["title_coverage"][i] * (1.5 if heading[i] else 1) for i in range(n)]
    top = like.index(max(like)) if max(like) > 0.3 else None
    headings = result["headings_before"]
    result["since_title"] = [-201 if top is None else _within(i - top, -200, 200) for i in every]
    result["headings_since_title"] = [
        -21 if top is None else _within(headings[i] - headings[top], -20, 50) for i in every
    ]

    same = [[k for k in range(n) if page.paths[holders[k]] == page.paths[holders[i]]] for i in range(n)]
    result["path_count"] = [log1p(len(same[i])) for i in every]
    result["path_length"] = [log1p(sum(length[k] for k in same[i]) / len(same[i])) for i in every]
    result["path_share"] = [sum(length[k] for k in same[i]) / total for i in every]
    for name, part in (("link_density", linked), ("good", good_length)):
        result[f"path_{name}"] = [sum(part[k] for k in same[i]) / sum(length[k] for k in same[i]) for i in every]

    lines = [_line(k, nodes) for k in range(len(nodes))]  # from a node to the root
    below: list[list[int]] = [[i for i in range(n) if k in lines[holders[i]]] for k in range(len(nodes))]
    containers = [_containers(lines[holder], below) for holder in holders]
    scores = [0.0] * len(nodes)
    for i in range(n):
        for level, k in enumerate(containers[i]):
            if good[i] and (level == 0 or containers[i][level - 1] != k):
                scores[k] += (1 + counts[i][v.COMMA] + min(length[i] / 100, 3)) / (level + 1)
    for k, blocks in enumerate(below):
        scores[k] *= 1 - sum(linked[i] for i in blocks) / max(sum(length[i] for i in blocks), 1)
    highest = max(*scores, 1e-9)
    for level in range(f.CONTAINERS):
        inside = [below[containers[i][level]] for i in range(n)]
        held = [sum(length[k] for k in blocks) for blocks in inside]
        columns: dict[str, list[float]] = {
            "share": [held[i] / total for i in every],
            "length": [log1p(held[i]) for i in every],
            "link_density": [sum(linked[k] for k in inside[i]) / held[i] for i in every],
            "good": [sum(good_length[k] for k in inside[i]) / held[i] for i in every],
            "good_share": [sum(good_length[k] for k in inside[i]) / max(total_good, 1) for i in every],
            "blocks": [log1p(len(inside[i])) for i in every],
            "good_blocks": [min(sum(good[k] for k in inside[i]), 100) for i in every],
            "score": [scores[containers[i][level]] / highest for i in every],
            "own_share": [length[i] / held[i] for i in every],
        }
        for name, column in columns.items():
            result[f"container{level}_{name}"] = column
    names = [v.TAG_NAMES[nodes[line[0]][b.TAG]] for line in containers]
    result["container0_tag"] = [1 + order.index(names[i]) if names[i] in order else 0 for i in every]
    result["container0_depth"] = [nodes[containers[i][0]][b.DEPTH] for i in every]
    result["best_score"] = [log1p(highest) for i in every]
    result["ancestor_score"] = [max(scores[k] for k in lines[holders[i]]) / highest for i in every]

    best = scores.index(max(scores))
    result["in_best"] = [best in lines[holders[i]] and scores[best] > 0 for i in every]
    wanted = [i for i in range(n) if result["in_best"][i] and good[i]]
    start, end = (wanted[0], wanted[-1]) if wanted else (0, 0)
    between = max(sum(length[start + 1 : end + 1]), 1.0)
    result["since_first_good"] = [_within(i - start, -100, 100) if wanted else -101 for i in every]
    result["until_last_good"] = [_within(end - i, -100, 100) if wanted else -101 for i in every]
    result["best_progress"] = [
        _within((sum(length[: i + 1]) - sum(length[: start + 1])) / between, -1, 2) if wanted else -2 for i in every
    ]
    for bit, words in enumerate(v.CLASS_WORDS):
        own = [(nodes[holders[i]][b.GROUPS] | rows[i][b.INLINE_GROUPS]) >> bit & 1 for i in range(n)]
        around = [any(nodes[k][b.GROUPS] >> bit & 1 for k in lines[holders[i]][1:]) for i in range(n)]
        result[f"own_{words.split()[0]}"], result[f"around_{words.split()[0]}"] = own, list(map(int, around))
    for kinds in (kinds.split(",") for kinds in f.ANCESTORS.split()):
        result[f"in_{kinds[0]}"] = [
            any(v.TAG_NAMES[nodes[k][b.TAG]] in kinds for k in lines[holders[i]]) for i in every
        ]
    return result


def _words(text: str) -> list[str]:
    """Words in lower case; a Han or Kana character is one."""
    classes = v.character_classes()
    words = [""]
    for character in text:
        kind = classes[ord(character)] if ord(character) < len(classes) else v.HAN_KANA
        if kind == v.HAN_KANA:
            words += [character, ""]
        elif kind in (v.OTHER, v.LETTER, v.UPPER, v.DIGIT, v.SYLLABLE):
            words[-1] += character.lower() if character.isascii() else character
        else:
            words.append("")
    return [word for word in words if word]


def _coverage(wanted: Sequence[str], found: Sequence[str]) -> float:
    return len(set(wanted) & set(found)) / len(wanted) if wanted and found else 0.0


def _shared_pairs(found: Sequence[str], stated: Sequence[str]) -> float:
    if len(found) < 2:
        return float(bool(found) and found[0] in stated)
    pairs = list(zip(found, found[1:], strict=False))
    return sum(pair in set(zip(stated, stated[1:], strict=False)) for pair in pairs) / len(pairs)


def _between(length: Sequence[float], low: int, high: int) -> float:
    """Length of the blocks between two; less than nothing, by its own length, from a block to itself."""
    return sum(length[low + 1 : high]) if low < high else -length[low]


def _within(number: float, low: float, high: float) -> float:
    return min(max(number, low), high)


def _line(k: int, nodes: Sequence[Sequence[int]]) -> list[int]:
    """A node, its parent, and so on to the root."""
    return [k] if nodes[k][b.PARENT] < 0 else [k, *_line(nodes[k][b.PARENT], nodes)]


def _containers(line: Sequence[int], below: Sequence[Sequence[int]]) -> list[int]:
    """The ancestors that hold more blocks than the one before, the root where there are not so many."""
    result: list[int] = []
    held = 1
    for _ in range(f.CONTAINERS):
        result.append(next((k for k in line if len(below[k]) > held), line[-1]))
        held = max(held, len(below[result[-1]]))
    return result
