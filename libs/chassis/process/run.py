"""A service as a process: start, run, drain on SIGTERM, exit 0.

What a service is made of is said in its `wiring.py`, by calling the methods of `ServiceBuilder`.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
import uvloop
from pydantic import TypeAdapter
from starlette.types import ASGIApp

from libs.chassis import failpoints
from libs.chassis.clock import Clock
from libs.chassis.exactly_once import outbox
from libs.chassis.exactly_once.dead_letters import Origin
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Handler, M
from libs.chassis.kafka.broker import (
    Broker,
    Subscription,
    TopicSpec,
    WrongPartitionCount,
    ensure_topics,
    partition_counts,
)
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.outages import Backoff, is_outage, retry_later
from libs.chassis.postgres.migrations import MigrationChanged, migrate
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from libs.chassis.process.health import HealthServer
from libs.chassis.process.settings import ServiceSettings, SettingsError, read_settings
from libs.chassis.process.watchdog import watch
from libs.chassis.telemetry.logs import configure_logs, logger
from libs.chassis.telemetry.metrics import OUTBOX_BACKLOG

_TEND_SECONDS = 0.2
_COMMIT_SECONDS = 5.0
_PRUNE_SECONDS = 30.0
_DRAIN_SECONDS = 15.0
_HARD_STOP_SECONDS = 25.0
_log = logger(__name__)

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Something a service does by itself until the event is set."""
SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


@dataclass
class ServiceBuilder:
    """What a service is built with, and what it is made of."""

    service: str
    settings: ServiceSettings
    pool: Pool
    publisher: Publisher
    clock: Clock
    broker: Broker
    health_server: HealthServer
    readers: dict[Reader[Any], Subscription] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)

    def read(self, topic: TopicSpec, adapter: TypeAdapter[M], handler: Handler[M]) -> Reader[M]:
        """Let a handler have every record of a topic, exactly once."""
        origin = Origin(self.service, topic.name)
        reader = Reader(origin, handler, self.pool, self.publisher)
        most = self.settings.batch_max_records
        subscription = self.broker.subscribe(reader, adapter, _type_of(adapter), most)
        reader.attach(subscription)
        self.readers[reader] = subscription
        return reader

    def listen(
        self, topic: TopicSpec, adapter: TypeAdapter[M], heard: Callable[[list[M]], None]
    ) -> None:
        """Hear every new message of a topic, in every process, without a position."""
        self.broker.listen(topic.name, adapter, _type_of(adapter), heard)

    def repeat(self, loop: Loop) -> None:
        """Let a loop run from the start to the end of the process."""
        self.loops.append(loop)

    def serve(self, app: ASGIApp) -> None:
        """Serve these routes beside the health of the service."""
        self.health_server.inner = app


def _type_of(adapter: TypeAdapter[Any]) -> Any:
    return adapter._type  # noqa: SLF001  (an adapter does not say otherwise what it adapts)


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What the chassis must know of a service to run it."""

    name: str
    migrations: Path
    topics: Sequence[TopicSpec]
    wire: Callable[[ServiceBuilder], Awaitable[None]]


def run_service(spec: ServiceSpec, settings_kind: type[SettingsT]) -> None:
    """Run a service until it is told to stop; the process ends with 0 then, else with 1 or 2."""
    try:
        settings = read_settings(settings_kind)
        failpoints.plan_crashes(settings.crash_points, settings.crash_log)
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"{spec.name}: {error}\n")
        sys.exit(2)
    configure_logs(spec.name, settings.log_format, settings.log_level)
    try:
        uvloop.run(_run(spec, settings))
    except (MigrationChanged, WrongPartitionCount) as error:
        _log.critical("service.refused", reason=str(error))
        sys.exit(2)
    except Exception:  # noqa: BLE001  (the last place that can say what happened)
        _log.critical("service.failed", exc_info=True)
        sys.exit(1)


async def _run(spec: ServiceSpec, settings: ServiceSettings) -> None:
    stopping = _stop_on_signals()
    health_server = HealthServer()
    async with _serving(health_server, settings), _pool(settings) as pool:
        if not await _unless(stopping, _prepare(spec, settings, pool)):
            return
        counts = partition_counts(spec.topics, settings.partitions)
        publisher = Publisher(settings.kafka_bootstrap_servers, counts)
        broker = Broker(settings.kafka_bootstrap_servers, spec.name, settings.session_timeout_ms)
        clock = Clock(settings.clock_speed, settings.clock_origin)
        builder = ServiceBuilder(spec.name, settings, pool, publisher, clock, broker, health_server)
        await spec.wire(builder)
        try:
            await _work(builder, stopping)
        finally:
            await publisher.close()
    _log.info("service.stopped")


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _begin_to_stop, stopping)
    return stopping


def _begin_to_stop(stopping: asyncio.Event) -> None:
    """Drain; but if what we wait for never comes back, end without it: nothing is lost by that."""
    if not stopping.is_set():
        stopping.set()
        last_resort = threading.Timer(_HARD_STOP_SECONDS, _give_up)
        last_resort.daemon = True
        last_resort.start()


def _give_up() -> None:
    _log.error("service.not_drained")
    os._exit(1)


class _Server(uvicorn.Server):
    """uvicorn without signal handling: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(health_server: HealthServer, settings: ServiceSettings) -> AsyncIterator[None]:
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


@contextlib.asynccontextmanager
async def _pool(settings: ServiceSettings) -> AsyncIterator[Pool]:
    async with contextlib.AsyncExitStack() as stack:
        yield await _open_patiently(stack, str(settings.database_url))


async def _open_patiently(stack: contextlib.AsyncExitStack, url: str) -> Pool:
    """Open the pool, however long the database takes to come up."""
    backoff = Backoff()
    while True:
        try:
            return await stack.enter_async_context(open_pool(url))
        except Exception as error:
            if not _waits_out(error):
                raise
            await backoff.wait()


def _waits_out(error: Exception) -> bool:
    if is_outage(error):
        _log.warning("start.retried", reason=repr(error))
        return True
    return False


async def _unless(stopping: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do some work unless the process is told to stop first; say whether it was done."""
    doing = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({doing, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if doing.done():
        doing.result()
        return True
    doing.cancel()
    return False


async def _prepare(spec: ServiceSpec, settings: ServiceSettings, pool: Pool) -> None:
    """Bring schema and topics into shape, waiting out whatever is down."""
    backoff = Backoff()
    while True:
        try:
            await migrate(pool, spec.migrations)
            await ensure_topics(
                settings.kafka_bootstrap_servers,
                spec.topics,
                partitions=settings.partitions,
                replication=settings.topic_replication,
            )
        except Exception as error:
            if not _waits_out(error):
                raise
            await backoff.wait()
        else:
            return


async def _work(builder: ServiceBuilder, stopping: asyncio.Event) -> None:
    builder.health_server.asyncapi = builder.broker.describe(builder.service)
    await builder.broker.start()
    _check_health(builder)
    _log.info("service.started", port=builder.settings.http_port)
    loops = [
        asyncio.create_task(_call(loop, stopping)) for loop in (*builder.loops, *_own(builder))
    ]
    guard = asyncio.create_task(watch(builder.readers, builder.settings.stuck_after_seconds))
    stop = asyncio.create_task(stopping.wait())
    try:
        done, _ = await asyncio.wait({*loops, guard, stop}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        stopping.set()
        guard.cancel()
        await _drain(builder, loops)


async def _call(loop: Loop, stopping: asyncio.Event) -> None:
    await loop(stopping)


async def _drain(builder: ServiceBuilder, loops: Sequence["asyncio.Task[None]"]) -> None:
    """Finish what is under way, tell Kafka where we stand, leave the groups."""
    _log.info("service.draining")
    if loops:
        await asyncio.wait(loops, timeout=_DRAIN_SECONDS)
    for task in loops:
        task.cancel()
    for reader, subscription in builder.readers.items():
        await _commit(reader, subscription)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(builder.broker.stop(), _DRAIN_SECONDS)
    for reader in builder.readers:
        await reader.maintain()


def _own(builder: ServiceBuilder) -> list[Loop]:
    """Give the loops every service has."""

    async def maintain() -> None:
        for reader in builder.readers:
            await reader.maintain()

    async def commit() -> None:
        for reader, subscription in builder.readers.items():
            await _commit(reader, subscription)

    async def prune() -> None:
        await _prune(builder)

    return [
        every(_TEND_SECONDS, maintain),
        every(_COMMIT_SECONDS, commit),
        every(_PRUNE_SECONDS, prune),
    ]


def every(seconds: float, work: Callable[[], Awaitable[None]]) -> Loop:
    """Make a loop that does some work again and again, with a pause between."""

    async def loop(stopping: asyncio.Event) -> None:
        while not await pause(stopping, seconds):
            await work()

    return loop


async def pause(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait, but not longer than until the process is told to stop; True if it was."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
    return stopping.is_set()


async def _commit(reader: Reader[Any], subscription: Subscription) -> None:
    try:
        await subscription.commit({one.partition: one.next_offset for one in reader.armed.values()})
    except Exception as error:  # noqa: BLE001  (only a metric)
        _log.debug("offsets.not_committed", topic=reader.topic, reason=repr(error))


async def _prune(builder: ServiceBuilder) -> None:
    with retry_later("outbox.not_pruned"):
        async with transaction(builder.pool) as tx:
            await outbox.prune(tx, builder.settings.outbox_keep_hours * 3600)
            OUTBOX_BACKLOG.set(await outbox.backlog(tx))


def _check_health(builder: ServiceBuilder) -> None:
    """Say what readiness looks at: the database, the broker, the partitions."""

    async def database() -> str | None:
        return None if await builder.pool.fetchval("SELECT 1") == 1 else "wrong answer"

    async def broker() -> str | None:
        for reader in builder.readers:
            await reader.log.bounds(sorted(reader.armed)[:1])
        return None

    async def partitions() -> str | None:
        waiting = [
            reader.topic
            for reader in builder.readers
            if reader.log.assigned() - reader.armed.keys()
        ]
        joining = [reader.topic for reader, log in builder.readers.items() if not log.joined]
        return f"not armed yet: {', '.join(waiting + joining)}" if waiting or joining else None

    builder.health_server.checks = {
        "database": database,
        "broker": broker,
        "partitions": partitions,
    }
