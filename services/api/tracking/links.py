"""`/t/...`: what recipients' mail programs and browsers fetch. No key: the token is signed."""

import asyncio
import base64
from typing import Literal

from fastapi import APIRouter, BackgroundTasks, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from libs.chassis.telemetry.logs import logger
from libs.contracts import tracking
from libs.contracts.tracking import BadToken, Purpose, TrackedMail
from services.api.http.keys import ContextParam
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.problems import Problem
from services.api.use_cases.tracking import record

router = APIRouter(prefix="/t", include_in_schema=False)
_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NO_STORE = {"Cache-Control": "no-store, max-age=0"}
_TRIES = 20
_log = logger(__name__)


@router.get("/o/{token}")
async def opened(token: str, app_context: ContextParam, later: BackgroundTasks) -> Response:
    """The open pixel. It is shown whatever happens."""
    mail = _read(app_context, token.removesuffix(".gif"), "o")
    later.add_task(_record, app_context, mail, "email.opened")
    return Response(_PIXEL, media_type="image/gif", headers=_NO_STORE, background=later)


@router.get("/c/{token}")
async def clicked(token: str, app_context: ContextParam, later: BackgroundTasks) -> Response:
    """A click: on to where the link leads."""
    mail = _read(app_context, token, "c")
    if not mail.url or not mail.url.lower().startswith(("http://", "https://")):
        raise _not_valid()
    later.add_task(_record, app_context, mail, "email.clicked")
    return RedirectResponse(mail.url, 302, headers=_NO_STORE, background=later)


@router.get("/u/{token}")
async def ask_to_unsubscribe(token: str, app_context: ContextParam) -> Response:
    """A page with a button: fetching a link must not unsubscribe anyone."""
    _read(app_context, token, "u")
    return _page('<form method="post"><button>Unsubscribe</button></form>')


@router.post("/u/{token}")
async def unsubscribe(token: str, app_context: ContextParam) -> Response:
    """Unsubscribe, from the page's button or a mail program's (RFC 8058)."""
    await record(app_context, _read(app_context, token, "u"), "email.unsubscribed")
    return _page("<p>You are unsubscribed.</p>")


def _read(app_context: AppContext, token: str, purpose: Purpose) -> TrackedMail:
    try:
        return tracking.read(token, purpose, app_context.settings.signing_key.get_secret_value())
    except BadToken:
        raise _not_valid() from None


def _not_valid() -> Problem:
    return Problem("not_found", "link_not_valid", "This link is not valid")


async def _record(
    app_context: AppContext, mail: TrackedMail, kind: Literal["email.opened", "email.clicked"]
) -> None:
    """Publish after the answer; while Kafka is away, again for some minutes."""
    for attempt in range(_TRIES):
        try:
            await record(app_context, mail, kind)
        except Problem:
            await asyncio.sleep(min(2**attempt, 30))
        else:
            return
    _log.error("tracking.lost", kind=kind, message_id=mail.message_id)


def _page(body: str) -> HTMLResponse:
    title = "Unsubscribe"
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<body>{body}</body></html>",
        headers=_NO_STORE,
    )
