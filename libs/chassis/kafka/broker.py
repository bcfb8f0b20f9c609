"""The one file that knows FastStream.

Hot paths are FastStream batch subscribers with our own parser and manual acknowledgement, so that
one bad record never costs its batch. FastStream keeps the lifecycle and writes the AsyncAPI
document; positions are ours (see `libs.chassis.exactly_once`).
"""

import asyncio
import time
from collections.abc import Callable
from itertools import chain
from types import GenericAlias
from typing import Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from faststream.kafka.message import KafkaAckableMessage
from faststream.specification import AsyncAPI

from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Decoder, Incoming, M, read
from libs.chassis.kafka.subscription import Joining, Subscription

_LONGEST_FETCH_MS = 2000
"""How long a fetch waits at the broker for something to fetch. It ends with the first record, so
only what has to wait behind it sees this: a partition that is fetched from again after a pause."""
_POLL_MS = 10_000


async def _parser(records: Any, _original: Any) -> KafkaAckableMessage:
    """Wrap a batch without looking into it."""
    first = records[0]
    return KafkaAckableMessage(
        body=b"",
        headers={},
        batch_headers=[],
        reply_to="",
        content_type=None,
        message_id=f"{first.partition}:{first.offset}",
        correlation_id=None,
        raw_message=records,
        consumer=None,
    )


class Broker:
    """The FastStream broker of a service.

    Under load a batch begins no sooner than an interval after the one before it: a batch costs a
    transaction and some requests however small it is, so a moment's patience makes many small ones
    into few large ones. What comes after a pause is taken at once.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        client_id: str,
        session_timeout_ms: int,
        batch_interval_seconds: float = 0.0,
    ) -> None:
        self._batch_interval_seconds = batch_interval_seconds
        self._session_timeout_ms = session_timeout_ms
        self._client_id = client_id
        self._faststream = KafkaBroker(
            bootstrap_servers,
            client_id=client_id,
            logger=None,
            consumer_only=True,  # what is published goes through our own publisher
            allow_auto_create_topics=False,
            graceful_timeout=20.0,
        )

    def subscribe(
        self, reader: Reader[M], decoder: Decoder[M], message_type: Any, max_records: int
    ) -> Subscription:
        """Let a reader take the batches of its topic, as a member of its service's group."""

        async def take(body: Any, message: KafkaMessage) -> None:  # noqa: ARG001  (for AsyncAPI)
            began = time.monotonic()
            incoming = _incoming(message, decoder)
            await reader.handle_batch(incoming)
            if len(incoming) < max_records:
                await asyncio.sleep(self._batch_interval_seconds - (time.monotonic() - began))

        _carry(take, message_type)
        group = f"{self._client_id}.{reader.topic}"
        joining = Joining()
        subscription = self._connect(reader.topic, take, joining, group, max_records)
        joining.pause = subscription.pause
        return subscription

    def listen(
        self, topic: str, decoder: Decoder[M], message_type: Any, heard: Callable[[list[M]], None]
    ) -> Subscription:
        """Hear every new message of a topic in every process, from now on, without a position.

        For answers that only those who wait for them need: `heard` gets each batch's messages.
        """

        async def take(body: Any, message: KafkaMessage) -> None:  # noqa: ARG001  (for AsyncAPI)
            incoming = _incoming(message, decoder)
            heard([one.message for one in incoming if one.message is not None])

        _carry(take, message_type)
        return self._connect(topic, take, Joining())

    def _connect(
        self,
        topic: str,
        take: Any,
        joining: Joining,
        group: str | None = None,
        max_records: int = 1000,
    ) -> Subscription:
        subscriber = self._faststream.subscriber(
            topic,
            batch=True,
            group_id=group,
            max_records=max_records,
            parser=_parser,
            decoder=_decode_nothing,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest" if group else "latest",
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=_LONGEST_FETCH_MS,
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._session_timeout_ms // 3,
            listener=joining,
            title=topic,
        )
        subscriber.get_msg = _fetching(max_records)  # type: ignore[method-assign]
        subscriber(take)
        return Subscription(topic, subscriber, joining)

    async def start(self) -> None:
        """Join the groups and begin to read."""
        await self._faststream.start()

    async def stop(self) -> None:
        """Finish the batches under way and leave the groups."""
        await self._faststream.stop()

    def describe(self, title: str) -> dict[str, Any]:
        """Give the AsyncAPI document of what this service reads."""
        document = AsyncAPI(self._faststream, title=title, version="1").to_specification()
        described: dict[str, Any] = document.to_jsonable()
        return described


def _carry(take: Any, message_type: Any) -> None:
    """Tell FastStream what a batch carries, so that the AsyncAPI document can say it."""
    take.__annotations__["body"] = GenericAlias(list, (message_type,))


def _incoming(message: Any, decoder: Decoder[M]) -> list[Incoming[M]]:
    return [read(record, decoder) for record in message.raw_message]


async def _decode_nothing(_message: Any, _original: Any) -> list[Any]:
    """Leave the decoding to us: FastStream would lose a whole batch for one bad record."""
    return []


def _fetching(max_records: int) -> Any:
    """Fetch in the place of FastStream, which sleeps after an empty poll, whatever comes then."""

    async def get_msg(consumer: Any) -> tuple[Any, ...]:
        while True:
            fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=max_records)
            if fetched:
                return tuple(chain.from_iterable(fetched.values()))

    return get_msg
