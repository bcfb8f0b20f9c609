"""The exactly-once batch on real Kafka and real Postgres."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

import pytest

from libs.chassis import failpoints
from libs.chassis.exactly_once import outbox, positions
from libs.chassis.exactly_once.batch import Batches
from libs.chassis.exactly_once.publishing import Publishing
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import (
    SEQUENCE_HEADER,
    Incoming,
    Outgoing,
    Received,
    headers_of,
)
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.local.kafka import Kafka
from tests.support.echo_service import PARTITIONS, Node, Note, node
from tests.support.log_reading import everything_in, note, write
from tests.support.waiting import eventually

PEOPLE = [f"person {number}" for number in range(12)]


@pytest.fixture
def names() -> tuple[str, str]:
    tag = uuid4().hex[:8]
    return f"in.{tag}", f"out.{tag}"


async def heard(pool: Pool) -> Counter[tuple[str, int]]:
    rows = await pool.fetch("SELECT who, number FROM heard")
    return Counter((row["who"], row["number"]) for row in rows)


async def has_heard(pool: Pool, expected: Counter[tuple[str, int]]) -> bool:
    return (await heard(pool)).keys() >= expected.keys()


def said_once(servers: str, topic: str) -> Counter[tuple[str, int]]:
    """Count what a topic says to a reader that drops repeats by number."""
    last: dict[tuple[int, bytes], int] = {}
    notes: Counter[tuple[str, int]] = Counter()
    for record in everything_in(servers, topic, PARTITIONS):
        headers = dict(record.headers())
        source, _, seq = headers[SEQUENCE_HEADER].partition(b"#")
        stream, seq = (record.partition(), source), int(seq)
        assert seq <= last.get(stream, 0) + 1, "a number is missing"
        if seq == last.get(stream, 0) + 1:
            last[stream] = seq
            said = json.loads(record.value())
            notes[said["who"], said["number"]] += 1
    return notes


def some_notes(count: int, first: int = 0) -> Counter[tuple[str, int]]:
    numbers = range(first, first + count)
    return Counter({(who, number): 1 for number in numbers for who in PEOPLE})


async def write_notes(servers: str, topic: str, notes: Counter[tuple[str, int]]) -> None:
    await asyncio.to_thread(write, servers, topic, [note(*one) for one in notes])


async def test_every_record_is_handled_once_and_said_on_once(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    expected = some_notes(30)
    async with node(database, kafka.bootstrap_servers, names) as echo:
        await write_notes(kafka.bootstrap_servers, names[0], expected)
        await eventually(lambda: has_heard(echo.pool, expected), "every note")
        assert await heard(echo.pool) == expected
        rows = await echo.pool.fetch("SELECT who, number FROM heard ORDER BY place")
        for who in PEOPLE:
            assert [row["number"] for row in rows if row["who"] == who] == list(range(30))
    assert said_once(kafka.bootstrap_servers, names[1]) == expected


async def test_records_that_come_again_are_skipped(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    expected, more = some_notes(10), some_notes(5, first=10)
    async with node(database, kafka.bootstrap_servers, names) as echo:
        await write_notes(kafka.bootstrap_servers, names[0], expected)
        await eventually(lambda: has_heard(echo.pool, expected), "every note")
        for partition in echo.subscription.assigned():
            echo.subscription.seek(partition, 0)
        await write_notes(kafka.bootstrap_servers, names[0], more)
        await eventually(lambda: has_heard(echo.pool, more), "the later notes")
        assert await heard(echo.pool) == expected + more
    # Another process, whose group offset was never committed, begins where Postgres stands.
    async with node(database, kafka.bootstrap_servers, names) as again:
        last = some_notes(1, first=15)
        await write_notes(kafka.bootstrap_servers, names[0], last)
        await eventually(lambda: has_heard(again.pool, last), "the last notes")
        assert await heard(again.pool) == expected + more + last


async def numbered_repeats_are_dropped(servers: str, url: str, names: tuple[str, str]) -> None:
    """A writer that crashed sends its last records again under the same numbers."""
    who = PEOPLE[0]
    numbered = [
        (key, value, headers_of("elsewhere/7", seq))
        for seq, (key, value, _) in enumerate((note(who, one) for one in range(5)), 1)
    ]
    async with node(url, servers, names) as echo:
        await asyncio.to_thread(write, servers, names[0], numbered)
        await asyncio.to_thread(write, servers, names[0], [*numbered[2:], note(who, 99)])
        await eventually(lambda: has_heard(echo.pool, Counter({(who, 99): 1})), "the last note")
        assert await heard(echo.pool) == Counter({(who, one): 1 for one in (0, 1, 2, 3, 4, 99)})


async def test_numbered_repeats_are_dropped(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    await numbered_repeats_are_dropped(kafka.bootstrap_servers, database, names)


async def test_mutant_without_watermarks_is_found(
    kafka: Kafka, database: str, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batches, "_is_repeat", lambda *_: False)
    with pytest.raises(AssertionError):
        await numbered_repeats_are_dropped(kafka.bootstrap_servers, database, names)


async def test_bad_records_cost_nobody_else(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    servers, who = kafka.bootstrap_servers, PEOPLE[0]
    records = [note(who, 1), (who, b"{broken", []), note(who, 2), note(who, -1), note(who, 3)]
    async with node(database, servers, names) as echo:
        await asyncio.to_thread(write, servers, names[0], records)
        expected = Counter({(who, number): 1 for number in (1, 2, 3)})
        await eventually(lambda: has_heard(echo.pool, expected), "the good notes")
        await eventually(lambda: _nothing_unsent(echo.pool), "the dead letters to be sent")
        assert await heard(echo.pool) == expected
    told = letters_of(servers, names[0])
    assert [one["offset"] for one in told] == [1, 3]
    assert "cannot be read" in str(told[0]["reason"])
    assert "a negative number" in str(told[1]["reason"])
    assert "Traceback" in str(told[1]["reason"])
    assert {one["topic"] for one in told} == {names[0]}


def letters_of(servers: str, topic: str) -> list[dict[str, object]]:
    letters = everything_in(servers, f"{topic}.dead-letter", PARTITIONS)
    return [json.loads(letter.value()) for letter in letters]


async def _nothing_unsent(pool: Pool) -> bool:
    async with transaction(pool) as tx:
        return await outbox.backlog(tx) == 0


def fall_asleep_before_the_transaction(
    reader: Reader[Note],
) -> tuple[asyncio.Event, asyncio.Event]:
    """Let the next batch stop right before its transaction, once; give (asleep, go on)."""
    asleep, go_on = asyncio.Event(), asyncio.Event()
    apply = reader.batches.apply

    async def sleep_first(records: Sequence[Incoming[Note]]) -> None:
        asleep.set()
        await go_on.wait()
        await apply(records)

    reader.batches.apply = sleep_first  # type: ignore[method-assign]
    return asleep, go_on


async def second_owner_fences_the_first(servers: str, url: str, names: tuple[str, str]) -> None:
    """A process sleeps in the middle of a batch; another takes its partitions over and goes on."""
    expected = some_notes(3)
    async with node(url, servers, names) as echo:
        entered, go_on = fall_asleep_before_the_transaction(echo.reader)
        await write_notes(servers, names[0], expected)
        await entered.wait()
        other = Node(echo.pool, servers, names)
        async with transaction(echo.pool) as tx:
            taken = await positions.arm(tx, names[0], range(PARTITIONS))
        other.reader.attach(echo.subscription)
        other.reader.ownership.armed = taken
        await _apply_all(other, servers, names[0])
        go_on.set()
        later = some_notes(2, first=3)
        await write_notes(servers, names[0], later)
        await eventually(lambda: has_heard(echo.pool, later), "the later notes")
        await other.publisher.close()
        assert await heard(echo.pool) == expected + later
    assert said_once(servers, names[1]) == expected + later


async def _apply_all(other: Node, servers: str, topic: str) -> None:
    records = await asyncio.to_thread(everything_in, servers, topic, PARTITIONS)
    batch = [
        Incoming(
            record.partition(),
            record.offset(),
            record.key(),
            record.value(),
            message=Note.model_validate_json(record.value()),
        )
        for record in sorted(records, key=lambda one: (one.partition(), one.offset()))
    ]
    await other.reader.handle_batch(batch)


async def test_a_second_owner_fences_the_first(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    await second_owner_fences_the_first(kafka.bootstrap_servers, database, names)


async def test_mutant_that_ignores_the_compare_and_set_is_found(
    kafka: Kafka, database: str, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batches, "_check_owned", lambda *_: None)
    with pytest.raises(AssertionError):
        await second_owner_fences_the_first(kafka.bootstrap_servers, database, names)


class Interrupted(BaseException):
    """The process dies between the commit and the acknowledgement."""


async def unsent_chunks_are_sent_by_the_next_owner(
    servers: str, url: str, names: tuple[str, str]
) -> None:
    expected = some_notes(2)
    async with node(url, servers, names) as echo:
        died = asyncio.Event()

        async def never_published(_chunks: Sequence[object]) -> None:
            died.set()
            raise Interrupted

        echo.publisher.publish_chunks = never_published  # type: ignore[method-assign, assignment]
        await write_notes(servers, names[0], expected)
        await died.wait()
    async with node(url, servers, names) as successor:
        await eventually(lambda: has_heard(successor.pool, expected), "every note")
        await eventually(lambda: _nothing_unsent(successor.pool), "everything to be sent")
        assert await heard(successor.pool) == expected
    assert said_once(servers, names[1]) == expected


async def test_unsent_chunks_are_sent_by_the_next_owner(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    await unsent_chunks_are_sent_by_the_next_owner(kafka.bootstrap_servers, database, names)


async def test_mutant_that_marks_before_the_acknowledgement_is_found(
    kafka: Kafka, database: str, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Publishing.publish

    async def mark_first(self: Publishing, chunks: Sequence[outbox.Chunk]) -> object:
        self._acknowledged.update({(one.source, one.destination): one for one in chunks})
        await self.remember_acknowledgements()
        return await publish(self, chunks)

    monkeypatch.setattr(Publishing, "publish", mark_first)
    with pytest.raises(AssertionError):
        await unsent_chunks_are_sent_by_the_next_owner(kafka.bootstrap_servers, database, names)


async def test_a_loop_takes_its_turn_only_as_the_owner(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    async with node(database, kafka.bootstrap_servers, names) as echo:
        await eventually(lambda: len(echo.reader.armed) == PARTITIONS, "the partitions")
        turns: list[int] = []

        async def work(
            tx: Transaction, owned: Sequence[positions.OwnedPartition]
        ) -> list[Outgoing]:
            turns.append(len(owned))
            return await echo.handler(tx, [Received(Note(who="turn", number=1), 0)])  # type: ignore[return-value]

        assert await echo.reader.run_as_owner(work, [0, 1])
        async with transaction(echo.pool) as tx:
            await positions.arm(tx, names[0], [0])
        assert not await echo.reader.run_as_owner(work, [0])
        assert turns == [2]
        assert await heard(echo.pool) == Counter({("turn", 1): 1})


def test_every_point_has_a_name() -> None:
    with pytest.raises(ValueError, match="no point called nowhere"):
        failpoints.plan_crashes("nowhere@1")
