"""What the environment may set for the trigger matcher."""

from typing import Annotated

from pydantic import Field

from libs.chassis.process.settings import ServiceSettings


class Settings(ServiceSettings):
    """`MILLRACE_SEEN_EVENTS_KEEP_DAYS`: how long an event's id is remembered, in real days."""

    seen_events_keep_days: Annotated[float, Field(gt=0)] = 7.0
