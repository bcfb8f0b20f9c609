"""Step 6: publishing what was committed, while the next batch is being worked on.

One batch is on its way at a time, so a record can never overtake one that was numbered before it.
If something was not acknowledged, whoever asked is told which sources it belongs to; nothing later
of these sources may be sent before arming has sent it again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from libs.chassis import failpoints
from libs.chassis.exactly_once import outbox
from libs.chassis.exactly_once.outbox import Chunk, Sent
from libs.chassis.exactly_once.publisher import Publisher
from libs.chassis.postgres.pool import Pool, transaction

Failed = Callable[[Mapping[str, Exception]], None]
"""Is told of the sources of which something was not acknowledged."""


class Publishing:
    """The publishing of one reader."""

    def __init__(self, publisher: Publisher, pool: Pool, failed: Failed) -> None:
        self._publisher = publisher
        self._pool = pool
        self._failed = failed
        self.under_way: asyncio.Task[None] | None = None
        self._acknowledged: Sent = {}

    def begin(self, chunks: Sequence[Chunk]) -> None:
        """Begin to publish chunks; what was begun before must have ended."""
        if chunks:
            self.under_way = asyncio.create_task(self._publish_or_tell(chunks))

    async def settle(self) -> None:
        """Wait until what was begun has been acknowledged, or has failed."""
        while (task := self.under_way) is not None:
            await asyncio.shield(task)
            if self.under_way is task:
                self.under_way = None

    async def publish(self, chunks: Sequence[Chunk]) -> Mapping[str, Exception]:
        """Publish chunks and wait for it; give the sources of which something was left, and why."""
        if not chunks:
            return {}
        try:
            result = await self._publisher.publish_chunks(chunks)
        except Exception as error:  # noqa: BLE001  (whatever it is, nothing is known of any chunk)
            return dict.fromkeys((chunk.source for chunk in chunks), error)
        if result.sent:
            failpoints.reach("after_acknowledgement")
        self._acknowledged.update(result.sent)
        return {source: error for (source, _), error in result.failed.items()}

    async def _publish_or_tell(self, chunks: Sequence[Chunk]) -> None:
        if failed := await self.publish(chunks):
            self._failed(failed)

    async def remember_acknowledgements(self) -> None:
        """Note lazily what Kafka has: a crash before it only makes the next owner send again."""
        if self._acknowledged:
            noted = dict(self._acknowledged)
            async with transaction(self._pool) as tx:
                await outbox.mark_sent(tx, noted)
            for stream, chunk in noted.items():
                if self._acknowledged.get(stream) is chunk:
                    del self._acknowledged[stream]
