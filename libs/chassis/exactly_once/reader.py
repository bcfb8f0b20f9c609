"""The exactly-once batch: every record of a topic applied once, whatever dies in between.

Where a partition stands is kept in Postgres and moved in the same transaction as the effects. The
steps of a batch, with the numbers they have below:

 1. Arm. A partition seen for the first time is taken over: its epoch rises, which fences the former
    owner; what the outbox still holds of it is sent again; the consumer seeks to where it stands.
 2. Drop what was applied already, by offset, and what was said already, by the source's number.
 3. In one transaction for all partitions of the batch: move every position by compare-and-set. If
    one is not ours any more, roll back and go on without it.
 4. Let the handler read, decide and write; keep dead letters for what cannot be processed.
 5. Write the outbox and the watermarks, commit.
 6. Publish, wait for the acknowledgements, and remember them.

An outage undoes the batch, disarms its partitions, and arming reads the truth again: also where a
commit was sent and its answer lost. A fault of a record undoes the batch too; then each record is
taken by itself, and the one at fault goes to the dead-letter topic.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import structlog

from libs.chassis import failpoints
from libs.chassis.exactly_once import outbox, positions
from libs.chassis.exactly_once.dead_letters import Origin, dead_letter, reason_for
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.publisher import Publisher
from libs.chassis.exactly_once.records import Handler, Incoming, M, Outgoing, Received
from libs.chassis.outages import Backoff, NotPublished, NotYet, is_outage
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.telemetry import metrics
from libs.chassis.telemetry.logs import logger

_PATIENCE_SECONDS = 30.0
"""How long a record may wait for what it needs before it counts as one that cannot be processed."""
_COOL_DOWN_SECONDS = 3.0
"""After losing a partition: time for a heartbeat to say whether it is still assigned to us."""
_log = logger(__name__)


class Fenced(Exception):  # noqa: N818  (a fact, not a fault)
    """Another process owns these partitions now."""

    def __init__(self, partitions: Iterable[int]) -> None:
        super().__init__(f"partitions {sorted(partitions)} have another owner")
        self.partitions = set(partitions)


class Log(Protocol):
    """The partitioned log as a batch needs it; `broker.Subscription` is the one on Kafka."""

    def assigned(self) -> set[int]:
        """Give the partitions that are assigned to this process now."""
        ...

    def seek(self, partition: int, offset: int) -> None:
        """Read on from an offset; what was fetched before is thrown away."""
        ...

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Give the first offset there is, and the one after the last, of each partition."""
        ...


Work = Callable[[Transaction, Sequence[OwnedPartition]], Awaitable[Sequence[Outgoing]]]
"""What a loop does in its turn: like a handler, but caused by time instead of records."""


@dataclass(frozen=True, slots=True)
class _Dues:
    """What one transaction owes after its handler: records to say, and numbers taken."""

    said: list[outbox.OutboxRecord]
    taken: dict[tuple[int, str], int]


class Reader(Generic[M]):
    """One service's reading of one topic."""

    def __init__(
        self, origin: Origin, handler: Handler[M], pool: Pool, publisher: Publisher
    ) -> None:
        self.origin = origin
        self.topic = origin.topic
        self.armed: dict[int, OwnedPartition] = {}
        self.last_progress = time.monotonic()
        self._handler = handler
        self._pool = pool
        self._publisher = publisher
        self._log: Log | None = None
        self._lock = asyncio.Lock()
        self._backoff = Backoff()
        self._acknowledged: outbox.Sent = {}
        self._cooling: dict[int, float] = {}
        self._waiting_since: dict[int, float] = {}

    def attach(self, log: Log) -> None:
        """Say which log it reads."""
        self._log = log

    @property
    def log(self) -> Log:
        """The log it reads."""
        if self._log is None:
            raise RuntimeError(f"the reader of {self.topic} has no log yet")
        return self._log

    def source(self, partition: int) -> str:
        """Name who numbers what the records of a partition cause."""
        return f"{self.origin.service}/{self.topic}/{partition}"

    async def handle_batch(self, batch: Sequence[Incoming[M]]) -> None:
        """Apply a batch. It never raises for an outage: the records come again."""
        partitions = {incoming.partition for incoming in batch}
        try:
            async with self._lock:
                with metrics.BATCH_SECONDS.labels(self.topic).time():
                    await self._apply(batch)
        except Exception as error:  # noqa: BLE001  (whatever it is, the records come again)
            self._back_off(error, partitions)
            await self._backoff.wait()
        else:
            self._backoff.reset()

    async def turn(self, work: Work, partitions: Iterable[int] | None = None) -> bool:
        """Let a loop do its work as the owner of these partitions (default: all armed ones).

        Steps 3 to 6 of a batch, without records. Returns False if nothing could be done because
        none of the partitions is ours now.

        Raises:
            Exception: What the work or an outage raised; everything was undone.
        """
        async with self._lock:
            wanted = self.armed.keys() if partitions is None else self.armed.keys() & partitions
            armed = [self.armed[partition] for partition in sorted(wanted)]
            if not armed:
                return False
            try:
                await self._take_turn(work, armed)
            except Fenced as fenced:
                self._lose(fenced.partitions)
                return False
            except Exception as error:
                self._back_off(error, {one.partition for one in armed})
                raise
        return True

    async def maintain(self) -> None:
        """Arm what was assigned, let go of what was taken away, remember acknowledgements.

        Called a few times a second. Arming does not wait for records, because the outbox of a
        partition may hold some that its former owner did not get to publish.
        """
        try:
            async with self._lock:
                assigned = self.log.assigned()
                self._disarm(self.armed.keys() - assigned)
                await self._arm(self._may_arm(assigned - self.armed.keys()))
                await self._remember_acknowledgements()
        except Exception as error:  # noqa: BLE001  (tried again the next time)
            self._back_off(error, self.log.assigned() - self.armed.keys())
            await self._backoff.wait()

    # Step 1 ------------------------------------------------------------------------------------

    def _may_arm(self, partitions: Iterable[int]) -> list[int]:
        now = time.monotonic()
        return sorted(one for one in partitions if self._cooling.get(one, 0.0) <= now)

    async def _arm(self, partitions: Sequence[int]) -> None:
        """Take partitions over: fence, send again, seek."""
        if not partitions:
            return
        async with transaction(self._pool) as tx:
            armed = await positions.arm(tx, self.topic, partitions)
            unsent = await outbox.unsent(tx, [self.source(one) for one in partitions])
        await self._check_bounds(armed)
        await self._publish(unsent)
        metrics.RESENT.inc(sum(len(chunk.records) for chunk in unsent))
        for one in armed.values():
            self.log.seek(one.partition, one.next_offset)
        self.armed.update(armed)
        metrics.ARMED.labels(self.topic).inc(len(armed))
        metrics.ASSIGNED.labels(self.topic).set(len(self.armed))
        _log.info("partitions.armed", topic=self.topic, partitions=list(partitions))

    async def _check_bounds(self, armed: Mapping[int, OwnedPartition]) -> None:
        """Compare where partitions stand with what the log has; a recreated topic is refused."""
        for partition, (first, end) in (await self.log.bounds(list(armed))).items():
            one = armed[partition]
            if one.next_offset > end:
                raise RuntimeError(
                    f"{self.topic}/{partition} ends at {end}, but {one.next_offset} was read "
                    "already: the topic was deleted and made again, or another cluster is meant"
                )
            if 0 < one.next_offset < first:
                _log.error("records.lost_to_retention", topic=self.topic, partition=partition)
                metrics.GAPS.labels(self.topic).inc()

    def _disarm(self, partitions: Iterable[int]) -> None:
        for partition in list(partitions):
            self.armed.pop(partition, None)
        metrics.ASSIGNED.labels(self.topic).set(len(self.armed))

    def _lose(self, partitions: set[int]) -> None:
        """Let go of what another process owns, and wait before asking for it again."""
        _log.warning("partitions.fenced", topic=self.topic, partitions=sorted(partitions))
        metrics.FENCED.labels(self.topic).inc()
        self._disarm(partitions)
        until = time.monotonic() + _COOL_DOWN_SECONDS
        self._cooling.update(dict.fromkeys(partitions, until))

    # Step 2 ------------------------------------------------------------------------------------

    async def _apply(self, batch: Sequence[Incoming[M]]) -> None:
        fresh, gaps = self._sort_out(batch)
        await self._arm(self._may_arm(gaps))
        for partition, first in gaps.items():
            if partition in self.armed:
                self.armed[partition].gap = first
        if fresh:
            await self._commit(fresh)

    def _sort_out(self, batch: Sequence[Incoming[M]]) -> tuple[list[Incoming[M]], dict[int, int]]:
        """Keep what follows on where each partition stands; name the ones to arm (again).

        A batch that does not follow on may have been fetched before a seek, so it is thrown away
        and fetched again; only a gap that comes back is believed.
        """
        fresh: list[Incoming[M]] = []
        gaps: dict[int, int] = {}
        for partition, records in _by_partition(batch).items():
            armed, first = self.armed.get(partition), records[0].offset
            if armed is None or (first > armed.next_offset and first != armed.gap):
                gaps[partition] = first
            else:
                fresh += [one for one in records if one.offset >= armed.next_offset]
        return fresh, gaps

    def _new_ones(
        self, batch: Sequence[Incoming[M]]
    ) -> tuple[list[Incoming[M]], dict[tuple[int, str], int]]:
        """Drop what a source has said before; give the rest and the numbers taken."""
        new: list[Incoming[M]] = []
        taken: dict[tuple[int, str], int] = {}
        for one in batch:
            if one.source:
                place = (one.partition, one.source)
                last = taken.get(place, self.armed[one.partition].watermarks.get(one.source))
                if self._is_repeat(one, last):
                    metrics.RECORDS.labels(self.topic, "repeated").inc()
                    continue
                taken[place] = one.seq
            new.append(one)
        return new, taken

    def _is_repeat(self, one: Incoming[M], last: int | None) -> bool:
        if last is None:
            return False
        if one.seq > last + 1:
            metrics.GAPS.labels(self.topic).inc()
            _log.error("sequence.gap", topic=self.topic, source=one.source, last=last, seq=one.seq)
        return one.seq <= last

    # Steps 3 to 6 ------------------------------------------------------------------------------

    async def _commit(self, batch: Sequence[Incoming[M]]) -> None:
        try:
            await self._transact(batch)
        except Fenced as fenced:
            self._lose(fenced.partitions)
            if rest := [one for one in batch if one.partition not in fenced.partitions]:
                await self._commit(rest)
        except Exception as error:
            if is_outage(error) and not self._out_of_patience(error, batch):
                raise
            await self._isolate(batch, error)
        else:
            for one in batch:
                self._waiting_since.pop(one.partition, None)

    async def _transact(self, batch: Sequence[Incoming[M]]) -> None:
        first = batch[0]
        structlog.contextvars.bind_contextvars(
            batch=f"{self.topic}/{first.partition}@{first.offset}"
        )
        news = {one.partition: one.offset + 1 for one in batch}
        armed = [self.armed[partition] for partition in sorted(news)]
        failpoints.reach("before_transaction")
        async with transaction(self._pool) as tx:
            self._check_owned(await positions.advance(tx, self.topic, armed, news), armed)
            failpoints.reach("after_compare_and_set")
            dues = await self._handle(tx, batch)
            chunks = await outbox.write(tx, dues.said)
            await positions.raise_watermarks(
                tx, self.topic, ((*place, seq) for place, seq in dues.taken.items())
            )
            failpoints.reach("before_commit")
        failpoints.reach("after_commit")
        self._move_on(news, dues.taken)
        await self._publish(chunks)
        metrics.BATCHES.labels(self.topic).inc()

    async def _take_turn(self, work: Work, armed: Sequence[OwnedPartition]) -> None:
        async with transaction(self._pool) as tx:
            self._check_owned(await positions.hold(tx, self.topic, armed), armed)
            said = [self._said(outgoing) for outgoing in await work(tx, armed)]
            chunks = await outbox.write(tx, said)
        await self._publish(chunks)

    def _check_owned(self, ours: set[int], armed: Sequence[OwnedPartition]) -> None:
        if lost := {one.partition for one in armed} - ours:
            raise Fenced(lost)

    async def _handle(self, tx: Transaction, batch: Sequence[Incoming[M]]) -> _Dues:
        new, taken = self._new_ones(batch)
        dead = [one for one in new if one.fault is not None]
        received = [
            Received(one.message, one.partition)
            for one in new
            if one.fault is None and one.message is not None
        ]
        outgoing = await self._handler(tx, received) if received else []
        letters = [dead_letter(one, self.origin, self.source(one.partition)) for one in dead]
        for one in dead:
            _log.error("record.dead_lettered", offset=one.offset, partition=one.partition)
        metrics.RECORDS.labels(self.topic, "dead_lettered").inc(len(dead))
        metrics.RECORDS.labels(self.topic, "handled").inc(len(received))
        return _Dues([self._said(one) for one in outgoing] + letters, taken)

    def _said(self, outgoing: Outgoing) -> outbox.OutboxRecord:
        return self._publisher.outbox_record(self.source(outgoing.caused_by), outgoing.message)

    def _move_on(self, news: Mapping[int, int], taken: Mapping[tuple[int, str], int]) -> None:
        for partition, next_offset in news.items():
            self.armed[partition].next_offset = next_offset
            self.armed[partition].gap = None
        for (partition, source), seq in taken.items():
            self.armed[partition].watermarks[source] = seq
        self.last_progress = time.monotonic()

    async def _publish(self, chunks: Sequence[outbox.Chunk]) -> None:
        """Publish what is committed. Whatever goes wrong, nothing later may be sent before it.

        Raises:
            NotPublished: If it was not acknowledged; the partitions must be armed again.
        """
        if not chunks:
            return
        try:
            sent = await self._publisher.publish_chunks(chunks)
        except Exception as error:
            raise NotPublished(repr(error)) from error
        failpoints.reach("after_acknowledgement")
        self._acknowledged.update(sent)

    async def _remember_acknowledgements(self) -> None:
        """Note lazily what Kafka has: a crash before it only makes the next owner send again."""
        if self._acknowledged:
            noted = dict(self._acknowledged)
            async with transaction(self._pool) as tx:
                await outbox.mark_sent(tx, noted)
            for stream, seq in noted.items():
                if self._acknowledged.get(stream) == seq:
                    del self._acknowledged[stream]

    # When something goes wrong -------------------------------------------------------------------

    async def _isolate(self, batch: Sequence[Incoming[M]], error: Exception) -> None:
        """Find the record at fault: take them one by one; it goes to the dead-letter topic."""
        if len(batch) > 1:
            for one in batch:
                if one.partition in self.armed:
                    await self._commit([one])
            return
        if batch[0].fault is not None:
            raise error
        batch[0].fault = reason_for(error)
        await self._commit(batch)

    def _out_of_patience(self, error: Exception, batch: Sequence[Incoming[M]]) -> bool:
        if not isinstance(error, NotYet):
            return False
        now = time.monotonic()
        waited = (now - self._waiting_since.setdefault(one.partition, now) for one in batch)
        return max(waited) > _PATIENCE_SECONDS

    def _back_off(self, error: Exception, partitions: Iterable[int]) -> None:
        """Undo what is believed of these partitions; arming reads the truth."""
        self._disarm(partitions)
        metrics.OUTAGES.labels(self.topic).inc()
        if is_outage(error):
            self.last_progress = time.monotonic()
            _log.warning("batch.retried", topic=self.topic, reason=repr(error))
        else:
            _log.error("batch.failed", topic=self.topic, exc_info=error)


def _by_partition(batch: Sequence[Incoming[Any]]) -> dict[int, list[Incoming[Any]]]:
    grouped: defaultdict[int, list[Incoming[Any]]] = defaultdict(list)
    for one in batch:
        grouped[one.partition].append(one)
    return grouped
