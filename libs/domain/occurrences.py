"""When a date a contact has falls due, and which of its anniversaries that is.

A rule says: so many days before or after the date, at this time of day, in this zone, once or
every year. Days are counted on the calendar of the zone:

- A bare date is that day in every zone. An instant is the day it falls on in the rule's zone.
- 29 February is 28 February in a common year, and only then is the offset applied: seven days
  before it is 21 February.
- A time that the clocks skip is the first instant after the gap; one they pass twice is the first.

An occurrence is named by a number that depends on the contact's date alone, never on the zone or
the time of a rule, so a rule that is edited does not begin to count anew: it is the day the date
names (in UTC), in the year concerned, written 20260310. Another date is another occurrence.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from libs.domain.calendar import is_bare_date, read_instant
from libs.domain.contact import CREATED_AT, ContactSnapshot, Scalar

CAUGHT_UP = timedelta(hours=24)
"""What fell due longer ago than this is not made up for."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_EXTENDED = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1000, 9000
_LONGEST = 40
_REMEMBERED = 4096
_END_OF_FEBRUARY = frozenset({228, 229, 301})


class DateValue(NamedTuple):
    """A date as a contact has it: an instant (UTC), or a whole day, which is then its midnight."""

    instant: datetime
    bare: bool

    def day_in(self, zone: str) -> date:
        """Give the day it is in a zone."""
        return self.instant.date() if self.bare else self.instant.astimezone(ZoneInfo(zone)).date()

    @property
    def text(self) -> str:
        """Write it as it is read."""
        return self.instant.date().isoformat() if self.bare else self.instant.isoformat()

    @property
    def key(self) -> int:
        """Its month and day (UTC) as one number, 310 for 10 March: what dates are filed under."""
        return _key(self.instant.date())


@dataclass(frozen=True, slots=True)
class DateRule:
    """When something is to happen, counted from a date.

    Attributes:
        offset_days: So many days after the date; before it, if negative.
        yearly: Whether every anniversary counts, the date itself included, or the date alone.
        at: The time of day.
        zone: Whose clock and calendar are meant, by its IANA name.
    """

    offset_days: int
    yearly: bool
    at: time
    zone: str

    def due_on(self, day: date) -> datetime:
        """Give the instant (UTC) on a day at which the rule acts."""
        return first_instant(datetime.combine(day, self.at), self.zone)

    def last_day(self, now: datetime) -> date:
        """Give the last day whose moment has come."""
        day = now.astimezone(ZoneInfo(self.zone)).date()
        return day if self.due_on(day) <= now else day - _DAY

    def days_due(self, after: datetime, until: datetime) -> list[date]:
        """Give the days whose moment came after one instant and not after another, in order."""
        first, last = self.last_day(after), self.last_day(until)
        return [first + number * _DAY for number in range(1, (last - first).days + 1)]


class Occurrence(NamedTuple):
    """One time a date falls due: its number, the day on which, and the instant."""

    number: int
    day: date
    due_at: datetime


def read_date(value: Scalar) -> DateValue | None:
    """Read a field's value as a date; None if it does not name one.

    Only the extended form counts: `2026-03-10`, or an instant that begins like it. What ISO 8601
    also allows, `20260310`, is far more often a number of something else.
    """
    if not isinstance(value, str) or len(value) > _LONGEST or not _EXTENDED.match(value):
        return None
    try:
        instant = read_instant(value)
    except OverflowError:
        return None
    if instant is None or not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        return None
    return DateValue(instant, is_bare_date(value))


class DateChange(NamedTuple):
    """A field's date before and after a change; None where it held none."""

    before: DateValue | None
    after: DateValue | None


def changed_dates(
    before: ContactSnapshot | None, after: ContactSnapshot | None, fields: Iterable[str]
) -> dict[str, DateChange]:
    """Give those of some fields that hold another date than before, in the order of their names.

    Custom fields count by what they hold, not by what they were declared as: events do not say what
    a field was meant for.
    """
    read = {name: DateChange(_held(before, name), _held(after, name)) for name in sorted(fields)}
    return {name: change for name, change in read.items() if change.before != change.after}


def date_in(snapshot: ContactSnapshot, field: str) -> DateValue | None:
    """Give the date in one field of a contact; None if there is none."""
    known = snapshot.fields if field == CREATED_AT else snapshot.custom_fields
    return read_date(known.get(field))


def _held(snapshot: ContactSnapshot | None, field: str) -> DateValue | None:
    return None if snapshot is None else date_in(snapshot, field)


def occurrence_on(rule: DateRule, value: DateValue, day: date) -> Occurrence | None:
    """Say which occurrence of a date falls due on a day, if one does. This is the exact test."""
    base, own = day - rule.offset_days * _DAY, value.day_in(rule.zone)
    years = base.year - own.year
    if years < 0 or (years and not rule.yearly) or _anniversary(own, base.year) != base:
        return None
    return Occurrence(_number(value, years), day, rule.due_on(day))


def numbered_occurrence(rule: DateRule, value: DateValue, number: int) -> Occurrence | None:
    """Give the occurrence of a date that has this number; None if the date has no such one."""
    year, own_year = number // 10_000, value.instant.year
    if not own_year <= year <= (_LAST_YEAR if rule.yearly else own_year):
        return None
    years = year - own_year
    if _number(value, years) != number:
        return None
    own = value.day_in(rule.zone)
    day = _anniversary(own, own.year + years) + rule.offset_days * _DAY
    return Occurrence(number, day, rule.due_on(day))


def occurrences_between(
    rule: DateRule, value: DateValue, after: datetime, until: datetime
) -> Iterator[Occurrence]:
    """Give what falls due after one instant and not after another, which should be near."""
    for day in rule.days_due(after, until):
        if found := occurrence_on(rule, value, day):
            yield found


def keys_due_on(rule: DateRule, day: date) -> list[int]:
    """Give the keys under which the dates are filed that may fall due on a day.

    All that do are among them; the exact test tells which. Instants may lie on the neighbouring day
    in UTC.
    """
    base = day - rule.offset_days * _DAY
    found = {_key(base)}
    if rule.zone != "UTC":
        found |= {_key(base - _DAY), _key(base + _DAY)}
    if found & _END_OF_FEBRUARY:  # what is next to what depends on the year of the date
        found |= _END_OF_FEBRUARY
    return sorted(found)


@lru_cache(_REMEMBERED)
def first_instant(wall: datetime, zone: str) -> datetime:
    """Give the first instant (UTC) at which the clocks of a zone show a time, or have passed it."""
    there = wall.replace(tzinfo=ZoneInfo(zone))
    instant = there.astimezone(UTC)
    if instant.astimezone(there.tzinfo).replace(tzinfo=None) == wall:
        return instant
    # A gap. Read with the offset from after it, the time lies before it, and the other way round.
    before = there.replace(fold=1).astimezone(UTC)
    return _change_between(before, instant, ZoneInfo(zone))


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the instant at which the clocks were changed, to the second."""
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0) if middle.microsecond else middle
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def _anniversary(own: date, year: int) -> date:
    """Give a day in another year; 29 February is 28 February where there is none."""
    try:
        return own.replace(year=year)
    except ValueError:
        return own.replace(year=year, day=28)


def _number(value: DateValue, years: int) -> int:
    own = value.instant.date()
    return (own.year + years) * 10_000 + _key(_anniversary(own, own.year + years))


def _key(day: date) -> int:
    return day.month * 100 + day.day
