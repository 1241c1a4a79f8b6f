"""What a quick start needs, each with its saving."""

import sys
from importlib.abc import MetaPathFinder


class _Hidden(MetaPathFinder):
    """Says of pandas that it is not installed."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Raise ModuleNotFoundError for what is hidden; leave all else to the other finders."""
        if name == "pandas":
            raise ModuleNotFoundError(f"{name} is hidden", name=name)


def leave_out_unused_imports() -> None:
    """Hide pandas from pyarrow, which imports it with its first array where it is installed: 0.5 s for no use.

    It looks once; afterwards pandas can be imported.
    """
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        import pyarrow

        pyarrow.array([0])
    finally:
        sys.meta_path.remove(hidden)
