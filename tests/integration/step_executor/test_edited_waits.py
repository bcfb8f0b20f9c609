"""Waits that are edited while contacts stand at them, through the executor's handlers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import transaction
from libs.contracts.contact_events import ContactUpdated
from libs.contracts.membership_events import MembershipChanged
from libs.contracts.step_commands import ApplyFlow
from libs.contracts.timer_commands import SetTimer
from libs.domain.flow import Flow
from services.step_executor.store import memberships
from tests.support.builders import FLOW, NOW, WELCOME, a_flow
from tests.support.executor import Executor, cloud, created, enroll, observed, of
from tests.support.waits import ROME, fires, updated

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = UUID(int=0)


def waits(version: int, status: str = "active", **mode: Any) -> Flow:
    """A flow whose first step waits; after it one rests for long."""
    mode = mode or {"duration_amount": 1, "duration_unit": "days"}
    steps = [
        {"step_id": "w", "type": "wait", "edges": {"next": "after"}, **mode},
        {"step_id": "after", "type": "wait", "duration_amount": 90, "duration_unit": "days"},
    ]
    return a_flow(steps, version=version, status=status)


def hours(amount: int) -> dict[str, Any]:
    return {"duration_amount": amount, "duration_unit": "hours"}


async def enter(executor: Executor, *people: int, at: timedelta = timedelta(0)) -> list[Any]:
    """Let contacts in at a moment; give what was said."""
    executor.clock.now_is = NOW + at
    ids = [UUID(int=one) for one in people]
    await executor.act(*(created(one) for one in ids))
    return await executor.act(*(enroll(one) for one in ids))


async def pause(executor: Executor, version: int = 3) -> None:
    (command,) = of(ApplyFlow, await executor.define(waits(version, "paused")))[:1]
    await executor.act(command)


async def reactivate(executor: Executor, flow: Flow, page: int = 500) -> list[Any]:
    """Take the edited flow in and bring everyone in line with it; give what was said."""
    commands, said = of(ApplyFlow, await executor.define(flow))[:1], list[Any]()
    while commands:
        got = await executor.act(*commands, page=page)
        commands = of(ApplyFlow, got)
        said += got
    return said


async def stands(executor: Executor) -> dict[int, tuple[Any, ...]]:
    """Say at which step each contact stands, for what and until when."""
    return {
        row["contact_id"].int: (row["step_id"], row["waiting_on"], row["waiting_until"])
        for row in await executor.live()
    }


async def test_r13_a_shortened_wait_lets_go_who_has_waited_so_long(executor: Executor) -> None:
    await executor.define(waits(2))
    await enter(executor, 11)
    await enter(executor, 12, at=2 * HOUR)
    await pause(executor)
    executor.clock.now_is = NOW + 2 * HOUR + HOUR / 2
    said = await reactivate(executor, waits(4, **hours(1)))
    assert await stands(executor) == {
        11: ("after", "timer", NOW + 2 * HOUR + HOUR / 2 + 90 * DAY),
        12: ("w", "timer", NOW + 3 * HOUR),
    }
    assert len(of(SetTimer, said)) == 2, "each new instant is timed"
    (shown,) = {
        one.membership.waiting_until
        for one in of(MembershipChanged, said)
        if one.contact_id.int == 12
    }
    assert shown == NOW + 3 * HOUR
    (timer,) = [one for one in of(SetTimer, said) if one.contact_id.int == 12]
    await executor.act(fires(timer))
    assert (await stands(executor))[12][0] == "after"


async def test_r13_a_lengthened_wait_makes_the_old_timer_void(executor: Executor) -> None:
    await executor.define(waits(2))
    (old,) = of(SetTimer, await enter(executor, 11))
    await pause(executor)
    (new,) = of(SetTimer, await reactivate(executor, waits(4, **hours(48))))
    executor.clock.now_is = NOW + DAY
    assert await executor.act(fires(old)) == []
    assert (await stands(executor))[11] == ("w", "timer", NOW + 2 * DAY)
    await executor.act(fires(new))
    assert (await stands(executor))[11][0] == "after"


async def test_r13_a_timer_that_fired_in_the_pause_does_not_end_a_longer_wait(
    executor: Executor,
) -> None:
    await executor.define(waits(2))
    (old,) = of(SetTimer, await enter(executor, 11))
    await pause(executor)
    executor.clock.now_is = NOW + DAY
    await executor.act(fires(old))
    assert (await stands(executor))[11][1] == "reactivation"
    (new,) = of(SetTimer, await reactivate(executor, waits(4, **hours(48))))
    assert (await stands(executor))[11] == ("w", "timer", NOW + 2 * DAY)
    await executor.act(fires(new))
    assert (await stands(executor))[11][0] == "after"


async def test_r13_an_old_timer_between_the_edit_and_its_page_counts_nothing_twice(
    executor: Executor,
) -> None:
    """The definition is here, its page is not yet: the walk goes by the definition already."""
    await executor.define(waits(2))
    (old,) = of(SetTimer, await enter(executor, 11))
    await pause(executor)
    commands = of(ApplyFlow, await executor.define(waits(4, **hours(48))))[:1]
    executor.clock.now_is = NOW + DAY
    (new,) = of(SetTimer, await executor.act(fires(old)))
    assert new.due_at == NOW + 2 * DAY
    assert await executor.act(*commands) == [], "he stands as the flow says"
    assert (await stands(executor))[11] == ("w", "timer", NOW + 2 * DAY)


async def test_a_wait_for_a_time_made_one_for_a_condition_is_judged_at_once(
    executor: Executor,
) -> None:
    await executor.define(waits(2))
    await enter(executor, 11, 12)
    await executor.act(updated(contact=UUID(int=11), city="Rome"))
    await pause(executor)
    limit: dict[str, Any] = {"timeout_amount": 3, "timeout_unit": "days"}
    executor.clock.now_is = NOW + HOUR
    await reactivate(executor, waits(4, condition=ROME, **limit))
    now = await stands(executor)
    assert now[11][0] == "after"
    assert now[12] == ("w", "event", NOW + 3 * DAY)
    await executor.act(updated(contact=UUID(int=12), city="Rome"))
    assert (await stands(executor))[12][0] == "after"


async def test_a_wait_for_a_time_made_one_for_a_date_is_judged_at_once(executor: Executor) -> None:
    await executor.define(waits(2))
    await enter(executor, 11, 12)
    soon = {"custom_fields": {"renewal": (NOW + 5 * DAY).isoformat()}}
    event = ContactUpdated.model_validate({**cloud(UUID(int=12)), "data": soon})
    await executor.act(observed(event))
    await pause(executor)
    await reactivate(executor, waits(4, until_date_field="renewal"))
    now = await stands(executor)
    assert now[11][0] == "after", "there is no date to wait for"
    assert now[12] == ("w", "event", NOW + 5 * DAY)


async def test_waits_for_events_made_waits_for_a_time_count_what_was_waited(
    executor: Executor,
) -> None:
    await executor.define(waits(2, condition=ROME))
    await enter(executor, 11)
    await enter(executor, 12, at=2 * DAY)
    await executor.define(waits(3, "paused", condition=ROME))
    await reactivate(executor, waits(4, **hours(36)))
    now = await stands(executor)
    assert now[11][0] == "after"
    assert now[12] == ("w", "timer", NOW + 2 * DAY + 36 * HOUR)


async def test_a_mail_where_the_wait_was_is_sent_at_once(executor: Executor) -> None:
    await executor.define(waits(2))
    await enter(executor, 11)
    await pause(executor)
    mail = {"step_id": "w", "type": "send_email", "email_id": str(WELCOME)}
    await reactivate(executor, a_flow([mail], version=4))
    assert [row["step_id"] for row in await executor.deliveries()] == ["w"]


async def test_a_pause_that_ends_unseen_changes_waits_as_well(executor: Executor) -> None:
    """The executor was away and sees the newest definition alone: active before, active now."""
    await executor.define(waits(2))
    await enter(executor, 11)
    executor.clock.now_is = NOW + 2 * HOUR
    await reactivate(executor, waits(5, **hours(1)))
    assert (await stands(executor))[11][0] == "after"


async def test_edits_are_applied_in_pages_and_each_member_once(executor: Executor) -> None:
    await executor.define(waits(2))
    people = list(range(100, 120))
    await enter(executor, *people)
    await pause(executor)
    said = await reactivate(executor, waits(4, **hours(2)), page=3)
    assert len(of(SetTimer, said)) == len(people)
    assert set((await stands(executor)).values()) == {("w", "timer", NOW + 2 * HOUR)}
    assert len(of(ApplyFlow, said)) == len(people) // 3


async def test_who_waits_as_before_is_not_even_read(executor: Executor) -> None:
    await executor.define(waits(2))
    await enter(executor, 11, 12)
    durations = waits(2).durations
    async with transaction(executor.pool) as tx:
        some = await memberships.page(tx, (0, FLOW, FIRST), ["timer"], durations, 10)
        everyone = await memberships.page(tx, (0, FLOW, FIRST), None, durations, 10)
        longer = waits(2, **hours(25)).durations
        edited = await memberships.page(tx, (0, FLOW, FIRST), ["timer"], longer, 10)
        gone = await memberships.page(tx, (0, FLOW, FIRST), ["timer"], {}, 10)
    assert (some, len(everyone), len(edited), len(gone)) == ([], 2, 2, 2)
    await pause(executor)
    assert await reactivate(executor, waits(4)) == []
