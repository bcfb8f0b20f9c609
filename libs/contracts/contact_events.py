"""contact.events: facts about contacts, from outside, as CloudEvents 1.0 (structured JSON).

Any system can publish them without our code. `subject` is the contact's id and also the record's
key. Of the extension attributes `workspaceid` is the tenant, and `millracedepth` says how many
flows, one causing the next, led to the event (none unless it is given). The same `id` from the same
`source` counts once, however often it arrives.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, ClassVar, Literal, cast
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import Depth, derived_id
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
        """What it changes of its contact; it is asked for several times."""
        return _change_of(cast("ContactEvent", self))

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

    def body(self) -> bytes:
        """Write the event as JSON; a null in the fields means something, so it stays."""
        return self.model_dump_json().encode()


class ContactUpdated(CloudEvent):
    """Fields of a contact changed: only those, with their new values."""

    type: Literal["contact.updated"] = "contact.updated"
    data: Fields

    def body(self) -> bytes:
        """Write the event as JSON; a null in the fields means something, so it stays."""
        return self.model_dump_json().encode()


class ContactDeleted(CloudEvent):
    """A contact is gone; its runs end."""

    type: Literal["contact.deleted"] = "contact.deleted"


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


class ListContactRemoved(CloudEvent):
    """The contact was taken off a static list."""

    type: Literal["list.contact_removed"] = "list.contact_removed"
    data: ListRef


class Submission(_Data):
    """A submitted form: which one, and its answers by field name."""

    tent_id: UUID | None = None
    form_id: Annotated[str, Field(min_length=1, max_length=255)]
    fields: dict[str, JsonValue] = {}


class FormSubmitted(CloudEvent):
    """The contact submitted a form."""

    type: Literal["form.submitted"] = "form.submitted"
    data: Submission


class MailRef(_Data):
    """Which mail something happened to, and what is known beside it."""

    email_id: UUID
    membership_id: UUID | None = None
    step_id: str | None = None
    message_id: str | None = None
    url: str | None = None
    reason: str | None = None


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


class Activity(_Data):
    """Anything else a contact did: a metric's name, a value and properties."""

    metric: Annotated[str, Field(min_length=1, max_length=200)]
    value: float | None = None
    properties: dict[str, JsonValue] = {}


class ActivityRecorded(CloudEvent):
    """The contact did something that is counted under a name."""

    type: Literal["activity.recorded"] = "activity.recorded"
    data: Activity


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


_INTRODUCE = ("contact.created", "contact.updated", "list.contact_added")
_CONSENT: Mapping[str, dict[str, Scalar]] = {
    "email.bounced": {"marketingEmailInvalid": True},
    "email.complained": {"unsubscribed": True},
    "email.unsubscribed": {"unsubscribed": True},
}
"""What an event says about whether the contact may be mailed from now on."""


def change_of(event: ContactEvent) -> ContactChange:
    """Say what an event changes of its contact, as the domain folds it."""
    return event.change


def _change_of(event: ContactEvent) -> ContactChange:
    creates, introduces = event.type == "contact.created", event.type in _INTRODUCE
    match event:
        case ContactCreated(data=data) | ContactUpdated(data=data):
            return ContactChange(
                event.time, creates, introduces,
                fields=data.fields, custom_fields=data.custom_fields,
            )  # fmt: skip
        case ContactDeleted():
            return ContactChange(event.time, deletes=True)
        case ListContactAdded(data=data):
            return ContactChange(event.time, introduces=introduces, joined=data.list_id)
        case ListContactRemoved(data=data):
            return ContactChange(event.time, left=data.list_id)
        case EmailEvent(type=kind):
            return ContactChange(event.time, fields=_CONSENT.get(kind, {}))
        case _:
            return ContactChange(event.time)
