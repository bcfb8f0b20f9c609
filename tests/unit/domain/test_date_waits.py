"""Waiting for a date of the contact."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.domain.calendar import MAX_WAIT
from libs.domain.contact import ContactSnapshot
from libs.domain.contact_changes import ContactChange
from libs.domain.flow import Flow
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.listening import keys_of
from libs.domain.membership import Membership
from libs.domain.walk import WalkResult, walk
from libs.domain.walk_events import CONTACT_CHANGED, ENTERED, TIMER_FIRED
from tests.support.builders import CONTACT, NOW, a_flow, a_membership

DAY = timedelta(days=1)


def until(**changes: Any) -> Flow:
    wait = {"step_id": "w", "type": "wait", "until_date_field": "renewal", **changes}
    return a_flow([wait])


def contact(renewal: str | None) -> ContactSnapshot:
    return ContactSnapshot(CONTACT, custom_fields={"renewal": renewal})


def enters(flow: Flow, renewal: str | None) -> WalkResult:
    return walk(flow, a_membership(), contact(renewal), ENTERED, NOW)


def standing(flow: Flow, renewal: str) -> Membership:
    member = enters(flow, renewal).membership
    assert member.is_live
    return member


@pytest.mark.parametrize(
    ("changes", "renewal", "due_at"),
    [
        ({}, "2026-07-05T10:30:00+02:00", datetime(2026, 7, 5, 8, 30, tzinfo=UTC)),
        ({}, "2026-07-05", datetime(2026, 7, 5, tzinfo=UTC)),
        ({"time": "09:30", "zone": "Europe/Oslo"}, "2026-07-05",
         datetime(2026, 7, 5, 7, 30, tzinfo=UTC)),
        ({"time": "02:30", "zone": "Europe/Oslo"}, "2027-03-28",
         datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_it_stands_until_the_date(changes: Any, renewal: str, due_at: datetime) -> None:
    flow = until(**changes)
    member = standing(flow, renewal)
    assert (member.waiting_on, member.waiting_until) == ("event", due_at)
    gone_on = walk(flow, member, contact(renewal), TIMER_FIRED, due_at).membership
    assert gone_on.status == "completed"


@pytest.mark.parametrize(
    ("renewal", "outcome"),
    [("2026-07-01", "waited"), (None, "skipped"), ("soon", "skipped"), ("", "skipped")],
)
def test_a_date_that_is_past_or_none_is_not_waited_for(renewal: str | None, outcome: str) -> None:
    result = enters(until(), renewal)
    (executed,) = [one for one in result.timeline if one.type == "step_executed"]
    assert executed.details["outcome"] == outcome
    assert not result.membership.is_live


def test_who_waits_follows_the_field() -> None:
    flow, member = until(), standing(until(), "2026-07-05")
    later = walk(flow, member, contact("2026-07-09"), CONTACT_CHANGED, NOW + DAY)
    assert later.membership.waiting_until == datetime(2026, 7, 9, tzinfo=UTC)
    assert later.stands, "its timer is set anew"
    gone = walk(flow, member, contact(None), CONTACT_CHANGED, NOW + DAY)
    assert not gone.membership.is_live
    same = walk(flow, member, contact("2026-07-05"), CONTACT_CHANGED, NOW + DAY)
    assert same.membership is member


def test_it_listens_to_its_field_alone() -> None:
    member = standing(until(), "2026-07-05")
    assert keys_of(ContactChange(NOW, custom_fields={"renewal": "2026-07-09"})) & set(
        member.listens
    )
    assert not keys_of(ContactChange(NOW, custom_fields={"plan": "gold"})) & set(member.listens)


def test_a_date_beyond_the_longest_wait_is_looked_at_again() -> None:
    flow, renewal = until(), "2040-01-01"
    member = standing(flow, renewal)
    assert member.waiting_until is not None
    assert NOW < member.waiting_until <= NOW + MAX_WAIT
    again = walk(flow, member, contact(renewal), TIMER_FIRED, member.waiting_until).membership
    assert again.is_live
    assert again.waiting_until is not None
    assert again.waiting_until > member.waiting_until


def test_it_needs_a_date_field() -> None:
    (step,) = until().steps
    assert list(step.issues(Inventory())) == [Issue.at("until_date_field", code="unknown")]
    (step,) = until(until_date_field="createdAt").steps
    assert list(step.issues(Inventory())) == []
