"""Waits for conditions, through the executor's handlers: nothing that ends one is missed.

The tests that carry a rule's number play the interleaving that the rule closes.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import transaction
from libs.contracts.contact_events import ContactDeleted, ListContactAdded
from libs.contracts.membership_events import EnrollmentRefused
from libs.contracts.step_commands import Observe, StepCommand
from libs.contracts.timer_commands import SetTimer
from libs.domain.listening import KEYING
from libs.domain.membership import Membership
from services.step_executor.loops.watch_memberships import WatchMemberships
from services.step_executor.loops.watch_waits import WatchWaits
from services.step_executor.store import memberships
from services.step_executor.use_cases.needed_memberships import needed_by
from services.step_executor.use_cases.unit_of_work import UnitOfWork, Unread
from tests.integration.step_executor.test_step_commands import finish
from tests.support.builders import CONTACT, FLOW, LIST, NOW, WELCOME_STEPS, WORKSPACE, a_flow
from tests.support.executor import (
    Executor,
    cloud,
    created,
    enroll,
    observed,
    of,
    timeline_of,
)
from tests.support.waits import (
    GONE_QUIET,
    ROME,
    TIMEOUT,
    a_guard,
    a_waiting_flow,
    ago,
    apply,
    engaged,
    field,
    fires,
    mail,
    updated,
    waiting,
)

DAY = timedelta(days=1)
WAITING = waiting(ROME)


async def stands(executor: Executor) -> tuple[str, str]:
    """Say at which step the one membership stands, and for what."""
    (row,) = await executor.live()
    return row["step_id"], row["waiting_on"]


async def waits_for(executor: Executor, condition: Any, **more: Any) -> list[Any]:
    """Let the contact wait for a condition; give what was said."""
    fields = more.pop("fields", {})
    await executor.define(a_waiting_flow(condition, **more))
    return await executor.act(created(**fields), enroll())


async def read_for(executor: Executor, *commands: StepCommand) -> list[Membership]:
    """Give the memberships that a batch of these commands would read."""
    async with transaction(executor.pool) as tx:
        return await memberships.read(tx, needed_by([Received(one, 0) for one in commands]))


async def test_a_condition_that_holds_stops_nobody(executor: Executor) -> None:
    await waits_for(executor, ROME, fields={"city": "Rome"})
    assert await stands(executor) == ("met", "timer")


async def test_an_event_that_makes_it_hold_moves_the_membership_on(executor: Executor) -> None:
    said = await waits_for(executor, ROME)
    assert await stands(executor) == ("until", "event")
    assert of(SetTimer, said) == [], "only an event can make it hold"
    assert [one.kind for one in timeline_of(said)] == ["entered_flow", "waiting"]
    assert await executor.act(updated(city="Oslo")) == [], "nothing is told of what moves nobody"
    said = await executor.act(updated(city="Rome"))
    assert [one.kind for one in timeline_of(said)] == ["step_executed", "waiting"]
    assert await stands(executor) == ("met", "timer")


async def test_a_wait_that_times_out_follows_its_own_edge(executor: Executor) -> None:
    said = await waits_for(executor, ROME, timeout=TIMEOUT)
    (timer,) = of(SetTimer, said)
    assert timer.due_at == NOW + 2 * DAY
    await executor.act(fires(timer))
    assert await stands(executor) == ("late", "timer")


async def test_an_event_reads_only_the_memberships_it_may_concern(executor: Executor) -> None:
    await waits_for(executor, ROME)
    assert await read_for(executor, updated(firstName="Ada", tentedScore=3)) == []
    assert len(await read_for(executor, updated(city="Oslo"))) == 1


async def test_who_is_inside_is_known_also_where_the_event_does_not_concern_him(
    executor: Executor,
) -> None:
    flow = a_waiting_flow(ROME)
    await waits_for(executor, ROME)
    joined = ListContactAdded.model_validate({**cloud(), "data": {"list_id": LIST}})
    refused = of(EnrollmentRefused, await executor.act(observed(joined, flow)))
    assert [one.reason for one in refused] == ["already_in_flow"]


async def test_deletion_ends_also_who_listens_to_nothing(executor: Executor) -> None:
    await executor.mailing()
    await executor.act(observed(ContactDeleted.model_validate(cloud())))
    assert await executor.live() == []


async def test_who_becomes_disqualified_is_dropped_wherever_he_stands(executor: Executor) -> None:
    """At a delivery, at a timer, at a condition: the rules of the flow are listened to as well."""
    people = [UUID(int=number) for number in (301, 302, 303)]
    rules: dict[str, Any] = {"guards": [a_guard(field("leadStatus", "equals", "lost"))]}
    delivery = a_flow(flow_id=UUID(int=41), **rules)
    timer = a_flow(
        [{"step_id": "t", "type": "wait", "duration_amount": 1, "duration_unit": "days"}],
        flow_id=UUID(int=42), **rules,
    )  # fmt: skip
    event = a_waiting_flow(ROME, flow_id=UUID(int=43), **rules)
    for person, flow in zip(people, (delivery, timer, event), strict=True):
        await executor.define(flow)
        await executor.act(created(person, WORKSPACE, flow))
    assert {row["waiting_on"] for row in await executor.live()} == {"delivery", "timer", "event"}
    await executor.act(*(updated(contact=person, leadStatus="lost") for person in people))
    assert {row["drop_reason"] for row in await executor.ended()} == {"disqualified"}
    assert await executor.live() == []


async def test_r11_a_replayed_event_overwrites_no_later_fact(executor: Executor) -> None:
    """Put aside, it comes again days later: what was said after it stays; what is news counts."""
    put_aside = updated(NOW, city="Rome", company="Acme")
    await executor.act(created(), updated(NOW + DAY, city="Oslo"), put_aside)
    fields = await executor.pool.fetchval("SELECT fields FROM contact")
    assert (fields["city"], fields["company"]) == ("Oslo", "Acme")
    assert fields["updatedAt"] == "2026-07-03T09:00:00.000Z"


async def test_r11_a_replayed_event_about_a_list_overwrites_no_later_one(
    executor: Executor,
) -> None:
    data = {"data": {"list_id": LIST}}
    joined = observed(ListContactAdded.model_validate({**cloud(), **data}))
    left = {**cloud(), "type": "list.contact_removed", "time": NOW + DAY, **data}
    await executor.act(created(), joined)
    await executor.act(Observe.model_validate({**joined.model_dump(), "event": left}))
    await executor.act(joined)
    assert await executor.pool.fetchval("SELECT lists FROM contact") == []


async def test_r11_a_replayed_creation_brings_no_deleted_contact_back(executor: Executor) -> None:
    creation = created()
    gone = ContactDeleted.model_validate({**cloud(), "time": NOW + DAY})
    await executor.act(creation, observed(gone))
    await executor.act(creation)
    refused = of(EnrollmentRefused, await executor.act(enroll()))
    assert [one.reason for one in refused] == ["contact_not_found"]


async def test_r11_what_is_known_wakes_nobody(executor: Executor) -> None:
    """An old value, replayed, would make the condition hold; so would a click that is noted."""
    await waits_for(executor, ROME, fields={})
    await executor.act(updated(NOW + DAY, city="Oslo"))
    assert await executor.act(updated(NOW, city="Rome")) == []
    assert await stands(executor) == ("until", "event")
    (row,) = await executor.live()
    await executor.act(engaged(row["membership_id"], "opened"))
    assert await executor.act(engaged(row["membership_id"], "opened")) == []


def after_the_mail(metric: str, version: int = 2, **changes: Any) -> Any:
    wait = {"step_id": "until", "type": "wait", "condition": mail(metric), "edges": {"next": "met"}}
    met = {"step_id": "met", "type": "wait", "duration_amount": 1, "duration_unit": "days"}
    send = {**WELCOME_STEPS[0], "edges": {"next": "until"}}
    return a_flow([send, wait, met], version=version, **changes)


async def test_r12_a_click_before_the_wait_counts(executor: Executor) -> None:
    """A scanner clicks while the membership still stands at the delivery."""
    await executor.define(after_the_mail("clicked"))
    key = await executor.mailing()
    await executor.act(engaged(key.membership_id, "clicked"))
    assert await stands(executor) == ("send-welcome", "delivery")
    await finish(executor, key)
    assert await stands(executor) == ("met", "timer")


async def test_r12_a_click_after_the_wait_began_counts(executor: Executor) -> None:
    await executor.define(after_the_mail("clicked"))
    key = await executor.mailing()
    await finish(executor, key)
    await executor.act(engaged(key.membership_id, "opened"))
    assert await stands(executor) == ("until", "event")
    await executor.act(engaged(key.membership_id, "clicked"))
    assert await stands(executor) == ("met", "timer")


async def test_r12_a_click_between_an_edit_and_its_page_counts(executor: Executor) -> None:
    """It listens to the opening still when the click comes, for which it waits since the edit."""
    await executor.define(after_the_mail("opened"))
    key = await executor.mailing()
    await finish(executor, key)
    told = await executor.define(after_the_mail("clicked", version=3))
    await executor.act(engaged(key.membership_id, "clicked"))
    assert await stands(executor) == ("until", "event")
    await executor.act(told[0])
    assert await stands(executor) == ("met", "timer")


async def test_an_edit_changes_what_standing_members_listen_to(executor: Executor) -> None:
    await waits_for(executor, ROME)
    told = await executor.define(a_waiting_flow(field("company", "equals", "Acme"), version=3))
    await executor.act(told[0])
    assert await read_for(executor, updated(city="Rome")) == []
    await executor.act(updated(company="Acme"))
    assert await stands(executor) == ("met", "timer")


async def test_new_rules_of_a_flow_are_listened_to_where_members_stand(executor: Executor) -> None:
    """A delivery under way goes on under its hop: only what is listened to is written."""
    key = await executor.mailing()
    rules = field("leadStatus", "equals", "lost")
    told = await executor.define(a_flow(version=2, guards=[a_guard(rules)]))
    assert await executor.act(told[0]) == []
    (row,) = await executor.live()
    assert (row["hop"], row["waiting_on"]) == (key.hop, "delivery")
    await executor.act(updated(leadStatus="lost"))
    assert [row["drop_reason"] for row in await executor.ended()] == ["disqualified"]


async def test_r13_a_verdict_that_changes_earlier_is_timed_anew(executor: Executor) -> None:
    """False until a far day; a field moves that day closer; the old timer is void by then."""
    active = (NOW + 100 * DAY).isoformat()
    said = await waits_for(executor, GONE_QUIET, fields={"lastActivityAt": active})
    (far,) = of(SetTimer, said)
    assert far.due_at == NOW + 130 * DAY
    said = await executor.act(updated(lastActivityAt=(NOW - 29 * DAY).isoformat()))
    (near,) = of(SetTimer, said)
    assert near.due_at == NOW + DAY
    assert near.id != far.id
    (row,) = await executor.live()
    assert (row["waiting_until"], row["stood_at"]) == (NOW + DAY, NOW)
    assert await executor.act(fires(far)) == [], "it is of another hop"
    await executor.act(fires(near))
    assert await stands(executor) == ("met", "timer")


async def test_r13_a_timer_of_another_instant_is_void(executor: Executor) -> None:
    """Same hop, but not the instant that the membership itself waits for."""
    (timer,) = of(SetTimer, await waits_for(executor, ROME, timeout=TIMEOUT))
    early = fires(timer.model_copy(update={"due_at": NOW + DAY}))
    assert await executor.act(early) == []
    assert await stands(executor) == ("until", "event")


async def test_r13_a_verdict_that_never_changes_by_time_needs_no_timer(executor: Executor) -> None:
    await waits_for(executor, GONE_QUIET, fields={"lastActivityAt": NOW.isoformat()})
    said = await executor.act(updated(lastActivityAt=None))
    assert of(SetTimer, said) == []
    (row,) = await executor.live()
    assert (row["status"], row["waiting_until"]) == ("waiting", None)


async def test_r13_after_a_pause_waits_are_judged_and_timed_anew(executor: Executor) -> None:
    """In the pause an event parks it, and its time-out is void; then the fact is false again."""
    (timer,) = of(SetTimer, await waits_for(executor, ROME, timeout=TIMEOUT))
    await executor.define(a_waiting_flow(ROME, version=3, timeout=TIMEOUT, status="paused"))
    executor.clock.now_is = NOW + DAY
    await executor.act(apply(3), updated(city="Rome"))
    assert await stands(executor) == ("until", "reactivation")
    assert await executor.act(fires(timer)) == []
    await executor.act(updated(city="Oslo"))
    await executor.define(a_waiting_flow(ROME, version=4, timeout=TIMEOUT))
    (again,) = of(SetTimer, await executor.act(apply(4)))
    assert again.due_at == timer.due_at, "the time it has waited counts"
    assert await stands(executor) == ("until", "event")
    await executor.act(fires(again))
    assert await stands(executor) == ("late", "timer")


async def test_r13_a_time_out_in_a_pause_is_taken_at_reactivation(executor: Executor) -> None:
    (timer,) = of(SetTimer, await waits_for(executor, ROME, timeout=TIMEOUT))
    await executor.define(a_waiting_flow(ROME, version=3, timeout=TIMEOUT, status="paused"))
    await executor.act(apply(3))
    executor.clock.now_is = NOW + 5 * DAY
    await executor.act(fires(timer))
    assert await stands(executor) == ("until", "reactivation")
    await executor.define(a_waiting_flow(ROME, version=4, timeout=TIMEOUT))
    await executor.act(apply(4))
    assert await stands(executor) == ("late", "timer")


async def test_r13_a_paused_flow_parks_only_who_would_wake(executor: Executor) -> None:
    """What does not make the condition hold parks nobody, whether it is an event or a timer."""
    fields = {"lastActivityAt": (NOW - 20 * DAY).isoformat()}
    both = {"kind": "group", "operator": "and", "conditions": [GONE_QUIET, ROME]}
    (timer,) = of(SetTimer, await waits_for(executor, both, fields=fields))
    await executor.define(a_waiting_flow(both, version=3, status="paused"))
    await executor.act(apply(3), updated(city="Oslo"), fires(timer))
    assert await stands(executor) == ("until", "event")
    await executor.act(updated(city="Rome", lastActivityAt=(NOW - 40 * DAY).isoformat()))
    assert await stands(executor) == ("until", "reactivation")


async def test_r14_a_timer_that_fires_early_by_our_clock_is_on_time(executor: Executor) -> None:
    """The executor's clock is 300 ms behind: it must not ask for the same instant again."""
    fields = {"lastActivityAt": (NOW - 29 * DAY).isoformat()}
    (timer,) = of(SetTimer, await waits_for(executor, GONE_QUIET, fields=fields))
    executor.clock.now_is = timer.due_at - timedelta(milliseconds=300)
    await executor.act(fires(timer))
    assert await stands(executor) == ("met", "timer")


async def test_r14_each_new_timer_of_a_wait_is_later_than_the_last(executor: Executor) -> None:
    """Three moments at which time could end the wait, and does not: each is asked for once."""
    quiet = [
        field("lastActivityAt", "less_than_or_equal", ago(days, "days")) for days in (30, 31, 32)
    ]
    both = [{"kind": "group", "operator": "and", "conditions": [one, ROME]} for one in quiet]
    never = {"kind": "group", "operator": "or", "conditions": both}
    fields = {"lastActivityAt": (NOW - 29 * DAY).isoformat()}
    due: list[Any] = []
    timers = of(SetTimer, await waits_for(executor, never, fields=fields))
    while timers and len(due) < 10:
        due += [one.due_at for one in timers]
        executor.clock.now_is = due[-1] - timedelta(milliseconds=300)
        timers = of(SetTimer, await executor.act(fires(timers[-1])))
    assert due == [NOW + DAY, NOW + 2 * DAY, NOW + 3 * DAY]
    assert await stands(executor) == ("until", "event")


async def test_r15_an_event_behind_the_resume_in_one_batch_is_heard(executor: Executor) -> None:
    """The wait begins within the batch: what it listens to is known in memory alone."""
    pause = {"step_id": "pause", "type": "wait", "duration_amount": 1, "duration_unit": "days",
             "edges": {"next": "until"}}  # fmt: skip
    await executor.define(a_flow([pause, *WAITING], version=2))
    (timer,) = of(SetTimer, await executor.act(created(), enroll()))
    await executor.act(fires(timer), updated(city="Rome"))
    assert await stands(executor) == ("met", "timer")


async def test_r15_an_event_and_the_resume_behind_it_in_one_batch(executor: Executor) -> None:
    pause = {"step_id": "pause", "type": "wait", "duration_amount": 1, "duration_unit": "days",
             "edges": {"next": "until"}}  # fmt: skip
    await executor.define(a_flow([pause, *WAITING], version=2))
    (timer,) = of(SetTimer, await executor.act(created(), enroll()))
    await executor.act(updated(city="Rome"), fires(timer))
    assert await stands(executor) == ("met", "timer")


async def test_r15_what_was_not_read_is_not_taken_for_nothing() -> None:
    contact = (WORKSPACE, CONTACT)
    unit = UnitOfWork(NOW, {}, needed_by([Received(updated(city="Rome"), 0)]), {}, {})
    assert unit.known_contact(contact) is None
    with pytest.raises(Unread):
        unit.live_membership(FLOW, contact)
    with pytest.raises(Unread):
        unit.known_contact((WORKSPACE, UUID(int=404)))


async def test_r16_keys_of_another_version_hear_every_event(executor: Executor) -> None:
    """Another version of the program keyed it otherwise; it is keyed anew when an event comes."""
    await waits_for(executor, ROME)
    await executor.pool.execute("UPDATE membership SET listens = '{7}', keying = $1", KEYING + 1)
    await executor.act(updated(firstName="Ada"))
    (row,) = await executor.live()
    assert (row["keying"], row["waiting_on"]) == (KEYING, "event")
    assert await read_for(executor, updated(firstName="Ada")) == []
    await executor.pool.execute("UPDATE membership SET listens = '{7}', keying = $1", KEYING - 1)
    await executor.act(updated(city="Rome"))
    assert await stands(executor) == ("met", "timer")


async def test_r16_keys_of_another_version_do_not_disturb_a_timer(executor: Executor) -> None:
    rules = field("leadStatus", "equals", "lost")
    await executor.define(a_waiting_flow(ROME, guards=[a_guard(rules)]))
    await executor.act(created(city="Rome"), enroll())
    (before,) = await executor.live()
    await executor.pool.execute("UPDATE membership SET listens = '{7}', keying = $1", KEYING + 1)
    assert await executor.act(updated(firstName="Ada")) == []
    (row,) = await executor.live()
    assert (row["hop"], row["keying"]) == (before["hop"], KEYING)
    assert row["listens"] == before["listens"]


async def test_a_wait_that_nothing_woke_is_counted(executor: Executor) -> None:
    """It is made deaf; what it waits for comes; only the look at all waits finds it."""
    await waits_for(executor, ROME, timeout=TIMEOUT)
    watching = WatchWaits(executor.pool, executor.clock, executor.flows, page=1)  # type: ignore[arg-type]
    await executor.pool.execute("UPDATE flow_definition SET changed_at = now() - interval '1 hour'")
    await look_at_all(watching)
    assert watching.count == 0, "it waits as it should"
    await executor.pool.execute("UPDATE membership SET listens = '{7}'")
    await executor.act(updated(city="Rome"))
    assert await stands(executor) == ("until", "event")
    await look_at_all(watching)
    assert watching.count == 1
    await executor.act(apply(2))
    await look_at_all(watching)
    await look_at_all(watching)
    assert watching.count == 0


async def test_a_time_out_is_no_missed_wake_up_and_late_it_is_stuck(executor: Executor) -> None:
    await waits_for(executor, ROME, timeout=TIMEOUT)
    await executor.pool.execute("UPDATE flow_definition SET changed_at = now() - interval '1 hour'")
    executor.clock.now_is = NOW + 5 * DAY
    watching = WatchWaits(executor.pool, executor.clock, executor.flows)  # type: ignore[arg-type]
    await look_at_all(watching)
    assert watching.count == 0, "its timer ends it"
    await executor.pool.execute("UPDATE membership SET waiting_until = now() - interval '1 day'")
    stuck = WatchMemberships(executor.pool, Clock())
    await stuck.look()
    assert stuck.count == 1


async def look_at_all(watching: WatchWaits) -> None:
    for _ in range(3):
        await watching.look()
