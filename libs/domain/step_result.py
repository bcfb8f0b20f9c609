"""What a step sees, and what it may answer: continue, suspend or exit, with any effects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.domain.contact import ContactSnapshot, Scalar
from libs.domain.contact_changes import ContactChange, differs, fold
from libs.domain.membership import Membership, WaitingOn
from libs.domain.predicates import Predicate
from libs.domain.walk_events import WalkEvent


@dataclass(frozen=True, slots=True)
class DeliverEmail:
    """Effect: plan the delivery of this mail to the contact, under this membership's next hop."""

    step_id: str
    email_id: UUID
    operational: bool


@dataclass(frozen=True, slots=True)
class TellOwner:
    """Effect: ask the system that owns the contact to change it.

    Attributes:
        change: What is to change: fields, or one list.
        differs: Whether that makes a difference to what this walk knows of the contact.
    """

    change: ContactChange
    differs: bool = True


@dataclass(frozen=True, slots=True)
class DeliverWebhook:
    """Effect: plan the webhook of this step, to this host and port, under the next hop."""

    step_id: str
    target: str


@dataclass(frozen=True, slots=True)
class RequestPage:
    """Effect: ask for a web page about the contact, under this membership's next hop.

    Attributes:
        template_id: The template it is made of; None if it is made of the prompt alone.
        publish: Whether it is to be seen at once, under its alias if it has one.
        contact: What is known of the contact: what the page may show.
        run: The values of this run, which it may show as well.
    """

    step_id: str
    template_id: str | None
    prompt: str | None
    name: str | None
    alias: str | None
    publish: bool
    contact: Mapping[str, Scalar] = field(repr=False)
    run: Mapping[str, Scalar] = field(repr=False)


DeliveryEffect = DeliverEmail | DeliverWebhook
"""Effects that become deliveries."""

Effect = DeliveryEffect | TellOwner | RequestPage
"""What the outside is asked to do. A timer is none: it follows from where a membership waits."""


@dataclass(frozen=True, slots=True)
class Continue:
    """The step is done; follow this edge. `outcome` and `details` are kept for the timeline."""

    edge: str = "next"
    outcome: str = "done"
    details: Mapping[str, Any] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspend:
    """The step needs time or the outside world.

    Attributes:
        waiting_on: What will wake the membership.
        until: When its timer is due (UTC), if it has one.
        effects: What the outside is asked to do meanwhile.
        details: What the timeline tells of it.
        times_out_at: When the wait is over at the latest, if it is one for an event.
    """

    waiting_on: WaitingOn
    until: datetime | None = None
    effects: tuple[Effect, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    times_out_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """The contact leaves the flow here, for this reason."""

    reason: str
    effects: tuple[Effect, ...] = ()


StepResult = Continue | Suspend | Exit


@dataclass(slots=True)
class StepContext:
    """All that a step may look at.

    Attributes:
        membership: The run, as it was when the walk began, standing on this step.
        contact: What is known of the contact, with the engagement of this run.
        event: What has just woken the membership.
        now: The time, UTC.
        condition: The step's own rule, compiled; None if it has none.
    """

    membership: Membership
    contact: ContactSnapshot
    event: WalkEvent
    now: datetime
    condition: Predicate | None = None

    @property
    def stood_at(self) -> datetime:
        """When the membership came to this step, if it stands here already."""
        return self.membership.stood_at or self.membership.updated_at

    def tell_owner(self, **change: Any) -> TellOwner:
        """Ask for a change of the contact, given as what `ContactChange` takes, beside its time."""
        wanted = ContactChange(self.now, **change)
        return TellOwner(wanted, differs(self.contact, wanted))


def overlaid(contact: ContactSnapshot, effects: Iterable[Effect]) -> ContactSnapshot:
    """Give a contact as it will be once its owner has done what these effects ask for.

    A walk goes on with it. What is known of the contact changes only when the event comes back.
    """
    for effect in effects:
        if isinstance(effect, TellOwner):
            after = fold(contact.contact_id, contact, effect.change)
            contact = replace(
                after or contact, engagement=contact.engagement, activity=contact.activity
            )
    return contact
