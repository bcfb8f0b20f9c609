"""What a batch sees of its consumer: an `exactly_once.ownership.Log` on Kafka."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.structs import OffsetAndMetadata


class Joining(ConsumerRebalanceListener):  # type: ignore[misc]
    """Counts how often the group has given out its partitions.

    What is assigned is paused at once: nothing of a partition is wanted before it is armed, and a
    fetch that waits at the broker would hold up the requests that arming needs.
    """

    def __init__(self) -> None:
        self.times = 0
        self.pause: Callable[[int], None] = lambda _partition: None

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to do: every transaction checks whether a partition is still ours."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Arming does not begin here: aiokafka may hand out records before this ends."""
        self.times += 1
        for tp in assigned:
            self.pause(tp.partition)


class Subscription:
    """The consumer behind a FastStream subscriber, as an `exactly_once.ownership.Log`."""

    def __init__(self, topic: str, subscriber: Any, joining: Joining) -> None:
        self._topic = topic
        self._subscriber = subscriber
        self._joining = joining
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}

    @property
    def joined(self) -> bool:
        """True once the group has given this process its share, which may be no partition."""
        return self._joining.times > 0

    @property
    def assignments(self) -> int:
        """How often the group has given out its partitions."""
        return self._joining.times

    @property
    def _consumer(self) -> Any:
        return self._subscriber.consumer

    def assigned(self) -> set[int]:
        """Give the partitions that are assigned to this process now."""
        consumer = self._consumer
        return {tp.partition for tp in consumer.assignment()} if consumer else set()

    def seek(self, partition: int, offset: int) -> None:
        """Read on from an offset."""
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    def pause(self, partition: int) -> None:
        """Fetch nothing of a partition for a while."""
        if partition in self.assigned():
            self._consumer.pause(TopicPartition(self._topic, partition))

    def resume(self, partition: int) -> None:
        """Fetch from a partition again."""
        if partition in self.assigned():
            self._consumer.resume(TopicPartition(self._topic, partition))

    def highwater(self, partition: int) -> int | None:
        """Give the offset after the last record, as of the last fetch; None if never fetched."""
        tp = TopicPartition(self._topic, partition)
        consumer = self._consumer
        if consumer is None or tp not in consumer.assignment():
            return None
        highwater: int | None = consumer.highwater(tp)
        return highwater

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Give the first offset and the one after the last of each partition."""
        tps = [TopicPartition(self._topic, partition) for partition in partitions]
        # Both at once: requests to a broker wait behind a fetch that waits there.
        first, end = await asyncio.gather(
            self._consumer.beginning_offsets(tps), self._consumer.end_offsets(tps)
        )
        return {tp.partition: (first[tp], end[tp]) for tp in tps}

    async def commit(self, offsets: dict[int, int]) -> None:
        """Tell Kafka where we stand. Only for lag metrics: the truth is in Postgres."""
        assigned = self.assigned()
        told = {
            TopicPartition(self._topic, partition): OffsetAndMetadata(offset, "")
            for partition, offset in offsets.items()
            if partition in assigned
        }
        if told and told != self._committed:  # an idle partition costs nothing
            await self._consumer.commit(told)
            self._committed = told
