"""gc: what an output folder no longer needs.

These are selections that a later one of the same name replaced, and what interrupted runs left behind.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline.execution.storage import Location, names, remove_tree, tree_bytes
from pipeline.output.layout import Layout

REPLACED = "~1"
UNFINISHED = ".partial"


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can go, why, and its bytes."""

    location: Location
    reason: str
    size: int


def leftovers(layout: Layout) -> list[Leftover]:
    """Replaced and unfinished selections, and temporary files and folders; nothing that a command would read."""
    selections = layout.root / "selections"
    reasons: dict[Location, str] = {}
    for name in names(selections):
        if name.endswith(REPLACED):
            reasons[selections / name] = "replaced by a later selection"
        elif name.endswith(UNFINISHED):
            reasons[selections / name] = "a selection that was not finished"
    if names(layout.boilerplate_scratch):
        reasons[layout.boilerplate_scratch] = "of a search for boilerplate that was not finished"
    if isinstance(layout.root, Path):
        folders = set(reasons)
        temporary = [path for path in layout.root.rglob(".*.tmp") if not folders & set(path.parents)]
        reasons |= dict.fromkeys(sorted(temporary), "a file that was not finished")
    return [Leftover(location, reason, tree_bytes(location)) for location, reason in reasons.items()]


def clean_up(layout: Layout) -> list[Leftover]:
    """Delete the leftovers; returns what was deleted. Not while another command works on the same folder."""
    deleted = leftovers(layout)
    for leftover in deleted:
        if isinstance(leftover.location, Path) and leftover.location.is_file():
            leftover.location.unlink()
        else:
            remove_tree(leftover.location)
    return deleted
