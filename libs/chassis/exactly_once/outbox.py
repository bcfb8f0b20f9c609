"""The outbox: what a transaction wants said, written in it, published after it.

Each source (a service's reading of one partition, or a service as a whole) numbers its records for
each destination partition: 1, 2, 3 and so on without a gap. The numbers travel as a header. Readers
drop what is not above their watermark, so sending again does no harm, and a missing number is seen.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from libs.chassis.postgres.partitions import TimePartitioned
from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)
_LENGTHS = struct.Struct(">II")


class NamedTopic(Protocol):
    """Anything that names a topic."""

    @property
    def name(self) -> str:
        """The topic's name in Kafka."""
        ...


class Publishable(Protocol):
    """Anything that can be published: it knows its topic, its key and how to write itself."""

    @property
    def topic(self) -> NamedTopic:
        """Where it goes."""
        ...

    @property
    def key(self) -> str:
        """What it is keyed by; the key decides the partition."""
        ...

    @property
    def to_partition(self) -> int | None:
        """The partition it must go to whatever its key, if any."""
        ...

    def body(self) -> bytes:
        """The record's value."""
        ...


class Destination(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class OutboxRecord(NamedTuple):
    """A record on its way: who says it (the source), where to, key and value."""

    source: str
    destination: Destination
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one source for one destination, numbered from `first_seq`.

    Attributes:
        written_at: When its transaction began; it says which partition of the outbox has it.
    """

    source: str
    destination: Destination
    first_seq: int
    records: Sequence[tuple[bytes, bytes]]
    written_at: datetime

    @property
    def last_seq(self) -> int:
        """The number of its last record."""
        return self.first_seq + len(self.records) - 1


Stream = tuple[str, Destination]
"""A source and where it sends to; numbers run within a stream."""

Sent = dict[Stream, Chunk]
"""The last chunk of each stream that Kafka has acknowledged."""


async def write(tx: Transaction, said: Iterable[OutboxRecord]) -> list[Chunk]:
    """Number records and write them, one chunk per source and destination; give the chunks."""
    grouped: defaultdict[Stream, list[tuple[bytes, bytes]]] = defaultdict(list)
    for source, destination, key, value in said:
        grouped[source, destination].append((key, value))
    if not grouped:
        return []
    rows = queries.write(
        tx,
        sources=[source for source, _ in grouped],
        topics=[to.topic for _, to in grouped],
        partitions=[to.partition for _, to in grouped],
        counts=[len(records) for records in grouped.values()],
        records=[pack(records) for records in grouped.values()],
    )
    return [_chunk(row, grouped) async for row in rows]


def _chunk(row: Any, grouped: dict[Stream, list[tuple[bytes, bytes]]]) -> Chunk:
    source, to = row["source"], Destination(row["topic"], row["partition"])
    records = grouped[source, to]
    return Chunk(source, to, row["last_seq"] - len(records) + 1, records, row["written_at"])


async def unsent(tx: Transaction, sources: Sequence[str]) -> list[Chunk]:
    """Give the chunks of these sources that were not acknowledged, in order."""
    return [
        Chunk(
            row["source"],
            Destination(row["topic"], row["partition"]),
            row["first_seq"],
            tuple(unpack(row["records"])),
            row["written_at"],
        )
        async for row in queries.unsent(tx, sources=sources)
    ]


async def mark_sent(tx: Transaction, sent: Sent) -> None:
    """Remember what Kafka has acknowledged."""
    if sent:
        await queries.mark_sent(
            tx,
            sources=[source for source, _ in sent],
            topics=[to.topic for _, to in sent],
            partitions=[to.partition for _, to in sent],
            seqs=[chunk.last_seq for chunk in sent.values()],
            written_ats=[chunk.written_at for chunk in sent.values()],
        )


async def backlog(tx: Transaction) -> int:
    """Count the streams with records that Kafka has not acknowledged; it should come back to 0."""
    waiting: int = await queries.backlog(tx)
    return waiting


def kept_for(hours: float) -> TimePartitioned:
    """Say how long chunks are kept after they were sent: what Kafka loses can be sent again."""
    return TimePartitioned("outbox", "hour", timedelta(hours=hours), may_drop=_all_sent_before)


async def _all_sent_before(tx: Transaction, ends: datetime) -> bool:
    none_left: bool = await queries.all_sent_before(tx, ends=ends)
    return none_left


def pack(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Put keys and values into one run of bytes, each pair after its two lengths."""
    return b"".join(_LENGTHS.pack(len(key), len(value)) + key + value for key, value in records)


def unpack(packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Take keys and values out again."""
    at = 0
    while at < len(packed):
        key_length, value_length = _LENGTHS.unpack_from(packed, at)
        key_at = at + _LENGTHS.size
        at = key_at + key_length + value_length
        yield packed[key_at : key_at + key_length], packed[key_at + key_length : at]
