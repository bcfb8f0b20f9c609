"""What the environment may set for the scheduler."""

from typing import Annotated

from pydantic import Field

from libs.chassis.process.settings import ServiceSettings


class Settings(ServiceSettings):
    """How often the scheduler looks (real seconds), and how much it fires at once."""

    tick_seconds: Annotated[float, Field(gt=0, le=10)] = 0.05
    timers_per_tick: Annotated[int, Field(ge=1, le=100_000)] = 5000
    date_tick_seconds: Annotated[float, Field(gt=0, le=10)] = 0.1
    dates_per_tick: Annotated[int, Field(ge=1, le=5000)] = 500
