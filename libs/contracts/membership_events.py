"""membership.events: what happened to memberships, for read models and anyone who listens."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import AboutContact
from libs.domain.contact import Scalar
from libs.domain.membership import MembershipStatus


class MembershipState(BaseModel):
    """A membership as it is after a walk.

    Attributes:
        sequence: The number of its last timeline entry; what has a lower one is older.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    membership_id: UUID
    flow_id: UUID
    contact_id: UUID
    sequence: int
    status: MembershipStatus
    current_step_id: str | None
    waiting_until: AwareDatetime | None
    entry_source: str
    dynamic_context: dict[str, Scalar]
    entered_at: AwareDatetime
    ended_at: AwareDatetime | None
    drop_reason: str | None
    updated_at: AwareDatetime


class TimelineEntry(BaseModel):
    """One thing that happened to a membership.

    Attributes:
        sequence: Its number in the timeline, from 1; unique within the membership.
        kind: entered_flow, step_executed, waiting, email_sent, email_skipped, email_delivered,
            email_opened, email_clicked, email_bounced, email_unsubscribed, webhook_sent,
            webhook_skipped, page_requested, page_made, step_failed, completed or dropped.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    sequence: int
    kind: str
    at: AwareDatetime
    step_id: str | None = None
    label: str | None = None
    details: dict[str, Any] = {}


class MembershipChanged(AboutContact):
    """One walk of a membership: as it is now, and what its timeline gained, in order."""

    topic: ClassVar[topics.Topic] = topics.MEMBERSHIP_EVENTS
    type: Literal["membership.changed"] = "membership.changed"
    membership: MembershipState
    timeline: list[TimelineEntry]


class EnrollmentRefused(AboutContact):
    """A contact matched a trigger, or the API asked for it, and did not enter; and why."""

    topic: ClassVar[topics.Topic] = topics.MEMBERSHIP_EVENTS
    type: Literal["enrollment.refused"] = "enrollment.refused"
    flow_id: UUID
    source_id: str
    entry_source: str
    reason: str


class PageRequested(AboutContact):
    """A membership waits for a web page about its contact; `finish_page` is the answer.

    Attributes:
        id: The page's.
        hop: Where the membership stands: for the answer.
        template_id: The template it is made of; None if it is generated from the prompt.
        publish: Whether it is to be seen at once, under this alias if it can be had.
        contact: What is known of the contact, for merge tags; long values are cut.
        run: The values of the run, for merge tags.
    """

    topic: ClassVar[topics.Topic] = topics.MEMBERSHIP_EVENTS
    type: Literal["page.requested"] = "page.requested"
    membership_id: UUID
    flow_id: UUID
    hop: int
    template_id: str | None = None
    prompt: str | None = None
    name: str | None = None
    alias: str | None = None
    publish: bool = False
    contact: dict[str, Scalar] = {}
    run: dict[str, Scalar] = {}


MembershipEvent = Annotated[
    MembershipChanged | EnrollmentRefused | PageRequested, Field(discriminator="type")
]

ADAPTER: TypeAdapter[MembershipEvent] = TypeAdapter(MembershipEvent)
"""Reads a record of this topic."""
