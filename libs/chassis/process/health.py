"""What every service answers over HTTP: is it alive, is it ready, what does it count.

`/health/live`   the process turns its loop; it says nothing of databases or brokers, because
                 restarting everything does not end an outage
`/health/ready`  database, broker and assigned partitions; 503 with the reason while one is missing
`/metrics`       Prometheus
`/asyncapi.json` what the service reads from Kafka
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

Check = Callable[[], Awaitable[str | None]]
"""Looks at one thing the service needs: None if it is well, else what is wrong."""

_CHECK_SECONDS = 5.0


class HealthServer:
    """Answers over HTTP: health from the start, the service's own routes once it has them."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {"started": _not_started}
        self.asyncapi: dict[str, Any] = {}
        self.inner: ASGIApp | None = None
        self.app = Starlette(
            routes=[
                Route("/health/live", _live),
                Route("/health/ready", self._ready),
                Route("/metrics", _metrics),
                Route("/asyncapi.json", self._asyncapi),
                Mount("/", app=self._inner),
            ]
        )

    async def _ready(self, _request: Request) -> Response:
        names = list(self.checks)
        answers = await asyncio.gather(*(_look(self.checks[name]) for name in names))
        wrong = {name: said for name, said in zip(names, answers, strict=True) if said}
        state = {name: wrong.get(name, "ok") for name in names}
        return JSONResponse({"ready": not wrong, "checks": state}, 503 if wrong else 200)

    async def _asyncapi(self, _request: Request) -> Response:
        return JSONResponse(self.asyncapi)

    async def _inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.inner or Response(status_code=503 if self.checks else 404)
        await app({**scope, "root_path": ""}, receive, send)


async def _not_started() -> str | None:
    return "starting"


async def _look(check: Check) -> str | None:
    try:
        return await asyncio.wait_for(check(), _CHECK_SECONDS)
    except TimeoutError:
        return "no answer in time"
    except Exception as error:  # noqa: BLE001  (whatever it is, it goes into the answer)
        return repr(error)


async def _live(_request: Request) -> Response:
    return JSONResponse({"live": True})


async def _metrics(_request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
