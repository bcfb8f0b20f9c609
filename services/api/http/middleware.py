"""What every request passes: a size limit, an id for logs and answer, and a last word on errors."""

import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.chassis.outages import is_outage
from libs.chassis.telemetry.logs import logger
from services.api.http.problems import STATUS, Phrase, answer
from services.api.use_cases.problems import Problem

_MIB = 1024 * 1024
_LARGE_BYTES = 4 * _MIB
_LARGE = ("/v1/emails", "/v1/events", "/v1/templates")
_log = logger(__name__)


class TooLarge(HTTPException):
    """The body is larger than allowed. FastAPI lets this kind of exception through."""

    def __init__(self) -> None:
        super().__init__(STATUS["too_large"], "The body is too large")


class RequestMiddleware:
    """The outermost layer of a dialect."""

    def __init__(self, app: ASGIApp, phrase: Phrase) -> None:
        self._app = app
        self._phrase = phrase

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        structlog.contextvars.bind_contextvars(request_id=request_id)
        limit, marked = limit_for(scope["path"]), _marked(send, request_id)
        if _announced(scope) > limit:
            problem = Problem("too_large", "request_too_large", "The body is too large")
            await answer(problem, self._phrase)(scope, receive, marked)
            return
        try:
            await self._app(scope, _limited(receive, limit), marked)
        except Exception as error:  # noqa: BLE001  (it has been answered; here it is logged)
            _log_failure(error)


def limit_for(path: str) -> int:
    """Say how large a body may be: mails and templates hold HTML, and events come many at once."""
    return _LARGE_BYTES if path.startswith(_LARGE) else _MIB


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _log_failure(error: Exception) -> None:
    """Log an error. Raised further it would be logged twice, and end the caller's connection."""
    if is_outage(error):
        _log.warning("request.retried", reason=repr(error))
    else:
        _log.error("request.failed", exc_info=error)


def _limited(receive: Receive, limit: int) -> Receive:
    """Count the body while it comes in: its announced length need not be true."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
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
