"""`/pages/<workspace>/<alias or id>`: the web pages that steps of flows have made.

Their HTML is the users', or a generator's: nothing of it may run, or reach this API as anybody.
"""

import re
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from libs.domain.page_alias import ROOT, fault_of_alias
from services.api.http.keys import ContextParam
from services.api.store import web_pages

router = APIRouter(prefix="/pages", include_in_schema=False)
_POLICY = (
    "sandbox allow-forms allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-"
    "activation; default-src 'none'; img-src https: data:; media-src https:; font-src https: data:;"
    " style-src 'unsafe-inline' https:; form-action https:; base-uri 'none'; frame-ancestors 'none'"
)
"""No script at all, and an origin that is nobody's."""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "private, no-cache",
}
_NOT_FOUND = "<!doctype html><meta charset=utf-8><title>Not found</title><p>There is no such page."
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@router.get("/{workspace}/")
async def front(app_context: ContextParam, workspace: str) -> HTMLResponse:
    """Show the page whose alias is `/`."""
    return await show(app_context, workspace, ROOT)


@router.get("/{workspace}/{name}")
async def show(app_context: ContextParam, workspace: str, name: str) -> HTMLResponse:
    """Show a published page, by its alias or its id."""
    html = None
    if _UUID.fullmatch(workspace) and (wanted := _read(name)):
        html = await web_pages.published(app_context.pool, UUID(workspace), wanted)
    if html is None:
        return HTMLResponse(_NOT_FOUND, 404, headers=_HEADERS)
    return HTMLResponse(html, headers=_HEADERS)


def _read(name: str) -> UUID | str | None:
    if _UUID.fullmatch(name):
        return UUID(name)
    return None if fault_of_alias(name) else name
