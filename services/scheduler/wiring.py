"""What the scheduler is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.process.run import ServiceBuilder, ServiceSpec, every
from libs.contracts import timer_commands as timer_commands_contract
from libs.contracts import topics
from services.scheduler.handlers import timer_commands
from services.scheduler.loops.fire_timers import FireTimers
from services.scheduler.loops.manage_partitions import manage_partitions
from services.scheduler.settings import Settings

_WHEEL_SECONDS = 0.5


async def wire(builder: ServiceBuilder) -> None:
    """Bind the handler to its topic, and let the two loops run."""
    settings = cast("Settings", builder.settings)
    reader = builder.read(
        topics.TIMER_COMMANDS, timer_commands_contract.ADAPTER, timer_commands.handle_batch
    )
    firing = FireTimers(reader, builder.pool, builder.clock, settings.timers_per_tick)
    builder.repeat(every(settings.tick_seconds, firing.tick))
    wheel = partial(manage_partitions, builder.pool, builder.clock, settings.partitions)
    builder.repeat(every(_WHEEL_SECONDS, wheel))


SPEC = ServiceSpec("scheduler", Path(__file__).parent / "migrations", topics.ALL, wire)
