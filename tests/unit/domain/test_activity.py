"""Rules about what a contact did: how they count, and what must be read for them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from libs.domain.activity import ActivityKind, ActivityNeed, PastActivity, UnreadActivity
from libs.domain.contact import ContactSnapshot
from libs.domain.predicates import Verdict, compile_rule, kind_of
from libs.domain.rules import Activity, AnyRule, RuleTree
from tests.support.activity import did, ordered
from tests.support.builders import CONTACT, NOW, WELCOME, Json, a_flow

TREE: TypeAdapter[AnyRule] = TypeAdapter(RuleTree)
ORDERS = ActivityKind("Placed Order")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = {"amount": 7, "unit": "days"}


def judged(rule: Json, *ago: timedelta, at: datetime = NOW, **more: Any) -> Verdict:
    """Judge a rule; the contact did so, so long ago each time."""
    read = TREE.validate_python(rule)
    assert isinstance(read, Activity)
    past = PastActivity(tuple(sorted((NOW - one for one in ago), reverse=True)), **more)
    known = ContactSnapshot(CONTACT, activity={kind_of(read): past})
    return compile_rule(read, {})(known, at)


@pytest.mark.parametrize(
    ("count", "outcomes"),
    [
        (None, "0111"),
        ({"operator": "equals", "value": 2}, "0010"),
        ({"operator": "not_equals", "value": 2}, "1101"),
        ({"operator": "greater_than", "value": 1}, "0011"),
        ({"operator": "greater_than_or_equal", "value": 1}, "0111"),
        ({"operator": "less_than", "value": 2}, "1100"),
        ({"operator": "less_than_or_equal", "value": 0}, "1000"),
    ],
)
def test_it_counts(count: Json | None, outcomes: str) -> None:
    for number, outcome in enumerate(outcomes):
        times = [timedelta(days=400 * (one + 1)) for one in range(number)]
        assert judged(ordered(count=count), *times).outcome is (outcome == "1")
        never = ordered("has_no_activity", count=count)
        assert judged(never, *times).outcome is (outcome == "0")


def test_what_was_folded_counts_for_all_time_only() -> None:
    assert judged(ordered(), folded=1).outcome is True
    assert judged(ordered(within=WEEK), folded=1).outcome is False


def test_a_verdict_says_when_the_next_falls_out_of_its_window() -> None:
    """Where that could flip it, and only then."""
    verdict = judged(ordered(within=WEEK), 2 * DAY, 3 * DAY, 9 * DAY)
    assert (verdict.outcome, verdict.until) == (True, NOW + 5 * DAY), "the newest keeps it up"
    twice = {"operator": "greater_than_or_equal", "value": 2}
    verdict = judged(ordered(within=WEEK, count=twice), 2 * DAY, 3 * DAY, 4 * DAY)
    assert (verdict.outcome, verdict.until) == (True, NOW + 4 * DAY)
    assert judged(ordered(within=WEEK, count=twice), 2 * DAY).until is None, "it only gets less"
    once = {"operator": "equals", "value": 1}
    verdict = judged(ordered(within=WEEK, count=once), 2 * DAY, 3 * DAY)
    assert (verdict.outcome, verdict.until) == (False, NOW + 4 * DAY)
    assert judged(ordered(), 2 * DAY).until is None


def test_at_that_instant_it_has_fallen_out() -> None:
    verdict = judged(ordered(within=WEEK), 2 * DAY)
    assert verdict.until is not None
    moment = timedelta(microseconds=1)
    assert judged(ordered(within=WEEK), 2 * DAY, at=verdict.until - moment).outcome is True
    assert judged(ordered(within=WEEK), 2 * DAY, at=verdict.until).outcome is False


def test_r15_what_was_not_read_is_not_taken_for_nothing() -> None:
    rule = TREE.validate_python(ordered("has_no_activity"))
    other = {ActivityKind("Started Chat"): PastActivity()}
    for known in (ContactSnapshot(CONTACT), ContactSnapshot(CONTACT, activity=other)):
        with pytest.raises(UnreadActivity):
            compile_rule(rule, {})(known, NOW)


def test_r15_a_count_that_may_be_higher_settles_only_what_more_would_not_change() -> None:
    some = {"unread_before": NOW - 3 * DAY}
    assert judged(ordered(), HOUR, **some).outcome is True
    assert judged(ordered(), **some).outcome is None
    assert judged(ordered("has_no_activity"), **some).outcome is None
    few = {"operator": "less_than", "value": 2}
    assert judged(ordered(count=few), HOUR, 2 * HOUR, **some).outcome is False
    assert judged(ordered(count=few), HOUR, **some).outcome is None


def test_what_was_not_looked_at_falls_out_of_the_window_too() -> None:
    verdict = judged(ordered("has_no_activity", within=WEEK), unread_before=NOW - 3 * DAY)
    assert (verdict.outcome, verdict.until) == (None, NOW + 4 * DAY)
    day = {"amount": 1, "unit": "days"}
    inside = judged(ordered("has_no_activity", within=day), unread_before=NOW - 3 * DAY)
    assert (inside.outcome, inside.until) == (True, None)


def test_it_tells_what_it_saw() -> None:
    three = {"operator": "greater_than_or_equal", "value": 3}
    (seen,) = judged(ordered(count=three, within=WEEK), HOUR, DAY).seen
    asked = "Placed Order has_activity greater_than_or_equal 3 within 7 days"
    assert (seen.asked, seen.saw, seen.outcome) == (asked, 2, False)
    (seen,) = judged(ordered(), HOUR, DAY).seen
    assert seen.saw == "2 or more", "further nobody counted"


def test_what_is_counted_may_be_narrowed_down() -> None:
    page, other = UUID(int=5), UUID(int=6)
    done = ActivityKind("form.submitted", form_id="f1", tent_id=page)
    counting = [
        ActivityKind("form.submitted"),
        ActivityKind("form.submitted", form_id="f1"),
        ActivityKind("form.submitted", form_id="f1", tent_id=page),
    ]
    assert all(kind.counts(done) for kind in counting)
    assert all(kind.fact() in done.facts() for kind in counting)
    assert not ActivityKind("form.submitted", tent_id=other).counts(done)
    assert not ActivityKind("form.submitted", form_id="f2").counts(done)
    assert not ActivityKind("f1").counts(done)


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        (did("Placed Order", email_id=str(WELCOME)), "email_id"),
        (did("email.opened", form_id="f1"), "form_id"),
        (did("email.read", email_id=str(WELCOME)), "email_id"),
        (did("", "has_activity"), "metric"),
        (did("x", "occurred"), "operator"),
        (did("x", count={"operator": "equals", "value": 1001}), "count.value"),
        (did("x", count={"operator": "equals", "value": -1}), "count.value"),
        (did("x", count={"operator": "contains", "value": 1}), "count.operator"),
        (did("x", within={"amount": 731, "unit": "days"}), "within.amount"),
        (did("x", within={"amount": 0, "unit": "days"}), "within.amount"),
        (did("x", within={"amount": 10**400, "unit": "weeks"}), "within.amount"),
        (did("x", within={"amount": 1, "unit": "years"}), "within.unit"),
    ],
)
def test_what_is_malformed_is_refused_at_its_place(rule: Json, place: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TREE.validate_python(rule, extra="forbid")
    (issue,) = refused.value.errors()
    assert ".".join(map(str, issue["loc"])) == f"activity.{place}"


def test_a_flow_says_what_must_be_read_before_its_next_rest() -> None:
    check = {"type": "condition_check", "edges": {"true": "asks-later"}}
    month = {"amount": 30, "unit": "days"}
    flow = a_flow([
        {**check, "step_id": "asks", "condition": ordered(within=WEEK), "edges": {"true": "too"}},
        {**check, "step_id": "too", "condition": ordered(within=month), "edges": {"true": "rest"}},
        {"step_id": "rest", "type": "wait", "duration_amount": 1, "duration_unit": "days",
         "edges": {"next": "later"}},
        {**check, "step_id": "later", "condition": did("Started Chat"), "edges": {}},
    ])  # fmt: skip
    orders, chat = ActivityNeed(30 * DAY, 2), {ActivityKind("Started Chat"): ActivityNeed(None, 2)}
    assert flow.activity_needs(None) == flow.activity_needs("asks") == {ORDERS: orders}
    assert flow.activity_needs("rest") == flow.activity_needs("later") == chat
    assert flow.activity_needs("asks", to_the_end=True) == {ORDERS: orders, **chat}
    assert flow.activity_needs("gone") == {}
    mail = {"step_id": "mail", "type": "send_email", "edges": {"next": "later"}}
    first = {**check, "step_id": "asks", "condition": ordered(), "edges": {"true": "mail"}}
    flow = a_flow([first, mail, {**check, "step_id": "later", "condition": did("x"), "edges": {}}])
    assert flow.activity_needs(None) == {ORDERS: ActivityNeed(None, 2)}
    assert a_flow().activity_needs(None) == {}


def test_what_guards_ask_must_be_read_everywhere() -> None:
    flow = a_flow(guards=[{"rule": ordered(), "wants": False}])
    for step_id in (None, "wait-3-days", "gone"):
        assert flow.activity_needs(step_id) == {ORDERS: ActivityNeed(None, 2)}
