"""What every request passes: a size limit, and an id that goes into logs and the answer."""

import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.http.problems import answer
from services.api.use_cases.problems import Problem

MAX_BODY_BYTES = 4 * 1024 * 1024


class TooLarge(Exception):  # noqa: N818  (the caller's)
    """The body is larger than allowed."""


class Guards:
    """The outermost layer of the API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if int(Headers(scope=scope).get("content-length") or 0) > MAX_BODY_BYTES:
            await _refuse(scope, receive, send)
            return
        try:
            await self._app(scope, _limited(receive), _marked(send, request_id))
        except TooLarge:
            await _refuse(scope, receive, send)


def _limited(receive: Receive) -> Receive:
    """Count the body while it comes in: its announced length need not be true."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise TooLarge
        return message

    return limited


def _marked(send: Send, request_id: str) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
        await send(message)

    return marked


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem("too_large", "request_too_large", "The body is larger than 4 MB")
    await answer(problem)(scope, receive, send)
