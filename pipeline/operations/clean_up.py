"""gc: what an output folder no longer needs: selections that were replaced, and what interrupted runs left behind."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.execution.storage import Location, names, remove_tree, tree_bytes
from pipeline.output.layout import Layout

REPLACED = "~1"
UNFINISHED = ".partial"


@dataclass(frozen=True)
class Leftover:
    """A folder that can go, why, and its bytes."""

    location: Location
    reason: str
    size: int


def leftovers(layout: Layout) -> list[Leftover]:
    """Replaced and unfinished selections, and temporary files and folders; nothing that a command would read."""
    selections = layout.root / "selections"
    found = []
    for name in names(selections):
        if name.endswith(REPLACED):
            found.append((selections / name, "replaced by a later selection"))
        elif name.endswith(UNFINISHED):
            found.append((selections / name, "a selection that was not finished"))
    if names(layout.boilerplate_scratch):
        found.append((layout.boilerplate_scratch, "of a pass boilerplate that was not finished"))
    if isinstance(layout.root, Path):
        inside = {place for place, _ in found}
        temporary = [path for path in layout.root.rglob(".*.tmp") if not inside & set(path.parents)]
        found += [(path, "a file that was not finished") for path in sorted(temporary)]
    return [Leftover(place, reason, tree_bytes(place)) for place, reason in found]


def clean_up(layout: Layout) -> list[Leftover]:
    """Delete the leftovers; returns what was deleted. Not while another command works on the same folder."""
    found = leftovers(layout)
    for one in found:
        if isinstance(one.location, Path) and one.location.is_file():
            one.location.unlink()
        else:
            remove_tree(one.location)
    return found
