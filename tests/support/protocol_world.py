"""A world in memory for the exactly-once batch.

The code under test is the real `Reader`; only what it stands on is replaced: the log, the database,
the publisher. A transaction is atomic here, as row locks make it in Postgres: a process can sleep
before one or after one, not within.
"""

import asyncio
import contextlib
import copy
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka.errors import KafkaConnectionError

from libs.chassis import failpoints
from libs.chassis.exactly_once import batch, ownership, publishing
from libs.chassis.exactly_once.dead_letters import Origin
from libs.chassis.exactly_once.outbox import Chunk, Destination, OutboxRecord, pack, unpack
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.publisher import PublishResult
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Incoming, Outgoing, Received
from libs.chassis.outages import Backoff, NotYet

TOPIC, OUT = "in", "out"
WRITTEN_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Died(BaseException):
    """A process was killed."""


@dataclass
class Tables:
    positions: dict[int, tuple[int, int]] = field(default_factory=dict)
    watermarks: dict[tuple[int, str], int] = field(default_factory=dict)
    streams: dict[tuple[str, Destination], tuple[int, int]] = field(default_factory=dict)
    chunks: list[tuple[str, Destination, int, bytes]] = field(default_factory=list)
    effects: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Topic:
    name: str


@dataclass
class Note:
    """A message: text, and the partition it goes to."""

    text: str
    to_partition: int | None
    topic: Topic = field(default_factory=lambda: Topic(OUT))
    key: str = ""

    def body(self) -> bytes:
        return self.text.encode()


class Process:
    """One process: the real reader on a pretended world."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.number = number
        self.believed: set[int] = set()
        self.fetched: dict[int, int] = {}
        self.sleeping: asyncio.Event | None = None
        self.sleep_at: str | None = None
        self.fail: str | None = None
        self.hasty = False
        self.reassigned = 0
        self.paused: set[int] = set()
        self.task: asyncio.Task[None] | None = None
        self.reader: Reader[str] = Reader(Origin("echo", TOPIC), self.handle, self, self)  # type: ignore[arg-type]
        self.reader.attach(self)

    async def handle(self, tx: Any, batch: Sequence[Received[str]]) -> list[Outgoing]:
        if awaited := self.world.awaited & {received.message for received in batch}:
            raise NotYet(str(awaited))
        tx.effects += [(received.partition, received.message) for received in batch]
        return [
            received.causes(Note(received.message, int(received.message.split(":")[1]) % 2))
            for received in batch
        ]

    def is_asleep(self) -> bool:
        return self.sleeping is not None and not self.sleeping.is_set()

    def is_publishing(self) -> bool:
        publishing = self.reader.publishing.under_way
        return publishing is not None and not publishing.done()

    def died_publishing(self) -> bool:
        publishing = self.reader.publishing.under_way
        return bool(publishing and publishing.done() and isinstance(publishing.exception(), Died))

    # The log --------------------------------------------------------------------------------

    @property
    def assignments(self) -> int:
        return self.reassigned

    def assigned(self) -> set[int]:
        return self.believed

    def seek(self, partition: int, offset: int) -> None:
        self.fetched[partition] = offset

    def pause(self, partition: int) -> None:
        self.paused.add(partition)

    def resume(self, partition: int) -> None:
        self.paused.discard(partition)

    def highwater(self, partition: int) -> int | None:
        return len(self.world.log[partition])

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        return {one: (0, len(self.world.log[one])) for one in partitions}

    def poll(self, at_most: int) -> list[Incoming[str]]:
        polled: list[Incoming[str]] = []
        for partition in sorted(self.believed - self.paused):
            at = self.fetched.get(partition, 0)
            for offset, (text, seq) in enumerate(self.world.log[partition][at : at + at_most], at):
                source = "up" if seq else ""
                polled.append(
                    Incoming(partition, offset, b"", text.encode(), 0, source, seq, message=text)
                )
                self.fetched[partition] = offset + 1
        return polled

    # The publisher --------------------------------------------------------------------------

    def outbox_record(self, source: str, message: Any) -> OutboxRecord:
        return OutboxRecord(source, Destination(OUT, message.to_partition), b"", message.body())

    def destination(self, message: Any) -> Destination:
        return Destination(OUT, message.to_partition)

    def room_in(self, _topic: str) -> int:
        return 1_000_000

    async def publish_chunks(self, chunks: Sequence[Chunk]) -> PublishResult:
        await self.nap("publish")
        for chunk in chunks:
            for seq, (_, value) in enumerate(chunk.records, chunk.first_seq):
                self.world.out[chunk.destination].append((chunk.source, seq, value.decode()))
            failpoints.reach("mid_publish")
            self.stumble("publish")
        return PublishResult({(chunk.source, chunk.destination): chunk for chunk in chunks})

    # Misfortune -----------------------------------------------------------------------------

    async def nap(self, where: str) -> None:
        if self.sleep_at == where:
            self.sleep_at = None
            self.sleeping = asyncio.Event()
            await self.sleeping.wait()

    def stumble(self, where: str) -> None:
        if self.fail == where:
            self.fail = None
            raise KafkaConnectionError(where)
        if self.fail == f"{where}, oddly":
            self.fail = None
            raise AssertionError(where)


class World:
    """Everything outside the processes, and the pretended modules the reader calls."""

    def __init__(self, partitions: int = 2) -> None:
        self.loop = asyncio.new_event_loop()
        self.partitions = partitions
        self.log: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
        self.out: defaultdict[Destination, list[tuple[str, int, str]]] = defaultdict(list)
        self.tables = Tables()
        self.processes: dict[int, Process] = {}
        self.awaited: set[str] = set()

    @contextlib.asynccontextmanager
    async def transaction(self, process: Process) -> AsyncIterator[Tables]:
        await process.nap("transaction")
        draft = copy.deepcopy(self.tables)
        yield draft
        self.tables = draft
        process.stumble("commit")

    def run(self, process: Process, work: Any) -> bool:
        """Let a process work until it is done, asleep or dead; False if it died."""
        process.task = self.loop.create_task(self._to_its_end(process, work))
        return self.carry_on(process)

    async def _to_its_end(self, process: Process, work: Any) -> None:
        """Publishing goes on beside the next piece of work, unless the process is a hasty one."""
        await work
        if not process.hasty:
            await process.reader.settle()

    def carry_on(self, process: Process) -> bool:
        task = process.task
        if task is None:
            return True

        async def until_done_or_asleep() -> None:
            while not (task.done() or process.is_asleep() or process.died_publishing()):
                await _breathe()
            while process.is_publishing() and not process.is_asleep():
                await _breathe()

        self.loop.run_until_complete(until_done_or_asleep())
        if process.died_publishing() or (task.done() and isinstance(task.exception(), Died)):
            task.cancel()
            self.processes.pop(process.number, None)
            return False
        if task.done():
            process.task = None
            task.result()
        return True


async def _breathe() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future


class Positions:
    """`libs.chassis.exactly_once.positions` in memory."""

    async def arm(
        self, tx: Tables, _topic: str, partitions: Sequence[int]
    ) -> dict[int, OwnedPartition]:
        armed = {}
        for one in partitions:
            next_offset, epoch = tx.positions.get(one, (0, 0))
            tx.positions[one] = (next_offset, epoch + 1)
            marks = {source: seq for (part, source), seq in tx.watermarks.items() if part == one}
            armed[one] = OwnedPartition(one, next_offset, epoch + 1, marks)
        return armed

    async def advance(
        self,
        tx: Tables,
        _topic: str,
        armed: Sequence[OwnedPartition],
        news: dict[int, int],
        taken: dict[tuple[int, str], int],
    ) -> set[int]:
        ours = {
            one.partition
            for one in armed
            if tx.positions[one.partition] == (one.next_offset, one.epoch)
        }
        for one in armed:
            if one.partition in ours:
                tx.positions[one.partition] = (news[one.partition], one.epoch)
        tx.watermarks.update(taken)
        return ours


class Outbox:
    """`libs.chassis.exactly_once.outbox` in memory; chunks are packed as in the table."""

    async def write(self, tx: Tables, said: Iterable[OutboxRecord]) -> list[Chunk]:
        grouped: dict[tuple[str, Destination], list[tuple[bytes, bytes]]] = {}
        for one in said:
            grouped.setdefault((one.source, one.destination), []).append((one.key, one.value))
        chunks = []
        for (source, to), records in grouped.items():
            last, relayed = tx.streams.get((source, to), (0, 0))
            tx.streams[source, to] = (last + len(records), relayed)
            tx.chunks.append((source, to, last + 1, pack(records)))
            chunks.append(Chunk(source, to, last + 1, tuple(records), WRITTEN_AT))
        return chunks

    async def unsent(self, tx: Tables, sources: Sequence[str]) -> list[Chunk]:
        chunks = [
            Chunk(source, to, first, tuple(unpack(packed)), WRITTEN_AT)
            for source, to, first, packed in tx.chunks
        ]
        return [
            chunk
            for chunk in chunks
            if chunk.source in sources
            and chunk.last_seq > tx.streams[chunk.source, chunk.destination][1]
        ]

    async def mark_sent(self, tx: Tables, sent: dict[tuple[str, Destination], Chunk]) -> None:
        for stream, chunk in sent.items():
            last, relayed = tx.streams[stream]
            tx.streams[stream] = (last, max(relayed, chunk.last_seq))


async def _no_wait(_backoff: Any) -> None:
    return


@contextlib.contextmanager
def pretended(world: World, patch: Callable[[Any, str, Any], None]) -> Any:
    """Put the pretended modules in the place of the real ones."""
    positions, outbox = Positions(), Outbox()
    for module in (batch, ownership, publishing):
        patch(module, "transaction", world.transaction)
        patch(module, "outbox", outbox)
    for module in (batch, ownership):
        patch(module, "positions", positions)
    patch(ownership, "COOL_DOWN_SECONDS", -1.0)
    patch(Backoff, "wait", _no_wait)
    patch(Backoff, "next", lambda _backoff: -1.0)
    yield world


def heard(records: Sequence[tuple[str, int, str]]) -> list[str]:
    """Read a destination as a reader with a watermark does; a gap in the numbers is a loss."""
    last: dict[str, int] = {}
    texts = []
    for source, seq, text in records:
        expected = last.get(source, 0) + 1
        assert seq <= expected, f"{source} jumps from {expected - 1} to {seq}"
        if seq == expected:
            last[source] = seq
            texts.append(text)
    return texts
