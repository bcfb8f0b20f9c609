"""Keep the dates the executor tells of, and enroll at once for those that have just been passed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.timer_commands import ForgetContact, RememberDates
from libs.domain.date_schedule import DateSchedule, Passed, ScheduledTrigger
from libs.domain.occurrences import CAUGHT_UP, DateValue, Occurrence, occurrence_on, read_date
from services.scheduler.store import contact_dates, date_slices, date_watermarks
from services.scheduler.store.contact_dates import Field, Place
from services.scheduler.store.date_slices import Checkpoint, SliceKey
from services.scheduler.store.date_triggers import CurrentSchedule
from services.scheduler.use_cases.enroll_commands import Cause, enroll_command

AboutDates = RememberDates | ForgetContact


class Holder(NamedTuple):
    """Whose field it is, and where the contact lives."""

    partition: int
    field: Field
    contact_id: UUID


@dataclass(slots=True)
class Told:
    """What a batch tells of one field of one contact.

    Attributes:
        befores: Where its date may be filed from before.
        now: The date it holds in the end, and when that was set.
    """

    befores: set[int] = field(default_factory=set)
    now: tuple[DateValue, datetime] | None = None


class Missed(NamedTuple):
    """A date that falls due at a moment its partition has passed already."""

    holder: Holder
    value: DateValue
    trigger: ScheduledTrigger
    occurrence: Occurrence

    @property
    def slice_key(self) -> SliceKey:
        """The slice in which it would have been."""
        trigger = self.trigger
        return SliceKey(
            self.holder.partition, trigger.flow_id, trigger.trigger_id, self.occurrence.due_at
        )


async def keep_dates(
    tx: Transaction,
    batch: Sequence[Received[AboutDates]],
    current: CurrentSchedule,
    now: datetime,
) -> list[Outgoing]:
    """Keep dates, and give the commands for those that no slice will find any more.

    Watermark, checkpoints and dates are compared in one transaction, and no tick can slip in
    between: a tick holds the partition's position, and so does this batch. So a date is either in
    time for its slice, or is found to be late here; never neither.
    """
    told = _told(batch)
    await contact_dates.use_indexes(tx)
    await _write(tx, told)
    await current.refresh(tx)
    marks = await date_watermarks.read(tx, {holder.partition for holder in told})
    missed = list(_Passing(current.schedule, marks, now).missed(told))
    if not missed:
        return []
    under_way = await date_slices.find(tx, (one.slice_key for one in missed))
    return [_enroll(one) for one in missed if not _will_be_found(one, under_way)]


def _told(batch: Sequence[Received[AboutDates]]) -> dict[Holder, Told]:
    """Bring together what a batch tells of each field, in its order."""
    told: dict[Holder, Told] = {}
    for received in batch:
        message = received.message
        now = _dates_in(message)
        for name in message.before.keys() | now.keys():
            field = (message.workspace_id, name)
            one = told.setdefault(Holder(received.partition, field, message.contact_id), Told())
            if before := read_date(message.before.get(name)):
                one.befores.add(before.key)
            one.now = now.get(name)
    return told


def _dates_in(message: AboutDates) -> dict[str, tuple[DateValue, datetime]]:
    if isinstance(message, ForgetContact):
        return {}
    read = {name: read_date(text) for name, text in message.dates.items()}
    return {name: (value, message.set_at) for name, value in read.items() if value}


async def _write(tx: Transaction, told: dict[Holder, Told]) -> None:
    numbers = await contact_dates.field_ids(tx, (holder.field for holder in told))

    def filed(holder: Holder, key: int) -> Place:
        return Place(holder.partition, numbers[holder.field], key, holder.contact_id)

    gone = [filed(holder, key) for holder, one in told.items() for key in one.befores]
    await contact_dates.forget(tx, gone)
    kept = [(filed(holder, one.now[0].key), *one.now) for holder, one in told.items() if one.now]
    await contact_dates.remember(tx, kept)


class _Passing:
    """Finds the dates whose moment was passed before they were known here."""

    def __init__(self, schedule: DateSchedule, marks: dict[int, Passed], now: datetime) -> None:
        self._schedule = schedule
        self._marks = marks
        self._horizon = now - CAUGHT_UP
        self._days: dict[tuple[object, ...], list[date]] = {}

    def missed(self, told: dict[Holder, Told]) -> Iterator[Missed]:
        for holder, one in told.items():
            for trigger in self._schedule.on_field(*holder.field) if one.now else ():
                if one.now and (occurrence := self._passed(holder.partition, trigger, *one.now)):
                    yield Missed(holder, one.now[0], trigger, occurrence)

    def _passed(
        self, partition: int, trigger: ScheduledTrigger, value: DateValue, set_at: datetime
    ) -> Occurrence | None:
        """Give what fell due while trigger and date were set, in the last 24 hours, if anything."""
        mark = self._marks[partition]
        if trigger.opened > mark.revision:
            return None  # not known to the partition yet: its slices are still to come
        until = min(mark.until, trigger.active_until or mark.until)
        for day in self._days_passed(until, trigger):
            found = occurrence_on(trigger.rule, value, day)
            if found and found.due_at > max(set_at, trigger.active_since, self._horizon):
                return found
        return None

    def _days_passed(self, until: datetime, trigger: ScheduledTrigger) -> Iterable[date]:
        place = (until, *trigger.key)
        if place not in self._days:
            after = min(self._horizon, until)
            self._days[place] = trigger.rule.days_due(after, until)
        return self._days[place]


def _will_be_found(missed: Missed, under_way: dict[SliceKey, Checkpoint]) -> bool:
    """Say whether the date's slice is being released, and has not come to it yet."""
    after = under_way.get(missed.slice_key)
    return after is not None and (missed.value.key, missed.holder.contact_id) > after


def _enroll(missed: Missed) -> Outgoing:
    trigger = missed.trigger
    cause = Cause(trigger.workspace_id, trigger.flow_id, trigger.flow_version, trigger.trigger_id)
    command = enroll_command(cause, missed.holder.contact_id, missed.occurrence)
    return Outgoing(command, missed.holder.partition)
