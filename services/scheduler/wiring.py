"""What the scheduler is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.process import Kit, ServiceSpec, every
from libs.contracts import timer_commands as timer_commands_contract
from libs.contracts import topics
from services.scheduler.handlers import timer_commands
from services.scheduler.loops.fire_timers import FireTimers
from services.scheduler.loops.turn_the_wheel import turn_the_wheel
from services.scheduler.settings import Settings

_WHEEL_SECONDS = 0.5


async def wire(kit: Kit) -> None:
    """Bind the handler to its topic, and let the two loops run."""
    settings = cast("Settings", kit.settings)
    reader = kit.read(topics.TIMER_COMMANDS, timer_commands_contract.ADAPTER, timer_commands.accept)
    firing = FireTimers(reader, kit.pool, kit.clock, settings.timers_per_tick)
    kit.repeat(every(settings.tick_seconds, firing.tick))
    wheel = partial(turn_the_wheel, kit.pool, kit.clock, settings.partitions)
    kit.repeat(every(_WHEEL_SECONDS, wheel))


SPEC = ServiceSpec("scheduler", Path(__file__).parent / "migrations", topics.ALL, wire)
