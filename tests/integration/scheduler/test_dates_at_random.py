"""Dates, edits, ticks and deaths in any order: what should fire does, and nothing else.

What happens and when the scheduler hears of it are two things here. Whatever fires must follow from
a date and a trigger that both were set before its moment; and whatever follows from a date that
stays as it is must fire, also if the flow is paused or edited afterwards. Where no
flow is edited, a date that is set fires once.
"""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool
from libs.contracts.step_commands import Enroll
from libs.domain.flow import Flow
from libs.domain.occurrences import DateRule, numbered_occurrence, occurrences_between, read_date
from tests.support.builders import FLOW, Json
from tests.support.dates import DateScheduler, date_flow, dates
from tests.support.timers import MIGRATIONS, Killed

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2027, 2, 25, 12, tzinfo=UTC)
STEPS, CONTACTS = 150, 30
LATEST = 6 * HOUR
LONGEST_STEP = 2 * HOUR
NEVER = datetime(9000, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """What was so from one moment to another: a contact's date, or the trigger's settings."""

    since: datetime
    until: datetime
    what: Any


class World:
    """What happens is chosen by chance, from a seed."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self.chance = random.Random(seed)  # noqa: S311  (no secret)
        self.edits = bool(seed % 2)
        self.now = self.drained = START
        self.values: dict[UUID, list[Span]] = {UUID(int=one): [] for one in range(1, CONTACTS + 1)}
        self.triggers: list[Span] = []
        self.version = 0
        self.told: list[Received[Any]] = []
        self.defined: list[tuple[Flow, datetime]] = []
        self.came: list[Enroll] = []
        self.process = self.new_process()

    def new_process(self) -> DateScheduler:
        return DateScheduler(self.pool, self.now, (0, 1), self.chance.randint(1, 99), 3)

    # What happens ---------------------------------------------------------------------------------

    def set_date(self) -> None:
        contact = self.chance.choice(list(self.values))
        at = self.now + self.chance.randint(-50, 250) * DAY / 100
        day = at.replace(year=self.chance.choice([at.year, at.year, 2024])).date()
        moment = f"{day}T{at:%H:%M}:00Z"
        now = self.chance.choice([f"{day}", f"{day}", moment, moment, "2024-02-29", None])
        before = self.values[contact][-1].what if self.values[contact] else None
        self._follow(self.values[contact], now)
        self.told.append(
            dates(
                contact,
                set_at=self.now,
                before={"renewal": before} if before else None,
                partition=contact.int % 2,
                **(Json(renewal=now) if now else {}),
            )
        )

    def define(self) -> None:
        """Activate the flow; where edits are to happen, also pause it and edit it."""
        if self.triggers and not self.edits:
            return
        self.version += 1
        settings: Json = {
            "offset_days": self.chance.choice([0, 0, 1, -1, 2]),
            "recurrence": self.chance.choice(["never", "annually"]),
            "time": f"{self.chance.randint(0, 23):02}:30",
            "zone": self.chance.choice(["UTC", "Asia/Tokyo", "America/Los_Angeles"]),
        }
        active = self.chance.random() < 0.8 or not self.edits
        flow = date_flow(self.version, "active" if active else "paused", **settings)
        self._follow(self.triggers, flow.date_triggers["t1"].rule if active else None)
        self.defined.append((flow, self.now))

    def _follow(self, history: list[Span], what: Any) -> None:
        if history:
            history[-1] = history[-1]._replace(until=self.now)
        history.append(Span(self.now, NEVER, what))

    # What the scheduler does ----------------------------------------------------------------------

    async def hear_of_dates(self) -> None:
        count = self.chance.randint(0, len(self.told))
        some, self.told = self.told[:count], self.told[count:]
        self.came += await self.process.tell(*some)

    async def hear_of_flows(self) -> None:
        if self.defined:
            flow, at = self.defined.pop(0)
            await self.process.define(flow, at=at)

    async def tick(self) -> None:
        self.came += await self.process.tick(self.now)

    async def die(self) -> None:
        self.process.reader.dies = True
        try:
            await self.process.tick(self.now)
        except Killed:
            self.process = self.new_process()
        else:
            self.process.reader.dies = False

    async def catch_up(self) -> None:
        self.process.hand.at = self.now
        while self.defined:
            await self.hear_of_flows()
        self.came += await self.process.tell(*self.told)
        self.told = []
        self.came += await self.process.drain(self.now)
        self.drained = self.now

    async def step(self) -> None:
        self.now += self.chance.random() * LONGEST_STEP
        self.process.hand.at = self.now
        if self.now - self.drained > LATEST:
            await self.catch_up()
        what = self.chance.choices(
            [self.hear_of_dates, self.hear_of_flows, self.tick, self.die], [3, 2, 4, 1]
        )[0]
        await what()
        if self.chance.random() < 0.5:
            self.set_date()
        if self.chance.random() < 0.03:
            self.define()

    # What must be true ----------------------------------------------------------------------------

    def may_fire(self, one: Enroll) -> bool:
        """Say whether a command follows from a date and a trigger set before its moment."""
        assert one.due_date
        for value in self.values[one.contact_id]:
            for trigger in self.triggers:
                read = read_date(value.what)
                if read and trigger.what:
                    found = numbered_occurrence(trigger.what, read, one.due_date.number)
                    since = max(value.since, trigger.since)
                    if found and found.due_at == one.due_date.due_at and found.due_at > since:
                        return found.due_at <= self.now
        return False

    def causes_of(self, contact: UUID, cause: str) -> int:
        """Say how many dates of a contact, one after another, have this occurrence."""
        rule, number = self.triggers[0].what, int(cause.rpartition(":")[2])
        read = (read_date(value.what) for value in self.values[contact])
        return sum(1 for one in read if one and numbered_occurrence(rule, one, number))

    def must_fire(self) -> set[tuple[UUID, str]]:
        """Name what follows from dates that stayed until everything was heard of."""
        return {
            (contact, f"date:t1:{one.number}")
            for contact, history in self.values.items()
            for value in history
            for trigger in self.triggers
            if trigger.what and (read := read_date(value.what))
            for one in self._due(trigger.what, read, value, trigger)
        }

    def _due(self, rule: DateRule, read: Any, value: Span, trigger: Span) -> list[Any]:
        since = max(value.since, trigger.since)
        until = min(value.until - LATEST - LONGEST_STEP, trigger.until, self.now)
        return list(occurrences_between(rule, read, since, until)) if since < until else []


@pytest.mark.parametrize("seed", range(10))
async def test_r20_whatever_comes_first_what_should_fire_does(pool: Pool, seed: int) -> None:
    await migrate(pool, MIGRATIONS)
    world = World(pool, seed)
    world.define()
    for _ in range(STEPS):
        await world.step()
    await world.catch_up()
    fired = Counter((one.contact_id, one.source_id) for one in world.came)
    assert all(one.flow_id == FLOW for one in world.came)
    assert [one for one in world.came if not world.may_fire(one)] == []
    must = world.must_fire()
    assert must - fired.keys() == set()
    assert must, "otherwise nothing was shown"
    if not world.edits:
        assert {one: count for one, count in fired.items() if count > world.causes_of(*one)} == {}
