"""What the environment may set for the trigger matcher."""

from typing import Annotated

from pydantic import Field

from libs.chassis.process.settings import ServiceSettings


class Settings(ServiceSettings):
    """`MILLRACE_SEEN_EVENTS_KEEP_DAYS`: how long an event may be repeated, in real days.

    Its id is remembered for at least so long, and for at most a week longer.
    """

    seen_events_keep_days: Annotated[float, Field(gt=0)] = 7.0
