"""Waits that were edited are computed anew, with the time already waited counted in."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.contact import ContactSnapshot
from libs.domain.flow import Flow
from libs.domain.membership import Membership
from libs.domain.walk import WalkResult, walk
from libs.domain.walk_events import (
    ENTERED,
    FLOW_CHANGED,
    TIMER_FIRED,
    DeliveryFinished,
    TimerFired,
)
from tests.support.builders import CONTACT, NOW, WELCOME, Json, a_flow, a_membership
from tests.support.waits import GONE_QUIET, ROME, a_guard, field

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PERSON = ContactSnapshot(
    CONTACT,
    {"city": "Oslo", "lastActivityAt": "2026-06-20"},
    {"renewal": "2026-07-09", "past": "2026-07-01"},
)


def a_wait(**mode: Any) -> Flow:
    """A flow whose first step is the wait, and whose second one rests for long."""
    return a_flow(
        [
            {"step_id": "w", "type": "wait", "edges": {"next": "after"}, **mode},
            {"step_id": "after", "type": "wait", "duration_amount": 700, "duration_unit": "days"},
        ]
    )


def lasting(amount: int, unit: str = "hours") -> Flow:
    return a_wait(duration_amount=amount, duration_unit=unit)


def standing(flow: Flow, at: datetime = NOW) -> Membership:
    return walk(flow, a_membership(updated_at=at), PERSON, ENTERED, at).membership


def edited(flow: Flow, member: Membership, now: datetime) -> WalkResult:
    return walk(flow, member, PERSON, FLOW_CHANGED, now)


def place(member: Membership) -> tuple[Any, ...]:
    """Say where a membership stands, since when, for what and until when."""
    return (
        member.step_id, member.waiting_on, member.stood_at, member.waiting_until,
        member.times_out_at, member.listens,
    )  # fmt: skip


def test_who_has_waited_long_enough_goes_on_at_once() -> None:
    result = edited(lasting(1), standing(lasting(24)), NOW + HOUR)
    assert result.membership.step_id == "after"
    assert [one.type for one in result.timeline] == ["step_executed", "waiting"]


def test_who_has_not_goes_on_when_a_wait_begun_then_would_be_over() -> None:
    result = edited(lasting(2), standing(lasting(24)), NOW + HOUR)
    assert place(result.membership)[:4] == ("w", "timer", NOW, NOW + 2 * HOUR)
    assert result.stands, "its timer is set anew"
    assert [one.type for one in result.timeline] == ["waiting"], "users see another moment"


def test_a_longer_wait_holds_also_who_was_about_to_go_on() -> None:
    member = standing(lasting(1))
    assert edited(lasting(24), member, NOW + 2 * HOUR).membership.waiting_until == NOW + DAY
    late = walk(lasting(24), member, PERSON, TIMER_FIRED, NOW + HOUR)
    assert (late.membership.step_id, late.membership.waiting_until) == ("w", NOW + DAY)


def test_an_edit_of_something_else_leaves_who_waits_as_he_is() -> None:
    member = standing(lasting(24))
    assert edited(lasting(1, "days"), member, NOW + HOUR).membership is member


def test_new_rules_of_the_flow_are_listened_to_under_the_same_hop() -> None:
    member = standing(lasting(24))
    rule = field("leadStatus", "equals", "lost")
    guarded = lasting(24).model_copy(update={"guards": []})
    guarded = Flow.model_validate({**guarded.model_dump(), "guards": [a_guard(rule)]})
    result = edited(guarded, member, NOW + HOUR)
    assert (result.stands, result.timeline) == (False, ()), "its timer is as good as before"
    assert result.membership == replace(member, listens=guarded.listens_at("w"))


def test_a_wait_whose_step_is_gone_ends_the_membership() -> None:
    flow = a_flow([{"step_id": "other", "type": "drop_from_flow"}])
    assert edited(flow, standing(lasting(24)), NOW + HOUR).membership.drop_reason == "step_removed"


@pytest.mark.parametrize("event", [FLOW_CHANGED, TIMER_FIRED])
def test_a_step_of_another_kind_where_a_wait_was_is_not_passed_over(event: Any) -> None:
    steps = [{"step_id": "w", "type": "send_email", "email_id": str(WELCOME)}]
    member = standing(lasting(24))
    result = walk(a_flow(steps), member, PERSON, event, NOW + HOUR)
    assert (result.membership.waiting_on, len(result.effects)) == ("delivery", 1)
    parked = walk(a_flow(steps, status="paused"), member, PERSON, TIMER_FIRED, NOW + DAY)
    later = walk(a_flow(steps), parked.membership, PERSON, TimerFired(), NOW + 2 * DAY)
    assert len(later.effects) == 1


def test_a_step_of_another_kind_where_a_mail_was_is_not_passed_over() -> None:
    mail = {"step_id": "w", "type": "send_email", "email_id": str(WELCOME)}
    member = standing(a_flow([mail]))
    leaves = a_flow([{"step_id": "w", "type": "drop_from_flow"}])
    result = walk(leaves, member, PERSON, DeliveryFinished(outcome="sent"), NOW + HOUR)
    assert result.membership.drop_reason == "drop_from_flow"


_UNITS = st.sampled_from(["minutes", "hours", "days"])
_AMOUNTS = st.integers(1, 400)


def _timed(name: str) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({f"{name}_amount": _AMOUNTS, f"{name}_unit": _UNITS})


_DATES = st.sampled_from(["renewal", "past", "nothing"])
_RULES = st.sampled_from([ROME, GONE_QUIET, field("city", "equals", "Oslo")])
_MODES = st.one_of(
    _timed("duration"),
    st.builds(lambda field: {"until_date_field": field}, _DATES),
    st.builds(lambda rule, limit: {"condition": rule, **limit}, _RULES, _timed("timeout")),
    st.builds(lambda rule: {"condition": rule}, _RULES),
)


@given(_MODES, _MODES, st.timedeltas(timedelta(0), 500 * DAY))
def test_r13_an_edited_wait_ends_as_a_fresh_one_begun_when_it_was_come_to(
    before: Json, after: Json, waited: timedelta
) -> None:
    """Whatever kinds of wait they are; and nobody is ever to go on at a moment that has passed."""
    member, now = standing(a_wait(**before)), NOW + waited
    if member.step_id != "w":
        return  # he never waited
    flow = a_wait(**after)
    got = edited(flow, member, now).membership
    fresh = standing(flow)
    stays = fresh.step_id == "w"
    expected = edited(flow, fresh, now).membership if stays else fresh
    assert got.step_id == expected.step_id
    if got.step_id == "w":
        assert place(got) == place(expected)
    assert got.updated_at >= member.updated_at
    assert got.waiting_until is None or got.waiting_until > now


@given(_AMOUNTS, _AMOUNTS, st.timedeltas(timedelta(0), 500 * HOUR))
def test_r13_the_new_instant_is_that_of_a_fresh_wait_and_never_before_now(
    old: int, new: int, waited: timedelta
) -> None:
    member, now = standing(lasting(old)), NOW + waited
    got = edited(lasting(new), member, now).membership
    due_at = standing(lasting(new)).waiting_until
    assert due_at is not None
    if due_at > now:
        assert (got.step_id, got.waiting_until) == ("w", due_at)
    else:
        assert (got.step_id, got.stood_at) == ("after", now)
