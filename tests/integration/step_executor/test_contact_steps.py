"""Steps that change contacts, and triggers that ask what was known before, through the handler."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.contact_commands import ChangeListMembership, UpdateContact
from libs.contracts.contact_events import (
    ContactUpdated,
    EmailEvent,
    Fields,
    ListContactAdded,
    ListRef,
    MailRef,
)
from libs.contracts.membership_events import EnrollmentRefused, MembershipChanged
from libs.contracts.step_commands import Enroll, FlowStart, Observe, Resume
from libs.contracts.timer_commands import RememberDates, SetTimer
from libs.domain.flow import Flow
from libs.domain.triggers.contact_updated import ContactUpdatedTrigger
from tests.integration.step_executor.conftest import SenderMaker
from tests.integration.step_executor.test_sending import judged
from tests.support.builders import CONTACT, FLOW, LIST, NOW, WELCOME, Json, a_flow
from tests.support.executor import Executor, cloud, created, enroll, envelope, observed, of
from tests.support.smtp_server import SmtpServerFake

WAIT: Json = {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "days",
              "edges": {"next": "on"}}  # fmt: skip
TO_ROME: Json = {"step_id": "u", "type": "update_contact", "edges": {"next": "on"},
                 "operations": [{"op": "set", "field": "city", "value": "Rome"}]}  # fmt: skip
ON_LIST: Json = {"step_id": "on", "type": "add_to_list", "list_ids": [str(LIST)]}


def changed_to(city: str, depth: int = 0, **more: Any) -> ContactUpdated:
    data = Fields(fields={"city": city, **more})
    return ContactUpdated(**cloud(), millracedepth=depth, data=data)


def starting(event: Any, flow: Flow, *triggers: str, piece: int = 0) -> Observe:
    """An event as the matcher passes it on, with the triggers of a flow that match it."""
    starts = [
        FlowStart(flow_id=flow.flow_id, min_flow_version=flow.version, trigger_type=kind,
                  trigger_id=name)
        for kind, name in (one.split("/") for one in triggers)
    ]  # fmt: skip
    return observed(event).model_copy(update={"starts": starts, "piece": piece})


async def test_changes_are_asked_of_the_owner_in_order_and_known_when_they_come_back(
    executor: Executor,
) -> None:
    await executor.define(a_flow([TO_ROME, ON_LIST], version=2))
    said = await executor.act(created(city="Oslo"), enroll())
    asked: list[Any] = [
        one for one in said if isinstance(one, UpdateContact | ChangeListMembership)
    ]
    assert [(one.type, one.depth, one.differs) for one in asked] == [
        ("contact.update", 1, True), ("contact.add_to_list", 1, True),
    ]  # fmt: skip
    assert (asked[0].fields, asked[0].custom_fields) == ({"city": "Rome"}, {})
    assert (asked[1].list_id, asked[1].contact_id) == (LIST, CONTACT)
    assert len({one.id for one in said}) == len(said)
    (row,) = await executor.pool.fetch("SELECT fields, lists FROM contact")
    assert (row["fields"]["city"], row["lists"]) == ("Oslo", []), "the owner has not answered yet"
    added = ListContactAdded(**cloud(), data=ListRef(list_id=LIST))
    await executor.act(observed(changed_to("Rome")), observed(added))
    (row,) = await executor.pool.fetch("SELECT fields, lists FROM contact")
    assert (row["fields"]["city"], row["lists"]) == ("Rome", [LIST])
    again = of(UpdateContact, await executor.act(enroll(source="e2")))
    assert [one.differs for one in again] == [False]


async def test_a_change_and_a_mail_in_one_walk_are_both_done(executor: Executor) -> None:
    mail = {"step_id": "on", "type": "send_email", "email_id": str(WELCOME)}
    await executor.define(a_flow([TO_ROME, mail], version=2))
    said = await executor.act(created(), enroll())
    told = [type(one) for one in said if not isinstance(one, RememberDates)]
    assert told == [MembershipChanged, UpdateContact]
    assert [one["step_id"] for one in await executor.deliveries()] == ["on"]


async def test_ids_follow_from_the_walk_and_differ_between_walks(executor: Executor) -> None:
    circle = [{**TO_ROME, "edges": {"next": "w"}}, {**WAIT, "edges": {"next": "u"}}]
    await executor.define(a_flow(circle, version=2))
    said = await executor.act(created(), enroll())
    for hop in range(1, 4):
        (member,) = await executor.live()
        due_at = member["waiting_until"]
        resume = Resume(**envelope(), membership_id=member["membership_id"], hop=hop, due_at=due_at)
        said += await executor.act(resume)
    ids = [one.id for one in said if isinstance(one, UpdateContact | SetTimer | MembershipChanged)]
    assert len(ids) == len(set(ids)) == 12


async def test_a_membership_knows_its_depth_as_long_as_it_lives(executor: Executor) -> None:
    flow = a_flow([WAIT, ON_LIST], version=2)
    await executor.define(flow)
    event = changed_to("Rome", depth=3)
    await executor.act(created(), starting(event, flow, "added_to_static_list/0"))
    (member,) = await executor.live()
    assert member["depth"] == 3
    due = NOW + timedelta(days=1)
    resume = Resume(**envelope(), membership_id=member["membership_id"], hop=1, due_at=due)
    (asked,) = of(ChangeListMembership, await executor.act(resume))
    assert asked.depth == 4


@pytest.mark.parametrize(("depth", "reasons"), [(10, []), (11, ["too_deep"])])
async def test_too_long_a_chain_of_flows_is_refused_aloud(
    executor: Executor, depth: int, reasons: list[str]
) -> None:
    observe = starting(changed_to("Rome", depth), a_flow(), "added_to_static_list/0")
    refused = of(EnrollmentRefused, await executor.act(created(), observe))
    assert [one.reason for one in refused] == reasons
    refused = of(EnrollmentRefused, await executor.act(enroll(source="e2", depth=depth)))
    assert [one.reason for one in refused] == (reasons or ["already_in_flow"])


def by_city(**changes: Any) -> Flow:
    city = {"type": "contact_updated", "field": "city"}
    triggers = [city, {**city, "field": "state", "trigger_id": "by-state"}]
    return a_flow([WAIT, ON_LIST], **{"version": 2, "triggers": triggers, **changes})


CITY, STATE = "contact_updated/0", "contact_updated/by-state"


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_an_update_starts_a_flow_only_if_the_value_differs(
    executor: Executor, in_one_batch: bool
) -> None:
    flow = by_city()
    await executor.define(flow)
    same, other = (starting(changed_to(city), flow, CITY) for city in ("Oslo", "Rome"))
    batches = [[created(city="Oslo"), same], [other]]
    if in_one_batch:
        assert of(EnrollmentRefused, await executor.act(*batches[0], *batches[1])) == []
    else:
        assert of(MembershipChanged, await executor.act(*batches[0])) == []
        await executor.act(*batches[1])
    (member,) = await executor.live()
    assert member["entry_source"] == "contact_updated"
    (row,) = await executor.pool.fetch("SELECT fields FROM contact")
    assert row["fields"]["city"] == "Rome"


async def test_one_trigger_that_really_fires_is_enough(executor: Executor) -> None:
    flow = by_city()
    await executor.define(flow)
    event = changed_to("Oslo", state="NO")
    said = await executor.act(created(city="Oslo"), starting(event, flow, CITY, STATE))
    assert len(await executor.live()) == 1
    assert of(EnrollmentRefused, said) == []
    both = changed_to("Rome", state="RM")
    refused = of(EnrollmentRefused, await executor.act(starting(both, flow, CITY, STATE)))
    assert [one.reason for one in refused] == ["already_in_flow"], "once, though two fire"


async def test_an_update_makes_an_unknown_contact_known_and_starts_flows(
    executor: Executor,
) -> None:
    await executor.define(by_city())
    await executor.act(starting(changed_to("Rome"), by_city(), CITY))
    assert len(await executor.live()) == 1


async def test_a_mail_event_that_changes_a_field_is_judged_alike(executor: Executor) -> None:
    trigger = {"type": "contact_updated", "field": "unsubscribed"}
    flow = by_city(triggers=[trigger])
    await executor.define(flow)
    for _ in range(2):
        data = MailRef(email_id=WELCOME)
        event = EmailEvent(**cloud(), type="email.unsubscribed", data=data)
        await executor.act(created(), starting(event, flow, CITY))
    assert len(await executor.live()) == 1


@pytest.mark.parametrize(
    ("triggers", "starts"),
    [(["contact_updated/gone"], 1), (["contact_updated/"], 1), ([CITY], 0)],
)
async def test_what_cannot_be_asked_any_more_fires_as_the_matcher_said(
    executor: Executor, triggers: list[str], starts: int
) -> None:
    await executor.define(by_city())
    same = starting(changed_to("Oslo"), by_city(), *triggers)
    await executor.act(created(city="Oslo"), same)
    assert len(await executor.live()) == starts


async def test_a_start_in_a_later_piece_is_not_asked(executor: Executor) -> None:
    """By then the event has been taken in, so nothing is known of the value before."""
    await executor.define(by_city())
    event = changed_to("Rome")
    await executor.act(created(), observed(event))
    await executor.act(starting(event, by_city(), CITY, piece=1))
    assert len(await executor.live()) == 1


async def test_r10_a_trigger_that_fails_costs_its_start_alone(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = by_city(flow_id=UUID(int=20), triggers=[{"type": "contact_created"}])
    flow = by_city()
    for one in (flow, other):
        await executor.define(one)

    def fails(*_: object) -> bool:
        raise ArithmeticError("no")

    monkeypatch.setattr(ContactUpdatedTrigger, "fires", fails)
    observe = starting(changed_to("Rome", 5), flow, CITY)
    (second,) = starting(changed_to("Rome"), other, "contact_created/0").starts
    both = observe.model_copy(update={"starts": [*observe.starts, second]})
    said = await executor.act(created(), both)
    assert [row["flow_id"] for row in await executor.live()] == [other.flow_id]
    (row,) = await executor.pool.fetch("SELECT fields FROM contact")
    assert row["fields"]["city"] == "Rome"
    (condemned,) = of(Enroll, said)
    assert (condemned.flow_id, condemned.depth) == (FLOW, 5)


def renaming(**fields: Any) -> Flow:
    """A flow that changes fields of the contact and writes to it in the same walk."""
    operations = [{"op": "set", "field": name, "value": value} for name, value in fields.items()]
    update = {**TO_ROME, "operations": operations}
    mail = {"step_id": "on", "type": "send_email", "email_id": str(WELCOME)}
    return a_flow([update, mail], version=2)


async def test_a_mail_says_what_its_walk_asked_for_before(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.define(renaming(firstName="Grace"))
    await executor.act(created(firstName="Ada"), enroll())
    await a_sender().send_one()
    (mail,) = mail_server.messages
    assert b"Subject: Hello Grace" in mail


async def test_what_is_said_of_the_contact_later_counts_more(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.define(renaming(firstName="Grace"))
    await executor.act(created(firstName="Ada"), enroll())
    later = Fields(fields={"firstName": "Eve"})
    event = ContactUpdated(**{**cloud(), "time": NOW + timedelta(hours=1)}, data=later)
    await executor.act(observed(event))
    await a_sender().send_one()
    (mail,) = mail_server.messages
    assert b"Subject: Hello Eve" in mail


async def test_consent_that_the_walk_withdrew_before_is_withdrawn(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.define(renaming(unsubscribed=True))
    await executor.act(created(), enroll())
    (row,) = await judged(executor, a_sender())
    assert (row["outcome"], row["reason"]) == ("skipped", "unsubscribed")
    assert mail_server.messages == []
