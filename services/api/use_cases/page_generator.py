"""Having a page made of a prompt, by the endpoint that is configured for it.

What it is asked and what it may answer: services/api/native/README.md, "Web pages".
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.api.store.web_pages import AskedPage

TOTAL_SECONDS = 60.0
MAX_HTML_BYTES = 1_000_000
RETRY_SECONDS = (60.0, 300.0, 900.0, 2400.0)
"""After the first, second, ... attempt: five in all, in a little more than an hour."""
_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Generated:
    """How an attempt ended: with HTML, with a reason to try again, or for good.

    Attributes:
        html: The page, if it was made.
        reason: Why it was not.
        again: Whether another attempt may succeed.
    """

    html: str | None = field(default=None, repr=False)
    reason: str | None = None
    again: bool = False


class PageGenerator:
    """Asks the endpoint. What goes wrong becomes an answer, never an exception."""

    def __init__(self, url: str | None, total_seconds: float = TOTAL_SECONDS) -> None:
        self._url = url
        self._total_seconds = total_seconds
        self._client = httpx.AsyncClient(timeout=total_seconds, follow_redirects=False)

    async def make(self, page: AskedPage) -> Generated:
        """Have a page made. Asked again for the same page, it says so by the same key."""
        if self._url is None:
            return Generated(reason="no_page_generator")
        try:
            async with asyncio.timeout(self._total_seconds):
                return await self._ask(self._url, page)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            return Generated(reason=f"unreachable: {type(error).__name__}", again=True)

    async def _ask(self, url: str, page: AskedPage) -> Generated:
        headers = {"Accept": "text/html", "Idempotency-Key": str(page.page_id)}
        async with self._client.stream("POST", url, json=_told(page), headers=headers) as answer:
            if answer.is_success:
                return _page_of(await _read(answer))
            again = answer.status_code in _AGAIN or answer.is_server_error
            return Generated(reason=str(answer.status_code), again=again)

    async def close(self) -> None:
        """Close what is open."""
        await self._client.aclose()


def _told(page: AskedPage) -> dict[str, Any]:
    return {
        "page_id": str(page.page_id),
        "workspace_id": str(page.workspace_id),
        "membership_id": str(page.membership_id),
        "contact_id": str(page.contact_id),
        "prompt": page.prompt,
        "name": page.name,
        "contact": page.contact,
        "dynamic_context": page.run,
    }


async def _read(answer: httpx.Response) -> bytes | None:
    """Read what is answered; None if it is too long."""
    read = bytearray()
    async for chunk in answer.aiter_bytes():
        read += chunk
        if len(read) > MAX_HTML_BYTES:
            return None
    return bytes(read)


def _page_of(read: bytes | None) -> Generated:
    if read is None:
        return Generated(reason="page_too_large")
    try:
        html = read.decode()
    except UnicodeDecodeError:
        return Generated(reason="page_malformed")
    if not html.strip() or "\0" in html:
        return Generated(reason="page_malformed")
    return Generated(html)
