"""The exactly-once batch of the chassis beside the least loop that does the same.

Both are processes of their own, read the same records from the same topic, which are there before
they start, and take turns, so that what else this machine does hits both. A round is measured by
the database: the rows that were inserted from the first transaction to the last.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from libs.local.children import Child, inherited_env
from libs.local.kafka import ROOT, Kafka
from libs.local.ports import HOST, free_port
from libs.local.postgres import Postgres
from tests.bench.activity import BATCH, PARTITIONS, record
from tests.bench.cpu import Meter
from tests.bench.ground import Ground
from tests.bench.pace import Progress
from tests.bench.report import Goal

RECORDS = int(os.environ.get("BENCH_RECORDS") or 150_000)
ROUNDS = 2
BARE, ECHO = "bare_loop", "echo_loop"
_HEARD, _SAID = "bench.heard", "bench.said"
_PATIENCE_SECONDS = 600.0
_RATE = """
WITH edge AS (SELECT min(at) AS first, max(at) AS last FROM heard)
SELECT count(*) FILTER (WHERE at < last) / extract(epoch FROM last - first)::float8
  FROM heard, edge GROUP BY first, last
"""
_LAST = "SELECT count(*) FROM heard WHERE number = ANY($1::bigint[])"


@dataclass(frozen=True)
class Arena:
    """Where the loops run."""

    kafka: Kafka
    postgres: Postgres
    folder: Path


@dataclass(frozen=True)
class Round:
    """Messages a second, and microseconds of CPU for one: the loop, PostgreSQL and Kafka."""

    rate: float
    cost: float


def bench_echo(ground: Ground) -> None:
    """Rounds of both in turn; the best of each counts."""
    rounds: dict[str, list[Round]] = {BARE: [], ECHO: []}
    with (
        ground.folder() as folder,
        ground.kafka(folder) as kafka,
        ground.postgres(folder) as postgres,
    ):
        arena = Arena(kafka, postgres, folder)
        _prepare(kafka.bootstrap_servers)
        for number in range(ROUNDS):
            for loop, found in rounds.items():
                found.append(_round(arena, loop, f"{loop}_{number}"))
    bare, echo = (max(found, key=lambda one: one.rate) for found in rounds.values())
    for name, best in (("bare loop", bare), ("exactly-once echo", echo)):
        ground.report.add(name, best.rate, "messages/s")
        ground.report.add(f"{name}, all processes", best.cost, "us/message")
    ratio = echo.rate / bare.rate
    ground.report.add("exactly-once echo : bare loop", ratio, "", Goal(at_least=0.7))


def _round(arena: Arena, loop: str, name: str) -> Round:
    arena.postgres.add_database(name)
    url = arena.postgres.url(name)
    with _running(arena, loop, name, url) as child:
        last = list(range(RECORDS - PARTITIONS, RECORDS))
        references = [child.reference(), arena.postgres.reference(), *arena.kafka.references()]
        meter = Meter({one.name: one.pid for one in references})

        def done() -> int:
            assert child.running.poll() is None, child.tail()
            return int(asyncio.run(_ask(url, _LAST, last)))

        Progress(done, PARTITIONS, most=0.5).wait("every record", _PATIENCE_SECONDS)
        cpu = sum(meter.cost().cpu.values())
    return Round(asyncio.run(_ask(url, _RATE)), cpu / RECORDS * 1e6)


async def _ask(url: str, question: str, *arguments: list[int]) -> float:
    connection = await asyncpg.connect(url)
    try:
        answer = await connection.fetchval(question, *arguments)
    except asyncpg.UndefinedTableError:
        answer = 0
    finally:
        await connection.close()
    return float(answer)


@contextmanager
def _running(arena: Arena, loop: str, name: str, url: str) -> Iterator[Child]:
    env = {
        **inherited_env(),
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": url,
        "KAFKA_BOOTSTRAP_SERVERS": arena.kafka.bootstrap_servers,
        "BENCH_NAME": name,
        "BENCH_FROM": _HEARD,
        "BENCH_TO": _SAID,
        "MILLRACE_HTTP_HOST": HOST,
        "MILLRACE_HTTP_PORT": str(free_port()),
        "MILLRACE_PARTITIONS": str(PARTITIONS),
        "MILLRACE_BATCH_MAX_RECORDS": str(BATCH),
    }
    command = [sys.executable, "-m", f"tests.bench.{loop}"]
    child = Child(name, command, env, arena.folder / f"{name}.log")
    child.start()
    try:
        yield child
    finally:
        child.stop()


def _prepare(servers: str) -> None:
    """Make the topics, and write every record that both loops will read."""
    admin = AdminClient({"bootstrap.servers": servers})
    topics = [NewTopic(name, PARTITIONS, 1) for name in (_HEARD, _SAID)]
    for made in admin.create_topics(topics).values():
        made.result()
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": RECORDS + 1,
            "log_level": 0,
        }
    )
    for partition, key, value in map(record, range(RECORDS)):
        producer.produce(_HEARD, value, key, partition)
    assert producer.flush(300) == 0
