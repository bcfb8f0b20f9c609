"""contact.events: facts about contacts, from outside, as CloudEvents 1.0 (structured JSON).

Any system can publish them without our code. `subject` is the contact's id and also the record's
key. Of the extension attributes `workspaceid` is the tenant, and `millracedepth` says how many
flows, one causing the next, led to the event (none unless it is given). The same `id` from the same
`source` counts once, however often it arrives.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import Depth, derived_id
from libs.domain.activity import ActivityKind
from libs.domain.contact import Scalar
from libs.domain.contact_changes import ContactChange


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class CloudEvent(BaseModel):
    """The envelope: CloudEvents 1.0 context attributes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    topic: ClassVar[topics.Topic] = topics.CONTACT_EVENTS

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(min_length=1, max_length=200)]
    source: Annotated[str, Field(min_length=1, max_length=500)]
    subject: UUID
    time: AwareDatetime
    workspaceid: UUID
    millracedepth: Depth = 0
    datacontenttype: str = "application/json"

    @property
    def key(self) -> str:
        """The contact's id."""
        return str(self.subject)

    @property
    def to_partition(self) -> int | None:
        """The key decides."""
        return None

    @cached_property
    def change(self) -> ContactChange:
        """What it changes of its contact, as the domain folds it; it is asked for several times."""
        return ContactChange(self.time)

    @property
    def done(self) -> ActivityKind | None:
        """What it tells that the contact did, or what became of a mail to it, if it does."""
        return None

    def body(self) -> bytes:
        """Write the event as JSON."""
        return self.model_dump_json(exclude_none=True).encode()


class Fields(_Data):
    """Standard fields by camelCase key, custom fields by api name; null empties one."""

    fields: dict[str, Scalar] = {}
    custom_fields: dict[str, Scalar] = {}


class ContactCreated(CloudEvent):
    """A contact came into being, with these fields."""

    type: Literal["contact.created"] = "contact.created"
    data: Fields = Fields()

    @cached_property
    def change(self) -> ContactChange:
        """The contact comes into being, and holds these values."""
        data = self.data
        return ContactChange(
            self.time,
            creates=True,
            introduces=True,
            fields=data.fields,
            custom_fields=data.custom_fields,
        )

    def body(self) -> bytes:
        """Write the event as JSON; a null in the fields means something, so it stays."""
        return self.model_dump_json().encode()


class ContactUpdated(CloudEvent):
    """Fields of a contact changed: only those, with their new values."""

    type: Literal["contact.updated"] = "contact.updated"
    data: Fields

    @cached_property
    def change(self) -> ContactChange:
        """These fields hold other values; it may be the first that is heard of the contact."""
        data = self.data
        return ContactChange(
            self.time, introduces=True, fields=data.fields, custom_fields=data.custom_fields
        )

    def body(self) -> bytes:
        """Write the event as JSON; a null in the fields means something, so it stays."""
        return self.model_dump_json().encode()


class ContactDeleted(CloudEvent):
    """A contact is gone; its runs end."""

    type: Literal["contact.deleted"] = "contact.deleted"

    @cached_property
    def change(self) -> ContactChange:
        """Nothing more is known of the contact."""
        return ContactChange(self.time, deletes=True)


class Merge(_Data):
    """Into which contact another one went."""

    into: UUID


class ContactMerged(CloudEvent):
    """This contact went into another one, which survives."""

    type: Literal["contact.merged"] = "contact.merged"
    data: Merge


class ListRef(_Data):
    """Which list."""

    list_id: UUID


class ListContactAdded(CloudEvent):
    """The contact was put on a static list."""

    type: Literal["list.contact_added"] = "list.contact_added"
    data: ListRef

    @cached_property
    def change(self) -> ContactChange:
        """The contact is on the list; it may be the first that is heard of it."""
        return ContactChange(self.time, introduces=True, joined=self.data.list_id)


class ListContactRemoved(CloudEvent):
    """The contact was taken off a static list."""

    type: Literal["list.contact_removed"] = "list.contact_removed"
    data: ListRef

    @cached_property
    def change(self) -> ContactChange:
        """The contact is not on the list."""
        return ContactChange(self.time, left=self.data.list_id)


class Submission(_Data):
    """A submitted form: which one, and its answers by field name."""

    tent_id: UUID | None = None
    form_id: Annotated[str, Field(min_length=1, max_length=255)]
    fields: dict[str, JsonValue] = {}


class FormSubmitted(CloudEvent):
    """The contact submitted a form."""

    type: Literal["form.submitted"] = "form.submitted"
    data: Submission

    @property
    def done(self) -> ActivityKind:
        """The contact submitted this form."""
        return ActivityKind(self.type, form_id=self.data.form_id, tent_id=self.data.tent_id)


class MailRef(_Data):
    """Which mail something happened to, and what is known beside it."""

    email_id: UUID
    membership_id: UUID | None = None
    step_id: str | None = None
    message_id: str | None = None
    url: str | None = None
    reason: str | None = None


_CONSENT: Mapping[str, dict[str, Scalar]] = {
    "email.bounced": {"marketingEmailInvalid": True},
    "email.complained": {"unsubscribed": True},
    "email.unsubscribed": {"unsubscribed": True},
}
"""What an event says about whether the contact may be mailed from now on."""


class EmailEvent(CloudEvent):
    """Something happened to a mail that was sent to the contact."""

    type: Literal[
        "email.sent",
        "email.delivered",
        "email.opened",
        "email.clicked",
        "email.bounced",
        "email.complained",
        "email.unsubscribed",
    ]
    data: MailRef

    @cached_property
    def change(self) -> ContactChange:
        """Some say whether the contact may be mailed from now on."""
        return ContactChange(self.time, fields=_CONSENT.get(self.type, {}))

    @property
    def done(self) -> ActivityKind:
        """This became of that mail."""
        return ActivityKind(self.type, self.data.email_id)


class Activity(_Data):
    """Anything else a contact did: a metric's name, a value and properties."""

    metric: Annotated[str, Field(min_length=1, max_length=200)]
    value: float | None = None
    properties: dict[str, JsonValue] = {}


class ActivityRecorded(CloudEvent):
    """The contact did something that is counted under a name."""

    type: Literal["activity.recorded"] = "activity.recorded"
    data: Activity

    @property
    def done(self) -> ActivityKind:
        """The contact did this."""
        return ActivityKind(self.data.metric)


ContactEvent = Annotated[
    ContactCreated
    | ContactUpdated
    | ContactDeleted
    | ContactMerged
    | ListContactAdded
    | ListContactRemoved
    | FormSubmitted
    | EmailEvent
    | ActivityRecorded,
    Field(discriminator="type"),
]

ADAPTER: TypeAdapter[ContactEvent] = TypeAdapter(ContactEvent)
"""Reads a record of this topic."""


def event_key(event: ContactEvent) -> UUID:
    """Tell an event from all others: half the size of the three parts it is made of.

    It is as good as unique: 122 bits of a digest.
    """
    return derived_id("event", event.workspaceid, event.source, event.id)
