"""Serving HTTP: health, metrics and the service's own routes, on one port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import uvicorn

from libs.chassis.process.health import HealthServer
from libs.chassis.process.settings import ServiceSettings


class _Server(uvicorn.Server):
    """uvicorn without signal handling: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(health_server: HealthServer, settings: ServiceSettings) -> AsyncIterator[None]:
    """Serve for a while."""
    config = uvicorn.Config(
        health_server.app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await task
