"""The numbered transaction: steps 2 to 6 of a batch, over one record of what it knows.

The numbers are those of README.md in this folder.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from libs.chassis import failpoints
from libs.chassis.exactly_once import outbox, positions
from libs.chassis.exactly_once.dead_letters import Origin, dead_letter, letter_for_condemned
from libs.chassis.exactly_once.outbox import Chunk, OutboxRecord
from libs.chassis.exactly_once.ownership import Fenced, Ownership
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.publisher import Publisher
from libs.chassis.exactly_once.publishing import Publishing
from libs.chassis.exactly_once.records import Condemned, Handler, Incoming, M, Received, Results
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.telemetry import metrics
from libs.chassis.telemetry.logs import logger

_log = logger(__name__)

Work = Callable[[Transaction, Sequence[OwnedPartition]], Awaitable[Results]]
"""What a loop does as the owner: like a handler, but caused by time instead of records."""


@dataclass(slots=True)
class BatchContext(Generic[M]):
    """What is known of a batch, filled in step by step.

    Attributes:
        owned: Where the partitions of the batch stand, before it.
        next_offsets: Where they stand after it.
        new: The records that were not taken before.
        taken: The highest number taken from each source.
        repeated: How many records were dropped as repeats.
        handled: How many the handler has handled.
        condemned: How many records and messages go to a dead-letter topic.
        chunks: What is to be published.
    """

    records: Sequence[Incoming[M]]
    owned: list[OwnedPartition]
    next_offsets: dict[int, int]
    new: list[Incoming[M]] = field(default_factory=list)
    taken: dict[tuple[int, str], int] = field(default_factory=dict)
    repeated: int = 0
    handled: int = 0
    condemned: int = 0
    chunks: list[Chunk] = field(default_factory=list)


class Batches(Generic[M]):
    """Applies the batches of one topic, each in one transaction."""

    def __init__(
        self,
        handler: Handler[M],
        pool: Pool,
        publisher: Publisher,
        ownership: Ownership,
        publishing: Publishing,
        origin: Origin,
    ) -> None:
        self._handler = handler
        self._pool = pool
        self._publisher = publisher
        self._ownership = ownership
        self._publishing = publishing
        self._origin = origin
        self._topic = origin.topic
        self._counts = _Counts(origin.topic)

    async def apply(self, records: Sequence[Incoming[M]]) -> None:
        """Apply records that follow on where their partitions stand: all of them or none.

        Raises:
            Fenced: If a partition is not ours any more.
            Exception: Whatever went wrong; nothing was applied, unless only the answer was lost.
        """
        batch = self._begin(records)
        self._drop_repeats(batch)  # 2
        failpoints.reach("before_transaction")
        async with transaction(self._pool) as tx:
            await self._advance(tx, batch)  # 3
            failpoints.reach("after_compare_and_set")
            outgoing = await self._handle(tx, batch)  # 4
            batch.chunks = await outbox.write(tx, outgoing)  # 5
            failpoints.reach("before_commit")
        failpoints.reach("after_commit")
        self._move_on(batch)
        await self._publish(batch.chunks, batch.owned)  # 6

    async def apply_work(self, work: Work, owned: Sequence[OwnedPartition]) -> None:
        """Do a loop's work as the owner of these partitions: steps 3 to 6, without records.

        Raises:
            Fenced: If a partition is not ours any more.
            Exception: What the work or an outage raised; it was undone.
        """
        async with transaction(self._pool) as tx:
            self._check_owned(await positions.hold(tx, self._topic, owned), owned)
            results = await work(tx, owned)
            chunks = await outbox.write(tx, self._outbox_records(results, owned))
        self._counts.add_condemned(sum(1 for one in results if type(one) is Condemned))
        await self._publish(chunks, owned)

    def _begin(self, records: Sequence[Incoming[M]]) -> BatchContext[M]:
        next_offsets = {one.partition: one.offset + 1 for one in records}
        owned = [self._ownership.armed[partition] for partition in sorted(next_offsets)]
        return BatchContext(records, owned, next_offsets)

    # Step 2 --------------------------------------------------------------------------------------

    def _drop_repeats(self, batch: BatchContext[M]) -> None:
        """Drop what a source has said before; keep the rest, and the numbers taken."""
        watermarks = {one.partition: one.watermarks for one in batch.owned}
        new, taken = batch.new, batch.taken
        for one in batch.records:
            if one.source:
                place = (one.partition, one.source)
                last = taken.get(place) or watermarks[one.partition].get(one.source)
                if self._is_repeat(one, last):
                    batch.repeated += 1
                    continue
                taken[place] = one.seq
            new.append(one)

    def _is_repeat(self, one: Incoming[M], last: int | None) -> bool:
        if last is None:
            return False
        if one.seq > last + 1:
            metrics.GAPS.labels(self._topic).inc()
            _log.error("sequence.gap", topic=self._topic, source=one.source, last=last, seq=one.seq)
        return one.seq <= last

    # Steps 3 to 5 --------------------------------------------------------------------------------

    async def _advance(self, tx: Transaction, batch: BatchContext[M]) -> None:
        ours = await positions.advance(
            tx, self._topic, batch.owned, batch.next_offsets, batch.taken
        )
        self._check_owned(ours, batch.owned)

    def _check_owned(self, ours: set[int], owned: Sequence[OwnedPartition]) -> None:
        if lost := {one.partition for one in owned} - ours:
            raise Fenced(lost)

    async def _handle(self, tx: Transaction, batch: BatchContext[M]) -> list[OutboxRecord]:
        """Let the handler do its work; keep dead letters for what cannot be processed."""
        received: list[Received[M]] = []
        letters: list[OutboxRecord] = []
        for one in batch.new:
            if one.fault is not None or one.message is None:
                letters.append(self._letter(one))
            else:
                received.append(Received(one.message, one.partition))
        results = await self._handler(tx, received) if received else ()
        batch.handled = len(received)
        batch.condemned = len(letters) + sum(1 for one in results if type(one) is Condemned)
        return self._outbox_records(results, batch.owned) + letters

    def _letter(self, one: Incoming[M]) -> OutboxRecord:
        _log.error("record.dead_lettered", offset=one.offset, partition=one.partition)
        source = self._ownership.source(one.partition)
        return dead_letter(one, self._origin, source, self._publisher)

    def _outbox_records(
        self, results: Results, owned: Sequence[OwnedPartition]
    ) -> list[OutboxRecord]:
        """Address what is to be published, under the name of the partition that caused it."""
        sources = {one.partition: self._ownership.source(one.partition) for one in owned}
        address = self._publisher.outbox_record
        return [
            address(sources[one.caused_by], one.message)
            if type(one) is not Condemned
            else self._letter_for(one, sources[one.caused_by])
            for one in results
        ]

    def _letter_for(self, one: Condemned, source: str) -> OutboxRecord:
        _log.error("message.dead_lettered", topic=one.message.topic.name, partition=one.caused_by)
        return letter_for_condemned(one, self._origin, source, self._publisher)

    # After the commit ----------------------------------------------------------------------------

    def _move_on(self, batch: BatchContext[M]) -> None:
        last = {one.partition: one.timestamp_ms for one in batch.records}
        for one in batch.owned:
            one.next_offset = batch.next_offsets[one.partition]
            one.timestamp_ms = last[one.partition]
            one.gap = None
            self._ownership.moved_on(one.partition)
        marks = {one.partition: one.watermarks for one in batch.owned}
        for (partition, source), seq in batch.taken.items():
            marks[partition][source] = seq
        self._ownership.last_progress = time.monotonic()
        self._counts.add(batch)

    async def _publish(self, chunks: Sequence[Chunk], owned: Sequence[OwnedPartition]) -> None:
        """Begin to publish what is committed, behind what was committed before.

        What belongs to a partition that was let go of meanwhile stays in the outbox: something
        before it was not published, and arming will send both in order.
        """
        await self._publishing.settle()
        ours = {
            self._ownership.source(one.partition): self._ownership.is_ours(one) for one in owned
        }
        self._publishing.begin([chunk for chunk in chunks if ours.get(chunk.source)])


class _Counts:
    """The counters of a topic, looked up once."""

    def __init__(self, topic: str) -> None:
        self._batches = metrics.BATCHES.labels(topic)
        self._records = {
            outcome: metrics.RECORDS.labels(topic, outcome)
            for outcome in ("handled", "repeated", "dead_lettered")
        }

    def add(self, batch: BatchContext[Any]) -> None:
        """Count what a batch has come to."""
        counted: Mapping[str, int] = {
            "handled": batch.handled,
            "repeated": batch.repeated,
        }
        self.add_condemned(batch.condemned)
        self._batches.inc()
        for outcome, count in counted.items():
            self._records[outcome].inc(count)

    def add_condemned(self, count: int) -> None:
        """Count dead letters."""
        self._records["dead_lettered"].inc(count)
