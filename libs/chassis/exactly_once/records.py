"""A record on its way in, and what a handler makes of it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from libs.chassis.exactly_once.outbox import Publishable
from libs.chassis.postgres.pool import Transaction

M = TypeVar("M")
MessageT_co = TypeVar("MessageT_co", covariant=True)

SEQUENCE_HEADER = "millrace-sequence"
"""`<source>#<number>`: one header, because every record of ours carries it."""
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
        timestamp_ms: When it was written, as Kafka says.
        source: Who numbered it, if it comes from an outbox of ours; else empty.
        seq: Its number at that source.
        fault: Why it cannot be processed, as a text for the dead-letter topic.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int = 0
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


class Condemned(NamedTuple):
    """A message nobody can process, written as a dead letter of the topic it would have gone to.

    For a handler that makes several things of one record and fails at one of them: the record is
    applied, and what failed can be replayed by itself.
    """

    message: Publishable
    fault: str
    caused_by: int


@dataclass(slots=True)
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

    def condemns(self, message: Publishable, fault: str) -> Condemned:
        """Say that a message that follows from this one cannot be processed, and why."""
        return Condemned(message, fault, self.partition)


Results = Sequence[Outgoing | Condemned]
"""What a handler returns: what to publish, and what to put aside."""

Handler = Callable[[Transaction, Sequence[Received[M]]], Awaitable[Results]]
"""What a service does with a batch: it reads, decides, writes, and returns what to publish.

It never commits and never publishes. If it raises `NotYet`, what it needs has not arrived: the
partition waits and the record comes again. If it raises anything of its own, the batch is undone
and halved until the record at fault stands alone, which then goes to the dead-letter topic.
"""


def read(record: Any, decoder: Decoder[M]) -> Incoming[M]:
    """Read an aiokafka record; what is wrong with it becomes data, not an exception."""
    incoming: Incoming[M] = Incoming(
        record.partition, record.offset, record.key, record.value, record.timestamp
    )
    try:
        if record.headers:
            incoming.source, incoming.seq = _sequence_in(record.headers)
        incoming.message = decoder.validate_json(record.value or b"")
    except Exception as error:  # noqa: BLE001  (whatever a stranger's record makes of a decoder)
        incoming.fault = f"cannot be read: {error}"
    return incoming


def _sequence_in(headers: Iterable[tuple[str, bytes | None]]) -> tuple[str, int]:
    """Read who numbered a record, and its number, if anyone did.

    Raises:
        ValueError: If the header is not as `headers_of` writes it. Anyone may write to a topic, and
            what the watermarks cannot hold would stop its partition.
    """
    for name, value in headers:
        if name == SEQUENCE_HEADER:
            source, _, seq = (value or b"").rpartition(b"#")
            if not (seq.isdigit() and len(seq) <= _LONGEST_SEQ and int(seq)):
                raise ValueError(f"the header {SEQUENCE_HEADER} has no number")
            return _source_named(source), int(seq)
    return "", 0


@lru_cache(4096)
def _source_named(source: bytes) -> str:
    if not 0 < len(source) <= _LONGEST_SOURCE or b"\0" in source:
        raise ValueError(f"the header {SEQUENCE_HEADER} names no source")
    return source.decode()


def headers_of(source: str, seq: int) -> list[tuple[str, bytes]]:
    """Write the header that lets readers drop repeats."""
    return [(SEQUENCE_HEADER, b"%s#%d" % (source.encode(), seq))]
