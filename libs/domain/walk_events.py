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


class PageFinished(_WalkEvent):
    """The page the membership waited for is made, or will not be.

    Attributes:
        outcome: `made` is a page that nobody can see yet.
        url: Where a published page is.
        warnings: What was not done as it was asked for.
    """

    type: Literal["page_finished"] = "page_finished"
    outcome: Literal["published", "made", "failed"]
    page_id: str | None = None
    url: str | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None


class ContactChanged(_WalkEvent):
    """Something has happened to the contact, or to a mail of the run, that its wait listens to."""

    type: Literal["contact_changed"] = "contact_changed"


class FlowChanged(_WalkEvent):
    """The flow was edited, or goes on after a pause: what was waited for is judged anew."""

    type: Literal["flow_changed"] = "flow_changed"


ENTERED, TIMER_FIRED = Entered(), TimerFired()
CONTACT_CHANGED, FLOW_CHANGED = ContactChanged(), FlowChanged()
"""They hold nothing, so one of each is enough."""
NO_ANSWER = PageFinished(outcome="failed", reason="no_answer")
"""The time within which an answer was to come is over."""

WalkEvent = Annotated[
    Entered | TimerFired | DeliveryFinished | PageFinished | ContactChanged | FlowChanged,
    Field(discriminator="type"),
]
"""One of them. It is kept with a membership that is parked because its flow is paused."""
