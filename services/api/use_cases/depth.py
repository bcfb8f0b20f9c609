"""How deep a document may nest: what carries it on nests it deeper, and readers have an end."""

from typing import Any

MOST_LEVELS = 100
"""Readers of our topics give up at 200."""


def too_deep(sent: Any) -> bool:
    """Say whether objects and arrays nest deeper than can be passed on; without recursion."""
    level = [sent] if isinstance(sent, dict | list) else []
    for _ in range(MOST_LEVELS):
        level = [inner for one in level for inner in _inside(one)]
    return bool(level)


def _inside(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in values if isinstance(one, dict | list)]
