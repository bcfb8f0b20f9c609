"""A service as a process: start, run, drain on SIGTERM, exit 0."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import TypeVar

import uvloop

from libs.chassis import failpoints
from libs.chassis.clock import Clock
from libs.chassis.kafka.broker import Broker
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.kafka.topics import (
    TopicSpec,
    WrongPartitionCount,
    ensure_topics,
    partition_counts,
)
from libs.chassis.outages import Backoff, is_outage
from libs.chassis.postgres.migrations import MigrationChanged, migrate
from libs.chassis.postgres.partitions import maintain_partitions
from libs.chassis.postgres.pool import Pool, open_pool
from libs.chassis.process.builder import ServiceBuilder, ServiceSpec
from libs.chassis.process.health import HealthServer
from libs.chassis.process.http import serving
from libs.chassis.process.loops import Loop, every
from libs.chassis.process.maintenance import commit_offsets, maintenance_of, say_how_it_is
from libs.chassis.process.memory import collect_garbage_rarely
from libs.chassis.process.settings import ServiceSettings, SettingsError, read_settings
from libs.chassis.process.watchdog import watch
from libs.chassis.telemetry.logs import configure_logs, logger

__all__ = ["ServiceBuilder", "ServiceSpec", "every", "run_service"]

_DRAIN_SECONDS = 15.0
_HARD_STOP_SECONDS = 25.0
_log = logger(__name__)

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


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
    async with serving(health_server, settings), _pool(spec, settings) as pool:
        if not await _unless(stopping, _prepare(spec, settings, pool)):
            return
        publisher = _publisher(spec.topics, settings)
        broker = Broker(
            settings.kafka_bootstrap_servers,
            spec.name,
            settings.session_timeout_ms,
            settings.batch_interval_ms / 1000,
        )
        clock = Clock(settings.clock_speed, settings.clock_origin)
        builder = ServiceBuilder(spec.name, settings, pool, publisher, clock, broker, health_server)
        await spec.wire(builder)
        try:
            await _work(builder, stopping)
        finally:
            await publisher.close()
    _log.info("service.stopped")


def _publisher(topics: Sequence[TopicSpec], settings: ServiceSettings) -> Publisher:
    return Publisher(
        settings.kafka_bootstrap_servers,
        partition_counts(topics, settings.partitions),
        {topic.name: topic.max_message_bytes for topic in topics},
    )


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


@contextlib.asynccontextmanager
async def _pool(spec: ServiceSpec, settings: ServiceSettings) -> AsyncIterator[Pool]:
    async with contextlib.AsyncExitStack() as stack:
        yield await _open_patiently(stack, str(settings.database_url), spec.planner)


async def _open_patiently(
    stack: contextlib.AsyncExitStack, url: str, planner: Mapping[str, str]
) -> Pool:
    """Open the pool, however long the database takes to come up."""
    backoff = Backoff()
    while True:
        try:
            return await stack.enter_async_context(open_pool(url, planner=planner))
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
    await maintain_partitions(builder.pool, builder.partitioned)
    collect_garbage_rarely()
    await builder.broker.start()
    say_how_it_is(builder)
    _log.info("service.started", port=builder.settings.http_port)
    loops = [
        asyncio.create_task(_call(loop, stopping))
        for loop in (*builder.loops, *maintenance_of(builder))
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
    await commit_offsets(builder)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(builder.broker.stop(), _DRAIN_SECONDS)
    for reader in builder.readers:
        await reader.settle()
        await reader.maintain()
