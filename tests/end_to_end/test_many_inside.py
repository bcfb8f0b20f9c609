"""Very many members inside a flow: it is edited under them, and events reach them in any order.

MILLRACE_TEST_INSIDE_MEMBERS says how many; 10000 takes some minutes.
"""

import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

import pytest

from libs.local.outside import Outside
from libs.local.stack import Stack
from tests.support.databases import ask
from tests.support.scenes import Json, Scene
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_broker
INSIDE = int(os.environ.get("MILLRACE_TEST_INSIDE_MEMBERS", "300"))
SECONDS = 60.0 + INSIDE / 20
UNDER_WAY = 100
HOUR = timedelta(hours=1)


def city_is(name: str) -> Json:
    return {"kind": "condition", "source": "contact_field", "field": "city",
            "operator": "eq", "value": name}  # fmt: skip


STAYS, LEAVES = city_is("Stay"), city_is("Leave")
EDITED: list[Json] = [
    {"step_id": "w", "type": "wait", "duration_amount": 700, "duration_unit": "days",
     "next_step_id": "stays"},
    {"step_id": "stays", "type": "condition_check", "condition": STAYS,
     "true_step_id": "rest", "false_step_id": "leaves"},
    {"step_id": "leaves", "type": "condition_check", "condition": LEAVES,
     "true_step_id": "out", "false_step_id": None},
    {"step_id": "rest", "type": "wait", "duration_amount": 700, "duration_unit": "days",
     "next_step_id": None},
    {"step_id": "out", "type": "drop_from_flow"},
]  # fmt: skip
AWAITED: list[Json] = [
    {"step_id": "until", "type": "wait", "condition": city_is("Rome"), "timeout_amount": 700,
     "timeout_unit": "days", "timeout_step_id": "late", "next_step_id": None},
    {"step_id": "late", "type": "drop_from_flow"},
]  # fmt: skip


def edit(outside: Outside, scene: Scene, step_id: str, **changes: object) -> None:
    """Pause, change a step, go on."""
    scene.pause()
    (step,) = [one for one in scene.steps or () if one["step_id"] == step_id]
    changed = {"step": {**step, **changes}}
    outside.call("PATCH", f"/v1/email-flows/{scene.flow_id}/steps/{step_id}", changed)
    scene.activate()


def come_to(scene: Scene, **counts: int) -> None:
    """Wait until the flow's counts are these."""
    scene.outside.flush()
    wait_until(
        lambda: {name: scene.details()[name] for name in counts} == counts,
        f"{counts} (they are {scene.details()})",
        SECONDS,
    )


def adds_up(scene: Scene) -> bool:
    """Say whether everyone who entered has completed, was dropped or is inside."""
    now = scene.details()
    inside = now["active_count"] + now["waiting_count"]
    return bool(now["total_entered"] == now["completed_count"] + now["dropped_count"] + inside)


def test_a_wait_that_was_shortened_lets_everyone_go_on(outside: Outside, stack: Stack) -> None:
    """Those who have waited so long go on at once, the others at the instant that is new to them.

    Nobody goes on sooner than that, and nobody is lost: who entered has completed, was dropped or
    is inside.
    """
    scene, began = Scene(outside, [dict(one) for one in EDITED]).activate(), stack.clock.now()
    cities = ("Stay", "Leave", *["Oslo"] * 8)
    for number in range(INSIDE):
        scene.enter(number, city=cities[number % len(cities)])
    come_to(scene, waiting_count=INSIDE)
    hours = ceil((stack.clock.now() - began) / HOUR)
    edited_at = time.monotonic()
    edit(outside, scene, "w", duration_amount=hours, duration_unit="hours")
    some = len(range(0, INSIDE, len(cities)))
    few = len(range(1, INSIDE, len(cities)))
    come_to(scene, waiting_count=some, dropped_count=few, completed_count=INSIDE - some - few)
    sys.stdout.write(f"{INSIDE} went on {time.monotonic() - edited_at:.1f} s after the edit\n")
    assert scene.details()["total_entered"] == INSIDE
    assert adds_up(scene)
    moved = ask(
        stack,
        "step_executor",
        "SELECT ended_at - entered_at AS waited FROM ended_membership WHERE flow_id = $1"
        " UNION ALL SELECT stood_at - entered_at FROM membership WHERE flow_id = $1",
        UUID(scene.flow_id),
    )
    assert len(moved) == INSIDE
    assert min(row["waited"] for row in moved) >= hours * HOUR


def windows(people: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(people), UNDER_WAY):
        yield people[first : first + UNDER_WAY]


class Wanderers:
    """Contacts of whom some come to Rome, and what else happens to them and to others.

    Attributes:
        came_at: When each who waits already was said to have come to Rome.
    """

    def __init__(self, scene: Scene, stack: Stack, chance: random.Random) -> None:
        self.scene, self.stack, self.chance = scene, stack, chance
        self.others = [scene.outside.new_contact_id() for _ in range(20)]
        self.came_at: dict[str, datetime] = {}

    def moves(self, contact_id: str, city: str) -> None:
        """Publish it, often twice, and something about somebody else."""
        event_id = self.scene.outside.new_contact_id()
        data = {"fields": {"city": city}}
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            self.scene.outside.publish("contact.updated", contact_id, data, event_id)
        other = self.chance.choice(self.others)
        self.scene.outside.publish("contact.updated", other, {"fields": {"city": "Rome"}})

    def enter(self) -> dict[str, list[str]]:
        """Let everyone in; some come to Rome before the wait, some as it begins."""
        people: dict[str, list[str]] = {"before": [], "during": [], "after": [], "never": []}
        of_ten = ["before", "during", *["never"] * 2, *["after"] * 6]
        kinds = [of_ten[number % 10] for number in range(INSIDE)]
        self.chance.shuffle(kinds)
        for other in self.others:
            self.scene.outside.publish("contact.created", other, {"fields": {"city": "Oslo"}})
        for number, kind in enumerate(kinds):
            contact_id = self.scene.create_contact(number, city="Oslo")
            people[kind].append(contact_id)
            if kind == "before":
                self.moves(contact_id, "Rome")
            self.scene.put_on_list(contact_id)
            self.moves(contact_id, {"during": "Rome", "before": "Rome"}.get(kind, "Bergen"))
        return people

    def come(self, some: Sequence[str], so_far: int) -> None:
        """Let some who wait come to Rome, and wait until most of them have gone on."""
        for contact_id in some:
            self.came_at[contact_id] = self.stack.clock.now()
            self.moves(contact_id, "Rome")
        self.scene.outside.flush()
        wait_until(
            lambda: self.scene.details()["completed_count"] >= so_far + len(some) // 2,
            f"{so_far} and half of {len(some)} who have gone on",
            SECONDS,
        )


def ends(stack: Stack, scene: Scene) -> dict[str, tuple[str, datetime]]:
    """Say how and when each run ended; nobody is to have had two."""
    rows = ask(
        stack,
        "step_executor",
        "SELECT contact_id, status, ended_at FROM ended_membership WHERE flow_id = $1",
        UUID(scene.flow_id),
    )
    ended = {str(row["contact_id"]): (row["status"], row["ended_at"]) for row in rows}
    assert len(ended) == len(rows)
    return ended


def tell_latency(wanderers: Wanderers, ended: dict[str, tuple[str, datetime]]) -> None:
    """Print how long it took, in real time, from an event to the step behind the wait."""
    speed = wanderers.stack.clock_speed
    took = sorted(
        (ended[contact_id][1] - came_at) / timedelta(milliseconds=1) / speed
        for contact_id, came_at in wanderers.came_at.items()
    )
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    sys.stdout.write(
        f"event to next step, {len(took)} events: p50 {p50:.0f} ms, p99 {p99:.0f} ms,"
        f" longest {took[-1]:.0f} ms\n"
    )


def test_nobody_who_waits_is_missed_whatever_the_order(outside: Outside, stack: Stack) -> None:
    """Events before, as and after the wait begins, repeats and those of others among them.

    Who comes to Rome goes on by the one edge. The others wait on, until the time-out is edited to
    a time that has passed, and leave by its edge.
    """
    scene = Scene(outside, [dict(one) for one in AWAITED]).activate()
    chance = random.Random(7)  # noqa: S311  (the same shuffling every time, no secret)
    wanderers = Wanderers(scene, stack, chance)
    people = wanderers.enter()
    waiting, gone = people["after"] + people["never"], people["before"] + people["during"]
    come_to(scene, total_entered=INSIDE, waiting_count=len(waiting), completed_count=len(gone))
    chance.shuffle(people["after"])
    so_far = len(gone)
    for some in windows(people["after"]):
        wanderers.come(some, so_far)
        so_far += len(some)
    come_to(scene, completed_count=so_far, waiting_count=len(people["never"]))
    edit(outside, scene, "until", timeout_amount=1, timeout_unit="minutes")
    come_to(scene, completed_count=so_far, dropped_count=len(people["never"]), waiting_count=0)
    assert adds_up(scene)
    ended = ends(stack, scene)
    assert {one for one, (status, _) in ended.items() if status == "dropped"} == {*people["never"]}
    assert ended.keys() == {*people["never"], *people["after"], *gone}
    tell_latency(wanderers, ended)
