"""The heart, step by step and under arbitrary graphs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.flow import Flow
from libs.domain.membership import Membership, MembershipStatus
from libs.domain.step_result import DeliverEmail
from libs.domain.walk import MAX_JUDGEMENTS, WalkResult, drop, numbered, walk
from libs.domain.walk_events import DeliveryFinished, Entered, TimerFired, WalkEvent
from services.step_executor.use_cases.messages import messages_of
from tests.support.builders import FOLLOWUP, NOW, WELCOME, a_flow, a_membership, snapshot

DAY = timedelta(days=1)
SENT = DeliveryFinished(outcome="sent")


def kinds(result: WalkResult) -> list[str]:
    return [timeline.type for timeline in result.timeline]


def through(flow: Flow, *occurrences: WalkEvent, member: Membership | None = None) -> WalkResult:
    """Let things happen one after another, a day apart."""
    result = WalkResult(member or a_membership())
    for day, event in enumerate(occurrences):
        result = walk(flow, result.membership, snapshot(), event, NOW + timedelta(days=day))
    return result


def test_entering_stands_at_the_first_delivery() -> None:
    result = through(a_flow(), Entered())
    assert result.effects == (DeliverEmail("send-welcome", WELCOME, operational=False),)
    assert kinds(result) == ["entered_flow"]
    member = result.membership
    assert (member.status, member.waiting_on, member.hop) == (
        MembershipStatus.ACTIVE,
        "delivery",
        1,
    )
    assert member.step_id == "send-welcome"


def test_a_sent_mail_leads_to_the_wait() -> None:
    result = through(a_flow(), Entered(), SENT)
    due = NOW + timedelta(days=1 + 3)
    assert result.effects == ()
    assert kinds(result) == ["email_sent", "step_executed", "waiting"]
    member = result.membership
    assert (member.status, member.waiting_on, member.hop) == (MembershipStatus.WAITING, "timer", 2)
    assert member.waiting_until == due
    assert "sent" in member.engagement["send-welcome"]


def test_who_did_not_open_gets_the_follow_up() -> None:
    result = through(a_flow(), Entered(), SENT, TimerFired())
    assert result.effects == (DeliverEmail("send-followup", FOLLOWUP, operational=False),)
    judged = result.timeline[1].details["judged"]
    assert judged == [{"asked": "send-welcome opened has_activity", "saw": False, "outcome": False}]


def test_who_opened_completes() -> None:
    waiting = through(a_flow(), Entered(), SENT).membership
    opened = waiting.note("send-welcome", "opened", NOW)
    result = walk(a_flow(), opened, snapshot(), TimerFired(), NOW)
    assert result.membership.status is MembershipStatus.COMPLETED
    assert result.membership.waiting_on is None
    assert kinds(result) == ["step_executed", "step_executed", "completed"]


def test_a_skipped_or_failed_mail_strands_nobody() -> None:
    skipped = through(
        a_flow(), Entered(), DeliveryFinished(outcome="skipped", reason="unsubscribed")
    )
    assert kinds(skipped) == ["email_skipped", "step_executed", "waiting"]
    failed = through(a_flow(), Entered(), DeliveryFinished(outcome="failed", reason="550"))
    assert kinds(failed) == ["step_failed", "step_executed", "waiting"]
    assert failed.timeline[0].details == {"reason": "550"}


def test_a_paused_flow_parks_what_happens() -> None:
    waiting = through(a_flow(), Entered(), SENT).membership
    parked = walk(a_flow(status="paused"), waiting, snapshot(), TimerFired(), NOW)
    assert (parked.membership.waiting_on, parked.membership.parked) == (
        "reactivation",
        TimerFired(),
    )
    assert (parked.effects, parked.timeline) == ((), ())
    assert parked.membership.parked is not None
    gone_on = walk(a_flow(), parked.membership, snapshot(), parked.membership.parked, NOW)
    assert gone_on.membership.step_id == "send-followup"
    assert gone_on.membership.parked is None


def test_a_step_that_is_gone_drops_the_member() -> None:
    waiting = through(a_flow(), Entered(), SENT).membership
    steps = [{"step_id": "other", "type": "drop_from_flow"}]
    result = walk(a_flow(steps), waiting, snapshot(), TimerFired(), NOW)
    assert result.membership.drop_reason == "step_removed"


def test_disqualification_is_judged_before_each_step() -> None:
    rule = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "equals",
            "value": "Rome"}  # fmt: skip
    flow = a_flow(guards=[{"rule": rule, "wants": False}])
    member = walk(flow, a_membership(), snapshot(), Entered(), NOW).membership
    result = walk(flow, member, snapshot(city="rome"), SENT, NOW)
    assert result.membership.drop_reason == "disqualified"
    assert result.effects == ()


def test_drop_from_flow_leaves_at_once() -> None:
    result = through(a_flow([{"step_id": "out", "type": "drop_from_flow"}]), Entered())
    assert result.membership.drop_reason == "drop_from_flow"
    assert kinds(result) == ["entered_flow", "dropped"]


def test_dropping_from_outside_leaves_a_numbered_trail() -> None:
    member = through(a_flow(), Entered()).membership
    dropped = drop(member, "removed_by_api", NOW)
    assert [number for number, _ in numbered(dropped)] == [member.sequence + 1]
    assert not dropped.membership.expects(member.hop, "delivery")


@pytest.mark.parametrize("status", ["archived", "deleted"])
def test_b1_a_flow_that_is_over_moves_nobody_on(status: str) -> None:
    """The walk itself ends the membership, also where the change was not applied to it yet."""
    member = through(a_flow(), Entered()).membership
    result = walk(a_flow(status=status), member, snapshot(), SENT, NOW)
    assert (result.membership.drop_reason, result.effects) == (f"flow_{status}", ())


def test_r14_a_walk_never_goes_back_in_time() -> None:
    """Its now is the latest of the clock, the due time and the membership's last update."""
    waiting = through(a_flow(), Entered(), SENT).membership
    assert waiting.waiting_until is not None
    early = walk(a_flow(), waiting, snapshot(), TimerFired(), waiting.waiting_until - DAY)
    assert early.membership.updated_at == waiting.waiting_until


def test_r1_what_a_walk_tells_of_has_a_limit() -> None:
    """Large values and very many conditions: a record that tells of them fits its topic."""
    field = {"kind": "condition", "source": "contact_field", "field": "city",
             "operator": "not_equals", "value": "x" * 1000}  # fmt: skip
    rule = {"kind": "group", "operator": "and", "conditions": [field] * 99}
    steps = [
        {"step_id": f"s{number}", "type": "condition_check", "condition": rule,
         "edges": {"true": f"s{number + 1}"}}
        for number in range(100)
    ]  # fmt: skip
    entered = a_membership()
    result = walk(a_flow(steps), entered, snapshot(city="ä" * 600_000), Entered(), NOW)
    told = [judged for one in result.timeline for judged in one.details.get("judged", ())]
    assert len(told) == MAX_JUDGEMENTS
    (changed, *_) = messages_of(result)
    assert len(changed.body()) < 1024 * 1024 * 0.8


def test_going_in_circles_ends() -> None:
    always = {"kind": "condition", "source": "contact_field", "field": "email",
              "operator": "is_not_empty"}  # fmt: skip
    steps = [{"step_id": "a", "type": "condition_check", "condition": always,
              "edges": {"true": "a"}}]  # fmt: skip
    assert through(a_flow(steps), Entered()).membership.drop_reason == "going_in_circles"


@st.composite
def any_flow(draw: st.DrawFn) -> Flow:
    """A flow with arbitrary edges, also to nowhere and in circles."""
    count = draw(st.integers(1, 6))
    target = st.sampled_from([*(f"s{number}" for number in range(count)), None, "nowhere"])
    steps = [draw(_any_step(f"s{number}", target)) for number in range(count)]
    return a_flow(steps)


def _any_step(step_id: str, target: st.SearchStrategy[str | None]) -> Any:
    opened = {"kind": "condition", "source": "email_step", "step_id": "s0", "metric": "sent",
              "operator": "has_activity"}  # fmt: skip
    return st.one_of(
        st.builds(lambda to: {"step_id": step_id, "type": "send_email", "email_id": str(WELCOME),
                              "edges": {"next": to}}, target),
        st.builds(lambda to: {"step_id": step_id, "type": "wait", "duration_amount": 1,
                              "duration_unit": "days", "edges": {"next": to}}, target),
        st.builds(lambda yes, no: {"step_id": step_id, "type": "condition_check",
                                   "condition": opened, "edges": {"true": yes, "false": no}},
                  target, target),
        st.builds(lambda to: {"step_id": step_id, "type": "wait", "condition": opened,
                              "timeout_amount": 1, "timeout_unit": "days", "edges": {"next": to}},
                  target),
        st.just({"step_id": step_id, "type": "drop_from_flow"}),
    )  # fmt: skip


@given(any_flow(), st.lists(st.sampled_from(["sent", "skipped", "failed"]), max_size=8))
def test_laws_of_any_walk(flow: Flow, outcomes: list[Any]) -> None:
    """It always ends; a live membership has one reason to move; numbers have no gap."""
    result = walk(flow, a_membership(), snapshot(), Entered(), NOW)
    told = 0
    for outcome in outcomes:
        member = result.membership
        assert member.is_live == (member.waiting_on is not None)
        assert (member.waiting_on == "delivery") == bool(result.effects)
        assert (member.waiting_on == "timer") <= (member.waiting_until is not None)
        assert member.waiting_on != "event" or member.listens
        assert member.is_live != (member.ended_at is not None)
        assert [number for number, _ in numbered(result)] == list(
            range(told + 1, member.sequence + 1)
        )
        told = member.sequence
        if not member.is_live:
            break
        happened: WalkEvent = (
            DeliveryFinished(outcome=outcome) if member.waiting_on == "delivery" else TimerFired()
        )
        after = walk(flow, member, snapshot(), happened, NOW)
        assert after == walk(flow, replace(member), snapshot(), happened, NOW), "it is a function"
        assert not after.membership.expects(member.hop, member.waiting_on or "timer")
        result = after
