"""Calling an address over HTTP. What goes wrong becomes an answer, never an exception."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import httpcore

from libs.chassis.clock import Clock
from libs.domain.webhook_url import UrlRefused, WebhookUrl
from services.step_executor.deliveries.webhook.answers import Answer, answer_of

MAX_ANSWER_BYTES = 64 * 1024
_IDLE_SECONDS = 2.0
"""Shorter than servers keep silent connections, so that a call seldom meets one just closed."""
_LONGEST_REASON = 200
_BEGINS = "http11.send_request_headers.started"
_REAL = Clock()
"""Addresses live in the world, whatever time flows run on."""

BeforeCall = Callable[[], Awaitable[bool]]


class _Withdrawn(Exception):  # noqa: N818  (a word between two functions of this file)
    """It was called back."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. Its headers may hold a token, and its path anything: neither is shown."""

    method: Literal["post", "put", "get"]
    url: WebhookUrl
    path: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class _Attempt:
    """How far a call has come: this decides what an error means."""

    before: BeforeCall
    begun: bool = False
    answer: Answer | None = None

    async def watch(self, event: str, _: dict[str, Any]) -> None:
        """Ask, at the last moment at which nothing was handed over yet, whether to go on."""
        if event == _BEGINS:
            if not await self.before():
                raise _Withdrawn
            self.begun = True


class Caller:
    """Calls addresses, over connections that are kept for a moment.

    Redirects are not followed: where they lead was judged by nobody.
    """

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend,
        total_seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._total_seconds = total_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=None,
            max_keepalive_connections=64,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=network,
        )

    async def call(self, call: Call, before: BeforeCall) -> Answer:
        """Call.

        Args:
            call: The request.
            before: Asked right before anything is handed over; if it says no, nothing will be.
        """
        attempt = _Attempt(before)
        try:
            async with asyncio.timeout(self._total_seconds):
                await self._steps(attempt, call)
        except Exception as error:  # noqa: BLE001  (whatever one call does, the next is made)
            return attempt.answer or _broken(attempt, error)
        return attempt.answer or Answer("ambiguous", "no answer")

    async def _steps(self, attempt: _Attempt, call: Call) -> None:
        url = call.url
        asked = httpcore.URL(
            scheme=url.scheme.encode(), host=url.host.encode(), port=url.port,
            target=call.path.encode(),
        )  # fmt: skip
        headers = [("Host", url.authority), *call.headers]
        extensions = {"trace": attempt.watch}
        async with self._pool.stream(
            call.method.upper(), asked, headers=headers, content=call.body, extensions=extensions
        ) as response:
            attempt.answer = answer_of(response.status, _retry_after(response), _REAL.now())
            await _read_some(response)

    async def close(self) -> None:
        """Close what is open."""
        with contextlib.suppress(Exception):
            await self._pool.aclose()


def _retry_after(response: httpcore.Response) -> str | None:
    for name, value in response.headers:
        if name.lower() == b"retry-after":
            return value.decode("latin-1")
    return None


async def _read_some(response: httpcore.Response) -> None:
    """Read an answer that is not too long, so that its connection can be used again."""
    left = MAX_ANSWER_BYTES
    async for chunk in response.aiter_stream():
        left -= len(chunk)
        if left < 0:
            break


def _broken(attempt: _Attempt, error: Exception) -> Answer:
    if isinstance(error, _Withdrawn):
        return Answer("withdrawn")
    if isinstance(error, UrlRefused):
        return Answer("failed", str(error))
    if isinstance(error, httpcore.LocalProtocolError):
        return Answer("failed", "request_malformed")
    if attempt.begun:
        return Answer("ambiguous", f"no answer: {type(error).__name__}", busy=True)
    return Answer("unreachable", f"unreachable: {error!r}"[:_LONGEST_REASON])
