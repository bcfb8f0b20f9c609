"""When a date falls due: anniversaries, leap days, zones, clocks that are changed."""
# ruff: noqa: DTZ001  (what a clock on the wall shows has no zone)

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.domain.contact import ContactSnapshot, CustomField, FieldType
from libs.domain.flow import Flow
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.occurrences import (
    DateRule,
    DateValue,
    changed_dates,
    date_in,
    first_instant,
    keys_due_on,
    numbered_occurrence,
    occurrence_on,
    occurrences_between,
    read_date,
)
from libs.domain.strictness import read_strictly
from libs.domain.triggers.date_based import DateBasedTrigger, date_triggers
from tests.support.builders import CONTACT, a_flow

NINE = time(9)
DAY = timedelta(days=1)
ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Apia",
         "Asia/Kathmandu", "America/Havana", "Australia/Lord_Howe", "Pacific/Niue")  # fmt: skip


def rule(offset: int = 0, *, yearly: bool = False, at: time = NINE, zone: str = "UTC") -> DateRule:
    return DateRule(offset, yearly, at, zone)


def value(text: str) -> DateValue:
    read = read_date(text)
    assert read is not None
    return read


def due(of: DateRule, text: str, year: int) -> list[str]:
    """Say when a date falls due in a year."""
    first = datetime(year, 1, 1, tzinfo=UTC)
    found = occurrences_between(of, value(text), first, first.replace(year=year + 1))
    return [one.due_at.isoformat() for one in found]


def test_a_date_falls_due_on_its_day_and_before_and_after_it() -> None:
    assert due(rule(), "2026-03-10", 2026) == ["2026-03-10T09:00:00+00:00"]
    assert due(rule(-7), "2026-03-03", 2026) == ["2026-02-24T09:00:00+00:00"]
    assert due(rule(30), "2026-12-15", 2027) == ["2027-01-14T09:00:00+00:00"]
    assert due(rule(), "2026-03-10", 2027) == []


def test_every_year_counts_from_the_date_on_and_not_before_it() -> None:
    yearly = rule(yearly=True)
    assert due(yearly, "1990-05-05", 2026) == ["2026-05-05T09:00:00+00:00"]
    assert due(yearly, "2026-05-05", 2026) == ["2026-05-05T09:00:00+00:00"]
    assert due(yearly, "2027-05-05", 2026) == []


def test_r21_29_february_is_mapped_before_the_offset() -> None:
    yearly = rule(yearly=True)
    assert due(yearly, "2024-02-29", 2026) == ["2026-02-28T09:00:00+00:00"]
    assert due(yearly, "2024-02-29", 2028) == ["2028-02-29T09:00:00+00:00"]
    # From 28 February, not from where 29 February would have been.
    assert due(rule(-7, yearly=True), "2024-02-29", 2026) == ["2026-02-21T09:00:00+00:00"]
    assert due(rule(1, yearly=True), "2024-02-29", 2026) == ["2026-03-01T09:00:00+00:00"]
    assert due(rule(1, yearly=True), "2024-02-29", 2028) == ["2028-03-01T09:00:00+00:00"]
    assert due(rule(-3, yearly=True), "2024-02-29", 2100) == ["2100-02-25T09:00:00+00:00"]


def test_an_anniversary_before_the_new_year_belongs_to_the_year_of_its_date() -> None:
    before = rule(-10, yearly=True)
    assert due(before, "2020-01-05", 2026) == ["2026-12-26T09:00:00+00:00"]
    (one,) = occurrences_between(
        before, value("2020-01-05"), datetime(2026, 12, 26, tzinfo=UTC),
        datetime(2026, 12, 27, tzinfo=UTC),
    )  # fmt: skip
    assert one.number == 20270105


def test_a_bare_date_is_its_day_in_every_zone_and_an_instant_is_not() -> None:
    here = rule(zone="America/Los_Angeles")
    assert due(here, "2026-03-11", 2026) == ["2026-03-11T16:00:00+00:00"]
    assert due(here, "2026-03-11T02:00:00Z", 2026) == ["2026-03-10T16:00:00+00:00"]
    east = rule(zone="Asia/Tokyo")
    assert due(east, "2026-03-10T23:00:00Z", 2026) == ["2026-03-11T00:00:00+00:00"]


def test_r21_another_zone_gives_the_same_occurrence_another_moment_but_no_other_number() -> None:
    moment = value("2026-03-11T02:00:00Z")
    west, east = rule(zone="America/Los_Angeles"), rule(zone="Asia/Tokyo")
    in_the_west, in_the_east = (
        occurrence_on(west, moment, date(2026, 3, 10)),
        occurrence_on(east, moment, date(2026, 3, 11)),
    )
    assert in_the_west
    assert in_the_east
    assert in_the_west.number == in_the_east.number == 20260311
    assert numbered_occurrence(east, moment, in_the_west.number) == in_the_east


def test_a_date_that_moved_has_no_occurrence_of_the_old_number() -> None:
    assert numbered_occurrence(rule(), value("2026-06-01"), 20260310) is None
    assert numbered_occurrence(rule(), value("2026-03-10"), 20270310) is None
    assert numbered_occurrence(rule(yearly=True), value("2026-03-10"), 20250310) is None
    assert numbered_occurrence(rule(yearly=True), value("2026-03-10"), 99_999_0310) is None
    assert numbered_occurrence(rule(yearly=True), value("1990-03-10"), 20270310) is not None


def test_a_time_that_is_skipped_or_shown_twice_is_the_first_instant() -> None:
    assert first_instant(datetime(2026, 3, 29, 2, 30), "Europe/Berlin") == datetime(
        2026, 3, 29, 1, tzinfo=UTC
    )
    assert first_instant(datetime(2026, 10, 25, 2, 30), "Europe/Berlin") == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )
    # A whole day was skipped here: 30 December 2011 never was.
    assert first_instant(datetime(2011, 12, 30, 9), "Pacific/Apia") == datetime(
        2011, 12, 30, 10, tzinfo=UTC
    )
    # Midnight is skipped in Havana: the day begins at one o'clock.
    assert first_instant(datetime(2026, 3, 8), "America/Havana") == datetime(
        2026, 3, 8, 5, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text",
    ["", "soon", "20260310", "2026-3-10", "2026-02-30", "2026-W10-1", "0001-01-01", "9999-12-31",
     "2026-03-10 and more", "0001-01-01T00:00:00+14:00", "x" * 50],
)  # fmt: skip
def test_what_is_no_date_is_not_filed(text: str) -> None:
    assert read_date(text) is None


def test_a_date_is_a_date_and_an_instant_an_instant() -> None:
    assert read_date("2026-03-10") == (datetime(2026, 3, 10, tzinfo=UTC), True)
    assert read_date("2026-03-10T01:00:00+02:00") == (datetime(2026, 3, 9, 23, tzinfo=UTC), False)
    assert read_date("2026-03-10T01:00:00") == (datetime(2026, 3, 10, 1, tzinfo=UTC), False)
    assert [read_date(other) for other in (None, 20260310, 1.5, True)] == [None] * 4


def test_the_dates_of_a_contact_are_its_custom_dates_and_its_creation() -> None:
    known = ContactSnapshot(
        CONTACT,
        {"createdAt": "2026-07-02T09:00:00.000Z", "updatedAt": "2026-07-02T09:00:00.000Z"},
        {
            "birthday": "1990-05-05",
            "plan": "gold",
            "createdAt": "2020-01-01",
            "renewal": "2020-01-01",
        },
    )
    created, birthday = value("2026-07-02T09:00:00Z"), value("1990-05-05")
    fields = ("birthday", "createdAt", "plan")
    assert changed_dates(None, known, fields) == {
        "birthday": (None, birthday), "createdAt": (None, created),
    }  # fmt: skip
    assert changed_dates(known, ContactSnapshot(CONTACT, deleted=True), fields) == {
        "birthday": (birthday, None), "createdAt": (created, None),
    }  # fmt: skip
    assert date_in(known, "createdAt") == value("2026-07-02T09:00:00Z")
    assert date_in(known, "birthday") == value("1990-05-05")
    assert date_in(known, "plan") is None


def test_only_a_date_that_changed_is_a_change() -> None:
    def has(**fields: str) -> ContactSnapshot:
        return ContactSnapshot(CONTACT, custom_fields=fields)

    old = has(birthday="1990-05-05", renewal="2026-03-10T10:00:00Z", plan="gold", note="soon")
    new = has(birthday="1990-05-06", renewal="2026-03-10T12:00:00+02:00", plan="blue", note="later")
    fields = ("birthday", "renewal", "plan", "note")
    moved = value("1990-05-05"), value("1990-05-06")
    assert changed_dates(old, new, fields) == {"birthday": moved}
    gone = has(birthday="someday", renewal="2026-03-10T10:00:00Z")
    assert changed_dates(old, gone, fields) == {"birthday": (value("1990-05-05"), None)}
    assert all(
        read_date(one.text) == one for one in (value("1990-05-05"), value("1990-05-05T07:08"))
    )


# Laws -------------------------------------------------------------------------------------------

rules = st.builds(
    DateRule,
    st.integers(-400, 400),
    st.booleans(),
    st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    st.sampled_from(ZONES),
)
moments = st.datetimes(datetime(1930, 1, 1), datetime(2040, 1, 1))
values = st.builds(
    lambda at, bare: DateValue(
        (datetime(at.year, at.month, at.day) if bare else at).replace(tzinfo=UTC), bare
    ),
    moments | st.sampled_from([datetime(2024, 2, 29, 12), datetime(2023, 3, 1, 2)]),
    st.booleans(),
)  # fmt: skip


@given(rules, st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)))
def test_the_last_day_is_the_last_whose_moment_has_come(of: DateRule, now: datetime) -> None:
    instant = now.replace(tzinfo=UTC)
    last = of.last_day(instant)
    assert of.due_on(last) <= instant
    # The day after may be one that never was, and is due as the next one begins.
    assert of.due_on(last + DAY) > instant or of.due_on(last + DAY) == of.due_on(last)


@given(rules, values, st.integers(0, 40))
@example(rule(zone="Asia/Tokyo", yearly=True), value("2024-02-29T20:00:00Z"), 1)
@example(rule(zone="Asia/Tokyo", yearly=True), value("2024-02-28T20:00:00Z"), 1)
@example(rule(zone="America/Havana", yearly=True), value("2023-03-01T02:00:00Z"), 1)
@example(rule(zone="America/Havana", yearly=True), value("2024-03-01T02:00:00Z"), 2)
@example(rule(zone="Asia/Tokyo", yearly=True), value("2023-02-28T20:00:00Z"), 1)
def test_what_falls_due_is_found_under_its_key_and_by_its_number(
    of: DateRule, what: DateValue, later: int
) -> None:
    """Every occurrence is found on one day alone, in that day's slice, and has its number."""
    number = (what.instant.year + later) * 10_000 + what.key
    named = numbered_occurrence(of, what, number)
    if named is None:
        assert (later and not of.yearly) or what.key == 229
        return
    assert occurrence_on(of, what, named.day) == named
    assert what.key in keys_due_on(of, named.day)
    for other in (named.day - DAY, named.day + DAY):
        assert occurrence_on(of, what, other) is None
    assert len(keys_due_on(of, named.day)) <= 5


@given(rules, values, st.integers(0, 366 * 20))
def test_the_day_and_the_number_of_an_occurrence_agree(
    of: DateRule, what: DateValue, days: int
) -> None:
    day = what.instant.date() + (of.offset_days + days) * DAY
    found = occurrence_on(of, what, day)
    if found is not None:
        assert numbered_occurrence(of, what, found.number) == found
        assert what.key in keys_due_on(of, day)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))
def test_the_first_instant_shows_the_time_or_is_the_end_of_a_gap(wall: datetime, zone: str) -> None:
    wall = wall.replace(second=0, microsecond=0)
    instant = first_instant(wall, zone)
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    before = (instant - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown >= wall > before


# The trigger ------------------------------------------------------------------------------------


def trigger(**settings: Any) -> DateBasedTrigger:
    return DateBasedTrigger.model_validate({"type": "date_based", **settings})


@pytest.mark.parametrize(
    "settings",
    [{"zone": "Mars/Olympus"}, {"zone": "America"}, {"zone": "localtime"}, {"zone": "../etc"},
     {"time": "24:00"}, {"time": "9:00"}, {"offset_days": 4000}, {"recurrence": "daily"}],
)  # fmt: skip
def test_settings_that_cannot_be_kept_are_refused(settings: Any) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        trigger(**settings)


def test_a_trigger_says_when_it_fires() -> None:
    told = trigger(
        field="x", offset_days=-7, recurrence="annually", time="07:30", zone="Asia/Tokyo"
    )
    assert told.rule == DateRule(-7, True, time(7, 30), "Asia/Tokyo")
    assert trigger().rule == DateRule(0, False, NINE, "UTC")


def test_a_draft_need_not_know_its_field_and_an_active_flow_must() -> None:
    birthday = CustomField(api_name="birthday", type=FieldType.DATE)
    plan = CustomField(api_name="plan", type=FieldType.STRING)
    inventory = Inventory(custom_fields={CONTACT: birthday, a_flow().flow_id: plan})
    assert list(trigger().issues(inventory)) == [Issue.at("field")]
    assert list(trigger(field="plan").issues(inventory)) == [Issue.at("field", code="unknown")]
    assert list(trigger(field="birthday").issues(inventory)) == []
    assert list(trigger(field="createdAt").issues(Inventory())) == []


def test_a_flow_names_its_date_triggers_by_id_or_by_place() -> None:
    one, other = {"type": "date_based", "field": "a"}, {"type": "date_based", "field": "b"}
    flow = a_flow(triggers=[{"type": "contact_created"}, one, {**other, "trigger_id": "t9"}])
    assert {name: found.field for name, found in date_triggers(flow.triggers).items()} == {
        "1": "a", "t9": "b",
    }  # fmt: skip
    assert date_triggers([trigger()]) == {}
    again = Flow.model_validate(flow.model_dump(mode="json", by_alias=True, exclude_unset=True))
    assert again.triggers == flow.triggers
    assert read_strictly(DateBasedTrigger, one).field == "a"
