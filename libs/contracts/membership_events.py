"""membership.events: what happened to memberships, for read models and anyone who listens."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import AboutContact
from libs.domain.contact import Scalar
from libs.domain.membership import MembershipStatus


class Run(BaseModel):
    """A membership as it is after an event (seed 003, the membership object)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    membership_id: UUID
    flow_id: UUID
    contact_id: UUID
    status: MembershipStatus
    current_step_id: str | None
    waiting_until: AwareDatetime | None
    entry_source: str
    dynamic_context: dict[str, Scalar]
    entered_at: AwareDatetime
    ended_at: AwareDatetime | None
    drop_reason: str | None
    updated_at: AwareDatetime


class MembershipMoved(AboutContact):
    """One timeline entry of a membership; (membership, sequence) is unique.

    Attributes:
        kind: entered_flow, step_executed, waiting, email_sent, email_skipped, email_delivered,
            email_opened, email_clicked, email_bounced, email_unsubscribed, step_failed, completed
            or dropped.
        sequence: Its number in the timeline, from 1.
        run: The membership after the whole walk this entry belongs to.
    """

    topic: ClassVar[topics.Topic] = topics.MEMBERSHIP_EVENTS
    type: Literal["membership.moved"] = "membership.moved"
    membership_id: UUID
    sequence: int
    kind: str
    step_id: str | None = None
    label: str | None = None
    details: dict[str, Any] = {}
    run: Run


class EnrollmentRefused(AboutContact):
    """A contact matched a trigger, or the API asked for it, and did not enter; and why."""

    topic: ClassVar[topics.Topic] = topics.MEMBERSHIP_EVENTS
    type: Literal["enrollment.refused"] = "enrollment.refused"
    flow_id: UUID
    source_id: str
    entry_source: str
    reason: str


MembershipEvent = Annotated[MembershipMoved | EnrollmentRefused, Field(discriminator="type")]

ADAPTER: TypeAdapter[MembershipEvent] = TypeAdapter(MembershipEvent)
"""Reads a record of this topic."""
