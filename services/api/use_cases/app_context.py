"""What every use case works with."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.outbox import Publishable
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.outages import is_outage
from libs.chassis.postgres.pool import Pool
from libs.chassis.sealing import Sealer, webhook_tokens
from libs.domain.webhook_url import Allowed
from services.api.settings import Settings
from services.api.use_cases.dialects import Dialect
from services.api.use_cases.problems import too_large_event, unavailable
from services.api.use_cases.replies import Replies


@dataclass(frozen=True)
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

    @cached_property
    def sealer(self) -> Sealer:
        """What seals the tokens of webhooks."""
        return webhook_tokens(self.settings.signing_key.get_secret_value())

    @cached_property
    def dependency_changed(self) -> asyncio.Event:
        """What is set when a list or a field has changed that flows may have inlined."""
        return asyncio.Event()

    @cached_property
    def webhooks_allowed(self) -> Allowed:
        """Where webhooks may go although it is not public."""
        return Allowed.of(self.settings.webhook_allowed.split(","))

    async def publish(self, message: Publishable) -> None:
        """Publish at once, without a transaction.

        Raises:
            Problem: If Kafka does not acknowledge it in time.
        """
        await self.publish_all([message])

    async def publish_all(self, messages: Sequence[Publishable]) -> None:
        """Publish at once, without a transaction; those of one contact in this order.

        Raises:
            Problem: If one is too large for its topic, and none was published; or if Kafka does not
                acknowledge all of them in time, and any may have been.
        """
        for index, message in enumerate(messages):
            room = self.publisher.room_in(message.topic.name)
            if len(message.key.encode()) + len(message.body()) > room:
                raise too_large_event(index, room)
        if not messages:
            return
        try:
            # A broker that is silent, rather than gone, would keep the caller waiting for ever.
            async with asyncio.timeout(self.settings.reply_timeout_seconds):
                await self.publisher.publish_all(messages)
        except Exception as error:
            if is_outage(error):
                raise unavailable() from error
            raise
