"""The executor's handler with a connection and a list: batches, order, staleness."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

import services.step_executor
from libs.chassis.exactly_once.records import Received
from libs.chassis.outages import NotYet
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts import delivery_commands, timer_commands
from libs.contracts.contact_events import ContactCreated, ContactDeleted, ContactMerged, EmailEvent
from libs.contracts.membership_events import EnrollmentRefused, MembershipMoved
from libs.contracts.step_commands import (
    ApplyFlow,
    Enroll,
    FinishDelivery,
    Observe,
    Remove,
    Resume,
    StepCommand,
)
from libs.domain.flow import Flow
from services.step_executor.handlers.step_commands import handle_batch
from services.step_executor.store import definitions, memberships
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.use_cases.observe import NotSupported
from tests.support.builders import CONTACT, FLOW, NOW, WELCOME, WORKSPACE, a_flow

MIGRATIONS = Path(services.step_executor.__file__).parent / "migrations"


class Still:
    """A clock that is set by hand."""

    now_is = NOW

    def now(self) -> Any:
        return self.now_is


class Executor:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.clock = Still()
        self.flows = KnownFlows()

    async def define(self, flow: Flow) -> None:
        async with transaction(self.pool) as tx:
            await definitions.put_flows(tx, [flow])

    async def act(self, *commands: StepCommand, page: int = 500) -> list[Any]:
        async with transaction(self.pool) as tx:
            outgoing = await handle_batch(
                tx,
                [Received(command, 0) for command in commands],
                clock=self.clock,  # type: ignore[arg-type]
                flows=self.flows,
                members_per_page=page,
            )
        return [one.message for one in outgoing]

    async def rows(self) -> list[Any]:
        return list(
            await self.pool.fetch("SELECT * FROM membership ORDER BY entered_at, source_id")
        )


@pytest.fixture
async def executor(pool: Pool) -> Executor:
    await migrate(pool, MIGRATIONS)
    made = Executor(pool)
    await made.define(a_flow())
    return made


def envelope(contact: UUID = CONTACT) -> dict[str, Any]:
    return {"id": uuid4(), "time": NOW, "workspace_id": WORKSPACE, "contact_id": contact}


def cloud(contact: UUID = CONTACT) -> dict[str, Any]:
    return {"id": str(uuid4()), "source": "/t", "subject": contact, "time": NOW,
            "workspaceid": WORKSPACE}  # fmt: skip


def created(contact: UUID = CONTACT) -> Observe:
    event = ContactCreated.model_validate(
        {**cloud(contact), "data": {"fields": {"email": "a@b.c"}}}
    )
    return Observe(**envelope(contact), event=event)


def enroll(contact: UUID = CONTACT, source: str = "e1", **more: Any) -> Enroll:
    whole = {
        "flow_id": FLOW,
        "min_flow_version": 1,
        "source_id": source,
        "entry_source": "x",
        **more,
    }
    return Enroll(**envelope(contact), **whole)


def finish(member: Any, outcome: Any = "sent") -> FinishDelivery:
    return FinishDelivery(
        **envelope(member["contact_id"]),
        membership_id=member["membership_id"],
        hop=member["hop"],
        outcome=outcome,
    )


def of(kind: type[Any], messages: list[Any]) -> list[Any]:
    return [one for one in messages if isinstance(one, kind)]


async def test_a_fact_and_what_it_causes_in_one_batch(executor: Executor) -> None:
    said = await executor.act(created(), enroll())
    (member,) = await executor.rows()
    assert (member["status"], member["waiting_on"], member["step_id"]) == (
        "active", "delivery", "send-welcome",
    )  # fmt: skip
    (sending,) = of(delivery_commands.SendEmail, said)
    assert (sending.membership_id, sending.hop) == (member["membership_id"], member["hop"])
    assert sending.email_id == WELCOME


async def test_a_whole_run_in_one_batch_folds_in_order(executor: Executor) -> None:
    await executor.act(created(), enroll())
    (member,) = await executor.rows()
    resume = Resume(
        **envelope(), membership_id=member["membership_id"], hop=2, due_at=NOW + timedelta(days=3)
    )
    said = await executor.act(finish(member), resume)
    assert [one.kind for one in of(MembershipMoved, said)] == [
        "email_sent", "step_executed", "waiting", "step_executed", "step_executed",
    ]  # fmt: skip
    assert [one.sequence for one in of(MembershipMoved, said)] == [2, 3, 4, 5, 6]
    assert len(of(timer_commands.SetTimer, said)) == 1
    (member,) = await executor.rows()
    assert (member["step_id"], member["hop"]) == ("send-followup", 3)


async def test_the_same_cause_enrolls_once(executor: Executor) -> None:
    await executor.act(created(), enroll(), enroll())
    again = await executor.act(enroll())
    assert of(MembershipMoved, again) == []
    assert len(await executor.rows()) == 1
    refused = of(EnrollmentRefused, await executor.act(enroll(source="e2")))
    assert [one.reason for one in refused] == ["already_in_flow"]


async def test_commands_for_another_hop_are_void(executor: Executor) -> None:
    await executor.act(created(), enroll())
    (member,) = await executor.rows()
    late = finish(member).model_copy(update={"hop": 7})
    assert await executor.act(late) == []
    assert len(await executor.act(finish(member), finish(member))) == 4, "the second is stale"


async def test_an_unknown_flow_is_waited_for(executor: Executor) -> None:
    with pytest.raises(NotYet):
        await executor.act(created(), enroll(min_flow_version=2))
    assert await executor.rows() == [], "nothing is half-written"
    await executor.define(a_flow(version=2))
    await executor.act(created(), enroll(min_flow_version=2))
    assert len(await executor.rows()) == 1


async def test_members_are_brought_in_line_page_by_page(executor: Executor) -> None:
    people = [UUID(int=100 + number) for number in range(5)]
    for person in people:
        await executor.act(created(person), enroll(person))
    await executor.define(a_flow(version=2, status="archived"))
    apply = ApplyFlow(id=uuid4(), time=NOW, workspace_id=WORKSPACE, flow_id=FLOW, version=2,
                      partition=0)  # fmt: skip
    pages = 0
    todo = [apply]
    while todo:
        pages += 1
        todo = of(ApplyFlow, await executor.act(*todo, page=2))
    assert pages == 3
    rows = await executor.rows()
    assert {row["drop_reason"] for row in rows} == {"flow_archived"}


async def test_deleted_contacts_leave_every_flow(executor: Executor) -> None:
    await executor.act(created(), enroll())
    gone = Observe(**envelope(), event=ContactDeleted.model_validate(cloud()))
    await executor.act(gone)
    (member,) = await executor.rows()
    assert member["drop_reason"] == "contact_deleted"
    refused = of(EnrollmentRefused, await executor.act(enroll(source="e2")))
    assert [one.reason for one in refused] == ["contact_not_found"]


async def test_engagement_counts_for_its_own_run_alone(executor: Executor) -> None:
    await executor.act(created(), enroll())
    (member,) = await executor.rows()
    data = {
        "email_id": WELCOME,
        "membership_id": member["membership_id"],
        "step_id": "send-welcome",
    }
    opened = EmailEvent.model_validate({**cloud(), "type": "email.opened", "data": data})
    said = await executor.act(*(Observe(**envelope(), event=opened) for _ in range(2)))
    assert [one.kind for one in of(MembershipMoved, said)] == ["email_opened"]
    stranger = opened.model_copy(update={"subject": UUID(int=66)})
    assert await executor.act(Observe(**envelope(UUID(int=66)), event=stranger)) == []


async def test_merges_are_refused_and_not_ignored(executor: Executor) -> None:
    merged = ContactMerged.model_validate({**cloud(), "data": {"into": UUID(int=9)}})
    with pytest.raises(NotSupported):
        await executor.act(Observe(**envelope(), event=merged))


async def test_removal_is_answered(executor: Executor) -> None:
    await executor.act(created(), enroll())
    remove = Remove(**envelope(), flow_id=FLOW, min_flow_version=1)
    said = await executor.act(remove, remove)
    refusals = [one.refusal for one in said if not isinstance(one, MembershipMoved)]
    assert refusals == [None, "not_in_flow"]


async def test_nothing_is_stuck_and_what_is_would_be_seen(executor: Executor) -> None:
    await executor.act(created(), enroll())
    (member,) = await executor.rows()
    await executor.act(finish(member))
    assert await memberships.stuck(executor.pool, NOW) == 0
    assert await memberships.stuck(executor.pool, NOW + timedelta(days=4)) == 1


async def test_the_same_contact_id_in_two_workspaces_is_two_contacts(executor: Executor) -> None:
    await executor.act(created(), enroll())
    elsewhere = {**cloud(), "workspaceid": uuid4()}
    stranger = Observe(
        **{**envelope(), "workspace_id": elsewhere["workspaceid"]},
        event=ContactDeleted.model_validate(elsewhere),
    )
    assert await executor.act(stranger) == []
    (member,) = await executor.rows()
    assert member["ended_at"] is None
