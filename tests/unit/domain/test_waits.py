"""A wait for a condition, judged by the walk."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libs.domain.calendar import MAX_WAIT
from libs.domain.flow import Flow
from libs.domain.membership import Membership
from libs.domain.step_result import DeliverEmail
from libs.domain.walk import walk
from libs.domain.walk_events import (
    CONTACT_CHANGED,
    ENTERED,
    FLOW_CHANGED,
    TIMER_FIRED,
    WalkEvent,
)
from services.step_executor.use_cases.messages import messages_of, state_of
from tests.support.builders import NOW, WELCOME, a_flow, a_membership, snapshot
from tests.support.waits import GONE_QUIET, ROME, TIMEOUT, a_guard, a_waiting_flow

DAY = timedelta(days=1)


def standing(flow: Flow, **fields: Any) -> Membership:
    return walk(flow, a_membership(), snapshot(**fields), ENTERED, NOW).membership


def test_it_stands_until_the_earlier_of_its_time_out_and_what_time_could_change() -> None:
    flow = a_waiting_flow(GONE_QUIET, timeout=TIMEOUT)
    late = standing(flow, lastActivityAt=(NOW - 10 * DAY).isoformat())
    soon = standing(flow, lastActivityAt=(NOW - 29 * DAY).isoformat())
    assert (late.waiting_until, soon.waiting_until) == (NOW + 2 * DAY, NOW + DAY)
    assert standing(a_waiting_flow(ROME)).waiting_until is None


def test_users_see_when_a_wait_is_over_and_not_when_it_is_judged() -> None:
    fields = {"lastActivityAt": (NOW - 29 * DAY).isoformat()}
    limited, unlimited = a_waiting_flow(GONE_QUIET, timeout=TIMEOUT), a_waiting_flow(GONE_QUIET)
    assert state_of(standing(limited, **fields)).waiting_until == NOW + 2 * DAY
    assert state_of(standing(unlimited, **fields)).waiting_until is None


def test_no_timer_is_set_farther_than_any_wait_may_last() -> None:
    far = standing(a_waiting_flow(GONE_QUIET), lastActivityAt="9998-01-01")
    assert far.waiting_until is not None
    assert NOW < far.waiting_until <= NOW + MAX_WAIT


@pytest.mark.parametrize("event", [CONTACT_CHANGED, FLOW_CHANGED])
def test_what_changes_nothing_gives_the_same_object(event: WalkEvent) -> None:
    flow = a_waiting_flow(ROME, timeout=TIMEOUT)
    member = standing(flow)
    result = walk(flow, member, snapshot(city="Oslo"), event, NOW + DAY)
    assert result.membership is member
    assert list(messages_of(result)) == []


def test_who_holds_and_has_timed_out_at_once_goes_on_as_one_who_holds() -> None:
    flow = a_waiting_flow(ROME, timeout=TIMEOUT)
    result = walk(flow, standing(flow), snapshot(city="Rome"), TIMER_FIRED, NOW + 9 * DAY)
    assert result.membership.step_id == "met"


def test_a_time_out_without_an_edge_goes_on_by_the_next_one() -> None:
    flow = a_waiting_flow(ROME, timeout={"timeout_amount": 2, "timeout_unit": "days"})
    result = walk(flow, standing(flow), snapshot(), TIMER_FIRED, NOW + 2 * DAY)
    assert result.membership.step_id == "met"
    (done, *_) = result.timeline
    assert done.details["outcome"] == "timed_out"
    assert done.details["judged"][0]["outcome"] is False


def test_what_cannot_be_judged_does_not_hold() -> None:
    rule = {"kind": "condition", "source": "custom_field", "operator": "equals", "value": "x",
            "field_definition_id": "00000000-0000-4000-8000-000000000009"}  # fmt: skip
    member = standing(a_waiting_flow(rule))
    assert (member.step_id, member.waiting_on) == ("until", "event")
    assert member.listens, "it has a reason to move, if the flow is edited"


def test_an_edited_time_out_counts_the_time_already_waited() -> None:
    before = a_waiting_flow(ROME, timeout=TIMEOUT)
    longer = a_waiting_flow(ROME, timeout={**TIMEOUT, "timeout_amount": 5})
    shorter = a_waiting_flow(ROME, timeout={"timeout_amount": 3, "timeout_unit": "hours"})
    member = standing(before)
    waits = walk(longer, member, snapshot(), FLOW_CHANGED, NOW + DAY)
    assert (waits.membership.waiting_until, waits.membership.stood_at) == (NOW + 5 * DAY, NOW)
    assert [entry.type for entry in waits.timeline] == ["waiting"], "users see another moment"
    ends = walk(shorter, member, snapshot(), FLOW_CHANGED, NOW + DAY)
    assert ends.membership.step_id == "met"


def test_a_wait_that_became_one_for_a_time_counts_the_time_already_waited() -> None:
    member = standing(a_waiting_flow(ROME))
    steps = [{"step_id": "until", "type": "wait", "duration_amount": 3, "duration_unit": "days"}]
    result = walk(a_flow(steps), member, snapshot(), FLOW_CHANGED, NOW + DAY)
    assert (result.membership.waiting_on, result.membership.waiting_until) == (
        "timer", NOW + 3 * DAY,
    )  # fmt: skip


def test_a_wait_whose_step_is_gone_ends_the_membership() -> None:
    member = standing(a_waiting_flow(ROME))
    result = walk(a_flow(), member, snapshot(), FLOW_CHANGED, NOW + DAY)
    assert result.membership.drop_reason == "step_removed"


@pytest.mark.parametrize("status", ["active", "paused"])
def test_a_step_of_another_kind_where_a_wait_was_is_not_passed_over(status: str) -> None:
    """The member goes on from its step as it is now: a mail is sent, but not in a pause."""
    member = standing(a_waiting_flow(ROME))
    steps = [{"step_id": "until", "type": "send_email", "email_id": str(WELCOME)}]
    result = walk(a_flow(steps, status=status), member, snapshot(), FLOW_CHANGED, NOW + DAY)
    assert bool(result.effects) is (status == "active")
    if status == "paused":
        parked = result.membership
        assert parked.parked == FLOW_CHANGED
        result = walk(a_flow(steps), parked, snapshot(), FLOW_CHANGED, NOW + 2 * DAY)
    assert result.effects == (DeliverEmail("until", WELCOME, operational=False),)
    assert result.membership.waiting_on == "delivery"


def test_a_member_listens_to_its_wait_and_to_the_rules_of_its_flow() -> None:
    lost = {"kind": "condition", "source": "contact_field", "field": "leadStatus",
            "operator": "equals", "value": "lost"}  # fmt: skip
    flow = a_waiting_flow(ROME, guards=[a_guard(lost)])
    waits, rests = standing(flow), standing(flow, city="Rome")
    assert (len(waits.listens), len(rests.listens)) == (2, 1)
    assert set(rests.listens) < set(waits.listens)
    assert replace(waits, keying=0).hears(frozenset()), "whatever that version called it"


def test_a_wait_is_for_a_time_or_for_a_condition() -> None:
    for wrong in ({"duration_amount": 1}, {"timeout_amount": 731, "timeout_unit": "days"}):
        with pytest.raises(ValidationError):
            a_flow([{"step_id": "w", "type": "wait", "condition": ROME, **wrong}])


def test_a_way_round_through_a_condition_alone_is_refused() -> None:
    """It may hold on every arrival: nothing would stop the contact."""
    flow = a_flow([{"step_id": "w", "type": "wait", "condition": ROME, "edges": {"next": "w"}}])
    assert walk(flow, a_membership(), snapshot(city="Rome"), ENTERED, NOW).membership.drop_reason
    assert flow.steps[0].takes_time is False
