"""A record on its way in, and what a handler makes of it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from libs.chassis.exactly_once.outbox import Publishable
from libs.chassis.postgres.pool import Transaction

M = TypeVar("M")
MessageT_co = TypeVar("MessageT_co", covariant=True)

SOURCE_HEADER = "millrace-source"
SEQ_HEADER = "millrace-seq"
_LONGEST_SOURCE = 1000
_LONGEST_SEQ = 18  # digits; a bigint holds any number of them


class Decoder(Protocol[MessageT_co]):
    """Reads a record's value; raises if it is not what the topic carries."""

    def validate_json(self, data: bytes, /) -> MessageT_co:
        """Give the message."""
        ...


@dataclass(slots=True)
class Incoming(Generic[M]):
    """One record: where it stands, who numbered it, and its message or why there is none.

    Attributes:
        source: Who numbered it, if it comes from an outbox of ours; else empty.
        seq: Its number at that source.
        fault: Why it cannot be processed, as a text for the dead-letter topic.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    source: str = ""
    seq: int = 0
    message: M | None = None
    fault: str | None = None


class Outgoing(NamedTuple):
    """A message to publish after the commit, and the partition whose record caused it.

    The cause decides who numbers the message, so that one contact's messages keep their order
    even when another process takes the partition over.
    """

    message: Publishable
    caused_by: int


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message that is read for the first time, as handlers get it."""

    message: M
    partition: int

    def causes(self, message: Publishable) -> Outgoing:
        """Say that a message is to be published because of this one."""
        return Outgoing(message, self.partition)

    def causes_all(self, messages: Iterable[Publishable]) -> list[Outgoing]:
        """Say that several messages are to be published because of this one, in this order."""
        return [Outgoing(message, self.partition) for message in messages]


Handler = Callable[[Transaction, Sequence[Received[M]]], Awaitable[Sequence[Outgoing]]]
"""What a service does with a batch: it reads, decides, writes, and returns what to publish.

It never commits and never publishes. If it raises, the batch is undone and taken record by record,
so that only the record at fault goes to the dead-letter topic.
"""


def read(record: Any, decoder: Decoder[M]) -> Incoming[M]:
    """Read an aiokafka record; what is wrong with it becomes data, not an exception."""
    incoming: Incoming[M] = Incoming(record.partition, record.offset, record.key, record.value)
    try:
        incoming.source, incoming.seq = _number(dict(record.headers))
        incoming.message = decoder.validate_json(record.value or b"")
    except Exception as error:  # noqa: BLE001  (whatever a stranger's record makes of a decoder)
        incoming.fault = f"cannot be read: {error}"
    return incoming


def _number(headers: dict[str, bytes | None]) -> tuple[str, int]:
    """Read who numbered a record, and its number; a record may have none, but no half of one.

    Raises:
        ValueError: If they are not what `headers_of` writes. Anyone may write to a topic, and what
            the watermarks cannot hold would stop its partition.
    """
    if SOURCE_HEADER not in headers and SEQ_HEADER not in headers:
        return "", 0
    source, seq = headers.get(SOURCE_HEADER) or b"", headers.get(SEQ_HEADER) or b""
    named = 0 < len(source) <= _LONGEST_SOURCE and b"\0" not in source
    if not (named and len(seq) <= _LONGEST_SEQ and seq.isdigit() and int(seq)):
        raise ValueError(f"the headers {SOURCE_HEADER} and {SEQ_HEADER} are not a source's")
    return source.decode(), int(seq)


def headers_of(source: str, seq: int) -> list[tuple[str, bytes]]:
    """Write the headers that let readers drop repeats."""
    return [(SOURCE_HEADER, source.encode()), (SEQ_HEADER, str(seq).encode())]
