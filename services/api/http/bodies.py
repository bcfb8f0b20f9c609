"""What no request may hold, whichever field it is in: what neither Postgres nor JSON can carry."""

import math
from collections.abc import Iterator
from typing import Any

from fastapi import Request

from services.api.use_cases.problems import invalid

_NUL = "\0"
Place = tuple[str, ...]


async def readable(request: Request) -> None:
    """See that everything a request says can be stored and passed on.

    Raises:
        Problem: If a text holds NUL or half a character, or a number is not finite.
    """
    for name, value in request.query_params.items():
        if fault := fault_of(value):
            raise invalid(name, fault)
    if not _is_json(request):
        return
    try:
        sent = await request.json()
    except (ValueError, RecursionError):
        return  # Routes that read a body refuse it themselves, the others do not look at it.
    for place, value in _leaves(sent):
        if fault := fault_of(value):
            raise invalid(".".join(place) or "body", fault)


def fault_of(value: Any) -> str | None:
    """Say what is wrong with a single value, or None."""
    if isinstance(value, float) and not math.isfinite(value):
        return "this number is not finite"
    if not isinstance(value, str) or (value.isascii() and _NUL not in value):
        return None
    if _NUL in value:
        return "text must not hold the character NUL"
    return "text must not hold half a character" if _has_surrogate(value) else None


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _leaves(sent: Any) -> Iterator[tuple[Place, Any]]:
    """Give every key and value with its path; without recursion, for it may be deep."""
    todo: list[tuple[Place, Any]] = [((), sent)]
    while todo:
        place, value = todo.pop()
        if isinstance(value, dict):
            yield from ((place, key) for key in value)
            todo.extend(((*place, key), inner) for key, inner in value.items())
        elif isinstance(value, list):
            todo.extend(((*place, str(at)), inner) for at, inner in enumerate(value))
        else:
            yield place, value
