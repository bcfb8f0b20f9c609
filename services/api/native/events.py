"""`/v1/events`: contact events over HTTP, as CloudEvents in structured or batched mode."""

from typing import Any

from fastapi import APIRouter, Request

from services.api.http.keys import ContextParam, Workspace
from services.api.use_cases import events
from services.api.use_cases.problems import invalid

router = APIRouter(prefix="/v1/events")
_ONE = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_PLAIN = "application/json"
Json = dict[str, Any]


@router.post("", status_code=202)
async def publish_events(app_context: ContextParam, workspace: Workspace, request: Request) -> Json:
    """Publish an event, or many: all of them or none. They are accepted once Kafka has them."""
    sent, batch = await _sent(request)
    listed = events.bounded(sent) if batch else [sent]
    await events.accept(app_context, workspace, listed, batch=batch)
    return {"accepted": len(listed)}


async def _sent(request: Request) -> tuple[Any, bool]:
    """Read one event or a batch; the content type says which, or else the body does.

    Raises:
        Problem: If it is no JSON, or not what the content type says.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_ONE, _BATCH, _PLAIN):
        raise invalid("Content-Type", f"send {_ONE}, {_BATCH} or {_PLAIN}")
    try:
        sent = await request.json()
    except (ValueError, RecursionError):
        raise invalid("body", "this is not JSON") from None
    batch = isinstance(sent, list)
    if kind != _PLAIN and batch is (kind == _ONE):
        raise invalid("body", "one event is an object, a batch is an array")
    return sent, batch
