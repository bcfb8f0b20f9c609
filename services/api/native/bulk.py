"""Calls about many items: each is accepted or rejected by itself (README.md)."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel

from services.api.use_cases.bodies import read_body
from services.api.use_cases.problems import Problem

Json = dict[str, Any]
ItemT = TypeVar("ItemT", bound=BaseModel)


def read_item(kind: type[ItemT], sent: Any) -> ItemT | Problem:
    """Read one item, or say what is wrong with it."""
    try:
        return read_body(kind, sent)
    except Problem as problem:
        return problem


def answer(sent: Sequence[Any], read: Sequence[Any], outcomes: Sequence[UUID | Problem]) -> Json:
    """Write what became of every item.

    Args:
        sent: The items as they were sent.
        read: The same, read, or why they could not be.
        outcomes: What became of those that could be read, in their order.
    """
    following = iter(outcomes)
    results = [
        _result(index, item, one if isinstance(one, Problem) else next(following))
        for index, (item, one) in enumerate(zip(sent, read, strict=True))
    ]
    accepted = sum(one["status"] == "accepted" for one in results)
    return {"results": results, "accepted": accepted, "rejected": len(results) - accepted}


def _result(index: int, sent: Any, outcome: UUID | Problem) -> Json:
    result: Json = {
        "index": index,
        "client_item_id": _client_item_id(sent),
        "status": "accepted",
        "contact_id": str(outcome),
        "error": None,
    }
    if isinstance(outcome, Problem):
        contact_id = (outcome.details or {}).get("contact_id")
        error = {"code": outcome.code, "message": outcome.message}
        result |= {"status": "rejected", "contact_id": contact_id, "error": error}
    return result


def _client_item_id(sent: Any) -> str | None:
    """Give the caller's own id of an item, even of one that cannot be read."""
    if not isinstance(sent, dict):
        return None
    own_id = sent.get("client_item_id", sent.get("clientItemId"))
    return own_id if isinstance(own_id, str) else None
