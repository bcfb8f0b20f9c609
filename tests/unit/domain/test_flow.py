"""Definitions: what a user may write, what is missing, what starts what, who may enter."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from libs.domain.calendar import MAX_WAIT, duration, read_instant, to_text
from libs.domain.contact import CustomField, FieldType, may_be_mailed
from libs.domain.enrollment import History, refusal
from libs.domain.flow import Definition, Flow
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.matching import FlowTriggers, TriggerIndex
from libs.domain.readiness import readiness
from libs.domain.steps.unknown import UnknownStepType
from libs.domain.strictness import read_strictly
from libs.domain.trigger import TriggerEvent
from libs.domain.walk import walk
from libs.domain.walk_events import DeliveryFinished, Entered
from tests.support.builders import (
    FLOW,
    FOLLOWUP,
    LIST,
    NOW,
    OPENED,
    WELCOME,
    WELCOME_STEPS,
    WORKSPACE,
    Json,
    a_flow,
    a_membership,
    snapshot,
)

READY = Inventory({WELCOME: "approved", FOLLOWUP: "approved"}, frozenset({LIST}), {})

ON_A_LIST_THAT_IS_GONE: Json = {
    "kind": "condition",
    "source": "list_membership",
    "list_id": str(UUID(int=77)),
    "operator": "is_member",
}


PLAN = UUID(int=78)
WITH_PLAN = replace(
    READY, custom_fields={PLAN: CustomField(api_name="plan", type=FieldType.NUMBER)}
)


def plan_is(operator: str, value: str) -> Json:
    return {"kind": "condition", "source": "custom_field", "field_definition_id": str(PLAN),
            "operator": operator, "value": value}  # fmt: skip


def content(steps: list[Json] | None = None, **changes: Any) -> Definition:
    trigger = {"type": "added_to_static_list", "list_id": str(LIST)}
    whole = {"name": "x", "triggers": [trigger], "steps": WELCOME_STEPS if steps is None else steps}
    return read_strictly(Definition, {**whole, **changes})


def wait(**fields: Any) -> Json:
    return {"step_id": "w", "type": "wait", **fields}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reentry": "sometimes"}, "reentry"),
        ({"steps": [wait(duration_amount=0, duration_unit="days")]}, "duration_amount"),
        ({"steps": [wait(duration_amount=731, duration_unit="days")]}, "730 days"),
        ({"steps": [wait(duration_amount=10**30, duration_unit="weeks")]}, "730 days"),
        ({"steps": [wait(duration_amount=1.5, duration_unit="days")]}, "duration_amount"),
        ({"steps": [wait(step_id="x" * 121)]}, "step_id"),
        ({"steps": [wait(), wait()]}, "duplicate step_id w"),
        ({"steps": [{"step_id": "d", "type": "drop_from_flow", "edges": {"next": "w"}}]}, "next"),
        ({"steps": [wait(edges={"true": None})]}, "no such edge"),
        ({"steps": [{"step_id": "d", "type": "teleport"}]}, "teleport"),
        ({"guards": [{"rule": OPENED, "wants": True}]}, "email_step"),
        ({"triggers": [{"type": "contact_created", "trigger_id": "t"}] * 2}, "trigger_id t"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_malformed_content_is_refused(changes: Json, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        content(**changes)


def test_what_travels_is_read_tolerantly_to_any_depth() -> None:
    newer = a_flow().model_dump(mode="json", by_alias=True, exclude_unset=True)
    newer["invented"] = 1
    newer["steps"][0]["invented"] = {"deep": [1]}
    newer["steps"][2]["condition"]["invented"] = True
    newer["steps"][2]["condition"]["conditions"][0]["invented"] = {"x": 1}
    newer["triggers"][0]["invented"] = 1
    assert Flow.model_validate(newer) == a_flow()


def test_a_step_of_an_unknown_type_is_kept_and_walks_nobody() -> None:
    teleport = {"step_id": "t", "type": "teleport", "to": {"planet": "Mars"}}
    flow = a_flow([{**WELCOME_STEPS[0], "edges": {"next": "t"}}, teleport])
    assert flow.model_dump(mode="json", exclude_unset=True)["steps"][1] == teleport
    entered = walk(flow, a_membership(), snapshot(), Entered(), NOW)
    sent = DeliveryFinished(outcome="sent")
    with pytest.raises(UnknownStepType, match="teleport"):
        walk(flow, entered.membership, snapshot(), sent, NOW)


def test_the_seeds_example_is_ready() -> None:
    found = readiness(content(), READY)
    assert (found.ready, found.warnings) == (True, ())


@pytest.mark.parametrize(
    ("flow", "inventory", "missing"),
    [
        (content(), replace(READY, emails={WELCOME: "draft", FOLLOWUP: "approved"}),
         Issue.at("steps", 0, "email_id", code="not_approved")),
        (content(), replace(READY, emails={WELCOME: "approved"}),
         Issue.at("steps", 3, "email_id", code="unknown")),
        (content(), replace(READY, lists=frozenset()),
         Issue.at("triggers", 0, "list_id", code="unknown")),
        (content([]), READY, Issue.at("steps")),
        (content([wait()]), READY, Issue.at("steps", 0, "duration_amount")),
        (content([{"step_id": "s", "type": "send_email"}]), READY,
         Issue.at("steps", 0, "email_id")),
        (content([{"step_id": "c", "type": "condition_check"}]), READY,
         Issue.at("steps", 0, "condition")),
        (content([wait(duration_amount=1, duration_unit="days", edges={"next": "gone"})]), READY,
         Issue.at("steps", 0, "edges", "next", code="unknown")),
        (content([{**WELCOME_STEPS[0], "edges": {"next": "send-welcome"}}]), READY,
         Issue.at("steps", 0, code="endless_circle")),
        (content([WELCOME_STEPS[2]]), READY, Issue.at("steps", 0, "condition", code="unknown")),
        (content(guards=[{"rule": ON_A_LIST_THAT_IS_GONE, "wants": True}]), READY,
         Issue.at("guards", 0, "rule", code="unknown")),
        (content(guards=[{"rule": plan_is("starts_with", "g"), "wants": True}]), WITH_PLAN,
         Issue.at("guards", 0, "rule", code="not_judgeable")),
        (content(guards=[{"rule": plan_is("equals", "gold"), "wants": True}]), WITH_PLAN,
         Issue.at("guards", 0, "rule", code="not_judgeable")),
        (content(triggers=[{"type": "contact_updated", "field": "plan", "operator": "contains",
                            "value": "g"}]), WITH_PLAN,
         Issue.at("triggers", 0, "operator", code="not_judgeable")),
        (content(), replace(READY, email_tags={WELCOME: ["firstName", "plan"]}),
         Issue.at("steps", 0, "email_id", code="unknown_tags")),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(flow: Definition, inventory: Inventory, missing: Issue) -> None:
    assert missing in readiness(flow, inventory).missing


def test_a_circle_with_a_wait_is_allowed_and_strays_are_pointed_out() -> None:
    circle = [
        wait(duration_amount=1, duration_unit="days", edges={"next": "s"}),
        {**WELCOME_STEPS[0], "step_id": "s", "edges": {"next": "w"}},
        {"step_id": "stray", "type": "drop_from_flow"},
    ]
    found = readiness(content(circle, triggers=[]), READY)
    assert found.ready
    assert found.warnings == (
        Issue.at("triggers", code="no_trigger"),
        Issue.at("steps", 2, code="unreachable"),
    )


def test_what_may_stay_as_it_is_is_pointed_out() -> None:
    steps = [
        WELCOME_STEPS[0] | {"edges": {"next": "w"}},
        wait(condition=OPENED, edges={"next": "c"}),
        {"step_id": "c", "type": "condition_check", "condition": OPENED},
    ]
    found = readiness(content(steps), replace(READY, emails_without_text=frozenset({WELCOME})))
    assert found.ready
    assert found.warnings == (
        Issue.at("steps", 0, "email_id", code="no_text"),
        Issue.at("steps", 1, "timeout_amount", code="no_timeout"),
        Issue.at("steps", 2, "edges", code="leads_nowhere"),
    )


def test_what_a_mail_may_name_is_no_issue() -> None:
    tags = {WELCOME: ["firstName", "plan"]}
    assert readiness(content(), replace(WITH_PLAN, email_tags=tags)).ready
    rule = plan_is("greater_than", "3")
    assert readiness(content(guards=[{"rule": rule, "wants": True}]), WITH_PLAN).ready


def test_the_index_finds_by_event_and_list() -> None:
    index = TriggerIndex()
    created = a_flow(flow_id=UUID(int=5), triggers=[{"type": "contact_created"}])
    index.put(FlowTriggers.of(a_flow()))
    index.put(FlowTriggers.of(created))

    def started(kind: str, **data: Any) -> list[UUID]:
        event = TriggerEvent(WORKSPACE, kind, data, NOW)
        return [match.flow_id for match in index.started_by(event)]

    assert started("list.contact_added", list_id=LIST) == [FLOW]
    assert started("list.contact_added", list_id=UUID(int=8)) == []
    assert started("list.contact_removed", list_id=LIST) == []
    assert started("contact.created") == [UUID(int=5)]
    elsewhere = TriggerEvent(UUID(int=99), "contact.created", {}, NOW)
    assert list(index.started_by(elsewhere)) == [], "another workspace's events start nothing"
    index.put(FlowTriggers.of(a_flow(version=2, status="paused")))
    assert started("list.contact_added", list_id=LIST) == []
    index.put(FlowTriggers.of(a_flow(version=3, triggers=[{"type": "contact_created"}])))
    assert sorted(started("contact.created")) == [FLOW, UUID(int=5)]


def test_refusals_in_their_order() -> None:
    rule = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "is_empty"}
    flow = a_flow(reentry="once", guards=[{"rule": rule, "wants": False}])
    inside, before = History(inside=True, runs=1), History(runs=1)
    assert refusal(a_flow(status="paused"), None, inside, NOW) == "flow_not_active"
    assert refusal(flow, None, inside, NOW) == "contact_not_found"
    assert refusal(flow, snapshot(), inside, NOW) == "already_in_flow"
    assert refusal(flow, snapshot(), before, NOW) == "reentry_denied"
    assert refusal(flow, snapshot(), History(), NOW) == "contact_disqualified"
    assert refusal(flow, snapshot(city="Rome"), History(), NOW) is None
    assert refusal(a_flow(), snapshot(), before, NOW) is None, "re-entry is allowed by default"


@pytest.mark.parametrize(
    ("wants", "city", "refused"),
    [
        (False, "Rome", "from Rome"),
        (False, "Oslo", None),
        (True, "Rome", None),
        (True, "Oslo", "from Rome"),
    ],
)
def test_guards_refuse_who_matches_or_who_does_not(
    wants: bool, city: str, refused: str | None
) -> None:
    rule = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "equals",
            "value": "Rome"}  # fmt: skip
    guard = {"rule": rule, "wants": wants, "at": ["step"], "reason": "from Rome"}
    flow = a_flow(guards=[guard])
    assert flow.refuses("step", snapshot(city=city), NOW) == refused
    assert flow.refuses("entry", snapshot(city=city), NOW) is None
    assert flow.refuses("event", snapshot(city=city), NOW) is None


@pytest.mark.parametrize("wants", [True, False])
def test_what_cannot_be_judged_is_no_match(wants: bool) -> None:
    rule = {"kind": "condition", "source": "contact_field", "field": "tentedScore",
            "operator": "greater_than", "value": 1}  # fmt: skip
    flow = a_flow(guards=[{"rule": rule, "wants": wants}])
    refused = flow.refuses("entry", snapshot(tentedScore="many"), NOW)
    assert refused == ("disqualified" if wants else None)


def test_consent() -> None:
    fields: Json = {"email": "a@b.c"}
    assert may_be_mailed(fields, operational=False) is None
    assert may_be_mailed({}, operational=True) == "no_address"
    assert may_be_mailed({**fields, "unsubscribed": True}, operational=False) == "unsubscribed"
    off = {**fields, "marketingEmailSubscribed": False}
    assert may_be_mailed(off, operational=False) == "unsubscribed"
    assert may_be_mailed(off, operational=True) is None
    invalid = {**fields, "marketingEmailInvalid": True}
    assert may_be_mailed(invalid, operational=True) == "address_invalid"


def test_instants() -> None:
    assert to_text(NOW) == "2026-07-02T09:00:00.000Z"
    assert read_instant("2026-07-02T11:00:00+02:00") == NOW
    assert read_instant("2026-07-02T09:00:00") == NOW
    assert read_instant("tomorrow") is None
    assert duration(2, "weeks").days == 14
    assert MAX_WAIT.days == 730
