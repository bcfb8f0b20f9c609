"""The executor's handler with a connection and a list: batches, order, staleness."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.clock import Clock
from libs.chassis.outages import NotYet
from libs.chassis.postgres.pool import transaction
from libs.contracts.contact_events import (
    ContactDeleted,
    ContactMerged,
    ContactUpdated,
    EmailEvent,
)
from libs.contracts.membership_events import EnrollmentRefused, MembershipChanged
from libs.contracts.step_commands import ApplyFlow, Remove, Resume
from libs.contracts.timer_commands import SetTimer
from libs.domain.walk import walk
from services.step_executor.loops.watch_memberships import WatchMemberships
from services.step_executor.store import deliveries, senders
from services.step_executor.store.deliveries import DeliveryKey, Outcome, Result
from services.step_executor.use_cases import unit_of_work
from services.step_executor.use_cases.observe import NotSupported
from tests.support.builders import CONTACT, FLOW, NOW, WELCOME, WORKSPACE, a_flow
from tests.support.executor import (
    Executor,
    cloud,
    created,
    enroll,
    envelope,
    observed,
    of,
    timeline_of,
)

LEASE = UUID(int=77)


async def finish(executor: Executor, key: DeliveryKey, outcome: Outcome = "sent") -> list[Any]:
    """Let a sender of this process make a delivery."""
    async with transaction(executor.pool) as tx:
        await tx.execute("INSERT INTO sender VALUES ($1, 8) ON CONFLICT DO NOTHING", LEASE)
        await deliveries.claim(tx, LEASE, [WORKSPACE], 100)
        outgoing = await executor.recording.of_this_process(tx, LEASE, [Result(key, 0, outcome)])
    return [one.message for one in outgoing]


async def test_an_event_and_what_it_starts_are_one_record(executor: Executor) -> None:
    said = await executor.act(created(CONTACT, WORKSPACE, a_flow()))
    (member,) = await executor.live()
    assert (member["status"], member["waiting_on"], member["step_id"]) == (
        "active", "delivery", "send-welcome",
    )  # fmt: skip
    (planned,) = await executor.deliveries()
    assert (planned["membership_id"], planned["hop"]) == (member["membership_id"], member["hop"])
    assert (planned["email_id"], planned["status"]) == (WELCOME, "pending")
    assert len(of(MembershipChanged, said)) == 1


async def test_one_walk_is_one_record_with_its_timeline(executor: Executor) -> None:
    key = await executor.mailing()
    said = await finish(executor, key)
    (changed,) = of(MembershipChanged, said)
    assert [(one.sequence, one.kind) for one in changed.timeline] == [
        (2, "email_sent"), (3, "step_executed"), (4, "waiting"),
    ]  # fmt: skip
    assert changed.membership.sequence == 4
    assert len(of(SetTimer, said)) == 1
    resume = Resume(
        **envelope(), membership_id=key.membership_id, hop=2, due_at=NOW + timedelta(days=3)
    )
    said = await executor.act(resume)
    assert [(one.sequence, one.kind) for one in timeline_of(said)] == [
        (5, "step_executed"), (6, "step_executed"),
    ]  # fmt: skip
    (member,) = await executor.live()
    assert (member["step_id"], member["hop"]) == ("send-followup", 3)


async def test_the_same_cause_enrolls_once(executor: Executor) -> None:
    await executor.act(created(), enroll(), enroll())
    again = await executor.act(enroll())
    assert of(MembershipChanged, again) == []
    assert len(await executor.live()) == 1
    refused = of(EnrollmentRefused, await executor.act(enroll(source="e2")))
    assert [one.reason for one in refused] == ["already_in_flow"]


async def test_the_same_cause_enrolls_once_also_after_the_end(executor: Executor) -> None:
    await executor.define(a_flow([{"step_id": "out", "type": "drop_from_flow"}], version=2))
    await executor.act(created(), enroll())
    assert await executor.live() == []
    assert await executor.act(enroll()) == []
    assert len(await executor.ended()) == 1
    await executor.act(enroll(source="e2"))
    assert len(await executor.ended()) == 2, "another cause may enroll again"


async def test_no_reentry_counts_memberships_that_have_ended(executor: Executor) -> None:
    out = [{"step_id": "out", "type": "drop_from_flow"}]
    await executor.define(a_flow(out, version=2, reentry="once"))
    await executor.act(created(), enroll(), enroll(source="e2"))
    refused = of(EnrollmentRefused, await executor.act(enroll(source="e3")))
    assert [one.reason for one in refused] == ["reentry_denied"]
    assert len(await executor.ended()) == 1


async def test_results_of_another_hop_are_void(executor: Executor) -> None:
    key = await executor.mailing()
    late = DeliveryKey(key.membership_id, 7)
    assert await finish(executor, late) == []
    assert len(timeline_of(await finish(executor, key))) == 3
    assert await finish(executor, key) == [], "the second is stale"


async def test_an_unknown_flow_is_waited_for(executor: Executor) -> None:
    with pytest.raises(NotYet):
        await executor.act(created(), enroll(min_flow_version=2))
    assert await executor.live() == [], "nothing is half-written"
    await executor.define(a_flow(version=2))
    await executor.act(created(), enroll(min_flow_version=2))
    assert len(await executor.live()) == 1


def apply(version: int, partition: int = 0) -> ApplyFlow:
    return ApplyFlow(id=uuid4(), time=NOW, workspace_id=WORKSPACE, flow_id=FLOW, version=version,
                     partition=partition)  # fmt: skip


async def crowd(executor: Executor, count: int = 5) -> None:
    people = [UUID(int=100 + number) for number in range(count)]
    await executor.act(*(created(person) for person in people))
    await executor.act(*(enroll(person) for person in people))


async def test_b3_members_are_brought_in_line_one_page_a_batch(executor: Executor) -> None:
    """However many commands a batch holds, it looks at one page of members."""
    await crowd(executor)
    await executor.define(a_flow(version=2, status="archived"))
    todo = of(ApplyFlow, await executor.act(apply(2), apply(2), page=2))
    assert len(await executor.ended()) == 2, "two commands, one page"
    batches = 1
    while todo:
        batches += 1
        todo = of(ApplyFlow, await executor.act(*todo, page=2))
    assert 3 <= batches <= 4
    assert {row["drop_reason"] for row in await executor.ended()} == {"flow_archived"}
    assert await executor.live() == []
    assert await executor.deliveries() == [], "nobody has claimed them: they are withdrawn"


async def test_b3_only_what_concerns_members_is_applied(executor: Executor) -> None:
    assert await executor.define(a_flow(version=2, name="Another name")) == []
    rule = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "equals",
            "value": "Rome"}  # fmt: skip
    told = await executor.define(a_flow(version=3, guards=[{"rule": rule, "wants": False}]))
    assert [one.partition for one in of(ApplyFlow, told)] == [0, 1]
    assert (
        await executor.define(a_flow(version=4, guards=[{"rule": rule, "wants": False}], name="x"))
        == []
    )


async def test_b3_a_newer_version_overtakes_and_a_rename_does_not(executor: Executor) -> None:
    await crowd(executor)
    await executor.define(a_flow(version=2, status="paused"))
    await executor.define(a_flow(version=3, status="archived"))
    assert await executor.act(apply(2)) == [], "version 3 has commands of its own"
    await executor.define(a_flow(version=4, status="archived", name="Renamed"))
    await executor.act(apply(3))
    assert await executor.live() == []


async def test_deleted_contacts_leave_every_flow_and_nothing_personal(executor: Executor) -> None:
    await executor.act(created(), enroll(dynamic_context={"code": "secret"}))
    await executor.act(observed(ContactDeleted.model_validate(cloud())))
    (member,) = await executor.ended()
    assert member["drop_reason"] == "contact_deleted"
    assert member["dynamic_context"] == {}
    assert await executor.deliveries() == []
    contact = await executor.pool.fetchrow("SELECT * FROM contact")
    assert contact is not None
    assert (contact["fields"], contact["lists"]) == ({}, [])
    refused = of(EnrollmentRefused, await executor.act(enroll(source="e2")))
    assert [one.reason for one in refused] == ["contact_not_found"]


async def test_a_late_update_does_not_bring_a_deleted_contact_back(executor: Executor) -> None:
    await executor.act(created())
    await executor.act(observed(ContactDeleted.model_validate(cloud())))
    data = {"data": {"fields": {"city": "Rome"}}}
    await executor.act(observed(ContactUpdated.model_validate({**cloud(), **data})))
    refused = of(EnrollmentRefused, await executor.act(enroll()))
    assert [one.reason for one in refused] == ["contact_not_found"]


def opened(key: DeliveryKey, contact: UUID = CONTACT) -> EmailEvent:
    data = {"email_id": WELCOME, "membership_id": key.membership_id, "step_id": "send-welcome"}
    return EmailEvent.model_validate({**cloud(contact), "type": "email.opened", "data": data})


async def test_engagement_counts_for_its_own_run_alone(executor: Executor) -> None:
    key = await executor.mailing()
    said = await executor.act(*(observed(opened(key)) for _ in range(2)))
    assert [one.kind for one in timeline_of(said)] == ["email_opened"]
    assert await executor.act(observed(opened(key, UUID(int=66)))) == []


async def test_engagement_counts_after_the_end_too(executor: Executor) -> None:
    key = await executor.mailing()
    await executor.act(Remove(**envelope(), flow_id=FLOW, min_flow_version=1))
    said = await executor.act(observed(opened(key)))
    assert [(one.sequence, one.kind) for one in timeline_of(said)] == [(3, "email_opened")]
    assert await executor.act(observed(opened(key))) == []


async def test_merges_are_refused_and_not_ignored(executor: Executor) -> None:
    merged = ContactMerged.model_validate({**cloud(), "data": {"into": UUID(int=9)}})
    with pytest.raises(NotSupported):
        await executor.act(observed(merged))


async def test_removal_is_answered(executor: Executor) -> None:
    await executor.mailing()
    remove = Remove(**envelope(), flow_id=FLOW, min_flow_version=1)
    said = await executor.act(remove, remove)
    refusals = [one.refusal for one in said if not isinstance(one, MembershipChanged)]
    assert refusals == [None, "not_in_flow"]


async def test_r10_a_fault_costs_one_start_and_the_event_counts(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event starts three flows and the second raises: only that start is put aside."""
    flows = [a_flow(flow_id=UUID(int=number)) for number in (10, 11, 12)]
    for flow in flows:
        await executor.define(flow)

    def broken(flow: Any, *rest: Any) -> Any:
        if flow.flow_id == UUID(int=11):
            raise RuntimeError("a bug in this flow")
        return walk(flow, *rest)

    monkeypatch.setattr(unit_of_work, "walk", broken)
    said = await executor.act(created(CONTACT, WORKSPACE, *flows, city="Rome"))
    assert {row["flow_id"] for row in await executor.live()} == {UUID(int=10), UUID(int=12)}
    (condemned,) = [one for one in said if hasattr(one, "source_id") and hasattr(one, "reply")]
    assert condemned.flow_id == UUID(int=11)
    contact = await executor.pool.fetchval("SELECT fields FROM contact")
    assert contact["city"] == "Rome"
    monkeypatch.setattr(unit_of_work, "walk", walk)
    await executor.act(condemned)
    assert len(await executor.live()) == 3, "replayed, the start enrolls"


async def test_an_unknown_type_of_step_is_waited_for(executor: Executor) -> None:
    """A newer version wrote the definition: whoever knows the step will take the partition over."""
    steps = [{"step_id": "t", "type": "teleport"}]
    await executor.define(a_flow(steps, version=2))
    with pytest.raises(NotYet, match="teleport"):
        await executor.act(created(CONTACT, WORKSPACE, a_flow(steps, version=2)))
    assert await executor.live() == []


async def test_a_fault_at_one_member_costs_the_page_nobody_else(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crowd(executor)
    keys = [DeliveryKey(row["membership_id"], row["hop"]) for row in await executor.live()]
    await executor.define(a_flow(version=2, status="paused"))
    for key in keys:
        await finish(executor, key)
    await executor.define(a_flow(version=3))
    broken_id = keys[2].membership_id

    def broken(flow: Any, membership: Any, *rest: Any) -> Any:
        if membership.membership_id == broken_id:
            raise RuntimeError("a bug in this run")
        return walk(flow, membership, *rest)

    monkeypatch.setattr(unit_of_work, "walk", broken)
    said = await executor.act(apply(3))
    parked = [row["membership_id"] for row in await executor.live() if row["parked"]]
    assert parked == [broken_id]
    monkeypatch.setattr(unit_of_work, "walk", walk)
    (condemned,) = of(ApplyFlow, said)
    await executor.act(condemned)
    assert [row for row in await executor.live() if row["parked"]] == []


async def test_what_ends_in_the_batch_that_deletes_the_contact_is_erased_too(
    executor: Executor,
) -> None:
    out = [{"step_id": "out", "type": "drop_from_flow"}]
    await executor.define(a_flow(out, version=2))
    gone = observed(ContactDeleted.model_validate(cloud()))
    await executor.act(created(), enroll(dynamic_context={"code": "secret"}), gone)
    (ended,) = await executor.ended()
    assert (ended["drop_reason"], ended["dynamic_context"]) == ("drop_from_flow", {})


async def test_b2_members_left_behind_by_a_reactivation_are_stuck(executor: Executor) -> None:
    key = await executor.mailing()
    await executor.define(a_flow(version=2, status="paused"))
    await finish(executor, key)
    await executor.define(a_flow(version=3))
    watching = WatchMemberships(executor.pool, Clock())
    await watching.look()
    assert watching.count == 0, "its turn may still come"
    await executor.pool.execute("UPDATE flow_definition SET changed_at = now() - interval '1 hour'")
    await watching.look()
    assert watching.count == 1


async def test_b2_the_look_at_memberships_finds_every_stuck_one(executor: Executor) -> None:
    """A timer long overdue; a delivery without a row; a result nobody takes."""
    await crowd(executor, 6)
    keys = [DeliveryKey(row["membership_id"], row["hop"]) for row in await executor.live()]
    watching = WatchMemberships(executor.pool, Clock(), page=2)
    for _ in range(4):
        await watching.look()
    assert watching.count == 0
    async with transaction(executor.pool) as tx:
        await tx.execute("DELETE FROM delivery WHERE membership_id = $1", keys[0].membership_id)
        await tx.execute(
            "UPDATE delivery SET status = 'settled', outcome = 'sent', "
            "claimed_at = now() - interval '1 hour' WHERE membership_id = $1",
            keys[1].membership_id,
        )
        await senders.register(tx, LEASE, 8.0)
        await tx.execute(
            "UPDATE delivery SET status = 'claimed', claim = $2, "
            "claimed_at = now() - interval '1 hour' WHERE membership_id = $1",
            keys[2].membership_id, LEASE,
        )  # fmt: skip
        await tx.execute(
            "UPDATE membership SET waiting_on = 'timer', waiting_until = now() - interval '1 day' "
            "WHERE membership_id = $1",
            keys[3].membership_id,
        )
    for _ in range(4):
        await watching.look()
    assert watching.count == 4


async def test_the_same_contact_id_in_two_workspaces_is_two_contacts(executor: Executor) -> None:
    await executor.mailing()
    stranger = observed(ContactDeleted.model_validate(cloud(CONTACT, uuid4())))
    assert await executor.act(stranger) == []
    assert len(await executor.live()) == 1
