"""What every use case works with."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.outbox import Publishable
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.outages import is_outage
from libs.chassis.postgres.pool import Pool
from services.api.settings import Settings
from services.api.use_cases.dialects import Dialect
from services.api.use_cases.problems import unavailable
from services.api.use_cases.replies import Replies


@dataclass(frozen=True, slots=True)
class AppContext:
    """The database to read from, the relay to write through, and what else a use case needs.

    `dialects` holds every language flows are written in, by name.
    """

    pool: Pool
    relay: Relay
    publisher: Publisher
    replies: Replies
    clock: Clock
    settings: Settings
    dialects: Mapping[str, Dialect]

    async def publish(self, message: Publishable) -> None:
        """Publish at once, without a transaction.

        Raises:
            Problem: If Kafka does not acknowledge it in time.
        """
        try:
            # A broker that is silent, rather than gone, would keep the caller waiting for ever.
            async with asyncio.timeout(self.settings.reply_timeout_seconds):
                await self.publisher.publish(message)
        except Exception as error:
            if is_outage(error):
                raise unavailable() from error
            raise
