"""Journeys through all four services, as real processes: how many a second, and what each costs.

Every contact brings two events, which are published by ourselves as fast as Kafka takes them. Some
journeys go ahead unmeasured, so that Kafka's virtual machine is warm.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from confluent_kafka import Producer

from libs.local.outside import Outside
from libs.local.stack import Stack
from tests.bench.cpu import Cost, Meter
from tests.bench.ground import Ground, processes
from tests.bench.pace import Progress
from tests.bench.report import Goal, Report
from tests.support.scenes import Json, Scene

JOURNEYS = int(os.environ.get("BENCH_JOURNEYS") or 30_000)
MAIL_JOURNEYS = int(os.environ.get("BENCH_MAIL_JOURNEYS") or JOURNEYS)
SINK = "mail_sink"
_AHEAD_SHARE, _AHEAD_LEAST = 0.1, 500
_PATIENCE_SECONDS = 3600.0
_MINUTE_PASSES_IN = 0.1

IS_NAMED: Json = {
    "kind": "group",
    "operator": "and",
    "conditions": [
        {"kind": "condition", "source": "contact_field", "field": "firstName",
         "operator": "starts_with", "value": "N"}
    ],
}  # fmt: skip
WAIT_STEPS: list[Json] = [
    {"step_id": "before", "type": "condition_check", "condition": IS_NAMED,
     "true_step_id": "wait"},
    {"step_id": "wait", "type": "wait", "duration_amount": 1, "duration_unit": "minutes",
     "next_step_id": "after"},
    {"step_id": "after", "type": "condition_check", "condition": IS_NAMED},
]  # fmt: skip
MAIL_STEPS: list[Json] = [{"step_id": "send", "type": "send_email"}]


@dataclass(frozen=True)
class Course:
    """What is run, and what it should reach: journeys a second, microseconds for one."""

    name: str
    steps: list[Json]
    journeys: int
    rate: Goal
    cost: Goal


WAIT = Course("wait journey", WAIT_STEPS, JOURNEYS, Goal(at_least=2000), Goal(at_most=800))
MAIL = Course("mail journey", MAIL_STEPS, MAIL_JOURNEYS, Goal(at_least=800), Goal(at_most=1600))


def bench_wait(ground: Ground) -> None:
    """A rule, a wait of a moment, a rule, the end."""
    with ground.stack(clock_speed=60 / _MINUTE_PASSES_IN) as stack, Outside(stack) as outside:
        _run(WAIT, stack, outside, ground.report)


def bench_mail(ground: Ground) -> None:
    """A mail over SMTP, the end."""
    with ground.stack() as stack, Outside(stack) as outside:
        _run(MAIL, stack, outside, ground.report)
        caught = httpx.get(f"{stack.mail_sink_url}/count").json()
        everyone = MAIL.journeys + _ahead(MAIL)
        assert caught == {"mails": everyone, "handed_over": everyone}, caught


def _run(course: Course, stack: Stack, outside: Outside, report: Report) -> None:
    scene = Scene(outside, [dict(step) for step in course.steps]).activate()
    ahead = _ahead(course)
    _publish(stack, list(_events(stack, scene, range(ahead))))
    _wait_for_all(scene, ahead)
    events = list(_events(stack, scene, range(ahead, ahead + course.journeys)))
    meter = Meter(processes(stack))
    _publish(stack, events)
    _wait_for_all(scene, ahead + course.journeys)
    _tell(course, meter.cost(), report)


def _ahead(course: Course) -> int:
    return max(_AHEAD_LEAST, int(course.journeys * _AHEAD_SHARE))


def _tell(course: Course, cost: Cost, report: Report) -> None:
    report.note(course.name, f"{course.journeys:,} journeys, {_ahead(course):,} ahead of them")
    report.add(f"{course.name}, rate", course.journeys / cost.seconds, "journeys/s", course.rate)
    apart = {SINK: cost.cpu[SINK], "the bench itself": cost.own_cpu}
    inside = {name: seconds for name, seconds in cost.cpu.items() if name not in apart}
    for name, seconds in inside.items():
        _tell_one(course, name, seconds, report)
    if "kafka" not in inside:
        report.note("Kafka's CPU", "is not in the sums: it runs where we cannot see it")
    _tell_one(course, "all", sum(inside.values()), report, course.cost)
    for name, seconds in apart.items():
        _tell_one(course, f"beside it {name}", seconds, report)


def _tell_one(
    course: Course, name: str, seconds: float, report: Report, goal: Goal | None = None
) -> None:
    report.add(f"{course.name}, {name}", seconds / course.journeys * 1e6, "us/journey", goal)


def _wait_for_all(scene: Scene, number: int) -> None:
    def completed() -> int:
        return int(scene.details()["completed_count"])

    Progress(completed, number).wait("every journey to end", _PATIENCE_SECONDS)


def _events(stack: Stack, scene: Scene, numbers: range) -> Iterator[tuple[str, bytes]]:
    """Write the events of these contacts, each under its contact's id."""
    now = stack.clock.now().astimezone(UTC)
    for number in numbers:
        contact_id = str(uuid4())
        fields = {"email": scene.address(number), "firstName": f"N{number}"}
        yield contact_id, _event(stack, now, contact_id, "contact.created", {"fields": fields})
        listed = {"list_id": scene.list_id}
        yield contact_id, _event(stack, now, contact_id, "list.contact_added", listed)


def _event(stack: Stack, now: datetime, contact_id: str, kind: str, data: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/bench",
            "type": kind,
            "subject": contact_id,
            "time": now.isoformat(),
            "workspaceid": stack.workspace_id,
            "data": data,
        }
    ).encode()


def _publish(stack: Stack, events: list[tuple[str, bytes]]) -> None:
    producer = Producer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": len(events) + 1,
            "queue.buffering.max.kbytes": 2_000_000,
            "log_level": 0,
        }
    )
    for key, value in events:
        producer.produce("contact.events", value, key)
    assert producer.flush(300) == 0
