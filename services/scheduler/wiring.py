"""What the scheduler is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.process.builder import ServiceBuilder, ServiceSpec
from libs.chassis.process.loops import every
from libs.contracts import timer_commands as timer_commands_contract
from libs.contracts import topics
from services.scheduler.handlers import timer_commands
from services.scheduler.loops.database_clock import DatabaseClock
from services.scheduler.loops.fire_timers import FireTimers
from services.scheduler.loops.manage_days import manage_days
from services.scheduler.settings import Settings
from services.scheduler.store.days import OpenDays
from services.scheduler.use_cases.next_due import NextDue

_MANAGE_DAYS_SECONDS = 10.0


async def wire(builder: ServiceBuilder) -> None:
    """Bind the handler to its topic, and let the two loops run."""
    settings = cast("Settings", builder.settings)
    days, next_due = OpenDays(builder.clock), NextDue()
    reader = builder.read(
        topics.TIMER_COMMANDS,
        timer_commands_contract.ADAPTER,
        partial(timer_commands.handle_batch, days=days, next_due=next_due),
    )
    firing = FireTimers(
        reader, DatabaseClock(builder.pool), builder.clock, days, next_due, settings.timers_per_tick
    )
    builder.repeat(every(settings.tick_seconds, firing.tick))
    manage = partial(manage_days, builder.pool, days, settings.partitions)
    await manage()  # nothing fires before the days are known
    builder.repeat(every(_MANAGE_DAYS_SECONDS, manage))


SPEC = ServiceSpec("scheduler", Path(__file__).parent / "migrations", topics.ALL, wire)
