"""What keeps one record from being applied costs no other: R1, R10, and conditions that pass."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from libs.chassis.exactly_once import outbox, positions
from libs.chassis.exactly_once.dead_letters import SUFFIX
from libs.chassis.exactly_once.outbox import Destination, OutboxRecord
from libs.chassis.exactly_once.publisher import MessageTooLarge
from libs.chassis.exactly_once.records import Handler, Outgoing, Received, Results
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.outages import NotYet
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, Transaction, open_pool, transaction
from libs.contracts.topics import Topic
from libs.local.kafka import Kafka
from tests.integration.chassis.test_batches import (
    PEOPLE,
    _nothing_unsent,
    has_heard,
    heard,
    letters_of,
    said_once,
    some_notes,
    write_notes,
)
from tests.support.echo_service import MIGRATIONS, PARTITIONS, Echo, Node, Note, node
from tests.support.log_reading import everything_in, note, write
from tests.support.waiting import eventually

TOO_MUCH = "x" * 1_200_919  # the membership record of hole 1; its topic takes 1 MiB


@pytest.fixture
def names() -> tuple[str, str]:
    tag = uuid4().hex[:8]
    return f"in.{tag}", f"out.{tag}"


@dataclass
class Loud(Echo):
    """An echo that is larger than its topic takes."""

    def body(self) -> bytes:
        return json.dumps({"who": self.note.who, "text": TOO_MUCH}).encode()


def metric(name: str, topic: str) -> float:
    return REGISTRY.get_sample_value(name, {"topic": topic}) or 0.0


def raising_for(
    echo: Node, number: int, error: Callable[[], Exception | None]
) -> tuple[Handler[Note], list[int]]:
    """Give a handler that raises while a note with this number is in its batch; and its calls."""
    sizes: list[int] = []
    handle = echo.handler

    async def handler(tx: Transaction, batch: Sequence[Received[Note]]) -> Results:
        sizes.append(len(batch))
        raised = error()
        if raised and any(one.message.number == number for one in batch):
            raise raised
        return await handle(tx, batch)

    return handler, sizes


async def test_a_condition_holds_back_its_partition_alone(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    servers, waits = kafka.bootstrap_servers, PEOPLE[0]
    before, behind = some_notes(5), some_notes(5, first=6)
    awaited = Counter({(waits, 5): 1})
    everything = before + awaited + behind
    missing: list[Exception | None] = [NotYet("the definition")]
    async with node(database, servers, names) as echo:
        echo.handler, _ = raising_for(echo, 5, lambda: missing[0])
        mine = echo.publisher.partition_for(waits, names[0])
        free = Counter({one: 1 for one in behind if _partition(echo, one[0]) != mine})
        for notes in (before, awaited, behind):
            await write_notes(servers, names[0], notes)
        await eventually(lambda: has_heard(echo.pool, before | free), "what need not wait")
        await eventually(lambda: metric("millrace_waiting_partitions", names[0]) == 1, "the wait")
        await eventually(lambda: metric("millrace_outages_total", names[0]) > 3, "more tries")
        assert await heard(echo.pool) == before | free
        assert len(echo.reader.armed) == PARTITIONS, "its owner may do other work in it"
        assert await echo.reader.run_as_owner(_nothing, [mine])
        missing[0] = None
        await eventually(lambda: has_heard(echo.pool, everything), "the rest")
        assert metric("millrace_waiting_partitions", names[0]) == 0
        rows = await echo.pool.fetch(
            "SELECT number FROM heard WHERE who = $1 ORDER BY place", waits
        )
        assert [row["number"] for row in rows] == list(range(11)), "in their order"
        await eventually(lambda: _nothing_unsent(echo.pool), "everything to be sent")
    assert letters_of(servers, names[0]) == [], "what waits is never condemned"
    assert said_once(servers, names[1]) == everything


async def _numbers_of(pool: Pool, who: str) -> list[int]:
    rows = await pool.fetch("SELECT number FROM heard WHERE who = $1 ORDER BY place", who)
    return [row["number"] for row in rows]


async def _nothing(_tx: Transaction, _owned: object) -> list[Outgoing]:
    return []


async def test_a_schema_that_is_being_migrated_is_waited_for(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    servers, expected = kafka.bootstrap_servers, some_notes(2)
    async with node(database, servers, names) as echo:
        await echo.pool.execute("ALTER TABLE heard RENAME TO heard_later")
        await write_notes(servers, names[0], expected)
        await eventually(lambda: metric("millrace_waiting_partitions", names[0]) > 0, "the wait")
        await echo.pool.execute("ALTER TABLE heard_later RENAME TO heard")
        await eventually(lambda: has_heard(echo.pool, expected), "every note")
    assert letters_of(servers, names[0]) == []


async def test_one_bad_record_among_many_is_found_by_halving(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    servers, who = kafka.bootstrap_servers, PEOPLE[0]
    async with node(database, servers, names, max_records=1000) as echo:
        echo.handler, sizes = raising_for(echo, 700, lambda: ValueError("a bad note"))
        await asyncio.to_thread(write, servers, names[0], [note(who, one) for one in range(1000)])
        await eventually(lambda: _count(echo.pool, 999), "the good notes")
        await eventually(lambda: _nothing_unsent(echo.pool), "the dead letter to be sent")
        assert len(sizes) < 60
    told = letters_of(servers, names[0])
    assert [one["offset"] for one in told] == [700]


async def _count(pool: Pool, count: int) -> bool:
    kept: int = await pool.fetchval("SELECT count(*) FROM heard")
    return kept == count


async def test_r1_a_message_too_large_condemns_its_record_alone(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    """Hole 1: a legal record makes one that its topic does not take; it must not be committed."""
    servers, expected = kafka.bootstrap_servers, some_notes(4)
    loud = Counter({(PEOPLE[0], 99): 1})
    async with node(database, servers, names) as echo:
        handle = echo.handler

        async def handler(tx: Transaction, batch: Sequence[Received[Note]]) -> Results:
            said = list(await handle(tx, batch))
            topic = Topic(names[1], PARTITIONS)
            return said + [
                one.causes(Loud(one.message, topic)) for one in batch if one.message.number == 99
            ]

        echo.handler = handler
        await write_notes(servers, names[0], some_notes(2) + loud + some_notes(2, first=2))
        await eventually(lambda: has_heard(echo.pool, expected), "the good notes")
        await eventually(lambda: _nothing_unsent(echo.pool), "the dead letter to be sent")
        assert await heard(echo.pool) == expected, "what could not be said was not done either"
    assert said_once(servers, names[1]) == expected
    (told,) = letters_of(servers, names[0])
    assert "MessageTooLarge" in str(told["reason"])
    assert names[1] in str(told["reason"])


async def test_r1_a_dead_letter_always_fits(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    servers, large = kafka.bootstrap_servers, b"\xff" * 1_000_000
    async with node(database, servers, names) as echo:
        echo.publisher._room[names[0] + SUFFIX] = 500_000  # noqa: SLF001
        await asyncio.to_thread(write, servers, names[0], [(b"\xff" * 30_000, large, [])])
        await eventually(lambda: _nothing_waiting(echo), "the record to be put aside")
        await eventually(lambda: _nothing_unsent(echo.pool), "the dead letter to be sent")
    (told,) = letters_of(servers, names[0])
    assert told["value_cut_from"] == len(large)


async def _nothing_waiting(echo: Node) -> bool:
    return any(one.next_offset == 1 for one in echo.reader.armed.values())


async def test_r1_arming_isolates_a_partition_whose_outbox_cannot_be_published(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    """Hole 1, after the fact: an older release committed such a record."""
    servers, expected = kafka.bootstrap_servers, some_notes(3)
    async with open_pool(database) as pool:
        await migrate(pool, MIGRATIONS)
        to = Destination(names[1], 0)
        async with transaction(pool) as tx:
            stuck = OutboxRecord(f"echo/{names[0]}/0", to, b"big", TOO_MUCH.encode())
            fine = OutboxRecord(f"echo/{names[0]}/1", to, b"who", b'{"who": "late", "number": 1}')
            await outbox.write(tx, [stuck, fine])
    with capture_logs() as logs:
        async with node(database, servers, names) as echo:
            await eventually(lambda: set(echo.reader.armed) == {1, 2, 3}, "the others")
            assert metric("millrace_blocked_partitions", names[0]) == 1
            await write_notes(servers, names[0], expected)
            free = Counter({one: 1 for one in expected if _partition(echo, one[0]) != 0})
            await eventually(lambda: has_heard(echo.pool, free), "what is not blocked")
            assert await heard(echo.pool) == free
            await echo.pool.execute("UPDATE stream SET relayed_seq = last_seq")
            await eventually(lambda: has_heard(echo.pool, expected), "the rest, once it is mended")
            assert metric("millrace_blocked_partitions", names[0]) == 0
    blocked = [one for one in logs if one["event"] == "outbox.blocked"]
    assert {(one["topic"], one["partition"]) for one in blocked} == {(names[0], 0)}
    late = [one for one in everything_in(servers, names[1], PARTITIONS) if one.key() == b"who"]
    assert len(late) == 1, "what was behind it was sent"


def _partition(echo: Node, who: str) -> int:
    return echo.publisher.partition_for(who, echo.heard_on)


async def test_r1_the_api_is_told_before_the_commit(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    async with node(database, kafka.bootstrap_servers, names) as echo:
        relay = Relay("api", echo.pool, echo.publisher)
        loud = Loud(Note(who="somebody", number=1), Topic(names[1], PARTITIONS))
        with pytest.raises(MessageTooLarge, match=f"does not fit {names[1]}"):
            await _enqueue(relay, loud)
        assert await _nothing_unsent(echo.pool)


async def _enqueue(relay: Relay, message: Echo) -> None:
    async with relay.unit() as unit:
        unit.enqueue(message)


async def test_r10_a_handler_condemns_one_message_and_the_fact_is_applied(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    """Hole 9: of what a record causes, one thing fails; the record itself is not lost."""
    servers, expected = kafka.bootstrap_servers, some_notes(3)
    async with node(database, servers, names) as echo:
        handle = echo.handler

        async def handler(tx: Transaction, batch: Sequence[Received[Note]]) -> Results:
            said = list(await handle(tx, batch))
            topic = Topic(names[1], PARTITIONS)
            return said + [
                one.condemns(Echo(one.message, topic), "flow 17 raised")
                for one in batch
                if one.message == Note(who=PEOPLE[0], number=1)
            ]

        echo.handler = handler
        await write_notes(servers, names[0], expected)
        await eventually(lambda: has_heard(echo.pool, expected), "every note")
        await eventually(lambda: _nothing_unsent(echo.pool), "everything to be sent")
        place = echo.publisher.partition_for(PEOPLE[0], names[1])
        labels = {"topic": names[0], "outcome": "dead_lettered"}
        assert REGISTRY.get_sample_value("millrace_records_total", labels) == 1
    assert letters_of(servers, names[0]) == []
    (told,) = letters_of(servers, names[1])
    assert (told["topic"], told["partition"], told["reason"]) == (names[1], place, "flow 17 raised")
    assert told["caused_by"] == {"topic": names[0], "partition": place}


async def test_r9_lag_is_known_by_partition(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    servers, expected = kafka.bootstrap_servers, some_notes(1)
    go_on = asyncio.Event()
    async with node(database, servers, names, max_records=1) as echo:
        await eventually(lambda: len(echo.reader.armed) == PARTITIONS, "the partitions")
        assert echo.reader.lag_seconds() == dict.fromkeys(range(PARTITIONS), 0.0)
        await write_notes(servers, names[0], expected)
        await eventually(lambda: has_heard(echo.pool, expected), "every note")
        assert set(echo.reader.lag_seconds().values()) == {0.0}
        handle = echo.handler
        echo.handler = _when(go_on, handle)
        await asyncio.to_thread(write, servers, names[0], [note(PEOPLE[0], one) for one in (1, 2)])
        mine = echo.publisher.partition_for(PEOPLE[0], names[0])
        await eventually(lambda: echo.reader.lag_seconds()[mine] > 0.2, "the lag to show")
        go_on.set()
        await eventually(lambda: echo.reader.lag_seconds()[mine] == 0.0, "the lag to end")


def _when(event: asyncio.Event, handle: Handler[Note]) -> Handler[Note]:
    async def handler(tx: Transaction, batch: Sequence[Received[Note]]) -> Results:
        await event.wait()
        return await handle(tx, batch)

    return handler


async def test_what_a_loop_enqueues_is_published_in_its_partition_s_order(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    servers, topic = kafka.bootstrap_servers, Topic(names[1], PARTITIONS)
    async with node(database, servers, names) as echo:
        await eventually(lambda: len(echo.reader.armed) == PARTITIONS, "the partitions")
        for number in range(20):

            async def work(
                _tx: Transaction,
                owned: Sequence[positions.OwnedPartition],
                said: Note = Note(who="loop", number=number),  # noqa: B008
            ) -> list[Outgoing]:
                return [Outgoing(Echo(said, topic), owned[0].partition)]

            assert await echo.reader.run_as_owner(work, [2])
        await eventually(lambda: _nothing_unsent(echo.pool), "everything to be sent")
    assert said_once(servers, names[1]) == Counter({("loop", one): 1 for one in range(20)})
