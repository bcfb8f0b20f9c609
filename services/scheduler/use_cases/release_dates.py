"""Release what has fallen due: open the slices that time has passed, work through the open ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.chassis.exactly_once.records import Outgoing
from libs.chassis.postgres.pool import Transaction
from libs.domain.date_schedule import DateSchedule, Passed, Slice
from libs.domain.occurrences import CAUGHT_UP, DateRule, keys_due_on, occurrence_on
from libs.domain.triggers.date_based import DateBasedTrigger
from services.scheduler.store import contact_dates, date_slices, date_watermarks
from services.scheduler.store.contact_dates import HeldDate, Range
from services.scheduler.store.date_slices import Checkpoint, OpenSlice, SliceKey
from services.scheduler.use_cases.enroll_commands import Cause, enroll_command

_SLICES_AT_ONCE = 50
_FIRST = UUID(int=0)


@dataclass(slots=True)
class Released:
    """What a tick has done.

    Attributes:
        outgoing: The commands for those whose date has come.
        skipped: How many slices fell due too long ago.
        unfinished: The partitions in which slices are left.
    """

    outgoing: list[Outgoing] = field(default_factory=list)
    skipped: int = 0
    unfinished: set[int] = field(default_factory=set)


async def release(
    tx: Transaction,
    partitions: Sequence[int],
    schedule: DateSchedule,
    until: datetime,
    at_most: int,
) -> Released:
    """Follow time in these partitions, and look at no more than so many dates."""
    await contact_dates.use_indexes(tx)
    released = Released(skipped=await _follow_time(tx, partitions, schedule, until))
    turns = await date_slices.next_slices(tx, partitions, _SLICES_AT_ONCE)
    stale = [one for one in turns if one.key.due_at < until - CAUGHT_UP]
    released.skipped += len(stale)
    live = [one for one in turns if one.key.due_at >= until - CAUGHT_UP]
    ended = [one.key for one in stale]
    if live:
        released.outgoing, ended_live = await _work(tx, live, max(1, at_most // len(live)))
        ended += ended_live
    await date_slices.close(tx, ended)
    if turns:
        released.unfinished = await date_slices.unfinished(tx, partitions)
    return released


async def _follow_time(
    tx: Transaction, partitions: Sequence[int], schedule: DateSchedule, until: datetime
) -> int:
    """Open what has fallen due since, and move the watermarks; give how much came too late."""
    fallen: list[tuple[int, Slice]] = []
    late, now = 0, Passed(until, schedule.revision)
    for partition, mark in (await date_watermarks.read(tx, partitions)).items():
        slices, skipped = schedule.passed(mark, until)
        fallen += [(partition, one) for one in slices]
        late += skipped
    await date_slices.open_slices(tx, fallen)
    await date_watermarks.move(tx, dict.fromkeys(partitions, now))
    return late


async def _work(
    tx: Transaction, turns: Sequence[OpenSlice], share: int
) -> tuple[list[Outgoing], list[SliceKey]]:
    """Look at the next dates of each slice, at most so many; give what came, and what is over."""
    ranges = [one for place, turn in enumerate(turns) for one in _ranges(place, turn)]
    found = await contact_dates.page(tx, ranges, share)
    outgoing: list[Outgoing] = []
    moved: dict[SliceKey, Checkpoint] = {}
    ended: list[SliceKey] = []
    for place, turn in enumerate(turns):
        held = found.get(place, [])
        outgoing += _due(turn, held[:share])
        if len(held) < share:
            ended.append(turn.key)
        else:
            moved[turn.key] = Checkpoint(held[share - 1].key, held[share - 1].contact_id)
    await date_slices.move(tx, moved)
    return outgoing, ended


def _ranges(place: int, turn: OpenSlice) -> Iterator[Range]:
    """Give the ranges of a slice that are left."""
    for key in keys_due_on(_rule(turn), turn.day):
        if key >= turn.after.key:
            after = turn.after.contact_id if key == turn.after.key else _FIRST
            yield Range(place, turn.key.partition, turn.field_id, key, after)


def _due(turn: OpenSlice, held: Sequence[HeldDate]) -> Iterator[Outgoing]:
    """Give the commands for the dates that really fall due now, and were set before."""
    rule, key = _rule(turn), turn.key
    cause = Cause(turn.workspace_id, key.flow_id, turn.flow_version, key.trigger_id)
    for one in held:
        occurrence = occurrence_on(rule, one.value, turn.day)
        if occurrence and one.set_at < key.due_at:
            command = enroll_command(cause, one.contact_id, occurrence)
            yield Outgoing(command, key.partition)


def _rule(turn: OpenSlice) -> DateRule:
    return DateBasedTrigger.model_validate(turn.settings).rule
