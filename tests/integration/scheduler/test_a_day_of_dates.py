"""Very many dates that fall due at one moment, in a real scheduler process that dies on the way.

The process reads and writes a real Kafka; the tests speak to it as the executor and the API do, and
read what it says as the executor does. MILLRACE_TEST_DATES says how many contacts have the date;
1000000 takes some minutes, and then ticks are as large as they usually are.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from libs.chassis.exactly_once.records import SEQUENCE_HEADER
from libs.contracts.flow_definitions import FlowDefined
from libs.contracts.timer_commands import RememberDates
from libs.local.ports import free_port
from libs.local.stack import Stack
from tests.support.brokers import PARTITIONS, broker_for_tests
from tests.support.builders import WORKSPACE
from tests.support.databases import ask
from tests.support.dates import date_flow
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_broker
DATES = int(os.environ.get("MILLRACE_TEST_DATES", "2000"))
SECONDS = 60 + DATES / 2000
SPEED = 60.0
"""A minute is a second: what fell due while the process was dead is not a day old."""
SMALL_TICKS = {"MILLRACE_DATES_PER_TICK": "20", "MILLRACE_DATE_TICK_SECONDS": "2"}
"""So many ticks, and so long between them, that the day would last for minutes if they paused."""
MINUTE = timedelta(minutes=1)


@dataclass
class Heard:
    """What the scheduler has said of one flow, as a reader hears it that drops repeats.

    Attributes:
        contacts: How often each contact was enrolled.
        at: When Kafka got the first of it and the last, real time.
    """

    contacts: dict[str, int] = field(default_factory=dict)
    at: tuple[int, int] = (sys.maxsize, 0)


class Surroundings:
    """A Kafka, a Postgres and a scheduler process, and what others tell it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.scheduler = stack.services["scheduler"]
        self.day = stack.clock.now().date()
        self._producer = Producer(
            {"bootstrap.servers": stack.bootstrap_servers, "partitioner": "murmur2_random",
             "linger.ms": 20, "queue.buffering.max.messages": 200_000}
        )  # fmt: skip

    def say(self, topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key)
            except BufferError:
                self._producer.poll(1)
            else:
                return

    def cpu_seconds(self) -> float:
        """Say how long the scheduler has computed: other load on the machine does not count."""
        times = psutil.Process(self.scheduler.pid).cpu_times()
        return float(times.user + times.system)

    def tell_dates(self) -> None:
        """Let every contact have today's date, and wait until the scheduler knows them all."""
        now = self.stack.clock.now()
        marks = [uuid4(), uuid4()]
        told = RememberDates(id=marks[0], time=now, workspace_id=WORKSPACE, contact_id=marks[1],
                             dates={"renewal": str(self.day)}, set_at=now).body()  # fmt: skip
        for _ in range(DATES):
            contact = str(uuid4())
            value = told.replace(str(marks[1]).encode(), contact.encode())
            self.say(
                "timer.commands", contact, value.replace(str(marks[0]).encode(), contact.encode())
            )
        self._producer.flush(60)
        wait_until(lambda: self.count("contact_date") == DATES, "every date is known", SECONDS)

    def count(self, table: str) -> int:
        (row,) = ask(self.stack, "scheduler", f"SELECT count(*) AS number FROM {table}")  # noqa: S608  (names of ours)
        return int(row["number"])

    def define(self, due_at: datetime) -> UUID:
        """Activate a flow for which the day everyone has comes at an instant; give its id."""
        offset = (due_at.date() - self.day).days
        flow = date_flow(flow_id=uuid4(), time=f"{due_at:%H:%M}", offset_days=offset)
        message = FlowDefined(
            id=uuid4(), time=self.stack.clock.now(), workspace_id=WORKSPACE, flow=flow
        )
        self.say("flow.definitions", message.key, message.body())
        self._producer.flush(60)
        return flow.flow_id

    def listen(self, flow_id: UUID) -> Heard:
        """Read what is said of a flow until everyone was enrolled, and to the end of it."""
        heard, wanted = Heard(), f'"flow_id":"{flow_id}"'.encode()
        numbers: dict[tuple[str, int], int] = {}
        group = {"bootstrap.servers": self.stack.bootstrap_servers, "group.id": str(uuid4()),
                 "auto.offset.reset": "earliest", "enable.auto.commit": False}  # fmt: skip
        consumer = Consumer(group)
        places = (
            TopicPartition("step.commands", one, OFFSET_BEGINNING) for one in range(PARTITIONS)
        )
        consumer.assign(list(places))

        def all_heard() -> bool:
            """Read on; true once nothing more comes and everyone is among it."""
            some = consumer.consume(10_000, 1)
            for record in some:
                if _is_news(record, numbers) and wanted in (record.value() or b""):
                    _note(heard, record)
            return not some and len(heard.contacts) >= DATES

        try:
            wait_until(all_heard, f"{DATES} enrollments of {flow_id}", SECONDS)
        finally:
            consumer.close()
        return heard


def _is_news(record: Message, numbers: dict[tuple[str, int], int]) -> bool:
    """Say whether its number was not seen yet; none is to be missing."""
    assert record.error() is None
    headers = dict(cast("list[tuple[str, bytes]]", record.headers()))
    source, text = headers[SEQUENCE_HEADER].decode().rsplit("#", 1)
    number = int(text)
    stream = (source, record.partition() or 0)
    last = numbers.get(stream, 0)
    assert number <= last + 1, "a number is missing: something was lost"
    numbers[stream] = max(last, number)
    return number > last


def _note(heard: Heard, record: Message) -> None:
    contact = json.loads(record.value() or b"")["contact_id"]
    heard.contacts[contact] = heard.contacts.get(contact, 0) + 1
    milliseconds = record.timestamp()[1]
    heard.at = (min(heard.at[0], milliseconds), max(heard.at[1], milliseconds))


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    """A scheduler that knows the dates; nobody else is there, so the broker is its own."""
    folder = tmp_path_factory.mktemp("dates")
    kafka = broker_for_tests(folder / "kafka")
    settings = {} if DATES > 100_000 else SMALL_TICKS
    stack = Stack(
        folder, kafka=kafka, clock_speed=SPEED, partitions=PARTITIONS, settings=settings,
        usual_ports=False,
    )  # fmt: skip
    stack.ports |= {name: free_port() for name in ("api", "smtp", "mail_http")}
    kafka.start()
    try:
        stack.postgres.start()
        stack.add_service("scheduler", "scheduler")
        stack.wait_ready("scheduler")
        made = Surroundings(stack)
        made.tell_dates()
        yield made
    finally:
        stack.stop()
        kafka.stop()


def soon(stack: Stack) -> datetime:
    """Give the next full minute that is some seconds away."""
    return (stack.clock.now() + 4 * MINUTE).replace(second=0, microsecond=0)


def is_under_way(around: Surroundings, flow_id: UUID) -> bool:
    """Say whether the flow's day has begun to be released, and is not over."""
    rows = ask(around.stack, "scheduler",
               "SELECT FROM date_slice WHERE flow_id = $1", flow_id)  # fmt: skip
    return bool(rows)


def everyone_came_once(around: Surroundings, flow_id: UUID, due_at: datetime) -> None:
    """See that each contact was enrolled exactly once; tell how long it took, in real time."""
    heard = around.listen(flow_id)
    assert set(heard.contacts.values()) == {1}
    assert len(heard.contacts) == DATES
    clock = around.stack.clock
    ahead = (due_at - clock.now()) / SPEED
    due = (datetime.now(due_at.tzinfo) + ahead).timestamp() * 1000
    first, last = ((at - due) / 1000 for at in heard.at)
    sys.stdout.write(
        f"{DATES} dates: the first {first:.1f} s after they fell due, the last {last:.1f} s\n"
    )


def test_a_day_that_all_have_is_released_at_its_moment(surroundings: Surroundings) -> None:
    due_at, before = soon(surroundings.stack), surroundings.cpu_seconds()
    flow_id = surroundings.define(due_at)
    everyone_came_once(surroundings, flow_id, due_at)
    sys.stdout.write(f"the scheduler computed {surroundings.cpu_seconds() - before:.1f} s for it\n")


def test_r21_sigkill_in_the_middle_of_the_day_enrolls_nobody_twice(
    surroundings: Surroundings,
) -> None:
    due_at = soon(surroundings.stack)
    flow_id = surroundings.define(due_at)
    wait_until(lambda: is_under_way(surroundings, flow_id), "the day has begun", SECONDS)
    surroundings.scheduler.kill()
    assert is_under_way(surroundings, flow_id), "it died in the middle"
    surroundings.stack.restart("scheduler")
    everyone_came_once(surroundings, flow_id, due_at)


@pytest.mark.parametrize("point", ["mid_publish@30", "after_acknowledgement@10"])
def test_r21_a_death_at_a_named_point_of_the_day_enrolls_nobody_twice(
    surroundings: Surroundings, tmp_path: Path, point: str
) -> None:
    around, log = surroundings, tmp_path / "crashes"
    assert around.scheduler.terminate() == 0
    around.scheduler.start({"MILLRACE_CRASH_POINTS": point, "MILLRACE_CRASH_LOG": str(log)})
    due_at = soon(around.stack)
    flow_id = around.define(due_at)
    assert around.scheduler.wait(60) == -9
    assert log.read_text() == f"{point}\n"
    assert is_under_way(around, flow_id), "it died in the middle"
    around.stack.restart("scheduler")
    everyone_came_once(around, flow_id, due_at)
