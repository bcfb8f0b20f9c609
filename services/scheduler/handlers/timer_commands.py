"""timer.commands: keep timers and dates; what is already behind the watermark is due at once."""

from collections.abc import Sequence
from typing import cast

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.timer_commands import SetTimer, TimerCommand
from services.scheduler.store import timers, watermarks
from services.scheduler.store.date_triggers import CurrentSchedule
from services.scheduler.store.days import OpenDays
from services.scheduler.use_cases.keep_dates import AboutDates, keep_dates
from services.scheduler.use_cases.next_due import NextDue
from services.scheduler.use_cases.resume_commands import resume_command


async def handle_batch(
    tx: Transaction,
    batch: Sequence[Received[TimerCommand]],
    *,
    days: OpenDays,
    next_due: NextDue,
    schedule: CurrentSchedule,
    clock: Clock,
) -> list[Outgoing]:
    """Keep what is to come, and say at once what is due already."""
    timers_set = [one for one in batch if isinstance(one.message, SetTimer)]
    dates = [one for one in batch if not isinstance(one.message, SetTimer)]
    outgoing: list[Outgoing] = []
    if timers_set:
        set_timers = cast("list[Received[SetTimer]]", timers_set)
        outgoing += await _keep_timers(tx, set_timers, days, next_due)
    if dates:
        about_dates = cast("list[Received[AboutDates]]", dates)
        outgoing += await keep_dates(tx, about_dates, schedule, clock.now())
    return outgoing


async def _keep_timers(
    tx: Transaction, batch: Sequence[Received[SetTimer]], days: OpenDays, next_due: NextDue
) -> list[Outgoing]:
    """Keep new timers.

    The watermark of a partition never comes back to a moment it has passed, so a timer that is
    due before it is fired in this very transaction. No tick can slip in between: a tick holds the
    partition's position, and so does this batch.
    """
    marks = await watermarks.read(tx, {received.partition for received in batch})
    late = [one for one in batch if marks[one.partition].has_passed(one.message.due_at)]
    kept = [one for one in batch if not marks[one.partition].has_passed(one.message.due_at)]
    if kept:
        await days.open_for(tx, (one.message.due_at for one in kept))
        await timers.keep(tx, kept)
        for one in kept:
            next_due.kept(one.partition, one.message.due_at)
    return [received.causes(resume_command(received.message)) for received in late]
