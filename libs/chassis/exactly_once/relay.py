"""The outbox for writers that own no partition, such as an HTTP API with several processes.

The business transaction numbers what it wants said, under a row lock that lasts until the commit:
the order of the numbers is the order of the commits, without gaps. Any process may publish what
is not marked as sent, in order; if two do, readers drop the repeats.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from libs.chassis.exactly_once import outbox
from libs.chassis.exactly_once.outbox import Publishable
from libs.chassis.exactly_once.publisher import Publisher
from libs.chassis.outages import Backoff, NotPublished, is_outage
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.telemetry.logs import logger

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of work: a transaction, and what is to be published once it is committed."""

    tx: Transaction
    messages: list[Publishable] = field(default_factory=list)

    def enqueue(self, message: Publishable) -> None:
        """Publish a message after the commit, and only then."""
        self.messages.append(message)


class Relay:
    """Units of work of one service, and the publishing of what they say."""

    def __init__(self, service: str, pool: Pool, publisher: Publisher) -> None:
        self._source = service
        self._pool = pool
        self._publisher = publisher
        self._wake = asyncio.Event()
        self._backoff = Backoff()

    @contextlib.asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """Begin a unit of work; commit at the end, or undo everything on an error."""
        async with transaction(self._pool) as tx:
            unit = Unit(tx)
            yield unit
            said = [self._publisher.outbox_record(self._source, one) for one in unit.messages]
            await outbox.write(tx, said)
        if unit.messages:
            self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish what was committed, at once, and what was left over, every second."""
        while not stopping.is_set():
            try:
                await self._relay()
                self._backoff.reset()
            except Exception as error:
                if not is_outage(error):
                    raise
                _log.warning("relay.retried", reason=repr(error))
                await self._backoff.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 1.0)

    async def _relay(self) -> None:
        self._wake.clear()
        async with transaction(self._pool) as tx:
            unsent = await outbox.unsent(tx, [self._source])
        if unsent:
            result = await self._publisher.publish_chunks(unsent)
            async with transaction(self._pool) as tx:
                await outbox.mark_sent(tx, result.sent)
            if result.failed:
                raise NotPublished(repr(next(iter(result.failed.values()))))
