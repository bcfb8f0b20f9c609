"""The heart, step by step and under arbitrary graphs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.flow import Flow
from libs.domain.membership import Membership, MembershipStatus
from libs.domain.situation import (
    DeliveryFinished,
    Entered,
    Occurrence,
    SendEmail,
    SetTimer,
    TimerFired,
)
from libs.domain.walk import Walked, drop, numbered, walk
from tests.support.builders import FOLLOWUP, NOW, WELCOME, a_flow, a_member, facts

SENT = DeliveryFinished(outcome="sent")


def kinds(walked: Walked) -> list[str]:
    return [trail.type for trail in walked.trail]


def through(flow: Flow, *occurrences: Occurrence, member: Membership | None = None) -> Walked:
    """Let things happen one after another, a day apart."""
    walked = Walked(member or a_member())
    for day, occurrence in enumerate(occurrences):
        walked = walk(flow, walked.membership, facts(), occurrence, NOW + timedelta(days=day))
    return walked


def test_entering_stands_at_the_first_delivery() -> None:
    walked = through(a_flow(), Entered())
    assert walked.effects == (SendEmail("send-welcome", WELCOME, operational=False),)
    assert kinds(walked) == ["entered_flow"]
    member = walked.membership
    assert (member.status, member.moves_by, member.hop) == (MembershipStatus.ACTIVE, "delivery", 1)
    assert member.step_id == "send-welcome"


def test_a_sent_mail_leads_to_the_wait() -> None:
    walked = through(a_flow(), Entered(), SENT)
    due = NOW + timedelta(days=1 + 3)
    assert walked.effects == (SetTimer(due),)
    assert kinds(walked) == ["email_sent", "step_executed", "waiting"]
    member = walked.membership
    assert (member.status, member.moves_by, member.hop) == (MembershipStatus.WAITING, "timer", 2)
    assert member.waiting_until == due
    assert "sent" in member.engagement["send-welcome"]


def test_who_did_not_open_gets_the_follow_up() -> None:
    walked = through(a_flow(), Entered(), SENT, TimerFired())
    assert walked.effects == (SendEmail("send-followup", FOLLOWUP, operational=False),)
    judged = walked.trail[1].details["judged"]
    assert judged == [{"asked": "send-welcome opened has_activity", "saw": False, "outcome": False}]


def test_who_opened_completes() -> None:
    waiting = through(a_flow(), Entered(), SENT).membership
    opened = waiting.note("send-welcome", "opened", NOW)
    walked = walk(a_flow(), opened, facts(), TimerFired(), NOW)
    assert walked.membership.status is MembershipStatus.COMPLETED
    assert walked.membership.moves_by is None
    assert kinds(walked) == ["step_executed", "step_executed", "completed"]


def test_a_skipped_or_failed_mail_strands_nobody() -> None:
    skipped = through(
        a_flow(), Entered(), DeliveryFinished(outcome="skipped", reason="unsubscribed")
    )
    assert kinds(skipped) == ["email_skipped", "step_executed", "waiting"]
    failed = through(a_flow(), Entered(), DeliveryFinished(outcome="failed", reason="550"))
    assert kinds(failed) == ["step_failed", "step_executed", "waiting"]
    assert failed.trail[0].details == {"reason": "550"}


def test_a_paused_flow_parks_what_happens() -> None:
    waiting = through(a_flow(), Entered(), SENT).membership
    parked = walk(a_flow(status="paused"), waiting, facts(), TimerFired(), NOW)
    assert (parked.membership.moves_by, parked.membership.parked) == ("reactivation", TimerFired())
    assert (parked.effects, parked.trail) == ((), ())
    assert parked.membership.parked is not None
    gone_on = walk(a_flow(), parked.membership, facts(), parked.membership.parked, NOW)
    assert gone_on.membership.step_id == "send-followup"
    assert gone_on.membership.parked is None


def test_a_step_that_is_gone_drops_the_member() -> None:
    waiting = through(a_flow(), Entered(), SENT).membership
    steps = [{"step_id": "other", "type": "drop_from_flow"}]
    walked = walk(a_flow(steps), waiting, facts(), TimerFired(), NOW)
    assert walked.membership.drop_reason == "step_removed"


def test_disqualification_is_judged_before_each_step() -> None:
    rule = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "eq",
            "value": "Rome"}  # fmt: skip
    flow = a_flow(disqualification_rules=rule)
    member = walk(flow, a_member(), facts(), Entered(), NOW).membership
    walked = walk(flow, member, facts(city="rome"), SENT, NOW)
    assert walked.membership.drop_reason == "disqualified"
    assert walked.effects == ()


def test_drop_from_flow_leaves_at_once() -> None:
    walked = through(a_flow([{"step_id": "out", "type": "drop_from_flow"}]), Entered())
    assert walked.membership.drop_reason == "drop_from_flow"
    assert kinds(walked) == ["entered_flow", "dropped"]


def test_dropping_from_outside_leaves_a_numbered_trail() -> None:
    member = through(a_flow(), Entered()).membership
    dropped = drop(member, "removed_by_api", NOW)
    assert [number for number, _ in numbered(dropped)] == [member.sequence + 1]
    assert not dropped.membership.expects(member.hop, "delivery")


def test_going_in_circles_ends() -> None:
    always = {"kind": "condition", "source": "contact_field", "field": "email",
              "operator": "is_not_empty"}  # fmt: skip
    steps = [{"step_id": "a", "type": "condition_check", "condition": always, "true_step_id": "a"}]
    assert through(a_flow(steps), Entered()).membership.drop_reason == "going_in_circles"


@st.composite
def any_flow(draw: st.DrawFn) -> Flow:
    """A flow with arbitrary edges, also to nowhere and in circles."""
    count = draw(st.integers(1, 6))
    target = st.sampled_from([*(f"s{number}" for number in range(count)), None, "nowhere"])
    steps = [draw(_any_step(f"s{number}", target)) for number in range(count)]
    return a_flow(steps)


def _any_step(step_id: str, target: st.SearchStrategy[str | None]) -> Any:
    opened = {"kind": "condition", "source": "email_step", "nodeId": "s0", "metric": "sent",
              "operator": "has_activity"}  # fmt: skip
    return st.one_of(
        st.builds(lambda to: {"step_id": step_id, "type": "send_email", "email_id": str(WELCOME),
                              "next_step_id": to}, target),
        st.builds(lambda to: {"step_id": step_id, "type": "wait", "duration_amount": 1,
                              "duration_unit": "days", "next_step_id": to}, target),
        st.builds(lambda yes, no: {"step_id": step_id, "type": "condition_check",
                                   "condition": opened, "true_step_id": yes, "false_step_id": no},
                  target, target),
        st.just({"step_id": step_id, "type": "drop_from_flow"}),
    )  # fmt: skip


@given(any_flow(), st.lists(st.sampled_from(["sent", "skipped", "failed"]), max_size=8))
def test_laws_of_any_walk(flow: Flow, outcomes: list[Any]) -> None:
    """It always ends; a live member has one reason to move and one effect; numbers have no gap."""
    walked = walk(flow, a_member(), facts(), Entered(), NOW)
    told = 0
    for outcome in outcomes:
        member = walked.membership
        assert member.is_live == (member.moves_by is not None) == bool(walked.effects)
        assert member.is_live != (member.ended_at is not None)
        assert [number for number, _ in numbered(walked)] == list(
            range(told + 1, member.sequence + 1)
        )
        told = member.sequence
        if not member.is_live:
            break
        happened: Occurrence = (
            TimerFired() if member.moves_by == "timer" else DeliveryFinished(outcome=outcome)
        )
        after = walk(flow, member, facts(), happened, NOW)
        assert after == walk(flow, replace(member), facts(), happened, NOW), "it is a function"
        assert not after.membership.expects(member.hop, member.moves_by or "timer")
        walked = after
