"""What can wake a membership."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Channel = Literal["email", "webhook"]
"""What a delivery is made by."""


class _WalkEvent(BaseModel):
    model_config = ConfigDict(frozen=True)


class Entered(_WalkEvent):
    """The contact has just been enrolled."""

    type: Literal["entered"] = "entered"


class TimerFired(_WalkEvent):
    """The moment the membership waited for has come."""

    type: Literal["timer_fired"] = "timer_fired"


class DeliveryFinished(_WalkEvent):
    """The delivery the membership waited for is over, one way or another."""

    type: Literal["delivery_finished"] = "delivery_finished"
    channel: Channel = "email"
    outcome: Literal["sent", "skipped", "failed"]
    reason: str | None = None


ENTERED, TIMER_FIRED = Entered(), TimerFired()
"""They hold nothing, so one of each is enough."""

WalkEvent = Annotated[Entered | TimerFired | DeliveryFinished, Field(discriminator="type")]
"""One of them. It is kept with a membership that is parked because its flow is paused."""
