"""A consumer that makes no progress while there is lag ends its process.

aiokafka consumers have been seen to hang after a broker restart or a rebalance without any sign.
An outage is something else: while the broker or the database does not answer, nothing is stuck.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from libs.chassis.exactly_once.reader import Reader
from libs.chassis.outages import is_outage


class Stuck(Exception):  # noqa: N818  (a fact, not a fault)
    """A consumer has records to read and has read none for too long."""


async def watch(readers: Iterable[Reader[Any]], limit_seconds: float) -> None:
    """Look at every consumer a few times per limit.

    Raises:
        Stuck: If one has made no progress for `limit_seconds` although there is lag.
    """
    while True:
        await asyncio.sleep(limit_seconds / 4)
        for reader in readers:
            await check(reader, limit_seconds)


async def check(reader: Reader[Any], limit_seconds: float) -> None:
    """Look at one consumer. The broker is asked only about one that made no progress for a while.

    Raises:
        Stuck: As `watch`.
    """
    if time.monotonic() - reader.last_progress < limit_seconds / 2:
        return
    if not await _is_behind(reader):
        reader.last_progress = time.monotonic()
    elif time.monotonic() - reader.last_progress > limit_seconds:
        raise Stuck(f"the consumer of {reader.topic} has lag and makes no progress")


async def _is_behind(reader: Reader[Any]) -> bool:
    assigned = sorted(reader.log.assigned())
    try:
        bounds = await asyncio.wait_for(reader.log.bounds(assigned), 10)
    except Exception as error:
        if is_outage(error):
            return False
        raise
    return any(
        partition not in reader.armed or reader.armed[partition].next_offset < end
        for partition, (_, end) in bounds.items()
    )
