"""Dates in the executor: what it tells the scheduler, and how it judges one that has come."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.contracts.contact_events import ContactCreated, ContactDeleted, ContactUpdated
from libs.contracts.membership_events import EnrollmentRefused, MembershipChanged
from libs.contracts.step_commands import DueDate, Enroll, Observe, RestateDates
from libs.contracts.timer_commands import ForgetContact, RememberDates
from libs.domain.contact import Scalar
from libs.domain.flow import Flow
from services.step_executor.use_cases.tell_dates import MOST_FIELDS
from tests.support.builders import CONTACT, FLOW, NOW, Json, a_flow
from tests.support.executor import Executor, cloud, created, enroll, observed, of

CREATED = "2026-07-02T09:00:00+00:00"
OUT: list[Json] = [{"step_id": "out", "type": "drop_from_flow"}]


def has(
    kind: type[ContactCreated | ContactUpdated], contact: UUID = CONTACT, **dates: Scalar
) -> Observe:
    event = kind.model_validate({**cloud(contact), "data": {"custom_fields": dates}})
    return observed(event)


def dated(version: int = 2, **settings: Any) -> Flow:
    trigger = {"type": "date_based", "trigger_id": "t1", "field": "renewal", **settings}
    return a_flow(OUT, version=version, triggers=[trigger])


def come(number: int, due_at: datetime = NOW, **changes: Any) -> Enroll:
    due_date = DueDate(trigger_id="t1", number=number, due_at=due_at)
    return enroll(source=due_date.cause, due_date=due_date, min_flow_version=2, **changes)


async def goes_by(executor: Executor, *fields: str) -> list[Any]:
    """Let a flow go by some date fields; give what the partitions are told of them."""
    triggers = [
        {"type": "date_based", "trigger_id": str(place), "field": name}
        for place, name in enumerate(fields)
    ]
    flow = a_flow(OUT, version=2, flow_id=UUID(int=77), triggers=triggers)
    return of(RestateDates, await executor.define(flow))


async def test_what_no_flow_goes_by_is_not_told(executor: Executor) -> None:
    await goes_by(executor, "renewal")
    assert await executor.act(has(ContactCreated, birthday="1990-05-05")) == []


async def test_r26_when_a_flow_begins_to_go_by_a_field_every_partition_restates_it(
    executor: Executor,
) -> None:
    people = [UUID(int=100 + number) for number in range(5)]
    for one in people:
        await executor.act(has(ContactCreated, one, renewal=f"2026-08-0{one.int - 99}"))
    await executor.act(has(ContactUpdated, people[0], renewal=None))
    await executor.act(observed(ContactDeleted.model_validate(cloud(people[1]))))
    commands = await goes_by(executor, "renewal")
    assert [(one.partition, one.field) for one in commands] == [(0, "renewal"), (1, "renewal")]
    told: list[RememberDates] = []
    while commands:
        said = await executor.act(*commands, page=2)
        told, commands = told + of(RememberDates, said), of(RestateDates, said)
    assert {one.contact_id: one.dates for one in told} == {
        one: {"renewal": f"2026-08-0{one.int - 99}"} for one in people[2:]
    }
    assert len(told) == len({one.id for one in told}) == 3
    assert {(one.set_at, *one.before) for one in told} == {(NOW,)}


async def test_r26_a_field_is_restated_once_and_a_change_in_the_same_batch_is_told_in_order(
    executor: Executor,
) -> None:
    await executor.act(has(ContactCreated, renewal="2026-08-01"))
    commands = await goes_by(executor, "renewal")
    said = await executor.act(has(ContactUpdated, renewal="2026-09-01"), commands[0])
    assert [(one.before, one.dates) for one in of(RememberDates, said)] == [
        ({"renewal": "2026-08-01"}, {"renewal": "2026-09-01"}),
        ({}, {"renewal": "2026-09-01"}),
    ]
    assert of(RestateDates, await executor.define(dated(version=9))) == []


async def test_r19_the_executor_tells_the_dates_a_contact_has_and_when_they_change(
    executor: Executor,
) -> None:
    await goes_by(executor, "renewal", "createdAt")
    (told,) = await executor.act(has(ContactCreated, renewal="2026-08-01", plan="gold"))
    assert isinstance(told, RememberDates)
    assert (told.before, told.dates) == ({}, {"renewal": "2026-08-01", "createdAt": CREATED})
    assert (told.set_at, told.contact_id, told.key) == (NOW, CONTACT, str(CONTACT))
    assert await executor.act(has(ContactUpdated, plan="blue", renewal="2026-08-01")) == []
    said = await executor.act(
        has(ContactUpdated, renewal="2026-09-01"), has(ContactUpdated, renewal=None)
    )
    assert [(one.before, one.dates) for one in said] == [
        ({"renewal": "2026-08-01"}, {"renewal": "2026-09-01"}),
        ({"renewal": "2026-09-01"}, {}),
    ]
    assert len({told.id, *(one.id for one in said)}) == 3


async def test_r19_the_dates_of_a_contact_that_is_gone_are_forgotten(executor: Executor) -> None:
    await goes_by(executor, "renewal", "createdAt")
    await executor.act(has(ContactCreated, renewal="2026-08-01"))
    gone = observed(ContactDeleted.model_validate(cloud()))
    (told,) = of(ForgetContact, await executor.act(gone, gone))
    assert told.before == {"renewal": "2026-08-01", "createdAt": CREATED}


async def test_a_date_from_a_clock_that_is_ahead_was_set_now(executor: Executor) -> None:
    await goes_by(executor, "renewal")
    data = {"data": {"custom_fields": {"renewal": "2026-08-01"}}, "time": NOW + timedelta(hours=1)}
    event = ContactCreated.model_validate({**cloud(), **data})
    (told,) = await executor.act(observed(event))
    assert told.set_at == NOW


async def test_very_many_dates_are_told_in_pieces_that_fit(executor: Executor) -> None:
    many: dict[str, Scalar] = {f"{number:03}{'é' * 197}": "2026-08-01" for number in range(450)}
    await goes_by(executor, *many)
    said = await executor.act(has(ContactCreated, CONTACT, **many))
    assert [len(one.dates) for one in said] == [MOST_FIELDS, MOST_FIELDS, 50]
    assert len({one.id for one in said}) == 3
    assert max(len(one.body()) for one in said) < RememberDates.topic.max_message_bytes / 4


async def test_r21_a_date_that_has_come_enrolls_once(executor: Executor) -> None:
    await executor.define(dated())
    await executor.act(has(ContactCreated, renewal="2026-07-02"))
    said = await executor.act(come(20260702), come(20260702))
    assert [one.membership.status for one in of(MembershipChanged, said)] == ["dropped"]
    assert await executor.act(come(20260702)) == []
    (ended,) = await executor.ended()
    assert ended["entry_source"] == "x"


async def test_r21_that_very_occurrence_is_judged_and_not_today(executor: Executor) -> None:
    """The slice ran 20 hours late: by now it is tomorrow."""
    await executor.define(dated())
    await executor.act(has(ContactCreated, renewal="2026-07-01"))
    executor.clock.now_is = NOW + timedelta(hours=20)
    assert len(of(MembershipChanged, await executor.act(come(20260701)))) == 1


async def reason(executor: Executor, command: Enroll) -> str:
    (refused,) = of(EnrollmentRefused, await executor.act(command))
    assert (refused.flow_id, refused.source_id) == (FLOW, command.source_id)
    return str(refused.reason)


async def test_r21_a_date_that_moved_since_is_refused_with_the_reason(executor: Executor) -> None:
    await executor.define(dated())
    await executor.act(has(ContactCreated, renewal="2026-09-01"))
    assert await reason(executor, come(20260702)) == "date_moved"
    await executor.act(has(ContactUpdated, renewal=None))
    assert await reason(executor, come(20260702)) == "date_moved"
    assert await executor.ended() == []


async def test_r21_what_an_edit_has_put_off_is_refused_and_not_used_up(executor: Executor) -> None:
    await executor.define(dated(offset_days=7))
    await executor.act(has(ContactCreated, renewal="2026-07-02"))
    assert await reason(executor, come(20260702)) == "date_moved"
    later = datetime(2026, 7, 9, 9, tzinfo=UTC)
    executor.clock.now_is = later
    assert len(of(MembershipChanged, await executor.act(come(20260702, later)))) == 1


async def test_r14_a_clock_that_is_behind_the_schedulers_refuses_nobody(executor: Executor) -> None:
    await executor.define(dated())
    await executor.act(has(ContactCreated, renewal="2026-07-02"))
    executor.clock.now_is = NOW - timedelta(milliseconds=300)
    assert len(of(MembershipChanged, await executor.act(come(20260702)))) == 1


async def test_a_trigger_that_is_gone_lets_nobody_in(executor: Executor) -> None:
    await executor.define(dated(trigger_id="t2"))
    await executor.act(has(ContactCreated, renewal="2026-07-02"))
    assert await reason(executor, come(20260702)) == "trigger_removed"


async def test_a_date_comes_to_a_flow_that_is_paused(executor: Executor) -> None:
    await executor.define(a_flow(OUT, version=2, status="paused"))
    await executor.act(created())
    assert await reason(executor, come(20260702)) == "flow_not_active"


def test_only_a_date_that_came_is_written_into_the_command() -> None:
    command = come(20260702)
    assert Enroll.model_validate_json(command.body()) == command
    assert b"due_date" not in enroll().body()
