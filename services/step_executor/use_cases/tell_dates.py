"""The executor tells the scheduler which dates a contact has, so that date triggers can fire.

It is the executor that tells, and not the matcher: it has the contact's events in their one order,
whatever partitions they were published to, so the scheduler ends with the same date as it does.

Only fields are told of that some date trigger of the workspace goes by. When one begins to, every
partition says what its contacts hold (restate_dates.py).
"""

from collections.abc import Iterator, Mapping
from uuid import UUID
from zlib import crc32

from libs.chassis.exactly_once.records import Received
from libs.contracts.step_commands import Observe
from libs.contracts.timer_commands import ForgetContact, RememberDates
from libs.domain.contact import ContactSnapshot
from libs.domain.occurrences import DateChange, DateValue, changed_dates
from services.step_executor.use_cases.unit_of_work import UnitOfWork

MOST_FIELDS = 200
"""How many fields one message tells of: so many always fit."""

_Changes = Mapping[str, DateChange]


def tell_dates(
    unit: UnitOfWork,
    received: Received[Observe],
    before: ContactSnapshot | None,
    after: ContactSnapshot,
) -> None:
    """Tell the scheduler of the dates that an event has changed, if it has."""
    fields = unit.date_fields.get(received.message.workspace_id)
    if not fields or (before is not None and _keeps_fields(before, after)):
        return
    changes = changed_dates(before, after, fields)
    for piece in _pieces(changes):
        told = _forget if after.deleted else _remember
        unit.enqueue(received.partition, told(unit, received.message, piece))


def _keeps_fields(before: ContactSnapshot, after: ContactSnapshot) -> bool:
    """Say at a glance that no field has changed: most events are about something else."""
    return before.fields is after.fields and before.custom_fields is after.custom_fields


def _pieces(changes: _Changes) -> Iterator[_Changes]:
    fields = list(changes)
    for first in range(0, len(fields), MOST_FIELDS):
        yield {field: changes[field] for field in fields[first : first + MOST_FIELDS]}


def _remember(unit: UnitOfWork, observe: Observe, changes: _Changes) -> RememberDates:
    return RememberDates(
        id=_id(observe, changes),
        time=unit.now,
        workspace_id=observe.workspace_id,
        contact_id=observe.contact_id,
        before=_texts({field: change.before for field, change in changes.items()}),
        dates=_texts({field: change.after for field, change in changes.items()}),
        set_at=min(observe.event.time, unit.now),  # a publisher's clock may be ahead
    )


def _forget(unit: UnitOfWork, observe: Observe, changes: _Changes) -> ForgetContact:
    return ForgetContact(
        id=_id(observe, changes),
        time=unit.now,
        workspace_id=observe.workspace_id,
        contact_id=observe.contact_id,
        before=_texts({field: change.before for field, change in changes.items()}),
    )


def _texts(dates: Mapping[str, DateValue | None]) -> dict[str, str]:
    return {field: date.text for field, date in dates.items() if date is not None}


def _id(observe: Observe, changes: _Changes) -> UUID:
    """Name the message after the event and the first field it tells of."""
    return UUID(int=observe.id.int ^ crc32(next(iter(changes)).encode()))
