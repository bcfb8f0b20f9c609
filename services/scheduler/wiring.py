"""What the scheduler is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.process.builder import ServiceBuilder, ServiceSpec
from libs.chassis.process.loops import every
from libs.contracts import flow_definitions as flow_definitions_contract
from libs.contracts import timer_commands as timer_commands_contract
from libs.contracts import topics
from services.scheduler.handlers import flow_definitions, timer_commands
from services.scheduler.loops.database_clock import DatabaseClock
from services.scheduler.loops.fire_timers import FireTimers
from services.scheduler.loops.manage_days import manage_days
from services.scheduler.loops.release_dates import ReleaseDates
from services.scheduler.settings import Settings
from services.scheduler.store.date_triggers import CurrentSchedule
from services.scheduler.store.days import OpenDays
from services.scheduler.use_cases.next_due import NextDue

_MANAGE_DAYS_SECONDS = 10.0


async def wire(builder: ServiceBuilder) -> None:
    """Bind the handlers to their topics, and let the loops run."""
    settings = cast("Settings", builder.settings)
    days, next_due, schedule = OpenDays(builder.clock), NextDue(), CurrentSchedule()
    reader = builder.read(
        topics.TIMER_COMMANDS,
        timer_commands_contract.ADAPTER,
        partial(
            timer_commands.handle_batch,
            days=days,
            next_due=next_due,
            schedule=schedule,
            clock=builder.clock,
        ),
    )
    builder.read(
        topics.FLOW_DEFINITIONS, flow_definitions_contract.ADAPTER, flow_definitions.handle_batch
    )
    time = DatabaseClock(builder.pool)
    firing = FireTimers(reader, time, builder.clock, days, next_due, settings.timers_per_tick)
    builder.repeat(every(settings.tick_seconds, firing.tick))
    releasing = ReleaseDates(
        reader, (time, builder.clock), builder.pool, schedule, settings.dates_per_tick
    )
    builder.repeat(every(settings.date_tick_seconds, releasing.tick))
    manage = partial(manage_days, builder.pool, days, settings.partitions)
    await manage()  # nothing fires before the days are known
    builder.repeat(every(_MANAGE_DAYS_SECONDS, manage))


SPEC = ServiceSpec("scheduler", Path(__file__).parent / "migrations", topics.ALL, wire)
