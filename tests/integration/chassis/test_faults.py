"""Processes that die, brokers and databases that go away: nothing is lost, nothing done twice."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from libs.chassis.exactly_once.outbox import backlog
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.kafka.topics import WrongPartitionCount, ensure_topics
from libs.chassis.postgres.migrations import MigrationChanged, migrate
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from libs.contracts.topics import Topic
from libs.local.children import Child, answers, inherited_env
from libs.local.kafka import ROOT, ApacheKafka, Kafka
from libs.local.ports import HOST, free_port
from libs.local.postgres import Postgres
from tests.integration.chassis.test_batches import (
    PEOPLE,
    has_heard,
    heard,
    said_once,
    some_notes,
    write_notes,
)
from tests.support.echo_service import MIGRATIONS, PARTITIONS, Echo, Note, node, topics_named
from tests.support.waiting import eventually

POINTS = [
    "before_transaction",
    "after_compare_and_set",
    "before_commit",
    "after_commit",
    "mid_publish",
    "after_acknowledgement",
]
EchoMaker = Callable[..., Child]


@pytest.fixture
def names() -> tuple[str, str]:
    tag = uuid4().hex[:8]
    return f"in.{tag}", f"out.{tag}"


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[EchoMaker]:
    """Make processes of the echo service, and end those that still run."""
    children: list[Child] = []

    def make(kafka: Kafka, url: str, names: tuple[str, str], **env: str) -> Child:
        port = free_port()
        settings = {
            "DATABASE_URL": url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "MILLRACE_ENVIRONMENT": "development",
            "MILLRACE_HTTP_HOST": HOST,
            "MILLRACE_HTTP_PORT": str(port),
            "MILLRACE_BATCH_MAX_RECORDS": "20",
            "MILLRACE_SESSION_TIMEOUT_MS": "1500",
            "ECHO_FROM": names[0],
            "ECHO_TO": names[1],
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "tests.support.echo_service"]
        whole = {**inherited_env(), **settings, **env}
        child = Child(f"echo-{len(children)}", command, whole, tmp_path / f"{len(children)}.log")
        children.append(child)
        child.start()
        if "MILLRACE_CRASH_POINTS" not in env:
            child.wait_until(lambda: answers(f"http://{HOST}:{port}/health/ready"))
        return child

    yield make
    for child in children:
        child.stop()


@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_at_a_named_point_loses_and_doubles_nothing(
    kafka: Kafka, database: str, names: tuple[str, str], echo: EchoMaker, tmp_path: Path, point: str
) -> None:
    expected, log = some_notes(10), tmp_path / "crashes"
    crash = {"MILLRACE_CRASH_POINTS": f"{point}@2", "MILLRACE_CRASH_LOG": str(log)}
    await ensure_topics(
        kafka.bootstrap_servers, topics_named(*names), partitions=PARTITIONS, replication=1
    )
    first = echo(kafka, database, names, **crash)
    await write_notes(kafka.bootstrap_servers, names[0], expected)
    assert await asyncio.to_thread(first.wait, 60) == -9
    assert log.read_text() == f"{point}@2\n"
    echo(kafka, database, names)
    async with open_pool(database) as pool:
        await eventually(lambda: has_heard(pool, expected), "every note")
        await eventually(lambda: _all_sent(pool), "everything to be sent")
        assert await heard(pool) == expected
    assert said_once(kafka.bootstrap_servers, names[1]) == expected


async def _all_sent(pool: Pool) -> bool:
    async with transaction(pool) as tx:
        return await backlog(tx) == 0


async def test_two_services_in_a_row_pass_everything_on_once(
    kafka: Kafka, postgres: Postgres, names: tuple[str, str], echo: EchoMaker
) -> None:
    """The second reads what the first says, while the first is killed and started again."""
    urls = []
    for place in ("first", "second"):
        name = f"{place}_{uuid4().hex[:6]}"
        postgres.add_database(name)
        urls.append(postgres.url(name))
    expected = some_notes(40)
    first = echo(kafka, urls[0], names)
    echo(kafka, urls[1], (names[1], ""), ECHO_NAME="listener")
    await write_notes(kafka.bootstrap_servers, names[0], expected)
    async with open_pool(urls[1]) as pool:
        await eventually(lambda: _heard_some(pool), "the first notes to come through")
        first.kill()
        echo(kafka, urls[0], names)
        await eventually(lambda: has_heard(pool, expected), "every note")
        assert await heard(pool) == expected


async def _heard_some(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM heard"))


async def test_sigterm_drains(
    kafka: Kafka, database: str, names: tuple[str, str], echo: EchoMaker
) -> None:
    expected = some_notes(60)
    running = echo(kafka, database, names)
    await write_notes(kafka.bootstrap_servers, names[0], expected)
    async with open_pool(database) as pool:
        await eventually(lambda: _heard_some(pool), "the first notes")
        assert await asyncio.to_thread(running.terminate) == 0
        assert await _all_sent(pool), "what was committed was published before the end"
        assert max((await heard(pool)).values()) == 1
        echo(kafka, database, names)
        await eventually(lambda: has_heard(pool, expected), "every note")
        assert await heard(pool) == expected


async def test_postgres_stops_and_starts_in_the_middle(
    kafka: Kafka, tmp_path: Path, names: tuple[str, str], echo: EchoMaker
) -> None:
    server = Postgres(tmp_path / "postgres" / "data")
    server.start()
    server.add_database("echo")
    url = server.url("echo")
    try:
        running = echo(kafka, url, names)
        before, after = some_notes(20), some_notes(20, first=20)
        await write_notes(kafka.bootstrap_servers, names[0], before)
        async with open_pool(url) as pool:
            await eventually(lambda: _heard_some(pool), "the first notes")
        server.stop("immediate")
        await write_notes(kafka.bootstrap_servers, names[0], after)
        server.start()
        async with open_pool(url) as pool:
            await eventually(lambda: has_heard(pool, before + after), "every note")
            assert await heard(pool) == before + after
        assert running.running.poll() is None, "an outage ends no process"
    finally:
        server.stop("immediate")


@pytest.mark.real_broker
async def test_kafka_stops_and_starts_in_the_middle(
    postgres: Postgres, tmp_path: Path, names: tuple[str, str], echo: EchoMaker
) -> None:
    if not ApacheKafka.available():
        pytest.skip("this broker is not ours to stop")
    kafka = ApacheKafka(tmp_path / "kafka", tmp_path / "kafka.log")
    kafka.start()
    name = f"outage_{uuid4().hex[:6]}"
    postgres.add_database(name)
    url = postgres.url(name)
    try:
        running = echo(kafka, url, names)
        before, after = some_notes(20), some_notes(20, first=20)
        await write_notes(kafka.bootstrap_servers, names[0], before)
        async with open_pool(url) as pool:
            await eventually(lambda: _heard_some(pool), "the first notes")
            await asyncio.to_thread(kafka.stop)
            await asyncio.to_thread(kafka.start)
            await write_notes(kafka.bootstrap_servers, names[0], after)
            await eventually(lambda: has_heard(pool, before + after), "every note", 120)
            await eventually(lambda: _all_sent(pool), "everything to be sent", 120)
            assert await heard(pool) == before + after
        assert said_once(kafka.bootstrap_servers, names[1]) == before + after
        assert running.running.poll() is None, "an outage ends no process"
    finally:
        kafka.stop()


async def test_another_partition_count_is_refused(kafka: Kafka, names: tuple[str, str]) -> None:
    servers = kafka.bootstrap_servers
    await ensure_topics(servers, [Topic(names[0], 3)], partitions=9, replication=1)
    with pytest.raises(WrongPartitionCount, match=r"has 3 partitions.*asks for 5"):
        await ensure_topics(servers, [Topic(names[0], 5)], partitions=9, replication=1)


async def test_two_relays_keep_the_order(kafka: Kafka, pool: Pool, names: tuple[str, str]) -> None:
    topics = topics_named(*names)
    servers = kafka.bootstrap_servers
    await migrate(pool, MIGRATIONS)
    await ensure_topics(servers, topics, partitions=PARTITIONS, replication=1)
    publishers = [Publisher(servers, {one.name: PARTITIONS for one in topics}) for _ in range(2)]
    relays = [Relay("api", pool, publisher) for publisher in publishers]
    stopping = asyncio.Event()
    running = [asyncio.create_task(relay.run(stopping)) for relay in relays]
    for number in range(20):
        async with relays[number % 2].unit() as unit:
            for who in PEOPLE:
                unit.enqueue(Echo(Note(who=who, number=number), topics[0]))
    with pytest.raises(RuntimeError, match="undone"):
        await _fail_after_saying(relays[0], Echo(Note(who="nobody", number=0), topics[0]))
    await eventually(lambda: _all_sent(pool), "everything to be sent")
    stopping.set()
    await asyncio.gather(*running)
    for publisher in publishers:
        await publisher.close()
    assert said_once(servers, names[0]) == some_notes(20)


async def _fail_after_saying(relay: Relay, message: Echo) -> None:
    async with relay.unit() as unit:
        unit.enqueue(message)
        raise RuntimeError("undone")


async def test_migrations_are_applied_once_by_many(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first_one (a int);")
    await asyncio.gather(*(migrate(pool, tmp_path) for _ in range(5)))
    (tmp_path / "0002_second.sql").write_text("ALTER TABLE first_one ADD b int;")
    await migrate(pool, tmp_path)
    names = [row["name"] for row in await pool.fetch("SELECT name FROM migration ORDER BY name")]
    assert names[-2:] == ["service/0001_first.sql", "service/0002_second.sql"]
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first_one (a bigint);")
    with pytest.raises(MigrationChanged, match="0001_first"):
        await migrate(pool, tmp_path)


async def test_the_service_says_how_it_is(
    kafka: Kafka, database: str, names: tuple[str, str]
) -> None:
    async with node(database, kafka.bootstrap_servers, names) as echo:
        await eventually(lambda: len(echo.reader.armed) == PARTITIONS, "the partitions")
        described = echo.broker.describe("echo")
        assert "Note" in described["components"]["schemas"]
        assert Counter(list(echo.reader.armed)) == Counter(range(PARTITIONS))
