"""What a step sees, and what it may answer: go on, stand still, or leave the flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.domain.contact import ContactSnapshot
from libs.domain.predicates import Predicate


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class Entered(_Event):
    """The contact has just become a member."""

    type: Literal["entered"] = "entered"


class TimerFired(_Event):
    """The moment the membership waited for has come."""

    type: Literal["timer_fired"] = "timer_fired"


class DeliveryFinished(_Event):
    """The delivery the membership waited for is over, one way or another."""

    type: Literal["delivery_finished"] = "delivery_finished"
    outcome: Literal["sent", "skipped", "failed"]
    reason: str | None = None


WalkEvent = Annotated[Entered | TimerFired | DeliveryFinished, Field(discriminator="type")]
"""What can move a membership."""


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Effect: wake this membership at an instant (UTC)."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class SendEmail:
    """Effect: send this mail to the contact."""

    step_id: str
    email_id: UUID
    operational: bool


Effect = SetTimer | SendEmail

Edge = Literal["next", "true", "false", "default"]


@dataclass(frozen=True, slots=True)
class Continue:
    """The step is done; follow this edge. `outcome` and `details` are kept for the timeline."""

    edge: Edge = "next"
    outcome: str = "done"
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suspend:
    """The step needs time or the outside world; the effect says what will wake it."""

    effect: Effect


@dataclass(frozen=True, slots=True)
class Exit:
    """The member leaves the flow here, for this reason."""

    reason: str


StepResult = Continue | Suspend | Exit


@dataclass(frozen=True, slots=True)
class StepContext:
    """All that a step may look at.

    Attributes:
        snapshot: What is known of the contact, with the engagement of this run.
        event: What has just moved the membership.
        now: The time, UTC.
        condition: The step's own rule, compiled; None if it has none.
    """

    snapshot: ContactSnapshot
    event: WalkEvent
    now: datetime
    condition: Predicate | None = None
