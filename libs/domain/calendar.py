"""Time arithmetic. All instants are UTC and carry their zone."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

MAX_WAIT = timedelta(days=730)
"""No wait is longer: everything a run needs is kept at least as long."""


class DurationUnit(StrEnum):
    """The units a wait may be given in."""

    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"


def duration(amount: int, unit: DurationUnit | str) -> timedelta:
    """Turn an amount of a unit into a length of time; a day is 24 hours, a week seven days.

    Raises:
        OverflowError: If the length cannot be expressed.
    """
    return timedelta(**{str(unit): amount})


def check_wait(name: str, amount: int | None, unit: DurationUnit | None) -> None:
    """See that a wait is not too long; half of one is not looked at.

    Raises:
        ValueError: If it is, naming the field.
    """
    # Checked against the longest in this unit, so that no amount can overflow.
    if amount and unit and amount > MAX_WAIT // duration(1, unit):
        raise ValueError(f"{name}: a wait lasts at most {MAX_WAIT.days} days")


def known_zone(name: str) -> str:
    """Give the name of a time zone back.

    Raises:
        ValueError: If there is no such zone.
    """
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not the name of a time zone") from error
    if name[:1].islower():  # `localtime`: whatever the machine is set to
        raise ValueError(f"{name!r} is not the name of a time zone")
    return name


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Give the earlier of two instants; None is never."""
    if one is None or other is None:
        return one or other
    return min(one, other)


def within_reach(until: datetime | None, now: datetime) -> datetime | None:
    """Give an instant no timer is too far for: who is woken too early looks again."""
    return None if until is None else min(until, start_of_day(now + MAX_WAIT))


def read_instant(text: str) -> datetime | None:
    """Read an ISO 8601 date or instant as UTC; a bare date is its midnight. None if it is neither.

    An instant without a zone is taken as UTC.
    """
    try:
        read = datetime.fromisoformat(text)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def is_bare_date(text: str) -> bool:
    """Tell whether the text names a whole day rather than an instant."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def start_of_day(instant: datetime) -> datetime:
    """Give the UTC midnight at or before an instant."""
    return datetime.combine(instant.astimezone(UTC).date(), time.min, UTC)


def to_text(instant: datetime) -> str:
    """Write an instant as the API does: UTC, milliseconds, `Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
