"""From a contact with a date to a run of a flow, through the executor and the scheduler."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Pool, open_pool
from libs.contracts import step_commands, timer_commands
from libs.contracts.contact_events import ContactCreated, ContactDeleted, ContactUpdated
from libs.contracts.membership_events import EnrollmentRefused, MembershipChanged
from libs.contracts.step_commands import StepCommand
from libs.contracts.timer_commands import ForgetContact, RememberDates
from libs.domain.flow import Flow
from tests.support.builders import CONTACT, NOW, Json
from tests.support.dates import DateScheduler, date_flow
from tests.support.executor import Executor, cloud, observed, of
from tests.support.migrated_databases import MigratedDatabases

HOUR, SECOND, DAY = timedelta(hours=1), timedelta(seconds=1), timedelta(days=1)


@dataclass
class House:
    """An executor and a scheduler, each on its own database; what they say is carried over."""

    executor: Executor
    scheduler: DateScheduler

    async def define(self, flow: Flow, at: datetime = NOW) -> None:
        await self.executor.define(flow)
        await self.scheduler.define(flow, at=at)

    async def happens(self, *events: Any) -> list[Any]:
        """Let events come to the executor, and what it says of dates to the scheduler."""
        return await self.act([observed(event) for event in events])

    async def act(self, commands: Sequence[StepCommand]) -> list[Any]:
        said = await self.executor.act(*commands)
        told = [
            Received(timer_commands.ADAPTER.validate_json(one.body()), 0)
            for one in said
            if isinstance(one, RememberDates | ForgetContact)
        ]
        due = await self.scheduler.tell(*told)
        return said + (await self.act(due) if due else [])

    async def comes(self, at: datetime) -> list[Any]:
        """Let the time come; give what the executor says."""
        self.executor.clock.now_is = at
        enrolled = await self.scheduler.drain(at)
        read = [step_commands.ADAPTER.validate_json(one.body()) for one in enrolled]
        return await self.act(read) if read else []


@pytest.fixture
async def house(pool: Pool, migrated: MigratedDatabases) -> AsyncIterator[House]:
    async with open_pool(migrated.copy_of("step_executor")) as other:
        yield House(await Executor.ready(other), DateScheduler(pool, NOW))


def event(
    kind: type[ContactCreated | ContactUpdated],
    at: datetime = NOW,
    contact: UUID = CONTACT,
    **fields: Any,
) -> ContactCreated | ContactUpdated:
    data: Json = {"data": {"custom_fields": fields}, "time": at}
    return kind.model_validate({**cloud(contact), **data})


def entered(said: list[Any]) -> list[tuple[str, datetime]]:
    return [
        (one.membership.entry_source, one.membership.entered_at)
        for one in of(MembershipChanged, said)
    ]


async def test_a_contact_enters_at_the_very_moment_its_date_asks_for(house: House) -> None:
    """Three days before the renewal, at 07:30 in Berlin, which is 05:30 in summer."""
    settings: Json = {"offset_days": -3, "time": "07:30", "zone": "Europe/Berlin"}
    await house.define(date_flow(2, **settings))
    await house.happens(event(ContactCreated, renewal="2026-08-10", plan="gold"))
    due = datetime(2026, 8, 7, 5, 30, tzinfo=UTC)
    assert await house.comes(due - SECOND) == []
    assert entered(await house.comes(due)) == [("date_based", due)]
    assert await house.comes(due + HOUR) == []


async def test_a_birthday_comes_every_year(house: House) -> None:
    await house.define(date_flow(2, recurrence="annually"))
    await house.happens(event(ContactCreated, renewal="1992-02-29"))
    days = ((2027, 2, 28), (2028, 2, 28), (2028, 2, 29), (2029, 2, 28))
    came = [len(entered(await house.comes(datetime(*day, 9, tzinfo=UTC)))) for day in days]
    assert came == [1, 0, 1, 1]
    assert len(await house.executor.ended()) == 3


async def test_a_contact_is_greeted_some_days_after_it_was_created(house: House) -> None:
    await house.define(date_flow(2, field="createdAt", offset_days=2))
    await house.happens(event(ContactCreated))
    assert await house.comes(NOW + DAY) == []
    due = datetime(2026, 7, 4, 9, tzinfo=UTC)
    assert entered(await house.comes(due)) == [("date_based", due)]


async def test_who_is_created_after_the_time_of_day_is_too_late_for_it(house: House) -> None:
    await house.define(date_flow(2, field="createdAt", time="08:00"), at=NOW - DAY)
    await house.happens(event(ContactCreated))
    assert await house.comes(NOW + HOUR) == []


async def test_a_date_that_moves_fires_on_its_new_day_alone_and_again_if_it_moves_on(
    house: House,
) -> None:
    await house.define(date_flow(2))
    await house.happens(event(ContactCreated, renewal="2026-08-01"))
    await house.happens(event(ContactUpdated, renewal="2026-09-01"))
    assert await house.comes(datetime(2026, 8, 1, 9, tzinfo=UTC)) == []
    first = datetime(2026, 9, 1, 9, tzinfo=UTC)
    assert entered(await house.comes(first)) == [("date_based", first)]
    await house.happens(event(ContactUpdated, first + HOUR, renewal="2027-09-01"))
    second = datetime(2027, 9, 1, 9, tzinfo=UTC)
    assert entered(await house.comes(second)) == [("date_based", second)]


async def test_a_date_that_moves_while_its_command_is_under_way_is_refused(house: House) -> None:
    await house.define(date_flow(2))
    await house.happens(event(ContactCreated, renewal="2026-08-01"))
    due = datetime(2026, 8, 1, 9, tzinfo=UTC)
    enrolled = await house.scheduler.tick(due)
    house.executor.clock.now_is = due
    await house.happens(event(ContactUpdated, due, renewal="2026-09-01"))
    said = await house.act(enrolled)
    assert [one.reason for one in of(EnrollmentRefused, said)] == ["date_moved"]
    assert len(entered(await house.comes(datetime(2026, 9, 1, 9, tzinfo=UTC)))) == 1


async def test_r20_a_late_slice_and_a_late_date_enroll_once(house: House) -> None:
    """The executor was down over the moment: the date was set in time, and everything is late."""
    await house.define(date_flow(2))
    due = datetime(2026, 8, 1, 9, tzinfo=UTC)
    assert await house.comes(due + 4 * HOUR) == []
    created = event(ContactCreated, due - HOUR, renewal="2026-08-01")
    assert entered(await house.happens(created)) == [("date_based", due + 4 * HOUR)]
    assert await house.comes(due + 5 * HOUR) == []


async def test_r21_a_moment_enrolls_once_however_the_zone_is_moved(house: House) -> None:
    await house.define(date_flow(2, zone="America/Los_Angeles"))
    await house.happens(event(ContactCreated, renewal="2026-08-11T02:00:00Z"))
    west = datetime(2026, 8, 10, 16, tzinfo=UTC)
    assert entered(await house.comes(west)) == [("date_based", west)]
    await house.define(date_flow(3, zone="Asia/Tokyo"), at=west + HOUR)
    assert await house.comes(datetime(2026, 8, 11, 0, tzinfo=UTC)) == []
    assert len(await house.executor.ended()) == 1


async def test_who_is_gone_is_not_enrolled_and_leaves_no_date(house: House) -> None:
    await house.define(date_flow(2))
    await house.happens(event(ContactCreated, renewal="2026-08-01"))
    await house.happens(ContactDeleted.model_validate(cloud()))
    left = await house.scheduler.pool.fetchval("SELECT count(*) FROM contact_date")
    assert left == 0
    assert await house.comes(datetime(2026, 8, 1, 9, tzinfo=UTC)) == []
