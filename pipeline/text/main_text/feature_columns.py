"""The columns of the feature matrix: their names, in order, and what kernels need to fill them.

What a feature is stands in the module that a comment names beside it, where a kernel computes it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.main_text import vocabulary as v

CONTAINERS: Final = 3
REACHES: Final = (3, 8, 20)  # blocks on either side that a window takes in

# A rough order of block tags from the most to the least like running text.
TAG_ORDER: Final = "p blockquote pre h1 h2 h3 h4 h5 h6 div article section main td th dd dt li figcaption caption"
ANCESTORS: Final = (
    "li ul,ol,dl table article main,section nav,menu aside header,hgroup footer form,fieldset figure,figcaption "
    "blockquote button,details,dialog,option h1,h2,h3,h4,h5,h6 p"
)


NAMES: Final[tuple[str, ...]] = (
    # own_features, but for repeats: match_features
    *"length words word_length link_density links unlinked_length upper digits commas comma_count terminals".split(),
    *"terminals_per_length symbols han_kana bold images first_class last_class after_break hidden preformatted".split(),
    *"good repeats tag heading depth position first_blocks last_blocks offset".split(),
    # own_features, but for page_link_density: features
    *"page_blocks page_length page_good page_link_density page_good_blocks".split(),
    # match_features
    *"title_match title_coverage described description_best stated stated_length stated_share".split(),
    # neighbour_features
    *(
        f"{neighbour}_{name}"
        for neighbour in ("before2", "before1", "after1", "after2")
        for name in ("length", "link_density", "tag", "last_class")
    ),
    *(f"window{reach}_{name}" for reach in REACHES for name in ("length", "link_density", "good")),
    *"since_good until_good length_since_good length_until_good".split(),
    *"since_heading until_heading heading_level heading_link_density headings_before".split(),
    *"since_h1 since_title headings_since_title".split(),
    *"path_count path_length path_share path_link_density path_good".split(),
    # container_features
    *(
        f"container{level}_{name}"
        for level in range(CONTAINERS)
        for name in "share length link_density good good_share blocks good_blocks score own_share".split()
    ),
    *"container0_tag container0_depth best_score ancestor_score".split(),
    *"in_best since_first_good until_last_good best_progress".split(),
    *(f"own_{words.split()[0]}" for words in v.CLASS_WORDS),
    *(f"around_{words.split()[0]}" for words in v.CLASS_WORDS),
    *(f"in_{names.split(',')[0]}" for names in ANCESTORS.split()),
)
F: Final = v.enumeration(NAMES)
# First of the columns that are bits: of the classes of a block's own element, of those around it, of its ancestors.
FIRST_OWN, FIRST_AROUND, FIRST_ANCESTOR = (
    next(k for k, name in enumerate(NAMES) if name.startswith(kind)) for kind in ("own_", "around_", "in_li")
)
# Features that are log(1 + x): kernels note x, NumPy takes the logarithms of all, whose last bit may be another's.
LOGARITHMS: Final[tuple[str, ...]] = (
    *"length words unlinked_length page_blocks page_length page_good stated_length best_score".split(),
    *(f"window{reach}_length" for reach in REACHES),
    *(f"container{level}_{name}" for level in range(CONTAINERS) for name in ("length", "blocks")),
)
L: Final = v.enumeration(LOGARITHMS)
LOGARITHM_COLUMNS: Final = np.array([NAMES.index(name) for name in LOGARITHMS])


def _tag_lookup(names: str) -> NDArray[np.float32]:
    order = np.zeros(len(v.TAG_NAMES), np.float32)
    for position, name in enumerate(names.split(), start=1):
        order[v.TAG[name]] = position
    return order


def _ancestor_bits() -> NDArray[np.int64]:
    bits = np.zeros(len(v.TAG_NAMES), np.int64)
    for bit, names in enumerate(ANCESTORS.split()):
        for name in names.split(","):
            bits[v.TAG[name]] |= 1 << bit
    return bits


# By number of the tag: its place in TAG_ORDER from 1, bits of ANCESTORS, 1 to 6 for h1 to h6; 0 for any other tag.
ORDER: Final = _tag_lookup(TAG_ORDER)
ANCESTOR_BITS: Final = _ancestor_bits()
HEADING_LEVEL: Final = np.array(
    [int(name[1]) if len(name) == 2 and name[0] == "h" and name[1].isdigit() else 0 for name in v.TAG_NAMES], np.float32
)
