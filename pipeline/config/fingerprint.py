"""Settings as a fingerprint, and what differs between two of them."""

import hashlib
import json
from typing import Any

import msgspec


def fingerprint(settings: Any) -> str:
    """A sha256 of settings in canonical JSON, 64 hexadecimal digits.

    >>> fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(
        json.dumps(settings, sort_keys=True, ensure_ascii=False, default=msgspec.to_builtins).encode()
    ).hexdigest()


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """A line for each value that is not the same in two nested mappings.

    >>> differences({"lid": {"model": "lid.176"}}, {"lid": {"model": "glotlid"}})
    ['lid.model: lid.176 -> glotlid']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys())
        parts = [differences(before.get(name), after.get(name), f"{key}.{name}".lstrip(".")) for name in names]
        return [line for part in parts for line in part]
    return [] if before == after else [f"{key}: {before} -> {after}"]
